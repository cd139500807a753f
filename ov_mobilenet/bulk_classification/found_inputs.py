"""From INPUT arguments to shards, one after the other and in an order that does not change between runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.inputs.sources import find_sources


def find_shards(inputs: Iterable[str], settings: BulkSettings) -> Iterator[Shard]:
    """The shards of all inputs, in order; at most one shard is in memory.

    Raises:
        UsageError: there are no images, or an input is a video, a camera, a stream or stdin.
        ImageError: a folder or list cannot be read.
    """
    index = 0
    for source in find_sources(inputs):
        if source.kind == "shard":
            yield Shard(index, "tar", (source.text,))
            index += 1
            continue
        images = iter(source.images)
        while taken := tuple(islice(images, settings.images_per_part)):
            yield Shard(index, "images", tuple(image.path for image in taken), images=len(taken))
            index += 1
