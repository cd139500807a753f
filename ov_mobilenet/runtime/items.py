"""An image to classify, and the frame that is prepared from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.runtime.results import Failure

if TYPE_CHECKING:
    from ov_mobilenet.errors import ImageError
    from ov_mobilenet.images.decode import Frame

    Image = str | Path | bytes | Frame


@dataclass(frozen=True)
class Item:
    """An image to classify, and the name of its source.

    Attributes:
        image: a path, the bytes of an image file, or a frame: uint8 (H, W, 3) BGR; or the error that replaces it.
        source: name of the image in the results.
        frame: number of a video frame, from 0.
        time_s: position of the frame in the video, in seconds.
        captured: when the frame arrived from a live source, in seconds of `perf_counter`.
        max_pixels: a file with more pixels is refused before it is decoded; None for the limit of all files.
    """

    image: Image | ImageError
    source: str
    frame: int | None = None
    time_s: float | None = None
    captured: float | None = None
    max_pixels: int | None = None

    def failure(self, reason: str) -> Failure:
        """The result of an image that cannot be classified."""
        return Failure(self.source, reason, self.frame, self.time_s)


@dataclass(frozen=True)
class Prepared:
    """An image at the network's input size, with the time that its preparation took.

    Attributes:
        item: the image as it was given.
        frame: uint8, in the layout of the model's input; not shared with the caller.
        started: when reading began, in seconds of `perf_counter`.
        decode_ms: milliseconds to read and decode; for a frame, to check it.
        geometry_ms: milliseconds of crops, resizes and copies.
    """

    item: Item
    frame: Frame
    started: float
    decode_ms: float
    geometry_ms: float


def with_path(error: ImageError, image: Image | Item) -> ImageError:
    """The error of an image, with its path if it is one: nothing beside an exception tells it, as `source` does."""
    return error.at(image) if isinstance(image, str | Path) else error


def as_item(image: Image | Item, name: str) -> Item:
    """The image as an `Item`. Its source is the path; for bytes and frames it is `name`."""
    if isinstance(image, Item):
        return image
    return Item(image, str(image) if isinstance(image, str | Path) else name)
