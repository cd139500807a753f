"""Drawn images as files and arrays for requests to a server, and what our classifier answers to them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from signs import held_out, network_images

import ov_mobilenet as ovm

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class ServedImages:
    """Images, and the classifier that tells what a server must answer.

    Attributes:
        classifier: of the served model, at f32.
        frames: uint8 (H, W, 3) BGR, each of another size.
        files: the frames as PNG and JPEG files.
        small: uint8 (N, h, w, 3) BGR, of the network's input size.
    """

    classifier: ovm.Classifier
    folder: Path
    frames: list[Frame]
    files: list[Path]
    small: Frame

    def of(self, image: Path | Frame) -> NDArray[np.float32]:
        """The probabilities of all classes by `classify`, float32 (classes,)."""
        answer = self.classifier.classify(image, top_k=self.classifier.classes)
        row = np.empty(self.classifier.classes, np.float32)
        for prediction in answer.predictions:
            row[prediction.class_id] = prediction.probability
        return row

    def hex_of(self, *images: Path | Frame) -> str:
        """The probabilities for images as hexadecimal text of little-endian bytes."""
        return np.stack([self.of(image) for image in images]).astype("<f4").tobytes().hex()

    def classes_of(self, image: Path | Frame, top_k: int) -> list[tuple[float, int, str]]:
        """The most probable classes by `classify`: probability, class ID and label."""
        answer = self.classifier.classify(image, top_k=top_k)
        return [(one.probability, one.class_id, one.label) for one in answer.predictions]

    def array(self, name: str, values: NDArray[Any]) -> str:
        """Save an array, and return its path."""
        path = self.folder / f"{name}.npy"
        np.save(path, values)
        return str(path)

    def base64_of(self, file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()


def drawn_images(model: str | Path, folder: Path, count: int = 6) -> ServedImages:
    """Road signs of the sample model, drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        classifier = ovm.load_classifier(model, device="CPU", inference_precision="f32")
    frames = [np.ascontiguousarray(frame) for frame, _ in held_out(2, count)]
    files = []
    for number, frame in enumerate(frames):
        files.append(folder / f"{number}{('.png', '.jpg')[number % 2]}")
        cv2.imwrite(str(files[-1]), frame)
    return ServedImages(classifier, folder, frames, files, network_images(frames))


def real_images(xml: Path, folder: Path, files: list[Path]) -> ServedImages:
    """Files as they are, for a real network."""
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    frames = [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
    assert classifier.input_size is not None
    height, width = classifier.input_size
    small = np.stack([cv2.resize(frame, (width, height)) for frame in frames])
    return ServedImages(classifier, folder, frames, files, small)
