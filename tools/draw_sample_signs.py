"""Draw the sample images: one JPEG for each of twelve classes, in the held-out style.

    python tools/draw_sample_signs.py --weights road-signs.pth --output-dir sample_images

The network classifies each image correctly after the JPEG is decoded again.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from sample_network import load_network, normalised, probabilities
from signs import CLASSES, HELD_OUT, draw, network_image
from signs.arrays import Frame

from ov_mobilenet.conversion.architectures.mobilenet_v1 import MobileNetV1

_SAMPLE_CLASSES = (
    "no entry red",
    "no entry blue",
    "stop red",
    "stop blue",
    "warning triangle red",
    "warning triangle blue",
    "speed limit red",
    "speed limit blue",
    "traffic light red",
    "traffic light green",
    "priority road yellow",
    "end of limits",
)
_FRAME_SIZE = (240, 320)
_JPEG_QUALITY = 90
_MAX_FILE_BYTES = 25_000
_MAX_ATTEMPTS = 100
#: Bright enough to look good in a document.
_MIN_MEAN_LEVEL = 85


def main() -> int:
    """Write the images."""
    arguments = _arguments()
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    network = load_network(arguments.weights)
    for label in _SAMPLE_CLASSES:
        path = arguments.output_dir / f"{label.replace(' ', '_')}_01.jpg"
        encoded, probability = _sample(network, CLASSES.index(label), arguments.seed)
        path.write_bytes(encoded)
        sys.stdout.write(f"{path.name}: {len(encoded)} bytes, probability {probability:.4f}\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw a dozen sample images of road signs.")
    parser.add_argument("--weights", type=Path, required=True, help="the .pth written by train_sample_model.py")
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=11)
    return parser.parse_args()


def _sample(network: MobileNetV1, class_index: int, seed: int) -> tuple[bytes, float]:
    """The first drawing of a class that is bright, a small file, and classified with a probability above 0.98."""
    for attempt in range(_MAX_ATTEMPTS):
        rng = np.random.default_rng([seed, HELD_OUT.stream, class_index, attempt])
        frame = draw(class_index, rng, HELD_OUT, frame_size=_FRAME_SIZE)
        encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
        decoded: Frame = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
        image = network_image(decoded)
        probability = float(probabilities(network, normalised(image[None]))[0, class_index])
        if probability > 0.98 and len(encoded) < _MAX_FILE_BYTES and image.mean() > _MIN_MEAN_LEVEL:
            return encoded.tobytes(), probability
    raise SystemExit(
        f"none of {_MAX_ATTEMPTS} drawings of {CLASSES[class_index]!r} is bright, small and confident enough"
    )


if __name__ == "__main__":
    sys.exit(main())
