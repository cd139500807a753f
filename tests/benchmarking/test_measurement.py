"""The JSON of a report: the sample that lies here is what other programs were written against."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import msgspec
import pytest

from ov_mobilenet.benchmarking import measurement as module
from ov_mobilenet.benchmarking.measurement import as_json, parse_report, read_report
from ov_mobilenet.benchmarking.tables import as_csv, as_markdown
from ov_mobilenet.errors import UsageError

SAMPLE = Path(__file__).parent / "data" / "benchmark.json"


def test_the_sample_is_read_and_written_as_it_is() -> None:
    assert json.loads(msgspec.json.encode(as_json(read_report(SAMPLE)))) == json.loads(SAMPLE.read_bytes())


def test_the_contract() -> None:
    document = json.loads(SAMPLE.read_bytes())
    assert document["schema_version"] == 1
    for one in (document, *document["measurements"]):
        kinds = {
            "throughput_fps": float, "count": int, "device": str, "inference_precision": str, "num_streams": int,
            "infer_requests": int, "batch": int, "mode": str,
        }  # fmt: skip
        assert all(isinstance(one[name], kind) for name, kind in kinds.items())
        assert set(one["latency_ms"]) == {"mean", "min", "p50", "p90", "p95", "p99", "p99.9", "max"}


def test_what_a_machine_cannot_tell_is_there_and_null() -> None:
    document = json.loads(SAMPLE.read_bytes())
    assert document["machine"]["governor"] is None
    assert document["measurements"][0]["resources"]["energy_j"] is None


def test_every_field_is_explained_or_plain() -> None:
    source = Path(module.__file__).read_text("utf-8")
    for kind in re.findall(r"^class (\w+)", source, re.MULTILINE):
        assert getattr(module, kind).__doc__


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "another version"),
        ({"measurements": 3}, "no benchmark report"),
        ({"machine": None}, "no benchmark report"),
    ],
)
def test_what_is_no_report_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text(json.dumps({**json.loads(SAMPLE.read_bytes()), **change}))
    with pytest.raises(UsageError, match=message):
        read_report(file)


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"schema_version": 1}'])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="no benchmark report"):
        parse_report(data, "x")


def test_keys_of_later_versions_are_left_out() -> None:
    document = {**json.loads(SAMPLE.read_bytes()), "new": 1}
    assert parse_report(json.dumps(document).encode(), "x") == read_report(SAMPLE)


def test_csv_has_a_line_a_measurement() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(read_report(SAMPLE)))))
    document = json.loads(SAMPLE.read_bytes())
    assert [float(row["throughput_fps"]) for row in rows] == [m["throughput_fps"] for m in document["measurements"]]
    assert [float(row["p99.9_ms"]) for row in rows] == [m["latency_ms"]["p99.9"] for m in document["measurements"]]
    assert [row["saturated"] for row in rows] == ["", "", "False", ""]
    assert rows[0]["energy_j"] == ""


def test_markdown_tells_figures_regressions_and_failures() -> None:
    text = as_markdown(read_report(SAMPLE))
    assert "| mobilenet-v2-pytorch | CPU | bf16 | inference | 1 | 4 | 1043 |" in text
    assert "REGRESSION" in text
    assert "device NPU is not here" in text
    widths = {
        line.count(" | ") for line in text.splitlines() if line.startswith("| model") or " | inference | " in line
    }
    assert len(widths) == 1
