"""Counters of the statistics extension; the expected figures are computed by hand."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import service_pb2

from ov_mobilenet.runtime.async_queue import InferredImage
from ov_mobilenet.runtime.results import Timings
from ov_mobilenet.serving.monitoring.observation import RequestRecord
from ov_mobilenet.serving.monitoring.statistics import Statistics


def image(batch: int = 1, **stages: float) -> InferredImage:
    return InferredImage(np.zeros(4, np.float32), Timings(**stages), batch)


def record(
    *images: InferredImage, model: str = "a", operation: str = "infer", duration_s: float = 0.01,
    error: str | None = None,
) -> RequestRecord:  # fmt: skip
    return RequestRecord("rest", operation, model, "1", "200", duration_s, "id", "", error, images)


def stats(statistics: Statistics, name: str = "a") -> dict[str, Any]:
    [document] = statistics.document(name)["model_stats"]
    found: dict[str, Any] = document
    return found


def test_one_request_is_split_into_its_stages() -> None:
    statistics = Statistics(["a"])
    before = time.time_ns() // 1_000_000
    statistics.observe(record(image(decode=2, geometry=1, queue=0.5, inference=4, total=8), duration_s=0.010))
    found = stats(statistics)
    assert (found["name"], found["version"], found["inference_count"], found["execution_count"]) == ("a", "1", 1, 1)
    assert before <= found["last_inference"] <= time.time_ns() // 1_000_000
    assert found["inference_stats"] == {
        "success": {"count": 1, "ns": 10_000_000}, "fail": {"count": 0, "ns": 0},
        "queue": {"count": 1, "ns": 500_000}, "compute_input": {"count": 1, "ns": 3_000_000},
        "compute_infer": {"count": 1, "ns": 4_000_000}, "compute_output": {"count": 1, "ns": 2_000_000},
        "cache_hit": {"count": 0, "ns": 0}, "cache_miss": {"count": 0, "ns": 0},
    }  # fmt: skip


def test_images_that_share_a_batch_are_one_execution() -> None:
    """Two requests of one and three images ran as one batch of four, and a third one alone."""
    statistics = Statistics(["a"])
    statistics.observe(record(image(4, inference=8, total=9)))
    statistics.observe(record(*[image(4, inference=8, total=9)] * 3))
    statistics.observe(record(image(1, inference=3, total=3)))
    found = stats(statistics)
    assert (found["inference_count"], found["execution_count"]) == (5, 2)
    assert found["inference_stats"]["compute_infer"] == {"count": 3, "ns": 19_000_000}
    by_size = {one["batch_size"]: one["compute_infer"] for one in found["batch_stats"]}
    assert by_size == {1: {"count": 1, "ns": 3_000_000}, 4: {"count": 1, "ns": 8_000_000}}


def test_failures_and_other_requests_are_not_inferences() -> None:
    statistics = Statistics(["a", "b"])
    statistics.observe(record(error="too many images", duration_s=0.002))
    statistics.observe(record(operation="ModelMetadata"))
    statistics.observe(record(model=""))
    statistics.observe(record(image(total=1), model="b", operation="classify"))
    found = stats(statistics)
    assert found["inference_stats"]["fail"] == {"count": 1, "ns": 2_000_000}
    assert found["inference_stats"]["success"]["count"] == found["inference_count"] == found["last_inference"] == 0
    assert stats(statistics, "b")["inference_count"] == 1
    assert [one["name"] for one in statistics.document()["model_stats"]] == ["a", "b"]


def test_the_document_is_the_message_of_the_protocol() -> None:
    statistics = Statistics(["a"])
    statistics.observe(record(image(2, inference=8, total=9)))
    message = ParseDict(statistics.document(), service_pb2.ModelStatisticsResponse())
    assert message.model_stats[0].batch_stats[0].batch_size == 2
