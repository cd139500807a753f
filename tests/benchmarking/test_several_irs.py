"""`benchmark A.xml B.xml` tells IRs of one name apart in every report, also those of other tools."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.ir.files import open_ir
from ov_mobilenet.ir.saving import save_ir
from ov_mobilenet.ir.weight_precision import weight_precision
from ov_mobilenet.zoo.geometry import parse_geometry

SHORT = ("-d", "CPU", "--iterations", "3", "--warmup", "0")


@pytest.fixture(scope="module")
def irs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """FP32, FP16 and quantised IRs of one name; `other` is another network of this name; no record in `foreign`."""
    import numpy as np
    import openvino as ov
    import openvino.opset13 as ops

    out = tmp_path_factory.mktemp("irs")
    form = ovm.Form(geometry=parse_geometry("resize 32"))
    made = {}
    for folder, classes in (("own", small.CLASSES), ("other", 7)):
        yml = small.write_onnx(out / folder / "small", classes=classes)
        sources = ovm.download(ovm.load_config(yml), out / folder / "dl", cache_root=out / "cache")
        for ir in ovm.convert(sources, out / folder, precisions=("FP32", "FP16"), form=form):
            made[f"{folder} {ir.precision}"] = ir.xml
    for precision in ("FP32", "FP16", "INT8"):
        network = open_ir(made["own FP16" if precision == "INT8" else f"own {precision}"]).network
        if precision == "INT8":
            (pooled,) = [op for op in network.get_ordered_ops() if op.get_type_name() == "ReduceMean"]
            low, high = ops.constant(np.float32(0)), ops.constant(np.float32(4))
            quantised = ops.fake_quantize(pooled.input_value(0), low, high, low, high, 256)
            pooled.input(0).replace_source_output(quantised.output(0))
        foreign = ov.Model(network.get_results(), network.get_parameters(), "small")
        made[f"foreign {precision}"] = out / "foreign" / precision / "small.xml"
        save_ir(foreign, made[f"foreign {precision}"])
        assert open_ir(made[f"foreign {precision}"]).record is None
    return made


@pytest.mark.parametrize("precision", ["FP32", "FP16", "INT8"])
def test_the_weight_precision_of_an_ir_without_a_record(precision: str, irs: dict[str, Path]) -> None:
    assert weight_precision(open_ir(irs[f"foreign {precision}"]).network) == precision


def reports(
    first: Path, second: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[list[str], list[str], str, list[dict[str, str]]]:
    """Lines of the table, rows of Markdown, the text of the HTML page, and the networks in JSON."""
    files = [tmp_path / f"report.{ending}" for ending in ("md", "html", "json")]
    capsys.readouterr()
    options = [option for file in files for option in ("--report", str(file))]
    assert main(["benchmark", str(first), str(second), *SHORT, *options, "--per-layer"]) == 0
    table = capsys.readouterr().out.splitlines()
    rows = [line for line in files[0].read_text().splitlines() if line.startswith("| small |")]
    page = html.unescape(re.sub(r"<[^>]*>", " ", files[1].read_text()))
    networks = [one["network"] for one in json.loads(files[2].read_text())["measurements"]]
    return [line for line in table if line.startswith("small ")], rows, page, networks


@pytest.mark.parametrize("origin", ["own", "foreign"])
def test_the_weight_precision_tells_irs_of_one_name_apart(
    origin: str, irs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jinja2")
    second = "FP32" if origin == "own" else "INT8"
    lines, rows, page, networks = reports(irs[f"{origin} FP16"], irs[f"{origin} {second}"], tmp_path, capsys)
    assert [line.split()[1] for line in lines] == ["FP16", second]
    assert [row.split(" | ")[1] for row in rows] == ["FP16", second]
    assert "small \u00b7 FP16" in page and f"small \u00b7 {second}" in page
    assert [network["precision"] for network in networks] == ["FP16", second]
    assert "median" in page[page.index("per request in all layers") :][:200]


def test_the_file_tells_irs_of_one_name_and_precision_apart(
    irs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jinja2")
    first, second = irs["own FP16"], irs["other FP16"]
    lines, rows, page, networks = reports(first, second, tmp_path, capsys)
    assert str(second) in lines[1] and lines[0].split()[:2] == ["small", "FP16"]
    for row, xml in zip(rows, (first, second), strict=True):
        assert str(xml) in row
    assert f"small \u00b7 {first}" in page and f"small \u00b7 {second}" in page
    assert [network["xml"] for network in networks] == [str(first), str(second)]
    # The same file twice, with different settings, needs no file name.
    assert main(["benchmark", str(first), *SHORT, "--batch", "1,2"]) == 0
    assert str(first) not in capsys.readouterr().out
