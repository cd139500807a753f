"""Pictures to calibrate and to check on, brought to the network's size by its own geometry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import ConfigError, ImageError, UsageError
from ov_mobilenet.zoo.geometry import Geometry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST = 10
ENOUGH = 50
# The means of pictures in both channel orders differ by less than this where the order does not matter to the network.
CONFIDENCE_MARGIN = 0.05

OnPicture = Callable[[int, int], None]


@dataclass(frozen=True)
class Frames:
    """Pictures at the network's size.

    Attributes:
        pixels: uint8 (N, height, width, 3) in BGR.
        kept: position of each among the pictures that were given.
        skipped: how many could not be read.
    """

    pixels: NDArray[np.uint8]
    kept: tuple[int, ...]
    skipped: int


def choose(pictures: Sequence[Path], subset_size: int, seed: int) -> list[Path]:
    """All pictures in an order drawn from the seed; the first `subset_size` that can be read are the subset.

    The order does not depend on that in which they were given.
    """
    import numpy as np

    if subset_size < 1:
        raise UsageError("bad subset size", expected="at least 1", got=subset_size)
    ordered = sorted(pictures)
    return [ordered[index] for index in np.random.default_rng(seed).permutation(len(ordered))]


def read_frames(
    pictures: Sequence[Path], geometry: Geometry, on_picture: OnPicture, *, most: int | None = None
) -> Frames:
    """Read pictures bit for bit as the model's accuracy was measured; those that cannot be read are counted.

    Args:
        on_picture: called after each with how many were read and how many it will be at most.
        most: stop at so many; None for all.
    """
    import numpy as np

    from ov_mobilenet.runtime.loading import load

    wanted = len(pictures) if most is None else min(most, len(pictures))
    frames: list[NDArray[np.uint8]] = []
    kept, skipped = [], 0
    for index, picture in enumerate(pictures):
        if len(frames) == wanted:
            break
        try:
            frames.append(load(picture, geometry, "exact").frame)
        except ImageError:
            skipped += 1
            continue
        kept.append(index)
        on_picture(len(frames), wanted)
    pixels = np.stack(frames) if frames else np.zeros((0, 1, 1, 3), np.uint8)
    return Frames(pixels, tuple(kept), skipped)


def check_enough(frames: Frames, given: int) -> None:
    """Raises: UsageError if there was no picture, ImageError if too few could be read."""
    if not given:
        raise UsageError("no calibration pictures", expected="a folder, files or a wildcard with pictures")
    if len(frames.pixels) < FEWEST:
        raise ImageError(
            "too few calibration pictures can be read", expected=f"at least {FEWEST}",
            got=f"{len(frames.pixels)} of {given}",
        )  # fmt: skip


def doubts(pictures: Sequence[Path], answers: NDArray[np.float32], swapped: NDArray[np.float32]) -> list[str]:
    """Sentences on what makes the pictures a poor choice.

    Args:
        pictures: those that were read.
        answers: the float model's probabilities for them, (N, classes).
        swapped: the same with red and blue exchanged.
    """
    found = []
    if len(pictures) < ENOUGH:
        found.append(
            f"{len(pictures)} calibration pictures: with fewer than {ENOUGH} the ranges of activations are guesses"
        )
    folders = {picture.parent for picture in pictures}
    classes = set(answers.argmax(1).tolist())
    if len(classes) == 1:
        found.append(
            "the model names one class for all calibration pictures: ranges that other classes need are unseen"
        )
    elif len(folders) == 1 and next(iter(folders)).name != "" and _has_siblings(next(iter(folders))):
        found.append(
            f"all calibration pictures are of one folder beside others ({next(iter(folders)).name}): if it holds one "
            "class, ranges that other classes need are unseen"
        )
    plain, turned = float(answers.max(1).mean()), float(swapped.max(1).mean())
    if turned > plain + CONFIDENCE_MARGIN:
        found.append(
            f"the model is surer of the pictures with red and blue exchanged ({turned:.2f} against {plain:.2f}): the "
            "channel order of the pictures or of the model (--reverse_input_channels) looks wrong"
        )
    return found


def _has_siblings(folder: Path) -> bool:
    """Whether other folders with pictures lie beside this one, as in a folder a class."""
    from ov_mobilenet.runtime.images import IMAGE_SUFFIXES

    try:
        siblings = [other for other in folder.parent.iterdir() if other.is_dir() and other != folder]
        return any(file.suffix.lower() in IMAGE_SUFFIXES for other in siblings for file in other.iterdir())
    except OSError:
        return False


def read_dataset(
    folder: Path, *, classes: int, background: int | None, labels: Sequence[str] | None
) -> list[tuple[Path, int]]:
    """Pictures and the model's class of each: from `val.txt` (file, class without background), else a folder a class.

    Folders are matched with the labels by name where all of them are labels, otherwise in alphabetical order.

    Raises:
        ConfigError: there is neither, or a class that the model does not have.
    """
    shift = 1 if background == 0 else 0
    rows: list[tuple[Path, int]] = []
    listed = folder / "val.txt"
    if listed.is_file():
        base = folder / "images" if (folder / "images").is_dir() else folder
        for line in listed.read_text("utf-8").splitlines():
            name, _, number = line.strip().rpartition(" ")
            if not number.isdigit():
                raise ConfigError("bad line", where=listed, expected="FILE CLASS", got=repr(line[:80]))
            rows.append((base / name.strip(), int(number) + shift))
    else:
        from ov_mobilenet.runtime.images import IMAGE_SUFFIXES

        folders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        numbers = {name: index for index, name in enumerate(labels or ())}
        by_name = bool(folders) and all(path.name in numbers for path in folders)
        for index, path in enumerate(folders):
            number_of = numbers[path.name] if by_name else index + shift
            rows += [(file, number_of) for file in sorted(path.iterdir()) if file.suffix.lower() in IMAGE_SUFFIXES]
    if not rows:
        raise ConfigError("no labelled pictures", where=folder, expected="val.txt, or a folder with pictures a class")
    highest = max(number for _, number in rows)
    if highest >= classes:
        raise ConfigError(
            "a class that the model does not have", where=folder, expected=f"0 to {classes - 1}", got=highest
        )
    return rows
