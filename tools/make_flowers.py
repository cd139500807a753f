"""Make what the tutorial on your own PyTorch network begins with: weights, class names and images.

    python tools/make_flowers.py

Writes to the working folder: flowers.pth, the state dict of torchvision's MobileNet V2 (width 0.35, ten classes);
labels.txt; and images/CLASS/NN.jpg, drawings that the network was not fitted to. Needs torch, not torchvision.
"""

import argparse
import sys
from pathlib import Path

import cv2
import torch
from flowers import CLASSES, drawings
from flowers.fitting import as_input, fit, residual_ends

from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2
from ov_mobilenet.images.geometry import apply_geometry
from ov_mobilenet.zoo.geometry import parse_geometry

GEOMETRY = "resize 256 greater pillow, crop 224"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WIDTH = 0.35


def main() -> int:
    """Fit the network and write everything."""
    arguments = _arguments()
    geometry = parse_geometry(GEOMETRY)
    frames, classes = zip(*drawings(arguments.drawings, seed=1), strict=True)
    network = MobileNetV2(classes=len(CLASSES), width=WIDTH)
    images = as_input([apply_geometry(geometry, frame) for frame in frames], MEAN, STD)
    fit(network, network.classifier, images, classes, branches=residual_ends(network))
    torch.save(network.state_dict(), arguments.output / "flowers.pth")
    (arguments.output / "labels.txt").write_text("".join(f"{label}\n" for label in CLASSES), "utf-8")
    write_images(arguments.output / "images", arguments.images)
    sys.stdout.write(f"flowers.pth, labels.txt and {arguments.images} images in images\n")
    return 0


def write_images(folder: Path, count: int) -> None:
    """Write drawings as CLASS/NN.jpg; the networks were not fitted to them."""
    for index, (frame, number) in enumerate(drawings(count, seed=2)):
        path = folder / CLASSES[number] / f"{index // len(CLASSES) + 1:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), frame)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make a small fine-tuned network and images for the tutorial.")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), help="where to write (default: the working folder)"
    )
    parser.add_argument("--drawings", type=int, default=200, help="number of drawings that the network is fitted to")
    parser.add_argument("--images", type=int, default=60, help="number of images to write")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
