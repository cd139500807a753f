"""Repositories that timm and transformers saved, and what both libraries answer to drawn images.

`interop/hub_oracle.py` creates them in the environment of `make test-hub`. `check_whole_path` serves one of them on
loopback, converts it as a user does, and compares pixels and probabilities for the same image files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from loopback_hub import LoopbackHub
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import ov_mobilenet as ovm
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.images.geometry import apply_geometry

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(__file__).with_name("interop") / "hub_oracle.py"
TOLERANCE = 5e-5
# Height and width: the usual ones, odd ones, and those where half a pixel of the crop is rounded.
SIZES = (
    (480, 640), (640, 480), (333, 500), (501, 334), (224, 224), (256, 256), (257, 300), (300, 259), (375, 500),
    (97, 131), (64, 64), (1000, 301), (243, 972), (225, 337), (512, 511), (768, 1024), (160, 193), (427, 640),
    (600, 600), (289, 289),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Request:
    """A repository that the oracle writes.

    Attributes:
        name: of the repository.
        kind: which library saves it.
        architecture: timm's name, with or without a tag, or transformers' `model_type`.
        create: arguments of timm's `create_model`, or of transformers' configuration.
        save: arguments of timm's `save_for_hf`.
        config: keys of config.json that are replaced after saving.
        without: keys that are removed from config.json.
        flat: write timm's first format: everything in one object, `labels` instead of `label_names`.
        pickle: save pytorch_model.bin instead of model.safetensors.
        test_size: take timm's test size and crop.
        from_config: build transformers' wrapper of a network of timm from its configuration, not from a repository.
        processor: arguments of transformers' image processor.
        backend: of transformers' image processor.
        legacy_processor: keys of older versions, which replace those of preprocessor_config.json after the answers.
        output: what the probabilities are.
        labels: the class names that the repository gives.
    """

    name: str
    kind: Literal["timm", "transformers", "timm_wrapper"] = "timm"
    architecture: str
    create: dict[str, Any] = field(default_factory=dict)
    save: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    flat: bool = False
    pickle: bool = False
    test_size: bool = False
    from_config: bool = False
    processor: dict[str, Any] = field(default_factory=dict)
    backend: Literal["pil", "torchvision"] = "pil"
    legacy_processor: dict[str, Any] = field(default_factory=dict)
    output: Literal["classes", "multilabel"] = "classes"
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answered:
    """A saved repository and the answers of its library.

    Attributes:
        folder: the files of the repository.
        images: the image files, in the order of the answers.
        pixels: what the library feeds, before normalisation: uint8 (N, height, width, 3) RGB.
        probabilities: (N, classes).
        swapped: the same for the first images with red and blue exchanged.
    """

    request: Request
    folder: Path
    images: tuple[Path, ...]
    pixels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    swapped: NDArray[np.float32]


def oracle_python() -> Path:
    """The Python of the environment with timm and transformers; skips the test if there is none."""
    python = Path(os.environ.get("HUB_ORACLE_PYTHON", ROOT / ".venv-hub" / "bin" / "python"))
    if not python.is_file():
        pytest.skip("needs an environment with timm and transformers, which make test-hub makes, or HUB_ORACLE_PYTHON")
    return python


def draw_images(folder: Path) -> tuple[Path, ...]:
    """Twenty JPEG and PNG files with shapes on coloured ground, some grey or with a palette; always the same ones."""
    random = np.random.RandomState(18)
    files = []
    for number, (height, width) in enumerate(SIZES):
        rows, columns = np.mgrid[0:height, 0:width] / max(height, width)
        waves = random.uniform(2, 40, (3, 2))
        ground = [
            random.uniform(60, 190) + 60 * np.sin(by * rows + bx * columns + random.uniform(0, 6)) for by, bx in waves
        ]
        noise = random.normal(0, random.uniform(0, 25), (height, width, 3))
        image = Image.fromarray(np.clip(np.stack(ground, 2) + noise, 0, 255).astype(np.uint8))
        pen = ImageDraw.Draw(image)
        for _ in range(random.randint(2, 9)):
            x, y = (int(random.randint(0, side)) for side in (width, height))
            dx, dy = (int(random.randint(side // 8, side // 2)) for side in (width, height))
            colour = tuple(int(value) for value in random.randint(0, 256, 3))
            draw = (pen.rectangle, pen.ellipse)[random.randint(2)]
            draw((x, y, x + dx, y + dy), fill=colour)
        if number % 7 == 3:
            image = image.convert("L")
        file = folder / f"{number:02}.{'png' if number % 3 == 1 else 'jpg'}"
        if file.suffix == ".png":
            (image.convert("P") if number == 10 else image).save(file)
        else:
            image.save(file, quality=int(random.randint(60, 98)), subsampling=0 if image.mode == "L" else number % 3)
        files.append(file)
    return tuple(files)


def answer(requests: Sequence[Request], folder: Path) -> dict[str, Answered]:
    """Let the libraries save the repositories and answer; by the name of the request."""
    python = oracle_python()
    (folder / "images").mkdir()
    images = draw_images(folder / "images")
    paths = {"out": str(folder), "images": [str(path) for path in images]}
    document = folder / "requests.json"
    document.write_text(json.dumps([{**asdict(request), **paths} for request in requests]))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "no-cache")}
    done = subprocess.run(
        [python, "-I", PROGRAM, document], capture_output=True, text=True, timeout=600, env=environment
    )
    assert done.returncode == 0, done.stderr[-1000:]
    found = {}
    for request in requests:
        with np.load(folder / f"{request.name}.npz") as stored:
            arrays = {name: stored[name] for name in ("pixels", "probabilities", "swapped")}
        found[request.name] = Answered(request, folder / request.name, images, **arrays)
    return found


def check_oracle(answered: Answered) -> None:
    """That the answers would show a wrong conversion: they are clear, differ between images, and colours count."""
    probabilities = answered.probabilities
    assert np.isfinite(probabilities).all()
    distinct = len(set(probabilities.argmax(1).tolist()))
    assert distinct >= (4 if probabilities.shape[1] > 9 else 2), f"{distinct} different classes"
    assert np.ptp(probabilities, axis=0).max() > 0.5
    assert np.median(probabilities.max(1)) > 0.3
    assert np.abs(probabilities[: len(answered.swapped)] - answered.swapped).max() > 0.01


def check_whole_path(answered: Answered, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the repository, convert it as `hf:test/NAME`, and compare; delete the files, which are large."""
    name = answered.request.name
    try:
        with LoopbackHub() as hub:
            hub.add_folder(f"test/{name}", answered.folder)
            monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
            options: dict[str, Any] = {"size": "test"} if answered.request.test_size else {}
            ir = ovm.convert(f"hf:test/{name}", out, precisions=["FP32"], **options)[0]
        compare(answered, ovm.load_classifier(ir.xml, device="CPU", inference_precision="f32", decode="exact"))
    finally:
        for folder in (out, answered.folder, Path(os.environ["HF_HOME"])):
            shutil.rmtree(folder, ignore_errors=True)


def compare(answered: Answered, classifier: ovm.Classifier) -> None:
    """Compare what a classifier feeds and answers for the image files with what the library feeds and answers.

    Transformers' torchvision backend resizes with other rounding than Pillow: its pixels are compared within 2 grey
    levels, and the probabilities for its pixels.
    """
    request, geometry = answered.request, classifier.geometry
    assert geometry is not None
    frames = np.stack([apply_geometry(geometry, read_image(path, geometry.reader)) for path in answered.images])
    theirs = np.ascontiguousarray(answered.pixels[:, :, :, ::-1])
    assert frames.shape == theirs.shape
    furthest = int(np.abs(frames.astype(np.int16) - theirs).max())
    if request.backend == "torchvision":
        assert furthest <= 2, f"pixels differ by {furthest}"
        ours = classifier.probabilities(theirs)
    else:
        assert furthest == 0, f"pixels differ by {furthest}"
        ours = np.zeros_like(answered.probabilities)
        for row, path in zip(ours, answered.images, strict=True):
            for prediction in classifier.classify(path, top_k=len(row)).predictions:
                row[prediction.class_id] = prediction.probability
    difference = float(np.abs(ours - answered.probabilities).max())
    assert difference <= TOLERANCE, f"probabilities differ by {difference:.2g}"
    if request.labels:
        record = classifier.record
        assert isinstance(record, ovm.IrRecord) and record.labels == request.labels
