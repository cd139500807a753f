"""Draw the video of the demos: a drive past the sample model's road signs, with the true label of each frame.

    python tools/make_sample_video.py --output-dir demos/data

Writes `sample_drive.mp4` (MPEG-4, 320x240, 12.5 frames per second) and `sample_drive.csv`: one row per frame with its
number, and the class id and label of the sign that is readable in it; both are empty if there is none. Signs and
backgrounds are drawn in the held-out style, which the network was not trained on.
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
# Number of frames in which a sign approaches, and of frames without a sign after it.
_APPROACH_FRAMES, _EMPTY_FRAMES = 20, 4
# Size of the sign in the first and the last frame, as a fraction of the frame's height, and the smallest readable size,
# as in training.
_FIRST_SIZE, _LAST_SIZE, _READABLE_SIZE = 0.26, 0.74, 0.36
# Size of the background relative to the frame; the drive zooms into it.
_BACKGROUND_SCALE = 1.5


def main() -> int:
    """Write the video and the labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    video = arguments.output_dir / "sample_drive.mp4"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT))
    if not writer.isOpened():
        sys.exit(f"error: {video} cannot be written: this OpenCV build has no MPEG-4 encoder")
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
    """Yield frames, uint8 (240, 320, 3) BGR, each with the id of its readable sign; every class appears once."""
    rng = np.random.default_rng([seed, HELD_OUT.stream])
    for index, class_id in enumerate(rng.permutation(len(CLASSES)).tolist()):
        paint = HELD_OUT.backgrounds[index % len(HELD_OUT.backgrounds)]
        # Blurred, so that the file stays small.
        scenery = cv2.GaussianBlur(
            paint(rng, int(HEIGHT * _BACKGROUND_SCALE), int(WIDTH * _BACKGROUND_SCALE)), (0, 0), 2.2
        )
        plate = draw_plate(SIGN_CLASSES[class_id], rng, HELD_OUT.fonts)
        side = rng.choice([-1, 1])
        for step in range(_APPROACH_FRAMES + _EMPTY_FRAMES):
            canvas = _zoomed(scenery, step / (_APPROACH_FRAMES + _EMPTY_FRAMES))
            readable = None
            if step < _APPROACH_FRAMES:
                # At constant speed the distance decreases linearly, and the size is its inverse.
                size = 1 / np.interp(step, (0, _APPROACH_FRAMES - 1), (1 / _FIRST_SIZE, 1 / _LAST_SIZE))
                _draw_sign(canvas, plate, size, side)
                readable = class_id if size >= _READABLE_SIZE else None
            yield to_frame(canvas), readable


def _zoomed(scenery: Canvas, progress: float) -> Canvas:
    """The visible part of the scenery, enlarged to the frame; it shrinks as progress goes from 0 to 1."""
    zoom = 1 + (_BACKGROUND_SCALE - 1) * progress
    size = (WIDTH * _BACKGROUND_SCALE / zoom, HEIGHT * _BACKGROUND_SCALE / zoom)
    centre = (scenery.shape[1] / 2, scenery.shape[0] / 2)
    patch = cv2.getRectSubPix(scenery, (round(size[0]), round(size[1])), centre)
    return np.asarray(cv2.resize(patch, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.float32)


def _draw_sign(canvas: Canvas, plate: Plate, size: float, side: int) -> None:
    """Draw the sign on its post, in place: a larger sign is farther to the side, but inside the central crop."""
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
