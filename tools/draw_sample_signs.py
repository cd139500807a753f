"""Draw the sample images: one JPEG each of a dozen classes, in the held-out style.

    python tools/draw_sample_signs.py --weights road-signs.pth --output-dir sample_images

Each image is one that the network gets right after the JPEG is read back.
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
_LARGEST_FILE = 25_000
_ATTEMPTS = 100
#: Daylight, so that the images also look well in a document.
_LEAST_MEAN_LEVEL = 85


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
    parser.add_argument("--weights", type=Path, required=True, help="the .pth that training wrote")
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=11)
    return parser.parse_args()


def _sample(network: MobileNetV1, class_index: int, seed: int) -> tuple[bytes, float]:
    """The first drawing of a class that is bright, small as a file, and classified with confidence."""
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, HELD_OUT.stream, class_index, attempt])
        frame = draw(class_index, rng, HELD_OUT, frame_size=_FRAME_SIZE)
        encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
        seen: Frame = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
        image = network_image(seen)
        probability = float(probabilities(network, normalised(image[None]))[0, class_index])
        if probability > 0.98 and len(encoded) < _LARGEST_FILE and image.mean() > _LEAST_MEAN_LEVEL:
            return encoded.tobytes(), probability
    raise SystemExit(f"none of {_ATTEMPTS} drawings of {CLASSES[class_index]!r} is fit to be a sample")


if __name__ == "__main__":
    sys.exit(main())
