"""Time per stage with percentiles, throughput and accuracy of one run of a demo."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from time import perf_counter

import ov_mobilenet as ovm

STAGES = ("decode", "geometry", "queue", "inference", "draw and show", "latency")
MAX_SAMPLES = 100_000  # per stage, so that memory stays bounded when a camera runs for months
INTERVAL_S = 0.5  # of one point of a throughput graph
_PERCENTILES = (50, 90, 99)


class Metrics:
    """Counts results and records how long each stage took.

    Attributes:
        classified: number of images with a result.
        failed: number of images that could not be classified.
        latency_ms: latency of the last result, from reading the image to its classes; for a camera from the capture.
    """

    def __init__(self) -> None:
        self.classified = 0
        self.failed = 0
        self.latency_ms = 0.0
        self._samples: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=MAX_SAMPLES))
        self._last_second: deque[float] = deque()
        self._started = self._last = perf_counter()

    def start(self) -> None:
        """Start the clock; call it when the model is loaded."""
        self._started = self._last = perf_counter()

    def add(self, result: ovm.Classification | ovm.Failure, read_ms: float) -> None:
        """Record a result; `read_ms` is the time to read its frame from a video, in milliseconds."""
        self._last = perf_counter()
        if isinstance(result, ovm.Failure):
            self.failed += 1
            return
        self.classified += 1
        times = result.timings_ms
        self.latency_ms = times.total + read_ms if result.age_ms is None else result.age_ms
        values = (times.decode + read_ms, times.geometry, times.queue, times.inference)
        for stage, value in (*zip(STAGES, values, strict=False), ("latency", self.latency_ms)):
            self._samples[stage].append(value)
        self._last_second.append(self._last)
        while self._last_second[0] < self._last - 1:
            self._last_second.popleft()

    def add_draw_time(self, milliseconds: float) -> None:
        """Record the time to draw and show the last result."""
        self._samples["draw and show"].append(milliseconds)
        self._last = perf_counter()

    @property
    def fps(self) -> float:
        """Frames per second over the last second."""
        elapsed = self._last_second[-1] - self._last_second[0] if self._last_second else 0.0
        return (len(self._last_second) - 1) / elapsed if elapsed > 0 else 0.0

    def report(self) -> str:
        """A table in milliseconds over the last `MAX_SAMPLES` results; percentiles by nearest rank."""
        seconds = self._last - self._started
        rate = f", {self.classified / seconds:.1f} FPS" if self.classified and seconds > 0 else ""
        lines = [f"Metrics report: {self.classified} classified, {self.failed} failed, {seconds:.2f} s{rate}"]
        if self.classified:
            head = ("mean", *(f"p{percentile}" for percentile in _PERCENTILES), "max")
            lines.append(f"{'ms':<14}" + "".join(f"{name:>10}" for name in head))
        for stage in STAGES:
            if values := sorted(self._samples[stage]):
                percentiles = (values[-(-percentile * len(values) // 100) - 1] for percentile in _PERCENTILES)
                row = (sum(values) / len(values), *percentiles, values[-1])
                lines.append(f"{stage:<14}" + "".join(f"{value:>10.2f}" for value in row))
        return "\n".join(lines)


@dataclass
class Statistics:
    """Throughput and accuracy since the start or the last restart; times are seconds of `perf_counter`."""

    started: float
    count: int = 0
    correct: int = 0
    labelled: int = 0
    history: list[float] = field(default_factory=list)
    interval_start: tuple[float, int] = (0.0, 0)

    def add(self, now: float, correct: bool | None) -> None:
        """Count a result and update the throughput of the current interval."""
        self.count += 1
        if correct is not None:
            self.correct, self.labelled = self.correct + correct, self.labelled + 1
        since, count_before = self.interval_start if self.history else (self.started, 0)
        if now - since >= INTERVAL_S:
            self.history.append((self.count - count_before) / (now - since))
            self.interval_start = (now, self.count)

    def fps(self, now: float) -> float:
        """Mean frames per second."""
        return self.count / max(now - self.started, 1e-9)

    def accuracy(self) -> list[str]:
        """One line of text; no line without ground truth."""
        return [f"accuracy {self.correct / self.labelled:.1%} of {self.labelled}"] if self.labelled else []
