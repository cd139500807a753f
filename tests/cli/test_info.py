"""`info`: the details of a model of the zoo, and those of an IR."""

from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any

import openvino as ov
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet._version import __version__
from ov_mobilenet.cli.main import main
from ov_mobilenet.zoo.geometry import parse_geometry
from ov_mobilenet.zoo.registry import model_names

# Written by hand from the output of omz_info_dumper of openvino-dev 2024.6.0; tests/interop runs the program itself.
DUMPED: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "composite_model_name": type(None),
    "description": str,
    "framework": str,
    "license_url": str,
    "accuracy_config": (str, type(None)),
    "model_config": str,
    "precisions": list,
    "subdirectory": str,
    "task_type": str,
    "input_info": list,
    "model_stages": list,
}
LABELS = ("background", "great white shark", "crane", "crane, bird", "gänse")


def facts_of(model: str | Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["info", str(model), "--format", "json"]) == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert facts["schema_version"] == 1
    return facts


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Path:
    yml = small.write_onnx(
        tmp_path_factory.mktemp("info") / "small",
        extra="ov_mobilenet: {labels: names.txt, background_class: 0, gflops: 0.5, mparams: 0.25, "
        "accuracy: {top1: 0.7, top5: 0.9}}\n",
    )
    yml.with_name("names.txt").write_text("\n".join(LABELS) + "\n", "utf-8")
    return yml


@pytest.fixture(scope="module")
def small_ir(described: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ir")
    sources = ovm.download(ovm.load_config(described), out / "dl", cache_root=out / "cache")
    form = ovm.Form(batch=-1, geometry=parse_geometry("crop 0.875, resize 32"))
    return ovm.convert(sources, out, precisions=("FP16",), form=form)[0].xml


@pytest.mark.parametrize("name", model_names())
def test_every_model_has_the_fields_of_omz_info_dumper(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    facts = facts_of(name, capsys)
    for field, kind in DUMPED.items():
        assert isinstance(facts[field], kind), field
    assert facts["name"] == name
    assert facts["license_url"] == facts["license"]
    assert facts["subdirectory"] == f"public/{name}"
    assert facts["precisions"] == sorted(facts["precisions"])
    assert facts["task_type"] == "classification"
    assert Path(facts["model_config"]).name == "model.yml"
    assert Path(facts["accuracy_config"]).parent == Path(facts["model_config"]).parent
    for field in ("model_config", "accuracy_config"):
        assert Path(facts[field]).is_absolute()
        assert Path(facts[field]).is_file()
    assert {"name", "shape", "layout"} == set(facts["input_info"][0])


def test_fields_that_omz_info_dumper_does_not_have(described: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = facts_of(described, capsys)
    network = described.with_name("small.onnx")
    assert facts["files"] == [
        {
            "name": "small.onnx",
            "size": network.stat().st_size,
            "checksum": f"sha256:{hashlib.sha256(network.read_bytes()).hexdigest()}",
            "sources": [str(network)],
        }
    ]
    assert facts["mean_values"] == list(small.MEAN)
    assert facts["scale_values"] == list(small.SCALE)
    assert facts["reverse_input_channels"] is True
    assert (facts["gflops"], facts["mparams"], facts["top1"], facts["top5"]) == (0.5, 0.25, 0.7, 0.9)
    assert facts["background_class"] == 0
    assert facts["labels_digest"] == "sha256:" + hashlib.sha256("\n".join(LABELS).encode()).hexdigest()
    assert facts["input_info"] == [{"name": "data", "shape": [1, 3, 32, 32], "layout": "NCHW"}]
    assert facts["accuracy_config"] is None


def test_the_precisions_of_a_description_that_compresses_to_fp16(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yml = small.write_onnx(tmp_path / "half")
    yml.write_text(yml.read_text().replace("  - --output=", "  - --compress_to_fp16=True\n  - --output="))
    assert facts_of(yml, capsys)["precisions"] == ["FP16"]


def test_the_fields_of_an_ir(small_ir: Path, described: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = facts_of(small_ir, capsys)
    assert (facts["format_version"], facts["config_name"], facts["precision"]) == (1, "small", "FP16")
    assert facts["mean_values"] == list(small.MEAN)
    assert facts["scale_values"] == list(small.SCALE)
    assert facts["reverse_input_channels"] is True
    assert facts["geometry"] == "crop 0.875, resize 32"
    assert facts["background_class"] == 0
    assert facts["labels_digest"] == "sha256:" + hashlib.sha256("\n".join(LABELS).encode()).hexdigest()
    assert facts["config_digest"] == ovm.load_config(described).digest
    digest = hashlib.sha256(described.with_name("small.onnx").read_bytes()).hexdigest()
    assert facts["sources"] == {"small.onnx": f"sha256:{digest}"}
    assert facts["versions"] == {"openvino": ov.get_version(), "ov_mobilenet": __version__}
    assert facts["inputs"] == [{"names": ["data"], "shape": "[?,3,32,32]", "type": "f32"}]
    assert facts["outputs"] == [{"names": ["scores"], "shape": "[?,5]", "type": "f32"}]


def test_size_and_layers_of_an_ir_match_its_files(small_ir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = facts_of(small_ir, capsys)
    both = [small_ir, small_ir.with_suffix(".bin")]
    assert facts["size"] == sum(path.stat().st_size for path in both)
    assert [(file["name"], file["size"], file["checksum"]) for file in facts["files"]] == [
        (path.name, path.stat().st_size, f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}") for path in both
    ]
    renamed = {"Const": "Constant", "ReLU": "Relu", "SoftMax": "Softmax"}  # the file uses the older names
    types = (layer.attrib["type"] for layer in ElementTree.parse(small_ir).iter("layer"))
    written = Counter(renamed.get(name, name) for name in types)
    assert facts["layers"] == dict(written)
    assert facts["layers"]["Softmax"] == 1
    counts = list(facts["layers"].values())
    assert counts == sorted(counts, reverse=True)


def test_the_table_of_an_ir(small_ir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(small_ir)]) == 0
    out = capsys.readouterr().out
    for words in ("58.395", "crop 0.875, resize 32", "small.onnx sha256:", "FP16", "Convolution 1", "labels_digest"):
        assert words in out


def changed(xml: Path, target: Path, **info: str) -> Path:
    """A copy of an IR with entries of its rt_info changed, `section__name=value`."""
    model = ov.Core().read_model(xml)
    for path, value in info.items():
        model.set_rt_info(value, path.split("__"))
    ov.save_model(model, target, compress_to_fp16=False)
    return target


def test_a_newer_format_version_is_refused_with_both_numbers(
    small_ir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    xml = changed(small_ir, tmp_path / "newer.xml", ov_mobilenet__format_version="7")
    assert main(["info", str(xml)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert str(xml) in err
    assert "format version 2 or older, got format version 7" in err


@pytest.mark.parametrize("by_mo", [True, False])
def test_an_ir_without_our_record_is_reported(
    by_mo: bool, described: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info = {"conversion_parameters__mean_values": "data[1,2,3]", "conversion_parameters__odd": "a\x1b[31mb"}
    xml = changed(described.with_name("small.onnx"), tmp_path / "plain.xml", **(info if by_mo else {}))
    assert main(["info", str(xml), "--format", "json"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert facts["record"] is None
    assert "no record of ov-mobilenet" in err
    assert "mean_values" not in facts
    assert facts.get("conversion_parameters", {}).get("mean_values") == ("data[1,2,3]" if by_mo else None)
    assert main(["info", str(xml)]) == 0
    out = capsys.readouterr().out
    assert ("mean_values data[1,2,3]" in out) == by_mo
    assert "\x1b" not in out
