"""The contract of `_manifest.json`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bulk_output_cases import write_output

from ov_mobilenet.bulk_classification.manifest import parse_manifest
from ov_mobilenet.errors import OutputError

KEYS = [
    "schema_version", "state", "model", "model_digest", "settings", "settings_digest", "versions", "inputs", "started",
    "saved", "images_per_second", "images", "errors", "ran_on", "failed_parts", "has_other_files", "parts",
]  # fmt: skip
PART_KEYS = ["name", "shard", "images", "errors", "bytes", "device", "inference_precision"]


@pytest.fixture
def document(tmp_path: Path) -> bytes:
    pytest.importorskip("pyarrow")
    write_output(tmp_path)
    return (tmp_path / "_manifest.json").read_bytes()


def test_all_documented_keys_are_there(document: bytes) -> None:
    found = json.loads(document)
    assert list(found) == KEYS
    assert list(found["inputs"]) == ["given", "parts", "images", "digest", "folder"]
    assert [list(part) for part in found["parts"]] == [PART_KEYS] * 4
    assert (found["schema_version"], found["state"], found["images"], found["errors"]) == (1, "complete", 8, 1)
    assert found["ran_on"] == [{"device": "CPU", "inference_precision": "f32", "parts": 4}]
    assert found["failed_parts"] == []
    assert {"ov_mobilenet", "openvino", "python", "numpy"} <= set(found["versions"])


def test_a_manifest_is_read_as_it_was_written_and_unknown_keys_are_ignored(document: bytes) -> None:
    known = parse_manifest(document, "m")
    assert known.encode() == document
    later = json.loads(document)
    later["energy_j"] = 12
    later["parts"][0]["node"] = "n1"
    assert parse_manifest(json.dumps(later).encode(), "m") == known


def test_a_newer_schema_version_is_refused_with_both_numbers(document: bytes) -> None:
    later = {**json.loads(document), "schema_version": 7, "parts": "another form"}
    with pytest.raises(
        OutputError, match="out/_manifest.json: .*newer version.* expected schema_version 1 or less, got 7"
    ):
        parse_manifest(json.dumps(later).encode(), "out/_manifest.json")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"schema_version": 1}', b'"\xff"', b"\0" * 100])
def test_a_damaged_manifest_is_reported_with_what_to_do(data: bytes) -> None:
    with pytest.raises(OutputError, match="out/_manifest.json: the manifest is damaged.*Delete it to resume"):
        parse_manifest(data, "out/_manifest.json")
