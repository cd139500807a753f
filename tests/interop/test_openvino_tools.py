"""OpenVINO's own tools on our IRs: `benchmark_app`, and the frontend that `ovc` selects for a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
import small_networks as small
from PIL import Image

import ov_mobilenet as ovm
from ov_mobilenet.ir.record import read_record

ITERATIONS = 4
# Fields of the form, additional arguments of benchmark_app, the input that it reports, and the batch.
FORMS: dict[str, tuple[dict[str, Any], tuple[str, ...], str, str]] = {
    "f32 NCHW": ({}, (), "f32 / [N,C,H,W] / [1,3,32,32]", "1"),
    "u8 NHWC": ({"input_type": "u8", "layout": "NHWC"}, (), "u8 / [N,H,W,C] / [1,32,32,3]", "1"),
    "batch 8": ({"batch": 8}, (), "f32 / [N,C,H,W] / [8,3,32,32]", "8"),
    "any batch": ({"batch": -1}, ("-data_shape", "[4,3,32,32]"), "f32 / [N,C,H,W] / [?,3,32,32]", "?"),
}


@pytest.fixture(scope="module")
def irs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """IRs by form and precision."""
    out = tmp_path_factory.mktemp("tools")
    sources = ovm.download(ovm.load_config(small.write_onnx(out / "small")), out / "dl", cache_root=out / "cache")
    made = {}
    for name, (form, *_) in FORMS.items():
        for model in ovm.convert(sources, out / name, form=ovm.Form(**form)):
            made[name, model.precision] = model.xml
    return made


@pytest.fixture(scope="module")
def benchmark_app() -> Path:
    """The program in the environment of the tests."""
    program = Path(sys.executable).with_name("benchmark_app")
    if not program.is_file():
        pytest.skip("this OpenVINO has no benchmark_app")
    return program


@pytest.mark.parametrize("precision", ["FP32", "FP16"])
@pytest.mark.parametrize("form", FORMS)
def test_benchmark_app_runs_the_ir(
    form: str, precision: str, irs: dict[tuple[str, str], Path], benchmark_app: Path, tmp_path: Path
) -> None:
    _, arguments, reported_input, batch = FORMS[form]
    image = tmp_path / "image.png"
    Image.fromarray(small.frames(1)[0][:, :, ::-1]).save(image)
    command: list[str | Path] = [
        benchmark_app,
        "-m",
        irs[form, precision],
        "-niter",
        str(ITERATIONS),
        "-d",
        "CPU",
        "-i",
        image,
    ]
    report: list[str | Path] = ["-report_type", "no_counters", "-json_stats", "-report_folder", tmp_path]
    done = subprocess.run([*command, *arguments, *report], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    inputs = [line.split("input (node: ")[-1] for line in done.stdout.splitlines() if "data (node: data)" in line]
    assert inputs[0].endswith(reported_input)
    assert f"Model batch size: {batch}" in done.stdout
    results = json.loads((tmp_path / "benchmark_report.json").read_text())["execution_results"]
    assert int(results["total number of iterations"]) >= ITERATIONS
    assert float(results["throughput"]) > 0


def test_the_frontend_of_ovc_reads_the_ir(irs: dict[tuple[str, str], Path]) -> None:
    # `ovc` itself refuses every IR, also OpenVINO's own, because it converts to IR. This is the frontend it selects.
    from openvino.frontend import FrontEndManager

    for (form, precision), xml in irs.items():
        reader = FrontEndManager().load_by_model(str(xml))
        assert reader is not None, form
        assert reader.get_name() == "ir"
        network = reader.convert(reader.load(str(xml)))
        record = read_record(network, xml)
        assert record is not None
        assert record.precision == precision
        assert str(network.get_parameters()[0].layout) in FORMS[form][2]


def test_the_frontend_of_ovc_gives_the_same_answers(irs: dict[tuple[str, str], Path]) -> None:
    from openvino.frontend import FrontEndManager

    xml = irs["u8 NHWC", "FP32"]
    reader = FrontEndManager().load_by_model(str(xml))
    network = reader.convert(reader.load(str(xml)))
    compiled = ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for frame in small.frames(4):
        assert np.abs(compiled(frame[None])[0][0] - small.by_hand(frame)).max() < 3e-5
