"""The calibration dataset: a random subset of the input images, prepared with the model's own crop and resize."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.accuracy.protocol import OnProgress, ignore_progress
from ov_mobilenet.errors import ImageError, UsageError
from ov_mobilenet.zoo.geometry import Geometry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.items import Item

MIN_IMAGES = 10
RECOMMENDED_IMAGES = 50
# The mean confidences of a network in both channel orders differ by less than this if it is insensitive to the order.
CONFIDENCE_MARGIN = 0.05


@dataclass(frozen=True)
class PreparedImages:
    """Images at the network's input size.

    Attributes:
        pixels: uint8 (N, height, width, 3) in BGR.
        sources: the source of each image.
        skipped: number of images that could not be read.
    """

    pixels: NDArray[np.uint8]
    sources: tuple[str, ...]
    skipped: int


def read_calibration(
    inputs: str | Path | Iterable[str | Path],
    geometry: Geometry,
    subset_size: int,
    seed: int,
    on_progress: OnProgress = ignore_progress,
) -> PreparedImages:
    """Read a random subset of the images of all inputs, in the order of their names.

    The inputs are read twice, first for the names only, so that no more than the subset is kept in memory and the
    subset does not depend on the order of the inputs. Images that cannot be read are replaced by others.

    Args:
        inputs: as for `open_inputs`, except live sources; repeated images are used once.
        on_progress: called after each image, whether or not it is used.

    Raises:
        UsageError: no images, a live source, or a subset size below 1.
        ImageError: fewer than `MIN_IMAGES` images can be read.
    """
    import numpy as np

    if subset_size < 1:
        raise UsageError("invalid subset size", expected="at least 1", got=subset_size)
    read_inputs = _repeatable(inputs)
    names = sorted({_name(item) for item in read_inputs()})
    drawn = np.random.default_rng(seed).permutation(len(names)).tolist()
    ranks = dict(zip((names[index] for index in drawn), range(len(names)), strict=True))
    kept: dict[int, tuple[str, NDArray[np.uint8]]] = {}  # rank -> source, frame
    last_rank = len(names)
    seen: set[int] = set()
    skipped = 0
    for item in read_inputs():
        rank = ranks.get(_name(item))
        if rank is None or rank in seen:
            continue
        seen.add(rank)
        if rank <= last_rank:
            frame = read_frame(item, geometry)
            if frame is None:
                skipped += 1
            else:
                kept[rank] = (item.source, frame)
            if len(kept) > subset_size:
                del kept[max(kept)]
            if len(kept) == subset_size:
                last_rank = max(kept)
        on_progress(len(seen), len(names))
    if len(kept) < MIN_IMAGES:
        raise ImageError(
            "too few calibration images can be read", expected=f"at least {MIN_IMAGES}",
            got=f"{len(kept)} of {len(names)}",
        )  # fmt: skip
    # In the order of the names: sums of floats depend on their order, so an unreadable image must not change it.
    chosen = [kept[rank] for rank in map(ranks.__getitem__, names) if rank in kept]
    return PreparedImages(np.stack([frame for _, frame in chosen]), tuple(source for source, _ in chosen), skipped)


def _repeatable(inputs: str | Path | Iterable[str | Path]) -> Callable[[], Iterator[Item]]:
    """Return a function that reads the inputs from the beginning at each call. Raises: UsageError."""
    from ov_mobilenet.inputs.open_inputs import open_inputs, open_stdin

    texts = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if not texts:
        raise UsageError("no calibration images", expected="images, folders, wildcards, shards or videos")
    listed = open_stdin().read() if any(str(text) == "-" for text in texts) else b""

    def read_inputs() -> Iterator[Item]:
        with open_inputs(texts, stdin=io.BytesIO(listed)) as opened:
            if opened.live:
                raise UsageError("a live source cannot be used for calibration", expected="files")
            yield from opened

    return read_inputs


def _name(item: Item) -> tuple[str, int]:
    return item.source, -1 if item.frame is None else item.frame


def read_frame(item: Item, geometry: Geometry) -> NDArray[np.uint8] | None:
    """Read an image exactly as for measuring accuracy; None if it cannot be read."""
    from ov_mobilenet.images.load_image import load_image

    if isinstance(item.image, ImageError):
        return None
    try:
        return load_image(item.image, geometry, "exact", exif_orientation=False).frame
    except ImageError:
        return None


def calibration_warnings(
    sources: Sequence[str], answers: NDArray[np.float32], swapped: NDArray[np.float32]
) -> list[str]:
    """Return warnings about images that calibrate poorly.

    Args:
        sources: the source of each image.
        answers: the float model's probabilities, (N, classes).
        swapped: the same with red and blue of the images exchanged.
    """
    warnings = []
    if len(sources) < RECOMMENDED_IMAGES:
        warnings.append(
            f"only {len(sources)} calibration images: with fewer than {RECOMMENDED_IMAGES}, the activation ranges are "
            "unreliable"
        )
    folders = {Path(source).parent for source in sources}
    if len(set(answers.argmax(1).tolist())) == 1:
        warnings.append(
            "the model predicts one class for all calibration images: activation ranges of other classes are not "
            "covered"
        )
    elif len(folders) == 1 and next(iter(folders)).name != "" and _has_siblings(next(iter(folders))):
        warnings.append(
            f"all calibration images are in one of several folders ({next(iter(folders)).name}): if it holds a single "
            "class, activation ranges of other classes are not covered"
        )
    confidence, swapped_confidence = float(answers.max(1).mean()), float(swapped.max(1).mean())
    if swapped_confidence > confidence + CONFIDENCE_MARGIN:
        warnings.append(
            "the model is more confident with red and blue exchanged "
            f"({swapped_confidence:.2f} against {confidence:.2f}): check the channel order of the images and of the "
            "model (--reverse_input_channels)"
        )
    return warnings


def _has_siblings(folder: Path) -> bool:
    """Whether there are other folders with images beside this one, as with one folder per class."""
    from ov_mobilenet.images.decode import IMAGE_SUFFIXES

    try:
        siblings = [other for other in folder.parent.iterdir() if other.is_dir() and other != folder]
        return any(file.suffix.lower() in IMAGE_SUFFIXES for other in siblings for file in other.iterdir())
    except OSError:
        return False
