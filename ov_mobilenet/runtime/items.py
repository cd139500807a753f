"""A picture to classify, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.runtime.results import Failure

if TYPE_CHECKING:
    from ov_mobilenet.errors import ImageError
    from ov_mobilenet.runtime.images import Frame

    Image = str | Path | bytes | Frame


@dataclass(frozen=True)
class Item:
    """A picture with its origin, for the results.

    Attributes:
        image: a path, the bytes of a picture file, or a frame: uint8 (H, W, 3) in BGR; or why there is none.
        source: what the results call it.
        frame: number of a video's frame, from 0.
        time_s: when that frame is shown, in seconds from the video's beginning.
        captured: when a live source took it, in seconds of `perf_counter`.
    """

    image: Image | ImageError
    source: str
    frame: int | None = None
    time_s: float | None = None
    captured: float | None = None

    def failure(self, reason: str) -> Failure:
        """Why it has no answer."""
        return Failure(self.source, reason, self.frame, self.time_s)


def as_item(image: Image | Item, otherwise: str) -> Item:
    """An item as it is; a path is called as it was given, and what is no file otherwise."""
    if isinstance(image, Item):
        return image
    return Item(image, str(image) if isinstance(image, str | Path) else otherwise)
