"""Our `omz_*` programs beside those of openvino-dev 2024.6: the same command lines, the same files, the same facts."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import small_networks as small

pytestmark = pytest.mark.omz

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("OMZ_INFO_DUMPER", ROOT / ".venv-omz" / "bin" / "omz_info_dumper")).with_name("python")
MODEL_YML = """\
description: A small network.
task_type: classification
files:
  - name: net.onnx
    size: {size}
    checksum: {checksum}
    source: {url}
framework: onnx
input_info:
  - name: data
    shape: [1, 3, 32, 32]
    layout: NCHW
model_optimizer_args:
  - --input_model=$dl_dir/net.onnx
  - --mean_values=data[127.5,127.5,127.5]
  - --scale_values=data[127.5]
  - --reverse_input_channels
  - --output=scores
license: https://www.apache.org/licenses/LICENSE-2.0
"""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder `public/small` with a description whose file is on a local server."""
    if not PYTHON.is_file():
        pytest.skip("needs openvino-dev 2024.6.0 in .venv-omz, or OMZ_INFO_DUMPER")
    root = tmp_path_factory.mktemp("models")
    yml = small.write_onnx(tmp_path_factory.mktemp("net"))
    (network,) = yml.parent.glob("*.onnx")
    data = network.read_bytes()
    with served(network.parent) as url:
        (root / "public" / "small").mkdir(parents=True)
        (root / "public" / "small" / "model.yml").write_text(
            MODEL_YML.format(size=len(data), checksum=hashlib.sha384(data).hexdigest(), url=f"{url}/{network.name}")
        )
        yield root


def theirs(program: str, models: Path, *words: object) -> str:
    code = (
        f"import sys; from pathlib import Path; from omz_tools import _common, {program}\n"
        f"_common.MODEL_ROOT = Path({str(models)!r}); {program}.main()"
    )
    return finished([PYTHON, "-c", code, *map(str, words)])


def ours(program: str, models: Path, *words: object) -> str:
    code = f"from ov_mobilenet import __main__; __main__.omz_{program}()"
    return finished([sys.executable, "-c", code, *map(str, words), "--config-dir", str(models / "public")])


def finished(command: list[str | Path]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "no_proxy": "127.0.0.1", "CI": "true"}
    if command[0] == PYTHON:
        environment["PATH"] = f"{PYTHON.parent}{os.pathsep}{environment['PATH']}"  # omz_converter looks for mo there
        del environment["PYTHONPATH"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_downloader_converter_and_info_dumper(models: Path, tmp_path: Path) -> None:
    a, b, images = tmp_path / "theirs", tmp_path / "ours", tmp_path / "images"
    common = ["--name", "small"]
    theirs("omz_downloader", models, *common, "-o", a, "--cache_dir", tmp_path / "ca", "--num_attempts", 2)
    ours("downloader", models, *common, "-o", b, "--cache_dir", tmp_path / "cb", "--num_attempts", 2, "--allow-http")
    assert tree(a) == tree(b)
    assert list(tree(a)) == ["public/small/net.onnx"]

    for precisions in (["--precisions", "FP32"], []):
        theirs("omz_converter", models, *common, "-d", a, *precisions)
        ours("converter", models, *common, "-d", b, "-j", "auto", *precisions)
        assert set(tree(a)) == set(tree(b))
    assert {"public/small/FP16/small.xml", "public/small/FP32/small.bin"} < set(tree(b))
    frame = small.frames(1)[0].transpose(2, 0, 1)[None].astype(np.float32)
    answers = []
    for folder in (a, b):
        network = ov.Core().read_model(folder / "public" / "small" / "FP32" / "small.xml")
        compiled = ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        answers.append(compiled(frame)[compiled.outputs[0]][0])
    if abs(answers[0].sum() - 1) > 1e-3:  # the network ends in logits: ours adds the softmax
        answers[0] = np.exp(answers[0] - answers[0].max()) / np.exp(answers[0] - answers[0].max()).sum()
    assert np.abs(answers[0] - answers[1]).max() < 3e-5

    dumped = json.loads(theirs("omz_info_dumper", models, "--all"))
    (mine,) = json.loads(ours("info_dumper", models, *common))
    assert {key: mine[key] for key in dumped[0]} == dumped[0]

    images.mkdir()
    from PIL import Image

    for number, frame in enumerate(small.frames(60)):
        Image.fromarray(frame).save(images / f"{number}.png")
    printed = ours("quantizer", models, *common, "--model_dir", b, "--dataset_dir", images, "-q")
    assert printed == f"{b}/public/small/FP16-INT8/small.xml\n"
    assert (b / "public" / "small" / "FP16-INT8" / "small.bin").is_file()
