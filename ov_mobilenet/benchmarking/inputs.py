"""What is fed: images of a folder, or made up ones."""

from __future__ import annotations

from pathlib import Path

from ov_mobilenet.errors import UsageError

RANDOM = "random"
# As most of ImageNet's images are.
HEIGHT, WIDTH = 375, 500
MADE_UP = 32


def inputs_of(source: Path | str) -> list[str] | list[bytes]:
    """What to classify: the images of a folder, or made up ones for "random".

    Raises:
        UsageError: the folder is not there, or holds no images.
    """
    return made_up_files() if source == RANDOM else [str(file) for file in files_of(Path(source))]


def files_of(folder: Path) -> list[Path]:
    """The images in a folder and all below it, sorted by path.

    Raises:
        UsageError: it is not there, or holds none.
    """
    from ov_mobilenet.images.decode import IMAGE_SUFFIXES

    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
    if not found:
        raise UsageError("no images", where=folder, expected=f"a folder with images, or {RANDOM}")
    return found


def made_up_files() -> list[bytes]:
    """JPEGs of smooth colours with some noise, about as large as photographs of that size; the same ones every time."""
    import cv2
    import numpy as np

    random = np.random.default_rng(0)
    found = []
    for _ in range(MADE_UP):
        coarse = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        image += random.integers(-12, 13, image.shape, dtype=np.int16)
        done, data = cv2.imencode(".jpg", image.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
        assert done
        found.append(data.tobytes())
    return found
