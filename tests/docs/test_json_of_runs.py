"""The JSON of measurements and of the server: each document fits its schema."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
import yaml
from command_runs import document, run
from json_schemas import check, undocumented
from known_network import Known
from serving.sample_server import sample_server

from ov_mobilenet.benchmarking.report import BaselineComparison
from ov_mobilenet.cli.serve import _announce
from ov_mobilenet.runtime.profile import Profile
from ov_mobilenet.serving.monitoring.observation import RequestRecord
from ov_mobilenet.serving.monitoring.request_log import MessageLine, RequestLog
from ov_mobilenet.serving.server import Server
from ov_mobilenet.zoo.registry import find_config

SAMPLES = find_config("mobilenet-v1-0.25-128-signs").folder / "samples"
SHORT = ("--iterations", "20", "--warmup", "0", "-d", "CPU")


def test_benchmarks(known: Known, tmp_path: Path) -> None:
    one = document("benchmark", known.xml, "no-such.xml", *SHORT, "--per-layer", "--exec-graph", tmp_path / "g", code=1)
    assert one["failures"] and one["measurements"][0]["layers"]
    check("benchmark", one)
    end_to_end = document("benchmark", known.xml, *SHORT, "--mode", "end-to-end", "--input", known.files[0].parent)
    assert end_to_end["measurements"][0]["stages_ms"]
    check("benchmark", end_to_end)
    arriving = document("benchmark", known.xml, "-d", "CPU", "--time", "0.2", "--warmup", "0", "--max-rate", "50")
    assert arriving["measurements"][0]["open_loop"]
    check("benchmark", arriving)
    comparison = BaselineComparison(0, "recorded", "before.json", 1, 10.0, 9.0, 0.9, None, None, 0.9, 0.05, True)
    check("benchmark", {**one, "comparisons": [msgspec.to_builtins(comparison)]})


def test_nothing_measured_has_no_headline() -> None:
    document_ = document("benchmark", "no-such.xml", *SHORT, code=1)
    assert "throughput_fps" not in document_
    check("benchmark", document_)


@pytest.mark.parametrize("percentile", ["50", "90"])
def test_benchmark_app(known: Known, tmp_path: Path, percentile: str) -> None:
    dump = tmp_path / "dump.json"
    run("benchmark-app", "-m", known.xml, "-d", "CPU", "-niter", "5", "-nthreads", "1", "-dump_config", dump,
        "-json_stats", "-report_type", "no_counters", "-report_folder", tmp_path, "-latency_percentile",
        percentile)  # fmt: skip
    check("benchmark-app", json.loads((tmp_path / "benchmark_report.json").read_text("utf-8")))
    check("benchmark-app-config", json.loads(dump.read_text("utf-8")))


def test_tuning(known: Known, tmp_path: Path) -> None:
    path = tmp_path / "p.yml"
    found = document("tune", known.xml, "-d", "CPU", "--time-limit", "1", "-o", path)
    check("tune", found)
    profile = yaml.safe_load(path.read_text("utf-8"))
    check("profile", profile)
    assert set(profile) == set(Profile.__struct_fields__)
    check("tune", document("tune", known.xml, "-d", "CPU", "--time-limit", "1", "--latency-budget-ms", "1e-6", code=3))


@pytest.fixture(scope="module")
def server(known: Known) -> Iterator[Server]:
    with sample_server(str(known.xml)) as started:
        yield started


def posted(server: Server, **values: Any) -> requests.Response:
    return requests.post(f"{server.url}/v1/classify", timeout=60, **values)


def test_the_ready_line(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    _announce(server)
    line = json.loads(capsys.readouterr().out)
    assert line["url"] == server.url
    check("serve-ready", line)


def test_classify_over_http(server: Server) -> None:
    image = (SAMPLES / "stop_red_01.jpg").read_bytes()
    check("result", posted(server, data=image).json())
    both = posted(server, files=[("image", ("a.jpg", image)), ("image", ("b.jpg", b"no image"))])
    assert both.status_code == 200
    check("v1-classify", both.json())
    none = posted(server, files=[("image", ("b.jpg", b"no image"))])
    assert none.status_code == 422
    check("v1-classify", none.json())
    refused = posted(server, data=b"no image")
    assert refused.status_code >= 400
    check("http-error", refused.json())


def test_the_live_page(server: Server) -> None:
    check("v1-status", requests.get(f"{server.url}/v1/status", timeout=60).json())
    models = requests.get(f"{server.url}/v1/models", timeout=60).json()
    assert models["models"][0]["facts"]
    check("v1-models", models)


def test_the_log() -> None:
    stream = io.StringIO()
    log = RequestLog("json", stream=stream)
    log.observe(RequestRecord("rest", "infer", "signs", "1", "200", 0.003, "request-1"))
    log.observe(RequestRecord("rest", "infer", "", "", "404", 0.003, "request-2", error="unknown model"))
    log.close()
    for line in stream.getvalue().splitlines():
        check("serve-log", json.loads(line))
        assert undocumented("serve-log", {**json.loads(line), "new": 1}) == ["$.new"]
    check("serve-log", msgspec.to_builtins(MessageLine("t", logging.getLevelName(logging.ERROR), "x", "y", "z")))
