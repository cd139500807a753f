"""Draw the demos' video: a drive past the sample model's road signs, and the truth for every frame.

    python tools/make_sample_video.py --output-dir demos/data

Writes `sample_drive.mp4` (MPEG-4, 320x240, 12.5 frames a second) and `sample_drive.csv`: a row a frame with its number,
and the class id and label of the sign that can be read in it; both are empty while there is none. Signs and backgrounds
are drawn in the held-out style, which the network never saw.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from signs import CLASSES, HELD_OUT
from signs.arrays import Canvas, Frame, to_frame
from signs.classes import SIGN_CLASSES
from signs.plates import Plate, draw_plate

HEIGHT, WIDTH, FPS = 240, 320, 12.5
# Each sign comes nearer for so many frames; then the road is empty.
_NEARER, _EMPTY = 20, 4
# Side of the sign, as a fraction of the frame's height. It can be read from _READABLE on, as in training.
_FIRST, _LAST, _READABLE = 0.26, 0.74, 0.36
# How much larger than the frame the background is drawn: the drive zooms into it.
_MARGIN = 1.5


def main() -> int:
    """Write video and truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    video = arguments.output_dir / "sample_drive.mp4"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT))
    if not writer.isOpened():
        sys.exit(f"error: {video} cannot be written: this OpenCV has no MPEG-4 encoder")
    with (arguments.output_dir / "sample_drive.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("frame", "class_id", "label"))
        for number, (frame, class_id) in enumerate(drive(arguments.seed)):
            writer.write(frame)
            rows.writerow((number, "" if class_id is None else class_id, "" if class_id is None else CLASSES[class_id]))
    writer.release()
    sys.stdout.write(f"{video}: {video.stat().st_size} bytes\n")
    return 0


def drive(seed: int) -> Iterator[tuple[Frame, int | None]]:
    """Frames, uint8 (240, 320, 3) BGR, each with the class that can be read in it; every class comes by once."""
    rng = np.random.default_rng([seed, HELD_OUT.stream])
    for place, class_id in enumerate(rng.permutation(len(CLASSES)).tolist()):
        paint = HELD_OUT.backgrounds[place % len(HELD_OUT.backgrounds)]
        # Out of focus, so that the file stays small.
        scenery = cv2.GaussianBlur(paint(rng, int(HEIGHT * _MARGIN), int(WIDTH * _MARGIN)), (0, 0), 2.2)
        plate = draw_plate(SIGN_CLASSES[class_id], rng, HELD_OUT.fonts)
        side = rng.choice([-1, 1])
        for step in range(_NEARER + _EMPTY):
            canvas = _ahead(scenery, step / (_NEARER + _EMPTY))
            readable = None
            if step < _NEARER:
                # At a steady speed the distance falls evenly, and the size is its inverse.
                size = 1 / np.interp(step, (0, _NEARER - 1), (1 / _FIRST, 1 / _LAST))
                _put(canvas, plate, size, side)
                readable = class_id if size >= _READABLE else None
            yield to_frame(canvas), readable


def _ahead(scenery: Canvas, way: float) -> Canvas:
    """What is seen of the scenery at a part of the way, in [0, 1]: less and less of it, larger and larger."""
    zoom = 1 + (_MARGIN - 1) * way
    size = (WIDTH * _MARGIN / zoom, HEIGHT * _MARGIN / zoom)
    centre = (scenery.shape[1] / 2, scenery.shape[0] / 2)
    patch = cv2.getRectSubPix(scenery, (round(size[0]), round(size[1])), centre)
    return np.asarray(cv2.resize(patch, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.float32)


def _put(canvas: Canvas, plate: Plate, size: float, side: int) -> None:
    """Draw the sign on its post, in place: farther to the side the nearer it is, inside the central crop."""
    pixels = round(size * HEIGHT)
    x = round(WIDTH / 2 + side * min(0.45 * size * WIDTH, 0.42 * WIDTH - pixels / 2))
    y = round(HEIGHT / 2 - 0.06 * HEIGHT * size)
    post = max(1, round(0.03 * pixels))
    cv2.rectangle(canvas, (x - post, y), (x + post, HEIGHT), (118, 122, 126), -1)
    colour = cv2.resize(plate.colour, (pixels, pixels), interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(plate.alpha, (pixels, pixels), interpolation=cv2.INTER_AREA)[..., None]
    area = canvas[y - pixels // 2 : y - pixels // 2 + pixels, x - pixels // 2 : x - pixels // 2 + pixels]
    area += (colour - area) * alpha


if __name__ == "__main__":
    sys.exit(main())
