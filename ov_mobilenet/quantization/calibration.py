"""Images to calibrate and to check on, brought to the network's size by its own geometry."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import DatasetError, ImageError, UsageError
from ov_mobilenet.zoo.geometry import Geometry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.runtime.items import Item

FEWEST = 10
ENOUGH = 50
# The means of images in both channel orders differ by less than this where the order does not matter to the network.
CONFIDENCE_MARGIN = 0.05

OnImage = Callable[[int, int], None]


@dataclass(frozen=True)
class Frames:
    """Images at the network's size.

    Attributes:
        pixels: uint8 (N, height, width, 3) in BGR.
        sources: what each is called.
        skipped: how many could not be read.
    """

    pixels: NDArray[np.uint8]
    sources: tuple[str, ...]
    skipped: int


def read_calibration(
    inputs: str | Path | Iterable[str | Path], geometry: Geometry, subset_size: int, seed: int, on_image: OnImage
) -> Frames:
    """A random subset of the images of all inputs, in the order of their names.

    The inputs are gone through twice, first for the names, so that no more than the subset is in memory and the subset
    does not depend on the order of the inputs. Those that cannot be read are skipped, and others take their place.

    Args:
        inputs: as `open_inputs` takes them, but for live sources; what is named twice counts once.
        on_image: called after each image with how many were looked at, of how many.

    Raises:
        UsageError: no images, or a live source.
        ImageError: too few can be read.
    """
    import numpy as np

    if subset_size < 1:
        raise UsageError("bad subset size", expected="at least 1", got=subset_size)
    again = _opener(inputs)
    names = sorted({_name(item) for item in again()})
    drawn = np.random.default_rng(seed).permutation(len(names)).tolist()
    places = dict(zip((names[index] for index in drawn), range(len(names)), strict=True))
    taken: dict[int, tuple[str, NDArray[np.uint8]]] = {}
    worst = len(names)
    seen: set[int] = set()
    skipped = 0
    for item in again():
        place = places.get(_name(item))
        if place is None or place in seen:
            continue
        seen.add(place)
        if place <= worst:
            frame = _frame(item, geometry)
            if frame is None:
                skipped += 1
            else:
                taken[place] = (item.source, frame)
            if len(taken) > subset_size:
                del taken[max(taken)]
            if len(taken) == subset_size:
                worst = max(taken)
        on_image(len(seen), len(names))
    if len(taken) < FEWEST:
        raise ImageError(
            "too few calibration images can be read", expected=f"at least {FEWEST}",
            got=f"{len(taken)} of {len(names)}",
        )  # fmt: skip
    # By name: sums of floats depend on their order, so an image that fails must not change it.
    chosen = [taken[place] for place in map(places.__getitem__, names) if place in taken]
    return Frames(np.stack([frame for _, frame in chosen]), tuple(source for source, _ in chosen), skipped)


def _opener(inputs: str | Path | Iterable[str | Path]) -> Callable[[], Iterator[Item]]:
    """What goes through the inputs, again at each call. Raises: UsageError."""
    from ov_mobilenet.inputs.open_inputs import open_inputs

    texts = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if not texts:
        raise UsageError("no calibration images", expected="images, folders, wildcards, shards or videos")
    listed = sys.stdin.buffer.read() if any(str(text) == "-" for text in texts) else b""

    def again() -> Iterator[Item]:
        with open_inputs(texts, stdin=io.BytesIO(listed)) as opened:
            if opened.live:
                raise UsageError("a live source cannot be gone through twice", expected="files")
            yield from opened

    return again


def _name(item: Item) -> tuple[str, int]:
    return item.source, -1 if item.frame is None else item.frame


def _frame(item: Item, geometry: Geometry) -> NDArray[np.uint8] | None:
    """Bit for bit as the model's accuracy is measured; None if the image cannot be read."""
    from ov_mobilenet.images.load_image import load_image

    if isinstance(item.image, ImageError):
        return None
    try:
        return load_image(item.image, geometry, "exact", exif_orientation=False).frame
    except ImageError:
        return None


def read_labelled(folder: Path, classifier: Classifier, geometry: Geometry) -> tuple[Frames, NDArray[np.int64]]:
    """The images of a dataset, and the network's class of each.

    Raises:
        UsageError: there is no such folder.
        DatasetError: as `measure.dataset.read_dataset`; no image can be read.
    """
    import numpy as np

    from ov_mobilenet.accuracy.classes import classes_of
    from ov_mobilenet.accuracy.dataset import read_dataset
    from ov_mobilenet.runtime.items import Item

    classes = classes_of(classifier)
    examples = read_dataset(folder, classes).examples
    tried = ((example, _frame(Item(example.path, example.image), geometry)) for example in examples)
    read = [(example, frame) for example, frame in tried if frame is not None]
    if not read:
        raise DatasetError("no labelled image can be read", where=folder)
    labels = np.array([classes.to_network(example.index) for example, _ in read], np.int64)
    pixels = np.stack([frame for _, frame in read])
    return Frames(pixels, tuple(example.image for example, _ in read), len(examples) - len(read)), labels


def doubts(sources: Sequence[str], answers: NDArray[np.float32], swapped: NDArray[np.float32]) -> list[str]:
    """Sentences on what makes the images a poor choice.

    Args:
        sources: what the images are called.
        answers: the float model's probabilities for them, (N, classes).
        swapped: the same with red and blue exchanged.
    """
    found = []
    if len(sources) < ENOUGH:
        found.append(
            f"{len(sources)} calibration images: with fewer than {ENOUGH} the ranges of activations are guesses"
        )
    folders = {Path(source).parent for source in sources}
    classes = set(answers.argmax(1).tolist())
    if len(classes) == 1:
        found.append("the model names one class for all calibration images: ranges that other classes need are unseen")
    elif len(folders) == 1 and next(iter(folders)).name != "" and _has_siblings(next(iter(folders))):
        found.append(
            f"all calibration images are of one folder beside others ({next(iter(folders)).name}): if it holds one "
            "class, ranges that other classes need are unseen"
        )
    plain, turned = float(answers.max(1).mean()), float(swapped.max(1).mean())
    if turned > plain + CONFIDENCE_MARGIN:
        found.append(
            f"the model is surer of the images with red and blue exchanged ({turned:.2f} against {plain:.2f}): the "
            "channel order of the images or of the model (--reverse_input_channels) looks wrong"
        )
    return found


def _has_siblings(folder: Path) -> bool:
    """Whether other folders with images lie beside this one, as in a folder a class."""
    from ov_mobilenet.images.decode import IMAGE_SUFFIXES

    try:
        siblings = [other for other in folder.parent.iterdir() if other.is_dir() and other != folder]
        return any(file.suffix.lower() in IMAGE_SUFFIXES for other in siblings for file in other.iterdir())
    except OSError:
        return False
