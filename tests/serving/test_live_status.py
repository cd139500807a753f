"""The counts of the live page, with a clock that the test sets; and a model that is unloaded while a page watches."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import requests
from serving.sample_server import sample_server

from ov_mobilenet import Classifier
from ov_mobilenet.runtime.async_queue import InferredImage
from ov_mobilenet.runtime.results import Timings
from ov_mobilenet.serving.monitoring.live_status import LiveStatus
from ov_mobilenet.serving.monitoring.observation import RequestRecord

IMAGE = InferredImage(np.zeros(2, np.float32), Timings(inference=1, total=1))


@dataclass
class Moment:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def moment() -> Moment:
    return Moment()


@pytest.fixture
def status(moment: Moment, monkeypatch: pytest.MonkeyPatch) -> LiveStatus:
    """Of two models without networks."""
    monkeypatch.setattr("ov_mobilenet.serving.monitoring.live_status.describe_model", lambda *_: None)
    queue = SimpleNamespace(pending=0, max_queue=256)

    class Served:
        def __init__(self) -> None:
            self.queue = queue

    models = {"one": Served(), "two": Served()}
    repository: Any = SimpleNamespace(
        names=tuple(models), rebuilds_of=lambda name: 0, find=lambda name, version="": models[name]
    )
    return LiveStatus(repository, clock=moment)


def ended(model: str = "one", *, ms: float = 1.0, images: int = 1, error: str | None = None) -> RequestRecord:
    code = "200" if error is None else "500"
    return RequestRecord("rest", "infer", model, "1", code, ms / 1e3, "id", error=error, inferred=(IMAGE,) * images)


def test_each_second_has_its_counts_and_percentiles(status: LiveStatus, moment: Moment) -> None:
    for ms in range(1, 101):
        status.observe(ended(ms=ms, images=2))
    status.observe(ended(ms=50, images=0, error="broken"))
    moment.now += 1
    status.observe(ended(images=3))
    moment.now += 2
    minute = status.document().last_minute
    assert minute.images[-4:] == (0, 200, 3, 0)  # the second of now is not over
    assert minute.errors[-4:] == (0, 1, 0, 0)
    medians: list[Any] = [*minute.p50_ms[-4:]]
    assert medians == [None, pytest.approx(50, abs=1), 1.0, None]
    assert minute.p95_ms[-3] == pytest.approx(95, abs=1)
    assert {len(minute.images), len(minute.errors), len(minute.queue), len(minute.p50_ms)} == {60}


def test_the_queue_is_seen_though_no_page_was_open(status: LiveStatus, moment: Moment) -> None:
    queue: Any = status._repository.find("one").queue
    for queue.pending in (3, 7, 2):
        status.observe(ended("one"))
    queue.pending = 0
    moment.now += 1
    assert status.document().last_minute.queue[-2:] == (0, 7)


def test_what_is_older_than_a_minute_is_forgotten(status: LiveStatus, moment: Moment) -> None:
    status.observe(ended())
    moment.now += 60
    assert sum(status.document().last_minute.images) == 1
    moment.now += 1
    assert sum(status.document().last_minute.images) == 0
    assert status.document().models[0].images == 1  # since the start


def test_only_inference_counts(status: LiveStatus, moment: Moment) -> None:
    status.observe(RequestRecord("rest", "metadata", "one", "1", "200", 0.001, "id"))
    status.observe(ended(model=""))
    moment.now += 1
    found = status.document()
    assert [(one.name, one.requests) for one in found.models] == [("one", 0), ("two", 0)]
    assert sum(found.last_minute.images) == 1  # of the whole server


def test_a_model_that_was_watched_is_freed_when_it_is_unloaded(signs_classifier: Classifier) -> None:
    with sample_server(signs_classifier, allow_model_control=True) as server:
        for path in ("/v1/status", "/v1/models", "/metrics"):
            requests.get(server.url + path, timeout=60).raise_for_status()
        model = weakref.ref(server.repository.find("signs"))
        before = requests.get(f"{server.url}/v1/status", timeout=60).json()["descriptions"]
        requests.post(f"{server.url}/v2/repository/models/signs/unload", json={}, timeout=60).raise_for_status()
        requests.get(f"{server.url}/v2/health/live", timeout=60).raise_for_status()
        assert model() is None
        after = requests.get(f"{server.url}/v1/status", timeout=60).json()["descriptions"]
        assert after > before
        requests.post(f"{server.url}/v2/repository/models/signs/load", json={}, timeout=60).raise_for_status()
        assert requests.get(f"{server.url}/v1/status", timeout=60).json()["descriptions"] > after
