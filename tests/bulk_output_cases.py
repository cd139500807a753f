"""Small outputs of bulk runs, without a model: shards, results and the state of an output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ov_mobilenet.bulk_classification.output_differences import BulkIdentity
from ov_mobilenet.bulk_classification.output_state import OutputState, open_output
from ov_mobilenet.bulk_classification.parts import PartFacts, PartWriter
from ov_mobilenet.bulk_classification.shard_list import ShardList
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.runtime.results import Classification, Failure, Prediction, Result, Timings

RUN = BulkIdentity("mobilenet", "a" * 64, {"network weights": "1234", "top-k": "5", "geometry": "resize 8"}, ("in",))
# Of different lengths, so that the parts have different sizes.
SHARDS = tuple(
    Shard(index, "images", tuple(f"in/{index}-{number}{'x' * 10 * index}.png" for number in range(2)), images=2)
    for index in range(4)
)


def results(shard: Shard) -> list[Result]:
    """A class for each image; the last image of shard 1 has failed."""
    answers: list[Result] = [
        Classification(path, (Prediction(number, f"class {number}", 0.5),), Timings(total=1.5))
        for number, path in enumerate(shard.paths)
    ]
    return [*answers[:-1], Failure(shard.paths[-1], "broken")] if shard.index == 1 else answers


def write_part(state: OutputState, index: int, device: str = "CPU") -> PartFacts:
    """Write a part, without recording it."""
    shard = state.shards.shard(state.shards.places[index])
    writer = PartWriter(state.store, shard, state.identity.settings, device, "f32")
    for result in results(shard):
        writer.put(result)
    return writer.close()


def opened(
    output: Path | str, shards: Iterable[Shard] = SHARDS, run: BulkIdentity = RUN, **options: Any
) -> OutputState:
    return open_output(str(output), run, ShardList(shards), **options)


def with_settings(**changed: str) -> BulkIdentity:
    return replace(RUN, settings={**RUN.settings, **{name.replace("_", "-"): value for name, value in changed.items()}})


def write_output(
    output: Path | str, parts: Sequence[int] = range(len(SHARDS)), shards: Iterable[Shard] = SHARDS,
    *, recorded: Callable[[int], bool] = lambda index: True,
) -> None:  # fmt: skip
    """A run that has written some parts, and recorded those for which `recorded` is true."""
    with opened(output, shards) as state:
        for index in parts:
            facts = write_part(state, index)
            if recorded(index):
                state.add(facts)
        state.save()


def content(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
