"""A folder of JPEGs to measure on: real pictures where they are, else drawings of road signs at camera-like sizes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "imagenet200" / "images"


def folder_of_pictures(folder: Path, count: int = 1000) -> list[Path]:
    """`count` JPEG files in a folder, sorted; real ones are repeated under other names."""
    folder.mkdir(parents=True, exist_ok=True)
    if REAL.is_dir():
        real = sorted(REAL.iterdir())
        for number in range(count):
            shutil.copyfile(real[number % len(real)], folder / f"{number:05}.jpg")
    else:
        import cv2

        sys.path.insert(0, str(ROOT / "tools"))
        from signs import held_out

        for number, (frame, _) in enumerate(held_out(1, count)):
            picture = cv2.resize(frame, (500, 375), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f"{number:05}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return sorted(folder.iterdir())
