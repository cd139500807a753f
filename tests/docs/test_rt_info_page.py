"""docs/reference/rt-info.md lists exactly the keys that IRs have, with the types of their values."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import openvino as ov
import pytest
from command_runs import run
from known_network import converted
from page_blocks import DOCS
from small_networks import write_onnx

from ov_mobilenet.ir.record import FORMAT_VERSION, IrRecord, write_record
from ov_mobilenet.zoo.normalisation import Normalisation

SAMPLE = "mobilenet-v1-0.25-128-signs"
PAGE = (DOCS / "reference" / "rt-info.md").read_text("utf-8")
TYPES = {
    "text": str, "map": dict, "object": dict, "object or null": (dict, type(None)), "boolean": bool,
    "number or null": (int, type(None)), "list or null": (list, type(None)),
}  # fmt: skip
Sections = dict[str, dict[str, str]]


def rows(section: str) -> dict[str, list[str]]:
    """The cells of each key in the table below the heading of a section."""
    below = PAGE.partition(f"## The section {section}\n")[2].partition("\n## ")[0]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in below.splitlines() if line[:3] == "| `"]
    return {cells[0].strip("`"): cells[1:] for cells in table}


def always(section: str) -> set[str]:
    return {key for key, cells in rows(section).items() if "always" in cells[:2]}


def sections(xml: Path) -> Sections:
    model = ov.Core().read_model(xml)
    return {
        name: {key: value.astype(str) for key, value in model.rt_info[name].items()}
        for name in ("model_info", "ov_mobilenet")
    }


@pytest.fixture(scope="module")
def irs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sections]:
    """Both sections of IRs of several kinds."""
    pytest.importorskip("onnx")
    out = tmp_path_factory.mktemp("irs")
    convert = ("convert", SAMPLE, "-q", "-d", out, "--cache-dir", out / "cache")
    made: dict[str, Sections] = {}
    for name, options in (("plain", ("--precisions", "FP16,FP32")), ("baked", ("--bake-geometry",))):
        run(*convert, "-o", out / name, *options)
        made |= {f"{name} {xml.parent.name}": sections(xml) for xml in (out / name).rglob("*.xml")}
    for name, end in (("multilabel-probabilities", "sigmoid"), ("features", "pooled")):
        network = write_onnx(out / name, end=end, extra=f"ov_mobilenet: {{output: {name}}}\n")
        made[name] = sections(converted(network, out / f"{name}-ir"))
    return made


@pytest.mark.parametrize("section", ["model_info", "ov_mobilenet"])
def test_the_page_has_the_keys_of_irs(section: str, irs: dict[str, Sections]) -> None:
    assert {"plain FP16", "plain FP32", "baked FP16", "features"} <= set(irs)
    found = set().union(*(one[section] for one in irs.values()))
    hub = {"origin"} if section == "ov_mobilenet" else set()
    assert found | hub == set(rows(section))
    assert set.intersection(*(set(one[section]) for one in irs.values())) == always(section)


def test_the_page_has_the_fields_of_the_record() -> None:
    assert set(rows("ov_mobilenet")) == {
        *(one.encode_name for one in msgspec.structs.fields(IrRecord)),
        "format_version",
    }


def test_the_values_have_the_types_in_the_page(irs: dict[str, Sections]) -> None:
    for name, one in irs.items():
        for key, value in one["ov_mobilenet"].items():
            kind = rows("ov_mobilenet")[key][0]
            assert isinstance(value if kind == "text" else json.loads(value), TYPES[kind]), (name, key)  # type: ignore[arg-type]


def test_the_texts_that_the_page_quotes(irs: dict[str, Sections]) -> None:
    assert (
        irs["multilabel-probabilities"]["model_info"]["confidence_threshold"]
        in rows("model_info")["confidence_threshold"][1]
    )
    assert irs["multilabel-probabilities"]["model_info"]["multilabel"] == "True"
    kinds = {name: one["ov_mobilenet"].get("output_kind") for name, one in irs.items()}
    versions = {name: one["ov_mobilenet"]["format_version"] for name, one in irs.items()}
    assert versions == {name: "1" if kind is None else "2" for name, kind in kinds.items()}
    assert re.findall(r"^\| (\d) \|", PAGE, re.M) == [str(number) for number in range(1, FORMAT_VERSION + 1)]
    assert irs["baked FP16"]["ov_mobilenet"]["geometry_baked"] == "true"


def test_the_keys_of_a_record_with_calibration_accuracy_and_origin(known_record: IrRecord) -> None:
    """INT8 models and models from Hugging Face have no further keys; `quantize` writes the same record."""
    network = ov.Model([], [], "empty")
    write_record(network, known_record)
    assert set(network.rt_info["ov_mobilenet"]) <= set(rows("ov_mobilenet"))
    assert "origin" in network.rt_info["ov_mobilenet"]


@pytest.fixture
def known_record() -> IrRecord:
    return msgspec.convert(
        {
            "config_name": "x", "config_digest": "0", "sources": {}, "geometry": None, "channel_order": "BGR",
            "normalisation": msgspec.to_builtins(Normalisation()), "background_class": None, "labels": ["a"],
            "precision": "FP16-INT8", "versions": {}, "calibration": {"images": 1}, "accuracy": {"images": 1},
            "origin": {"repository": "o/n", "revision": "0" * 40, "license": None},
        },
        IrRecord,
    )  # fmt: skip
