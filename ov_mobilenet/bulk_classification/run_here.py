"""Run shards on this machine: one stream over all of them, so that no core waits between two parts."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec

from ov_mobilenet.bulk_classification.failed_shards import ATTEMPTS, FailedShard, failed_shard
from ov_mobilenet.bulk_classification.parts import PartFacts, PartWriter
from ov_mobilenet.bulk_classification.settings import BulkSettings, class_choice
from ov_mobilenet.bulk_classification.shard_items import ShardReadError, read_items
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.runtime.results import NotRun, Result

if TYPE_CHECKING:
    from ov_mobilenet.bulk_classification.shard_list import ShardPlace
    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.runtime.items import Item

log = logging.getLogger(__name__)

OnImage = Callable[[Result], None]
OpenPart = Callable[[Shard], PartWriter]

# Before the second attempt, in seconds; doubled before each further one.
FIRST_PAUSE_S = 1.0


@dataclass
class _ReadShard:
    """A shard in the stream.

    Attributes:
        count: number of its images that were read.
        ended: whether no more are read.
        problem: why it gets no part; None if all is well.
    """

    shard: Shard
    count: int = 0
    ended: bool = False
    problem: str | None = None


def run_shards(
    classifier: Classifier,
    shards: Iterable[Shard],
    settings: BulkSettings,
    open_part: OpenPart,
    *,
    workers: int | None = None,
    on_image: OnImage | None = None,
) -> Generator[PartFacts | FailedShard, None, None]:
    """Classify shards and write their parts; yields the facts of each part when it is written, in order.

    This is one attempt: a shard whose images cannot be read to the end, or that lost images to a device that failed,
    gives a `FailedShard` and no part. Memory holds the rows of one part. Close the iterator to stop: a part that is not
    complete is not written.

    Args:
        open_part: called with a shard when its first result is there.
        workers: number of decoding threads; None for one per CPU.
        on_image: called with each result, in order.

    Raises:
        OutputError: a part cannot be written.
        DeviceError: the device is lost.
        MissingDependencyError: the library that reads images cannot be imported.
    """
    chosen = class_choice(settings, classifier.output_kind)
    # Threads of the stream append, this one removes: the stream reads ahead of the results, by a bounded number.
    reading: deque[_ReadShard] = deque()

    def items() -> Generator[Item, None, None]:
        for shard in shards:
            entry = _ReadShard(shard)
            reading.append(entry)
            try:
                for item in read_items(shard, settings):
                    entry.count += 1
                    yield item
            except ShardReadError as error:
                entry.problem = str(error)
            entry.ended = True

    writer: PartWriter | None = None
    taken = 0

    def finished() -> Iterator[PartFacts | FailedShard]:
        """Write the parts whose results are all taken; also those of shards without images."""
        nonlocal writer, taken
        while reading and reading[0].ended and taken == reading[0].count:
            entry = reading.popleft()
            done, writer, taken = writer, None, 0
            if entry.problem is not None:
                if done is not None:
                    done.discard()
                yield failed_shard(entry.shard, entry.problem)
            else:
                yield (done or open_part(entry.shard)).close()

    source = items()
    results = cast("Generator[Result, None, None]", classifier.stream(source, top_k=chosen.top_k, workers=workers))
    try:
        with _closed_afterwards(source), closing(results):
            for result in results:
                # The first result of a shard has arrived, so the shards before it have ended.
                yield from finished()
                entry = reading[0]
                taken += 1
                if isinstance(result, NotRun):
                    entry.problem = entry.problem or result.error
                else:
                    writer = writer or open_part(entry.shard)
                    writer.put(chosen.trimmed(result))
                if on_image is not None:
                    on_image(result)
                yield from finished()
            yield from finished()
    finally:
        if writer is not None:
            writer.discard()


@contextmanager
def _closed_afterwards(source: Generator[Item, None, None]) -> Iterator[None]:
    """Close the files of an iterator, unless a thread is still waiting in it."""
    try:
        yield
    finally:
        with suppress(ValueError):
            source.close()


def run_here(
    classifier: Classifier,
    places: Sequence[ShardPlace],
    shard_at: Callable[[ShardPlace], Shard],
    settings: BulkSettings,
    open_part: OpenPart,
    *,
    on_image: OnImage | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[PartFacts | FailedShard, None, None]:
    """`run_shards`, in which a shard that fails is begun again after all others, at most `ATTEMPTS` times in all.

    Args:
        shard_at: reads a shard.
        sleep: waits between two rounds, in seconds.

    Raises:
        OvMobilenetError: as `run_shards`.
    """
    for attempt in range(1, ATTEMPTS + 1):
        failed: set[int] = set()
        with closing(
            run_shards(classifier, map(shard_at, places), settings, open_part, on_image=on_image)
        ) as ends:  # fmt: skip
            for ended in ends:
                if isinstance(ended, FailedShard) and attempt < ATTEMPTS:
                    log.warning("%s: %s; trying again later (attempt %d of %d)", ended.source, ended.reason, attempt,
                                ATTEMPTS)  # fmt: skip
                    failed.add(ended.index)
                    ended = msgspec.structs.replace(ended, again=True)
                yield ended
        if not failed:
            return
        places = [place for place in places if place.index in failed]
        sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
