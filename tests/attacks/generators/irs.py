"""IRs that are damaged, mixed, written by several processes, or whose writer is killed."""

from __future__ import annotations

import functools
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attacks.fuzz import Attack

import ov_mobilenet as ovm
from ov_mobilenet.errors import IrError
from ov_mobilenet.ir.files import read_ir
from ov_mobilenet.ir.saving import save_ir

SIDE = 8


def tiny_model(seed: int) -> Any:
    """One convolution and a softmax over five classes, with random weights; named by its seed."""
    import openvino as ov
    import openvino.opset13 as ops

    rng = np.random.default_rng(seed)
    data = ops.parameter([1, 3, SIDE, SIDE], ov.Type.f32, name="data")
    data.layout = ov.Layout("NCHW")
    kernel = ops.constant(rng.normal(0, 0.01, (5, 3, SIDE, SIDE)).astype(np.float32))
    filtered = ops.convolution(data, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    scores = ops.softmax(ops.reshape(filtered, np.array([0, 5], np.int64), special_zero=True), 1)
    return ov.Model([scores], [data], f"tiny{seed}")


@functools.cache
def small_ir() -> tuple[bytes, bytes, np.ndarray]:
    """A converted network's `.xml` and `.bin`, and its probabilities for `frames(2)`."""
    pytest.importorskip("onnx")
    from small_networks import frames, write_onnx

    folder = Path(tempfile.mkdtemp())
    try:
        yml = write_onnx(folder / "net", batch=1)
        sources = ovm.download(ovm.load_config(yml), folder / "dl", cache_root=folder / "cache", offline=True)
        xml = ovm.convert(sources, folder / "ir", precisions=("FP32",))[0].xml
        contents = xml.read_bytes(), xml.with_suffix(".bin").read_bytes()
        return *contents, answers(xml, frames(2))
    finally:
        shutil.rmtree(folder)


def answers(xml: Path, images: np.ndarray) -> np.ndarray:
    classifier = ovm.load_classifier(xml, device="CPU", inference_precision="f32")
    return np.concatenate([classifier.probabilities(image[None]) for image in images])


def damaged_byte(rng: random.Random, folder: Path) -> None:
    """An error, or the same answers as before; never other answers."""
    from small_networks import frames

    contents = [bytearray(content) for content in small_ir()[:2]]
    content = rng.choice(contents)
    position = rng.randrange(len(content))
    content[position] ^= rng.randrange(1, 256)
    xml = folder / "small.xml"
    for path, written in zip((xml, xml.with_suffix(".bin")), contents, strict=True):
        path.write_bytes(written)
    try:
        found = answers(xml, frames(2))
    except IrError as error:
        assert str(xml) in str(error)
    else:
        assert (found == small_ir()[2]).all(), (position, "other answers")


def two_writers(rng: random.Random, folder: Path) -> None:
    """Both files come from the same writer, also for a reader meanwhile, and nothing temporary stays."""
    xml = folder / "net.xml"
    save_ir(tiny_model(0), xml)
    models = [tiny_model(seed) for seed in (1, 2)]
    delays_s = [rng.uniform(0, 0.002) for _ in models]
    failures: list[Exception] = []

    def write(model: Any, delay_s: float) -> None:
        try:
            time.sleep(delay_s)
            save_ir(model, xml)
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=write, args=case) for case in zip(models, delays_s, strict=True)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        check_tiny(xml)
    for thread in threads:
        thread.join()
    assert failures == []
    check_tiny(xml)
    assert sorted(path.name for path in folder.iterdir()) == ["net.bin", "net.xml"]


def check_tiny(xml: Path) -> int:
    """Read the IR and compare its weights with those of the seed in its name. Returns the seed."""
    network = read_ir(xml)
    seed = int(network.get_friendly_name().removeprefix("tiny"))
    expected = np.random.default_rng(seed).normal(0, 0.01, (5, 3, SIDE, SIDE)).astype(np.float32)
    (kernel,) = (
        op.get_data()
        for op in network.get_ops()
        if op.get_type_name() == "Constant" and list(op.get_output_shape(0)) == [5, 3, SIDE, SIDE]
    )
    assert (kernel == expected).all()
    return seed


WRITER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from attacks.generators.irs import tiny_model
from ov_mobilenet.ir.saving import save_ir
models = [tiny_model(1), tiny_model(2)]
save_ir(models[0], Path(sys.argv[1]))
print("started", flush=True)
while True:
    for model in models:
        save_ir(model, Path(sys.argv[1]))
"""


def killed_writer(rng: random.Random, folder: Path) -> None:
    """The IR is the complete old or the complete new one; the next run leaves nothing temporary."""
    xml = folder / "net.xml"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, xml, *sys.path], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    with writer.stdout:
        assert writer.stdout.readline() == b"started\n"
        time.sleep(rng.uniform(0, 0.02))
        writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert check_tiny(xml) in (1, 2)
    save_ir(tiny_model(3), xml)
    assert check_tiny(xml) == 3
    assert sorted(path.name for path in folder.iterdir()) == ["net.bin", "net.xml"]


ATTACKS = (
    Attack("damaged byte of an IR", 500, damaged_byte, in_suite=12),
    Attack("two writers of one IR", 150, two_writers, in_suite=6),
    Attack("killed writer of an IR", 50, killed_writer, in_suite=1),
)
