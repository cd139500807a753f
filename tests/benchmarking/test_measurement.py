"""The JSON of a report; other programs rely on the sample in `data`."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from ov_mobilenet.benchmarking import measurement, report
from ov_mobilenet.benchmarking.report import Report, as_json, parse_report, read_report
from ov_mobilenet.benchmarking.tables import as_csv, as_markdown
from ov_mobilenet.errors import UsageError

SAMPLE = Path(__file__).parent / "data" / "benchmark.json"


def test_the_sample_survives_a_round_trip() -> None:
    assert json.loads(msgspec.json.encode(as_json(read_report(SAMPLE)))) == json.loads(SAMPLE.read_bytes())


def test_headline_keys_and_their_types() -> None:
    document = json.loads(SAMPLE.read_bytes())
    assert document["schema_version"] == 1
    for one in (document, *document["measurements"]):
        kinds = {
            "throughput_fps": float, "count": int, "device": str, "inference_precision": str, "num_streams": int,
            "infer_requests": int, "batch": int, "mode": str,
        }  # fmt: skip
        assert all(isinstance(one[name], kind) for name, kind in kinds.items())
        assert set(one["latency_ms"]) == {"mean", "min", "p50", "p90", "p95", "p99", "p99.9", "max"}


def test_unknown_values_are_null() -> None:
    document = json.loads(SAMPLE.read_bytes())
    assert document["machine"]["governor"] is None
    assert document["measurements"][0]["resources"]["energy_j"] is None


@pytest.mark.parametrize("module", [measurement, report])
def test_every_class_is_documented(module: ModuleType) -> None:
    source = Path(module.__file__ or "").read_text("utf-8")
    names = re.findall(r"^class (\w+)", source, re.MULTILINE)
    assert len(names) >= 5
    for name in names:
        assert getattr(module, name).__doc__, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "unsupported schema version.*expected 1, got 2"),
        ({"measurements": 3}, "not a benchmark report"),
        ({"machine": None}, "not a benchmark report"),
    ],
)
def test_an_invalid_report_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text(json.dumps({**json.loads(SAMPLE.read_bytes()), **change}))
    with pytest.raises(UsageError, match=message):
        read_report(file)


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"schema_version": 1}'])
def test_data_that_are_not_a_report_are_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="not a benchmark report"):
        parse_report(data, "x")


def test_unknown_keys_are_ignored() -> None:
    document = {**json.loads(SAMPLE.read_bytes()), "new": 1}
    assert parse_report(json.dumps(document).encode(), "x") == read_report(SAMPLE)


def test_a_report_of_version_0_1_is_read() -> None:
    document = json.loads(SAMPLE.read_bytes())
    for each in document["measurements"]:
        each["asked"]["pictures"] = each["asked"].pop("images")
    found = parse_report(json.dumps(document).encode(), "x")
    assert [each.asked.images for each in found.measurements] == [None] * 4
    assert [each.asked.input for each in found.measurements] == ["random", "images", "random", "random"]


def two_precisions() -> Report:
    """The same network with FP16 and with INT8 weights."""
    sample = read_report(SAMPLE)
    fp16 = sample.measurements[0]
    int8 = msgspec.structs.replace(fp16, network=msgspec.structs.replace(fp16.network, precision="INT8"))
    return msgspec.structs.replace(sample, measurements=(fp16, int8, *sample.measurements[2:]))


def test_tables_distinguish_the_weight_precisions_of_a_network() -> None:
    text = as_markdown(two_precisions())
    assert "| mobilenet-v2-pytorch | FP16 | CPU |" in text
    assert "| mobilenet-v2-pytorch | INT8 | CPU |" in text
    assert "- mobilenet-v2-pytorch FP16: " in text


def test_csv_has_one_line_per_measurement() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(read_report(SAMPLE)))))
    document = json.loads(SAMPLE.read_bytes())
    assert [float(row["throughput_fps"]) for row in rows] == [m["throughput_fps"] for m in document["measurements"]]
    assert [float(row["p99.9_ms"]) for row in rows] == [m["latency_ms"]["p99.9"] for m in document["measurements"]]
    assert [row["saturated"] for row in rows] == ["", "", "False", ""]
    assert rows[0]["energy_j"] == ""


def test_markdown_contains_figures_regressions_and_failures() -> None:
    text = as_markdown(read_report(SAMPLE))
    assert "| mobilenet-v2-pytorch | FP16 | CPU | bf16 | inference | 1 | 4 | 1043 |" in text
    assert "REGRESSION" in text
    assert "device NPU is not here" in text
    widths = {
        line.count(" | ") for line in text.splitlines() if line.startswith("| model") or " | inference | " in line
    }
    assert len(widths) == 1
