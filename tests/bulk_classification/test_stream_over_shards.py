"""One stream over many shards: random sequences of empty, failing and full shards, with several reading threads."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pytest
from bulk_runs import SAMPLE

import ov_mobilenet as ovm
from ov_mobilenet.bulk_classification import run_here as room
from ov_mobilenet.bulk_classification.failed_shards import ATTEMPTS, FailedShard
from ov_mobilenet.bulk_classification.parts import PartFacts, PartWriter
from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shard_items import ShardReadError
from ov_mobilenet.bulk_classification.shard_list import ShardList
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.errors import OutputError
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import AnyResult, Result

CASES = 8


@pytest.fixture(scope="module")
def classifier() -> Iterator[ovm.Classifier]:
    yield ovm.load_classifier(SAMPLE, device="CPU", inference_precision="f32")


@dataclass
class Script:
    """What reading a shard gives.

    Attributes:
        images: images of the shard.
        lost_after: for each attempt, the number of images after which the connection is lost; then it succeeds.
    """

    images: int
    lost_after: list[int] = field(default_factory=list)
    attempts: int = 0


@dataclass
class Part:
    """Takes results in the place of a `PartWriter`."""

    shard: Shard
    written: dict[int, list[str]]
    open_parts: set[int]
    sources: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert not self.open_parts, "the rows of two parts are in memory"
        self.open_parts.add(self.shard.index)

    @property
    def images(self) -> int:
        return len(self.sources)

    def put(self, result: AnyResult) -> None:
        self.sources.append(result.source)

    def discard(self) -> None:
        self.open_parts.discard(self.shard.index)

    def close(self) -> PartFacts:
        self.open_parts.remove(self.shard.index)
        assert self.shard.index not in self.written, "a part is written twice"
        self.written[self.shard.index] = self.sources
        return PartFacts(
            name=self.shard.part_name, shard=self.shard.digest, images=len(self.sources), errors=0
        )  # fmt: skip


@dataclass
class Run:
    """The shards of a run as scripts, and what was written."""

    scripts: list[Script]
    written: dict[int, list[str]] = field(default_factory=dict)
    open_parts: set[int] = field(default_factory=set)
    seen: int = 0

    def read(self, shard: Shard, settings: BulkSettings) -> Iterator[Item]:
        script = self.scripts[shard.index]
        script.attempts += 1
        lost = script.lost_after[script.attempts - 1] if script.attempts <= len(script.lost_after) else None
        for number in range(script.images):
            if number == lost:
                break
            frame = np.full((4, 4, 3), (shard.index * 7 + number) % 256, np.uint8)
            yield Item(frame, f"{shard.index}/{number}")
        if lost is not None:
            raise ShardReadError("the connection is lost")

    def open_part(self, shard: Shard) -> PartWriter:
        return cast("PartWriter", Part(shard, self.written, self.open_parts))

    def count(self, result: Result) -> None:
        self.seen += 1

    def go(self, classifier: ovm.Classifier) -> list[PartFacts | FailedShard]:
        shards = ShardList(Shard(index, "tar", (f"{index}.tar",)) for index in range(len(self.scripts)))
        try:
            return list(
                room.run_here(
                    classifier, shards.places, shards.shard, BulkSettings(top_k=1), self.open_part,
                    on_image=self.count, sleep=lambda seconds: None,
                )
            )  # fmt: skip
        finally:
            shards.close()
            assert not self.open_parts, "a part is neither written nor discarded"


def random_scripts(rng: random.Random) -> list[Script]:
    found = []
    for _ in range(rng.randint(1, 12)):
        script = Script(rng.choice([0, 0, 1, 2, 3, 17, 40]))
        if rng.random() < 0.3:
            script.lost_after = [
                rng.randint(0, script.images) for _ in range(rng.choice([1, 2, ATTEMPTS - 1, ATTEMPTS]))
            ]
        found.append(script)
    return found


@pytest.mark.parametrize("case", range(CASES))
def test_every_image_is_in_the_part_of_its_shard_once(
    case: int, classifier: ovm.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(random_scripts(random.Random(case)))
    monkeypatch.setattr(room, "read_items", run.read)
    ends = run.go(classifier)
    lost = {index for index, script in enumerate(run.scripts) if len(script.lost_after) >= ATTEMPTS}
    assert run.written == {
        index: [f"{index}/{number}" for number in range(script.images)]
        for index, script in enumerate(run.scripts)
        if index not in lost
    }
    last = {end.index for end in ends if isinstance(end, FailedShard) and not end.again}
    assert last == lost
    for index, script in enumerate(run.scripts):
        assert script.attempts == min(ATTEMPTS, 1 + len(script.lost_after)), f"shard {index}"
    facts = {end.name: end.images for end in ends if isinstance(end, PartFacts)}
    assert facts == {f"part-{index:05}.parquet": len(sources) for index, sources in run.written.items()}
    read = sum(
        sum(min(lost, script.images) for lost in script.lost_after[:ATTEMPTS])
        + (script.images if len(script.lost_after) < ATTEMPTS else 0)
        for script in run.scripts
    )
    assert run.seen == read, "on_image is called once for each image that was read"


def test_only_empty_shards_have_empty_parts(classifier: ovm.Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run([Script(0), Script(0), Script(0)])
    monkeypatch.setattr(room, "read_items", run.read)
    assert [end.images for end in run.go(classifier) if isinstance(end, PartFacts)] == [0, 0, 0]
    assert run.written == {0: [], 1: [], 2: []}


def test_a_part_that_cannot_be_written_ends_the_run_and_its_threads(
    classifier: ovm.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run([Script(2), Script(2), Script(100)])
    monkeypatch.setattr(room, "read_items", run.read)

    def full(part: Part) -> PartFacts:
        part.discard()
        raise OutputError("no space left", where=part.shard.part_name)

    monkeypatch.setattr(Part, "close", full)
    with pytest.raises(OutputError, match="part-00000"):
        run.go(classifier)
    assert run.written == {}


def test_an_unexpected_error_while_reading_is_raised_and_the_parts_before_it_are_written(
    classifier: ovm.Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run([Script(3), Script(3), Script(3)])

    def read(shard: Shard, settings: BulkSettings) -> Iterator[Item]:
        yield from run.read(shard, settings)
        if shard.index == 1:
            raise ZeroDivisionError("a mistake in the program")

    monkeypatch.setattr(room, "read_items", read)
    with pytest.raises(ZeroDivisionError):
        run.go(classifier)
    assert set(run.written) <= {0}, "the part of the shard that was not read to its end must not be written"
