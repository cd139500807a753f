"""The input of a measurement: the images of a folder, or generated images."""

from __future__ import annotations

from pathlib import Path

from ov_mobilenet.errors import UsageError

RANDOM = "random"
# The size of most ImageNet images.
HEIGHT, WIDTH = 375, 500
COUNT = 32


def inputs_of(source: Path | str) -> list[str] | list[bytes]:
    """The images of a folder; generated images for "random".

    Raises:
        UsageError: the folder does not exist, or holds no images.
    """
    return generated_images() if source == RANDOM else [str(file) for file in image_files(Path(source))]


def image_files(folder: Path) -> list[Path]:
    """The image files in a folder and its subfolders, sorted by path.

    Raises:
        UsageError: the folder does not exist, or holds no images.
    """
    from ov_mobilenet.images.decode import IMAGE_SUFFIXES

    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
    if not files:
        raise UsageError("no images", where=folder, expected=f"a folder with images, or {RANDOM}")
    return files


def generated_images() -> list[bytes]:
    """The same JPEG files on every call: smooth colours with some noise, about as many bytes as photos of that size."""
    import cv2
    import numpy as np

    random = np.random.default_rng(0)
    files = []
    for _ in range(COUNT):
        coarse = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        image += random.integers(-12, 13, image.shape, dtype=np.int16)
        encoded, data = cv2.imencode(".jpg", image.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
        assert encoded
        files.append(data.tobytes())
    return files
