"""The JSON Schemas: valid, complete, with examples that fit; wrong documents are refused."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import msgspec
import pytest
from generate_docs.compact_json import compact_json
from generate_docs.schema_nodes import SCHEMAS, Node, load
from generate_docs.schemas import GROUPS
from json_schemas import NAMES, check, described_keys, node_of, problems, undocumented

from ov_mobilenet.accuracy.comparison import ComparedModel, ModelComparison
from ov_mobilenet.accuracy.report import AccuracyReport
from ov_mobilenet.accuracy.verification_result import Verification
from ov_mobilenet.benchmarking.measurement import Measurement
from ov_mobilenet.benchmarking.report import Report
from ov_mobilenet.bulk_classification.manifest import Manifest
from ov_mobilenet.hub.known_repositories import KnownRepository
from ov_mobilenet.ir.record import IrRecord
from ov_mobilenet.runtime.profile import Measured, Profile
from ov_mobilenet.runtime.results import Classification, Failure, Features
from ov_mobilenet.serving.monitoring.live_status import StatusDocument
from ov_mobilenet.serving.monitoring.model_descriptions import ModelDescription
from ov_mobilenet.serving.monitoring.request_log import MessageLine, RequestLine
from ov_mobilenet.zoo.accuracy_check import AccuracyCheck, DatasetConfig, Launcher
from ov_mobilenet.zoo.config import _RawFile, _RawModel
from ov_mobilenet.zoo.model import Details

NOT_SHOWN = {"common", "model-yml", "accuracy-check-yml"}
# A struct has exactly the keys of its schema. Those of a command's own are written as dictionaries: real outputs tell.
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "result#/$defs/classification": Classification,
    "result#/$defs/features": Features,
    "result#/$defs/failure": Failure,
    "accuracy": AccuracyReport,
    "compare": ModelComparison,
    "compare#/properties/models/items": ComparedModel,
    "convert#/$defs/ir/properties/verification": Verification,
    "list-hub#/properties/repositories/items": KnownRepository,
    "benchmark#/$defs/measurement": Measurement,
    "profile": Profile,
    "profile#/$defs/measured": Measured,
    "bulk-manifest": Manifest,
    "v1-status": StatusDocument,
    "v1-models#/properties/models/items": ModelDescription,
    "serve-log#/$defs/request": RequestLine,
    "serve-log#/$defs/message": MessageLine,
    "model-yml": _RawModel,
    "model-yml#/$defs/file": _RawFile,
    "model-yml#/$defs/details": Details,
    "accuracy-check-yml": AccuracyCheck,
    "accuracy-check-yml#/$defs/dataset": DatasetConfig,
    "accuracy-check-yml#/$defs/launcher": Launcher,
}


def keys(name: str) -> set[str]:
    return set(node_of(name).properties())


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_valid_and_describes_every_key(name: str) -> None:
    schema = load(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for path, one in described_keys(schema):
        text = Node(one, name).resolved().schema.get("description")
        assert text and (text[-1] in ".)" or text.startswith("`")), f"{name}: {path}: {text!r}"


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_formatted(name: str) -> None:
    assert (SCHEMAS / f"{name}.json").read_text("utf-8") == compact_json(load(name)) + "\n"


def test_every_schema_is_on_a_page_with_a_real_example() -> None:
    shown = [name for group in GROUPS.values() for name in group]
    assert sorted(shown) == sorted(set(NAMES) - NOT_SHOWN)
    assert [name for name in shown if "examples" not in load(name)] == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_SHOWN])
def test_the_examples_fit(name: str) -> None:
    for example in load(name).get("examples", ()):
        check(name, example)


@pytest.mark.parametrize("name", STRUCTS)
def test_a_schema_has_the_keys_of_the_value_that_is_encoded(name: str) -> None:
    assert keys(name) == {field.encode_name for field in msgspec.structs.fields(STRUCTS[name])}


def test_the_schema_of_a_benchmark_and_of_an_ir_have_the_keys_of_their_values() -> None:
    assert keys("benchmark") >= {field.encode_name for field in msgspec.structs.fields(Report)}
    assert keys("info-ir") >= {field.encode_name for field in msgspec.structs.fields(IrRecord)}


RESULT = {
    "source": "a.jpg", "predictions": [{"class_id": 1, "label": "x", "probability": 0.5}],
    "timings_ms": {"decode": 1.0, "geometry": 1.0, "queue": 0.0, "inference": 1.0, "total": 3.0},
}  # fmt: skip


def test_a_wrong_document_is_refused() -> None:
    check("result", RESULT)
    wrong: list[dict[str, Any]] = [copy.deepcopy(RESULT) for _ in range(4)]
    del wrong[0]["predictions"]
    wrong[1]["predictions"][0]["probability"] = 1.5
    wrong[2]["timings_ms"]["queue"] = "0"
    del wrong[3]["timings_ms"]["total"]
    for document in wrong:
        assert problems("result", document)
    assert problems("classify", {"schema_version": 2, "results": [RESULT]})
    assert problems("convert", [{"schema_version": 1, "model": "x", "precision": "FP8", "xml": "x.xml"}])


def test_a_further_key_is_allowed_and_found() -> None:
    document = {"schema_version": 1, "results": [{**RESULT, "sorce": "a.jpg"}]}
    assert problems("classify", document) == []
    assert undocumented("classify", document) == ["$.results[0].sorce"]
