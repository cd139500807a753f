"""Run shards on this machine: one stream over all of them, so that no core waits between two parts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ov_mobilenet.bulk_classification.failed_shards import ATTEMPTS, FailedShard, failed_shard
from ov_mobilenet.bulk_classification.parts import PartFacts, PartWriter
from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shard_items import ShardReadError, read_items
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.runtime.results import NotRun, Result

if TYPE_CHECKING:
    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.runtime.items import Item

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
) -> Iterator[PartFacts | FailedShard]:
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
    chosen = settings.classes(classifier.output_kind)
    # Threads of the stream append, this one removes: the stream reads ahead of the results, by a bounded number.
    reading: deque[_ReadShard] = deque()

    def items() -> Iterator[Item]:
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
                yield failed_shard(entry.shard, entry.problem)
            else:
                yield (done or open_part(entry.shard)).close()

    results = classifier.stream(items(), top_k=chosen.top_k, workers=workers)
    with closing(results):  # type: ignore[type-var]  # a generator
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


def run_here(
    classifier: Classifier,
    shards: Callable[[Iterable[int] | None], Iterable[Shard]],
    settings: BulkSettings,
    open_part: OpenPart,
    *,
    on_image: OnImage | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[PartFacts | FailedShard | None]:
    """`run_shards`, in which a shard that fails is begun again after all others, at most `ATTEMPTS` times in all.

    Args:
        shards: returns the shards with these indices, or all for None.
        sleep: waits between two rounds, in seconds.

    Yields:
        The facts of a part; a shard that has failed for good; None for an attempt that failed.

    Raises:
        OvMobilenetError: as `run_shards`.
    """
    indices: list[int] | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
        failed: list[int] = []
        for ended in run_shards(classifier, shards(indices), settings, open_part, on_image=on_image):
            if isinstance(ended, FailedShard) and attempt < ATTEMPTS - 1:
                failed.append(ended.index)
                yield None
            else:
                yield ended
        if not failed:
            return
        indices = failed
