"""Damaged IRs given to `classify`: one error, or an answer; of an IR that ov-mobilenet wrote, no other answer."""

from __future__ import annotations

import functools
import json
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from attacks.command_forks import run_command
from attacks.damage import damaged
from attacks.fuzz import Attack
from attacks.generators.irs import small_ir
from attacks.rewritten_irs import rewritten

Contents = tuple[bytes, bytes]
Damage = Callable[[bytes, random.Random], bytes]


@functools.cache
def foreign_ir() -> Contents:
    """`.xml` and `.bin` of a small network with layers of a MobileNet and one of FakeQuantize, as OpenVINO saves it."""
    import openvino as ov
    import openvino.opset13 as ops

    rng = np.random.default_rng(1)

    def weights(*shape: int) -> ov.Node:
        return ops.constant(rng.normal(0, 0.3, shape).astype(np.float32))

    def scalar(value: float) -> ov.Node:
        return ops.constant(np.float32(value))

    data = ops.parameter([1, 3, 16, 16], ov.Type.f32, name="data")
    data.layout = ov.Layout("NCHW")
    x = ops.convolution(ops.subtract(data, scalar(127.5)), weights(8, 3, 3, 3), [2, 2], [1, 1], [1, 1], [1, 1])
    x = ops.fake_quantize(ops.clamp(x, 0.0, 6.0), scalar(0), scalar(6), scalar(0), scalar(6), 256)
    x = ops.group_convolution(x, weights(8, 1, 1, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
    x = ops.hswish(ops.add(x, weights(1, 8, 1, 1)))
    x = ops.add(x, ops.convolution(x, weights(8, 8, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1]))
    x = ops.reshape(ops.reduce_mean(x, np.array([2, 3]), True), np.array([0, -1]), special_zero=True)
    x = ops.transpose(ops.unsqueeze(ops.matmul(x, weights(5, 8), False, True), np.int64(1)), np.array([0, 1, 2]))
    x = ops.squeeze(x, np.int64(1))
    folder = Path(tempfile.mkdtemp())
    try:
        ov.save_model(ov.Model([ops.softmax(x, 1)], [data], "foreign"), folder / "net.xml", compress_to_fp16=False)
        return (folder / "net.xml").read_bytes(), (folder / "net.bin").read_bytes()
    finally:
        shutil.rmtree(folder)


def own_ir() -> Contents:
    """`.xml` and `.bin` that ov-mobilenet wrote."""
    return small_ir()[:2]


def classify(contents: Contents, folder: Path) -> object:
    """The predictions for an image, or None after an error, which names the IR."""
    folder.mkdir(exist_ok=True)
    xml, image = folder / "net.xml", folder / "image.png"
    for path, content in zip((xml, xml.with_suffix(".bin")), contents, strict=True):
        path.write_bytes(content)
    cv2.imwrite(str(image), np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8))
    ran = run_command(
        [
            "classify", str(xml), str(image), "--format", "jsonl", "--device", "CPU", "--inference-precision", "f32",
            "--cache-dir", str(folder / "cache"), "--model-cache", "off",
        ],
        folder / "work",
    )  # fmt: skip
    assert {path.name for path in folder.iterdir()} <= {"net.xml", "net.bin", "image.png", "work", "cache"}
    if ran.code:
        assert str(xml) in ran.err, ran.err[-500:]
        return None
    return json.loads(ran.out)["predictions"]


@functools.cache
def answer() -> object:
    """What `own_ir` answers when it is not damaged."""
    folder = Path(tempfile.mkdtemp())
    try:
        return classify(own_ir(), folder)
    finally:
        shutil.rmtree(folder)


def attack(make: Callable[[], Contents], part: int, damage: Damage) -> Callable[[random.Random, Path], None]:
    """An attack on the `.xml` (0) or the `.bin` (1)."""

    def run(rng: random.Random, folder: Path) -> None:
        if make is own_ir:
            pytest.importorskip("onnx")
        contents = list(make())
        contents[part] = damage(contents[part], rng)
        found = classify((contents[0], contents[1]), folder / "ir")
        if make is own_ir:
            assert found in (None, answer()), "other answers"

    return run


ATTACKS = (
    Attack("classify with a damaged .xml of our own", 300, attack(own_ir, 0, damaged), in_suite=2),
    Attack("classify with a damaged .bin of our own", 300, attack(own_ir, 1, damaged), in_suite=1),
    Attack("classify with a rewritten .xml of our own", 300, attack(own_ir, 0, rewritten), in_suite=1),
    Attack("classify with a damaged foreign .xml", 300, attack(foreign_ir, 0, damaged), in_suite=2),
    Attack("classify with a damaged foreign .bin", 300, attack(foreign_ir, 1, damaged), in_suite=1),
    Attack("classify with a rewritten foreign .xml", 1500, attack(foreign_ir, 0, rewritten), in_suite=4),
)
