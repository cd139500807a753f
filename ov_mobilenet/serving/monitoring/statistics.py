"""`Statistics`: what the statistics extension of the protocol reports, counted since the start of the server.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ov_mobilenet.serving.models.served_model import VERSION

if TYPE_CHECKING:
    from ov_mobilenet.runtime.async_queue import InferredImage
    from ov_mobilenet.serving.monitoring.observation import RequestRecord

# Operations that run a model.
_INFERRING = ("infer", "classify")


@dataclass
class _Duration:
    """A number of requests and the time that they took together, in seconds."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds

    def document(self) -> dict[str, int]:
        return {"count": self.count, "ns": round(self.seconds * 1e9)}


@dataclass
class _BatchCounts:
    """The images that ran in batches of one size, and their time in all, in seconds."""

    images: int = 0
    input_s: float = 0.0
    infer_s: float = 0.0

    def executions(self, size: int) -> int:
        """Number of infer requests; a batch that also held images of failed requests counts in part."""
        return round(self.images / size)

    def document(self, size: int) -> dict[str, Any]:
        count = self.executions(size)
        return {
            "batch_size": size,
            "compute_input": {"count": count, "ns": round(self.input_s / size * 1e9)},
            "compute_infer": {"count": count, "ns": round(self.infer_s / size * 1e9)},
            "compute_output": {"count": count, "ns": 0},
        }


@dataclass
class _ModelTotals:
    last_inference_ms: int = 0
    images: int = 0
    success: _Duration = field(default_factory=_Duration)
    fail: _Duration = field(default_factory=_Duration)
    queue: _Duration = field(default_factory=_Duration)
    compute_input: _Duration = field(default_factory=_Duration)
    compute_infer: _Duration = field(default_factory=_Duration)
    compute_output: _Duration = field(default_factory=_Duration)
    batches: dict[int, _BatchCounts] = field(default_factory=lambda: defaultdict(_BatchCounts))

    def add_success(self, duration_s: float, inferred: tuple[InferredImage, ...]) -> None:
        self.success.add(duration_s)
        if not inferred:
            return
        self.last_inference_ms = time.time_ns() // 1_000_000
        self.images += len(inferred)
        for one in inferred:
            batch = self.batches[one.batch]
            batch.images += 1
            batch.input_s += (one.timings.decode + one.timings.geometry) / 1e3
            batch.infer_s += one.timings.inference / 1e3
        # The images of a request run at the same time: their mean is its share in the stage.
        scale = 1 / (1e3 * len(inferred))
        self.queue.add(sum(one.timings.queue for one in inferred) * scale)
        self.compute_input.add(sum(one.timings.decode + one.timings.geometry for one in inferred) * scale)
        self.compute_infer.add(sum(one.timings.inference for one in inferred) * scale)
        self.compute_output.add(max(0.0, duration_s - max(one.timings.total for one in inferred) / 1e3))

    def document(self, name: str, version: str) -> dict[str, Any]:
        nothing = {"count": 0, "ns": 0}
        return {
            "name": name,
            "version": version,
            "last_inference": self.last_inference_ms,
            "inference_count": self.images,
            "execution_count": sum(batch.executions(size) for size, batch in self.batches.items()),
            "inference_stats": {
                "success": self.success.document(),
                "fail": self.fail.document(),
                "queue": self.queue.document(),
                "compute_input": self.compute_input.document(),
                "compute_infer": self.compute_infer.document(),
                "compute_output": self.compute_output.document(),
                "cache_hit": nothing,
                "cache_miss": nothing,
            },
            "batch_stats": [batch.document(size) for size, batch in sorted(self.batches.items())],
        }


class Statistics:
    """Counters of each model. Not thread-safe: for one event loop.

    In `inference_stats` each count is a number of requests. `compute_input` is decoding, crop and resize;
    `compute_infer` is the run of the network, `compute_output` the rest after the last image of the request.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Start at zero.

        Args:
            names: of the models of the server.
        """
        self._counts = {name: _ModelTotals() for name in names}

    def observe(self, record: RequestRecord) -> None:
        """Count a request that has ended, if it was to run a model."""
        counts = self._counts.get(record.model)
        if counts is None or record.operation not in _INFERRING:
            return
        if record.error is None:
            counts.add_success(record.duration_s, record.inferred)
        else:
            counts.fail.add(record.duration_s)

    def document(self, name: str = "") -> dict[str, Any]:
        """The statistics as the protocol's JSON document.

        Args:
            name: a model of the server; "" for all.
        """
        names = [name] if name else list(self._counts)
        return {"model_stats": [self._counts[one].document(one, VERSION) for one in names]}
