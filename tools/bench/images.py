"""A folder of JPEGs to measure on: real images if they are available, otherwise drawings of road signs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "imagenet200" / "images"


def folder_of_images(folder: Path, count: int = 1000, source: Path | None = None) -> list[Path]:
    """Write `count` JPEG files to a folder and return them sorted; real images are repeated under new names.

    Args:
        source: a folder with real images; None for those beside the checkout, if they are there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = source or REAL
    if source.is_dir():
        real = sorted(source.iterdir())
        for number in range(count):
            shutil.copyfile(real[number % len(real)], folder / f"{number:05}.jpg")
    else:
        for number, data in enumerate(drawings(1, count)):
            (folder / f"{number:05}.jpg").write_bytes(data)
    return sorted(folder.iterdir())


def drawings(seed: int, count: int) -> Iterator[bytes]:
    """JPEGs of 500x375 with drawn road signs."""
    import cv2

    sys.path.insert(0, str(ROOT / "tools"))
    from signs import held_out

    for frame, _ in held_out(seed, count):
        image = cv2.resize(frame, (500, 375), interpolation=cv2.INTER_CUBIC)
        yield cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
