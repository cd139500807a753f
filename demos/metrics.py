"""What a run took: each stage with its percentiles, and frames a second."""

from __future__ import annotations

from collections import defaultdict, deque
from time import perf_counter

import ov_mobilenet as ovm

STAGES = ("decode", "geometry", "queue", "inference", "draw and show", "latency")
KEPT = 100_000  # times of each stage: a camera may run for months
_PERCENTILES = (50, 90, 99)


class Metrics:
    """Counts results and keeps their times.

    Attributes:
        done: images with an answer.
        failed: images without an answer.
        latency_ms: of the last result, from its reading (a camera's: from its capture) to its answer.
    """

    def __init__(self) -> None:
        self.failed = 0
        self.latency_ms = 0.0
        self.done = 0
        self._stages: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._ends: deque[float] = deque()
        self._begun = self._last = perf_counter()

    def start(self) -> None:
        """Begin to count the time: the model is loaded."""
        self._begun = self._last = perf_counter()

    def add(self, result: ovm.Classification | ovm.Failure, read_ms: float) -> None:
        """Take the times of a result; `read_ms` is what its frame took to come out of a video."""
        self._last = perf_counter()
        if isinstance(result, ovm.Failure):
            self.failed += 1
            return
        self.done += 1
        times = result.timings_ms
        self.latency_ms = times.total + read_ms if result.age_ms is None else result.age_ms
        values = (times.decode + read_ms, times.geometry, times.queue, times.inference)
        for stage, value in (*zip(STAGES, values, strict=False), ("latency", self.latency_ms)):
            self._stages[stage].append(value)
        self._ends.append(self._last)
        while self._ends[0] < self._last - 1:
            self._ends.popleft()

    def drawn(self, milliseconds: float) -> None:
        """Take what drawing and showing the last result took."""
        self._stages["draw and show"].append(milliseconds)
        self._last = perf_counter()

    @property
    def fps(self) -> float:
        """Of the last second."""
        passed = self._ends[-1] - self._ends[0] if self._ends else 0.0
        return (len(self._ends) - 1) / passed if passed > 0 else 0.0

    def report(self) -> str:
        """A table, milliseconds over the last `KEPT` results; percentiles by nearest rank."""
        seconds = self._last - self._begun
        rate = f", {self.done / seconds:.1f} FPS" if self.done and seconds > 0 else ""
        lines = [f"Metrics report: {self.done} classified, {self.failed} failed, {seconds:.2f} s{rate}"]
        if self.done:
            head = ("mean", *(f"p{percentile}" for percentile in _PERCENTILES), "max")
            lines.append(f"{'ms':<14}" + "".join(f"{name:>10}" for name in head))
        for stage in STAGES:
            if values := sorted(self._stages[stage]):
                ranks = (values[-(-percentile * len(values) // 100) - 1] for percentile in _PERCENTILES)
                row = (sum(values) / len(values), *ranks, values[-1])
                lines.append(f"{stage:<14}" + "".join(f"{value:>10.2f}" for value in row))
        return "\n".join(lines)
