"""The parts that an output already has.

A part is done if the manifest has it with the size that it has in the listing. Another one, as after a kill before the
manifest was saved, or if two runs have written into one bucket, is done if its footer records this run's settings and
its shard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from ov_mobilenet.bulk_classification.manifest import MANIFEST, Manifest
from ov_mobilenet.bulk_classification.output_advice import START_AGAIN
from ov_mobilenet.bulk_classification.output_differences import setting_differences
from ov_mobilenet.bulk_classification.parts import PartFacts, read_part
from ov_mobilenet.bulk_classification.shard_list import ShardPlace
from ov_mobilenet.bulk_classification.stores import Store
from ov_mobilenet.errors import OutputError

if TYPE_CHECKING:
    from ov_mobilenet.outputs.run_settings import RunSettings

S = TypeVar("S")
T = TypeVar("T")


def find_done(
    store: Store,
    sizes: Mapping[str, int],
    found: Manifest | None,
    places: Iterable[ShardPlace],
    settings: RunSettings,
) -> dict[str, PartFacts]:
    """The parts of a run that are in its output, by name.

    Args:
        sizes: listing of the output.
        found: its manifest, of the same run.
        settings: of the run.

    Raises:
        OutputError: a part is of another run, and there is no manifest.
    """
    known = {} if found is None else {part.name: part for part in found.parts}
    done: dict[str, PartFacts] = {}
    unknown: list[ShardPlace] = []
    for place in places:
        name = place.part_name
        facts = known.get(name)
        if name not in sizes:
            continue
        if facts is not None and (facts.bytes, facts.shard) == (sizes[name], place.digest):
            done[name] = facts
        else:
            unknown.append(place)
    wanted = dict(settings)
    footers = in_parallel(store, lambda place: read_part(store, place.part_name, sizes[place.part_name]), unknown)
    for place, footer in zip(unknown, footers, strict=True):
        name = place.part_name
        if footer is not None and (dict(footer.settings), footer.facts.shard) == (wanted, place.digest):
            done[name] = footer.facts
        elif found is None:
            # There is no record that this output is one of this run, so the part is not replaced.
            if footer is None:
                expected, got = "a part of this run", "a file that is not a part, or a damaged one"
            else:
                differ = setting_differences(footer.settings, wanted) or [("the images of this part", "others")]
                expected, got = ", ".join(before for before, _ in differ), ", ".join(now for _, now in differ)
            raise OutputError(
                f"the output has a part that is not of this run, and no {MANIFEST}", where=f"{store.text}/{name}",
                expected=expected, got=got, fix=START_AGAIN,
            )  # fmt: skip
    return done


def in_parallel(store: Store, act: Callable[[S], T], values: Iterable[S]) -> Iterator[T]:
    """The results of a function for each value, in order, with as many threads as the store has use for."""
    if store.parallel == 1:
        yield from map(act, values)
        return
    with ThreadPoolExecutor(store.parallel) as threads:
        yield from threads.map(act, values)
