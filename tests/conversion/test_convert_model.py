"""`ovm.convert` of a MODEL and of source files, and the layout of a source network."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.conversion.local_network import find_network
from ov_mobilenet.errors import AlreadyNormalisedError, UnknownModelError, UsageError


def download(yml: Path, folder: Path) -> ovm.SourceFiles:
    return ovm.download(ovm.load_config(yml), folder / "dl", cache_root=folder / "cache", offline=True)


def test_a_zoo_name_gives_the_same_bytes_as_its_source_files(tmp_path: Path) -> None:
    sources = ovm.download(ovm.find_config(SAMPLE), tmp_path / "dl", cache_root=tmp_path / "cache", offline=True)
    (expected,) = ovm.convert(sources, tmp_path / "sources", precisions=("FP16",))
    (model,) = ovm.convert(SAMPLE, tmp_path / "name", precisions=("FP16",), cache_dir=tmp_path / "cache", offline=True)
    assert model.xml == tmp_path / "name" / "FP16" / f"{SAMPLE}.xml"
    for suffix in (".xml", ".bin"):
        assert model.xml.with_suffix(suffix).read_bytes() == expected.xml.with_suffix(suffix).read_bytes()


def test_the_path_of_a_description(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "net")
    models = ovm.convert(yml, str(tmp_path / "ir"), cache_dir=tmp_path / "cache")
    assert [model.xml for model in models] == [tmp_path / "ir" / p / "net.xml" for p in ("FP16", "FP32")]
    (model,) = ovm.convert("net", tmp_path / "named", precisions=("FP32",), config_dirs=[tmp_path])
    assert model.xml.read_bytes() == models[1].xml.read_bytes()


def test_an_ir_is_refused_with_its_normalisation(tmp_path: Path) -> None:
    (model,) = ovm.convert(small.write_onnx(tmp_path / "net"), tmp_path / "ir", precisions=("FP32",))
    with pytest.raises(
        AlreadyNormalisedError, match=r"already an IR; .* normalise twice: got ov-mobilenet: .*123\.675"
    ):
        ovm.convert(model.xml, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_models_that_cannot_be_converted_are_usage_errors(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "net")
    with pytest.raises(UsageError, match=r"source network without a description.* convert --source .*small\.onnx"):
        ovm.convert(yml.with_name("small.onnx"), tmp_path / "ir")
    with pytest.raises(UnknownModelError, match="unknown model 'nothing'"):
        ovm.convert("nothing", tmp_path / "ir")
    with pytest.raises(UsageError, match="lookup options are for a MODEL.*got offline"):
        ovm.convert(download(yml, tmp_path), tmp_path / "ir", offline=True)


@pytest.mark.parametrize(
    ("shape", "documented", "framework", "expected"),
    [
        ((1, 3, 32, 3), "NHWC", "onnx", "NHWC"),
        ((1, 3, 32, 32), "", "tf", "NCHW"),
        ((1, 32, 32, 3), "", "onnx", "NHWC"),
        ((1, 3, 32, 3), "", "onnx", "NCHW"),
        ((1, 3, 32, 3), "", "tf", "NHWC"),
    ],
)
def test_the_layout_is_documented_or_guessed(
    shape: tuple[int, ...], documented: str, framework: str, expected: str, tmp_path: Path
) -> None:
    yml = small.write_onnx(tmp_path / "net", shape=shape, layout=documented or "NCHW", framework=framework)
    if not documented:
        yml.write_text(yml.read_text().replace("    layout: NCHW\n", ""))
    network = find_network(download(yml, tmp_path))
    assert network.layout == expected
    assert network.path == tmp_path / "dl" / "small.onnx"


def test_unknown_options_and_precisions_are_refused(tmp_path: Path) -> None:
    yml = small.write_onnx(tmp_path / "net")
    out, cache = tmp_path / "ir", tmp_path / "cache"
    with pytest.raises(UsageError, match="unknown option: expected config_dirs, .*got batch"):
        ovm.convert(yml, out, cache_dir=cache, batch=4)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="ir_dir is for functions that run a MODEL"):
        ovm.convert(yml, out, cache_dir=cache, ir_dir=tmp_path)
    with pytest.raises(UsageError, match="unknown weight precision: expected FP16 or FP32, got INT8"):
        ovm.convert(yml, out, cache_dir=cache, precisions=("FP32", "INT8"))  # type: ignore[arg-type]
    assert not out.exists()
