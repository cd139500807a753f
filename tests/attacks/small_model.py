"""A converted network and images, made once per process for the generators."""

from __future__ import annotations

import functools
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ov_mobilenet as ovm

SIDE = 32


@functools.cache
def small_ir() -> Path:
    """The IR of a network of five classes with an input of 32 x 32."""
    pytest.importorskip("onnx")
    from small_networks import write_onnx

    folder = Path(tempfile.mkdtemp(prefix="small-model-"))
    yml = write_onnx(folder / "net", batch=1)
    sources = ovm.download(ovm.load_config(yml), folder / "sources", cache_root=folder / "cache", offline=True)
    return ovm.convert(sources, folder / "ir", precisions=("FP32",))[0].xml


def write_images(rng: random.Random, folder: Path, count: int, *, largest: int = 400) -> list[Path]:
    """JPEG files of random sizes, some of them progressive."""
    noise = np.random.default_rng(rng.getrandbits(32))
    files = []
    for number in range(count):
        blocks = noise.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(blocks).resize((rng.randint(1, largest), rng.randint(1, largest)))
        files.append(folder / f"{number:03}.jpg")
        image.save(files[-1], progressive=rng.random() < 0.3)
    return files
