"""A random subset of the images of all inputs, at the network's input size and in memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ImageError, UsageError
from ov_mobilenet.runtime.results import Failure
from ov_mobilenet.zoo.geometry import Geometry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.items import Item

MIN_IMAGES = 10

OnProgress = Callable[[int, int], None]
"""Called with the number of images done and the total number."""


@dataclass(frozen=True)
class PreparedImages:
    """Images at the network's input size.

    Attributes:
        pixels: uint8 (N, height, width, 3) in BGR.
        sources: the source of each image.
        failures: the images that could not be read.
    """

    pixels: NDArray[np.uint8]
    sources: tuple[str, ...]
    failures: tuple[Failure, ...] = ()


def read_subset(
    inputs: str | Path | Iterable[str | Path],
    geometry: Geometry,
    size: int,
    seed: int,
    on_progress: OnProgress | None = None,
) -> PreparedImages:
    """Read a random subset of the images of all inputs, in the order of their names.

    The inputs are read twice, first for the names only, so that no more than the subset is kept in memory and the
    subset does not depend on the order of the inputs. Images that cannot be read are replaced by others.

    Args:
        inputs: as for `open_inputs`, except live sources; repeated images are used once.
        size: number of images.
        on_progress: called after each image, whether or not it is used.

    Raises:
        UsageError: no images, a live source, a size below 1, or a negative seed.
        ImageError: fewer than `MIN_IMAGES` images can be read.
    """
    import numpy as np

    if size < 1:
        raise UsageError("invalid number of images", expected="at least 1", got=size)
    if seed < 0:
        raise UsageError("invalid seed", expected="at least 0", got=seed)
    read_inputs = _repeatable(inputs)
    names = sorted({_name(item) for item in read_inputs()})
    drawn = np.random.default_rng(seed).permutation(len(names)).tolist()
    ranks = dict(zip((names[index] for index in drawn), range(len(names)), strict=True))
    kept: dict[int, tuple[str, NDArray[np.uint8]]] = {}  # rank -> source, frame
    failures: list[Failure] = []
    last_rank = len(names)
    seen: set[int] = set()
    for item in read_inputs():
        rank = ranks.get(_name(item))
        if rank is None or rank in seen:
            continue
        seen.add(rank)
        if rank <= last_rank:
            frame = read_frame(item, geometry)
            if isinstance(frame, Failure):
                failures.append(frame)
            else:
                kept[rank] = (item.source, frame)
            if len(kept) > size:
                del kept[max(kept)]
            if len(kept) == size:
                last_rank = max(kept)
        if on_progress is not None:
            on_progress(len(seen), len(names))
    if len(kept) < MIN_IMAGES:
        first = f", the first: {failures[0].source}: {failures[0].error}" if failures else ""
        raise ImageError(
            "too few images can be read", expected=f"at least {MIN_IMAGES}",
            got=f"{len(kept)} of {len(names)}{first}",
        )  # fmt: skip
    # In the order of the names: sums of floats depend on their order, so an unreadable image must not change it.
    chosen = [kept[rank] for rank in map(ranks.__getitem__, names) if rank in kept]
    return PreparedImages(
        np.stack([frame for _, frame in chosen]), tuple(source for source, _ in chosen), tuple(failures)
    )


def _repeatable(inputs: str | Path | Iterable[str | Path]) -> Callable[[], Iterator[Item]]:
    """Return a function that reads the inputs from the beginning at each call. Raises: UsageError."""
    from ov_mobilenet.inputs.open_inputs import open_inputs, open_stdin

    texts = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if not texts:
        raise UsageError("no images", expected="images, folders, wildcards, shards or videos")
    listed = open_stdin().read() if any(str(text) == "-" for text in texts) else b""

    def read_inputs() -> Iterator[Item]:
        with open_inputs(texts, stdin=io.BytesIO(listed)) as opened:
            if opened.live:
                raise UsageError("a subset of a live source cannot be drawn", expected="files")
            yield from opened

    return read_inputs


def _name(item: Item) -> tuple[str, int]:
    return item.source, -1 if item.frame is None else item.frame


def read_frame(item: Item, geometry: Geometry) -> NDArray[np.uint8] | Failure:
    """Read an image exactly as for measuring accuracy, or tell why it cannot be read."""
    from ov_mobilenet.images.load_image import load_image

    if isinstance(item.image, ImageError):
        return Failure(item.source, str(item.image), item.frame)
    try:
        return load_image(item.image, geometry, "exact", exif_orientation=False).frame
    except ImageError as error:
        return Failure(item.source, str(error), item.frame)
