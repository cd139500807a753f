"""Images and IRs of the soak: drawn and converted from what the project has, with answers that onnxruntime computes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE

if TYPE_CHECKING:
    from ov_mobilenet.runtime.items import Image

DRAWINGS = 32  # two of each class
CLASSES = 16
# Every scenario uses the same drawings: the seed of a soak decides what happens to them.
DRAWING_SEED = 22
MEAN = SCALE = 127.5


@dataclass(frozen=True)
class KnownImage:
    """An image file whose answer is known; the frame is what it holds.

    Attributes:
        frame: uint8 (H, W, 3) BGR.
        answer: float32 (classes,), probabilities in [0, 1].
    """

    path: Path
    data: bytes
    frame: NDArray[np.uint8]
    answer: NDArray[np.float32]


@dataclass(frozen=True)
class Material:
    """What the scenarios work with.

    Attributes:
        irs: the sample model, and the same with its classes in reverse order.
        images: readable images, PNG and JPEG in turns.
        broken: what cannot be read as an image, as paths, bytes and arrays.
    """

    irs: tuple[Path, Path]
    images: tuple[KnownImage, ...]
    broken: tuple[Image, ...]


def write_material(folder: Path) -> None:
    """Draw, convert and compute everything once, before any scenario runs."""
    import cv2
    from signs import held_out

    (folder / "images").mkdir(parents=True)
    frames = []
    for number, (drawing, _) in enumerate(held_out(DRAWING_SEED, DRAWINGS)):
        for suffix in (".png", ".jpg"):
            data = cv2.imencode(suffix, drawing)[1].tobytes()
            (folder / "images" / f"{number:03}{suffix}").write_bytes(data)
            frames.append(np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8))
    np.save(folder / "answers.npy", _answers(frames))
    _write_broken(folder / "broken", folder / "images")
    (model,) = ovm.convert(SAMPLE, folder / "ir", precisions=("FP32",), offline=True)
    model.xml.rename(folder / "first.xml")
    model.xml.with_suffix(".bin").rename(folder / "first.bin")
    _write_reversed(folder / "first.xml", folder / "second.xml")


def read_material(folder: Path) -> Material:
    """What `write_material` wrote."""
    import cv2

    answers = np.load(folder / "answers.npy")
    files = _image_files(folder / "images")
    images = tuple(
        KnownImage(path, path.read_bytes(), np.asarray(cv2.imread(str(path)), np.uint8), answer)
        for path, answer in zip(files, answers, strict=True)
    )
    return Material((folder / "first.xml", folder / "second.xml"), images, tuple(_broken(folder / "broken")))


def _image_files(folder: Path) -> list[Path]:
    return [folder / f"{number:03}{suffix}" for number in range(DRAWINGS) for suffix in (".png", ".jpg")]


def _answers(frames: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Probabilities by onnxruntime, from the source network and the drawings' own geometry: float32 (N, classes)."""
    import onnxruntime
    from signs import network_images

    session = onnxruntime.InferenceSession(ovm.find_config(SAMPLE).folder / "road-signs.onnx")
    rgb = network_images(frames)[..., ::-1].astype(np.float32)
    inputs = np.ascontiguousarray(((rgb - MEAN) / SCALE).transpose(0, 3, 1, 2))
    logits = session.run(None, {"input": inputs})[0].astype(np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    answers: NDArray[np.float32] = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return answers


def _write_broken(folder: Path, images: Path) -> None:
    folder.mkdir()
    whole = (images / "000.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "truncated.png").write_bytes((images / "000.png").read_bytes()[:200])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_text("not an image\n", "utf-8")
    (folder / "folder.jpg").mkdir()


def _broken(folder: Path) -> Iterator[Image]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_file():
            yield path.read_bytes()
    yield folder / "missing.jpg"
    yield np.zeros((8, 8), np.uint8)
    yield np.zeros((8, 8, 3), np.float32)  # what a user may pass by mistake


def _write_reversed(xml: Path, target: Path) -> None:
    """An IR whose answers tell it from the first: the same with its classes in reverse order."""
    import openvino as ov

    network = ov.Core().read_model(xml)
    scores = network.outputs[0].get_node().input_value(0)
    ops = ov.opset13
    order = ops.constant(np.arange(CLASSES - 1, -1, -1, dtype=np.int64))
    reversed_scores = ops.gather(scores, order, ops.constant(np.int64(1)))
    reversed_scores.output(0).set_names(network.outputs[0].get_names())
    other = ov.Model([ops.result(reversed_scores)], network.get_parameters(), "reversed")
    other.set_rt_info(network.get_rt_info()["ov_mobilenet"], "ov_mobilenet")
    ov.save_model(other, target, compress_to_fp16=False)
