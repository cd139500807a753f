"""A device whose throughput and latency are known beforehand, with noise and a clock of its own."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ov_mobilenet.errors import DeviceError
from ov_mobilenet.tuning.space import Precision, Sample, Setting, Space

OWN = Precision(Path("FP16/net.xml"), None, "bf16")
F32 = Precision(Path("FP16/net.xml"), "f32", "f32")
INT8 = Precision(Path("FP16-INT8/net.xml"), None, "INT8")


def space(precisions: tuple[Precision, ...] = (OWN,)) -> Space:
    """Of a CPU with 4 cores."""
    return Space(
        start=Setting(OWN, 1), precisions=precisions, batches=(1, 2, 4, 8, 16, 32), streams=(1, 2, None),
        requests=(1, None, 4), threads=(1, 2, None),
    )  # fmt: skip


@dataclass
class FakeRig:
    """Measures what it is told, as `search` wants it.

    Attributes:
        fps, p95_ms: of a setting, without noise.
        noise: standard deviation of the logarithm, for a measurement of a second; less for longer ones.
        drift: the machine becomes slower by this fraction an hour of its clock.
        compile_s: what the first measurement of a setting takes beforehand.
        busy: at which moments others take two thirds of the machine.
        broken: settings that cannot be run.
    """

    fps: Callable[[Setting], float]
    p95_ms: Callable[[Setting], float]
    noise: float = 0.01
    drift: float = 0.0
    compile_s: Callable[[Setting], float] = lambda setting: 0.3
    busy: Callable[[float], bool] = lambda now: False
    broken: Callable[[Setting], bool] = lambda setting: False
    seed: int = 0
    now: float = 0.0
    measured: list[tuple[Setting, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._compiled: set[Setting] = set()

    def clock(self) -> float:
        return self.now

    def measure(self, setting: Setting, seconds: float) -> Sample:
        if setting not in self._compiled:
            self.now += self.compile_s(setting)
            self._compiled.add(setting)
        if self.broken(setting):
            raise DeviceError("the device does not take this", got=setting)
        self.measured.append((setting, seconds))
        slower = (1 + self.drift * self.now / 3600) * (3 if self.busy(self.now) else 1)
        self.now += seconds + 0.02
        width = self.noise / math.sqrt(seconds)
        fps = self.fps(setting) / slower * math.exp(self._random.gauss(0, width))
        p95 = self.p95_ms(setting) * slower * math.exp(self._random.gauss(0, width))
        return Sample(fps, p95, images_per_cpu_s=fps / (setting.threads or 4))
