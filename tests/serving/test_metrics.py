"""`/metrics` of a running server, read with Prometheus' own parser."""

from __future__ import annotations

import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_metrics
from serving.sample_server import SAMPLE, sample_server

import ov_mobilenet as ovm
from ov_mobilenet import Classifier
from ov_mobilenet.serving.models.model_repository import ModelRepository
from ov_mobilenet.serving.monitoring.metrics import MAX_SERIES, Metrics
from ov_mobilenet.serving.monitoring.observation import RequestRecord
from ov_mobilenet.serving.server import Server
from ov_mobilenet.serving.settings import ServerSettings

SIGN = (ovm.find_config(SAMPLE).folder / "samples" / "stop_red_01.jpg").read_bytes()


def samples(server: Server, name: str, **labels: str) -> list[float]:
    text = requests.get(f"{server.url}/metrics", timeout=60).text
    return [
        sample.value
        for family in plain_metrics(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


def test_requests_images_and_stages_are_counted(signs_classifier: Classifier) -> None:
    with sample_server(signs_classifier) as server, sample_server(signs_classifier) as other:
        for data in (SIGN, SIGN, b"no image"):
            requests.post(f"{server.url}/v1/classify", data=data, timeout=60)
        requests.get(f"{server.url}/v2/models/nobody", timeout=60)
        done = {"transport": "rest", "operation": "classify", "model": "signs"}
        assert samples(server, "ov_mobilenet_requests_total", code="200", **done) == [2]
        assert samples(server, "ov_mobilenet_requests_total", code="422", **done) == [1]
        assert samples(server, "ov_mobilenet_requests_total", code="404", model="") == [1]
        assert samples(server, "ov_mobilenet_images_total", model="signs") == [2]
        assert samples(server, "ov_mobilenet_model_ready", model="signs") == [1]
        for stage in ("decode", "geometry", "queue", "inference"):
            assert samples(server, "ov_mobilenet_stage_latency_seconds_count", model="signs", stage=stage) == [2], stage
        assert samples(server, "ov_mobilenet_batch_size_sum", model="signs") == [2]
        assert samples(other, "ov_mobilenet_images_total", model="signs") == [0]


def test_open_metrics_are_sent_to_who_asks_for_them(server: Server) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = requests.get(f"{server.url}/metrics", headers=accept, timeout=60)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert any(family.name == "ov_mobilenet_requests" for family in open_metrics(answer.text))  # type: ignore[no-untyped-call]


def test_clients_cannot_make_any_number_of_series() -> None:
    metrics = Metrics(ModelRepository({}, ServerSettings()))
    for number in range(3 * MAX_SERIES):
        metrics.observe(RequestRecord("rest", f"made up {number}", f"model {number}", "9", "404", 0.001, "id"))
    text = metrics.text()[0].decode()
    assert text.count("ov_mobilenet_requests_total{") <= MAX_SERIES + 1
    assert "model 5" not in text
