"""Run shards on this machine: one stream over all of them, so that no core waits between two parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ov_mobilenet.bulk_classification.parts import PartFacts, PartWriter
from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shard_items import ShardReadError, read_items
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.runtime.results import Result

if TYPE_CHECKING:
    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.runtime.items import Item

OnImage = Callable[[Result], None]


@dataclass
class _Reading:
    """A shard in the stream.

    Attributes:
        count: number of its images that were read.
        ended: whether all were read.
        error: why it could not be read to its end.
    """

    shard: Shard
    count: int = 0
    ended: bool = False
    error: ShardReadError | None = None


def run_shards(
    classifier: Classifier,
    shards: Iterable[Shard],
    settings: BulkSettings,
    open_part: Callable[[Shard], PartWriter],
    *,
    workers: int | None = None,
    on_image: OnImage | None = None,
) -> Iterator[PartFacts | tuple[Shard, ShardReadError]]:
    """Classify shards and write their parts; yields the facts of each part when it is written.

    A shard that cannot be read to its end gives the error in the place of its facts, and no part.

    Raises:
        OutputError: a part cannot be written.
        DeviceError: the device is lost.
    """
    readings: deque[_Reading] = deque()

    def items() -> Iterator[Item]:
        for shard in shards:
            reading = _Reading(shard)
            readings.append(reading)
            try:
                for item in read_items(shard, settings):
                    reading.count += 1
                    yield item
            except ShardReadError as error:
                reading.error = error
            reading.ended = True

    writer: PartWriter | None = None

    def finish_read() -> Iterator[PartFacts | tuple[Shard, ShardReadError]]:
        """Write the parts whose results are all there."""
        nonlocal writer
        while readings and readings[0].ended and (writer.images if writer else 0) == readings[0].count:
            reading = readings.popleft()
            done, writer = writer or open_part(reading.shard), None
            yield (reading.shard, reading.error) if reading.error is not None else done.close()

    for result in classifier.stream(items(), top_k=settings.classes, workers=workers):
        # The stream reads ahead: when the first result of the next shard arrives, this one has ended.
        yield from finish_read()
        writer = writer or open_part(readings[0].shard)
        writer.put(result)
        if on_image is not None:
            on_image(result)
    yield from finish_read()
