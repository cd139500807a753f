"""The options of a measurement: as one value, and as keyword arguments."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypedDict, cast

from ov_mobilenet.argument_types import checked
from ov_mobilenet.benchmarking.inputs import RANDOM
from ov_mobilenet.benchmarking.measurement import Mode
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import UsageError
from ov_mobilenet.images.load_image import DecodeMode
from ov_mobilenet.load import RunOptions, split_options
from ov_mobilenet.resolve import Lookup, check_option_names

MODES: tuple[Mode, ...] = ("inference", "end-to-end")


class WorkloadOptions(TypedDict, total=False):
    """The fields of `Workload` as keyword arguments."""

    mode: Mode
    batch: int | None
    time_s: float | None
    iterations: int | None
    warmup_s: float
    max_rate: float | None
    input: Path | str
    decode: DecodeMode
    start_up: bool
    per_layer: bool
    exec_graph: Path | None


class BenchmarkOptions(RunOptions, WorkloadOptions, total=False):
    """The keyword arguments of `benchmark`: fields of `DeviceSettings`, of `Lookup` and of `Workload`."""


@checked
@dataclass(frozen=True)
class Workload:
    """The mode, the input and the duration of a measurement.

    If both `time_s` and `iterations` are given, the measurement ends at whichever is reached first.

    Attributes:
        mode: `inference`: the network alone, on inputs prepared in advance; `end-to-end`: from image files to classes.
        batch: images per request. None: the batch size of the model; end to end, the one that `classify` chooses.
        time_s: how long to measure, above 0; None for `iterations` alone.
        iterations: number of requests; end to end, number of images; None for `time_s` alone.
        warmup_s: how long to run before the timed part.
        max_rate: images per second that arrive, whether or not the device is ready; None for as fast as possible.
        input: a folder of images, or "random" for generated ones.
        decode: how image files are decoded, as `classify --decode`.
        start_up: also measure compilation and the first inference.
        per_layer: also measure the time per layer, in a separate run.
        exec_graph: write the device's execution graph to this `.xml`.

    Raises:
        UsageError: a value is out of range, or neither time nor iterations are given.
    """

    mode: Mode = "inference"
    batch: int | None = None
    time_s: float | None = 10.0
    iterations: int | None = None
    warmup_s: float = 0.5
    max_rate: float | None = None
    input: Path | str = RANDOM
    decode: DecodeMode = "auto"
    start_up: bool = True
    per_layer: bool = False
    exec_graph: Path | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError("unknown mode", expected=" or ".join(MODES), got=repr(self.mode))
        numbers = {"batch": self.batch, "time_s": self.time_s, "iterations": self.iterations, "max_rate": self.max_rate}
        for name, value in numbers.items():
            if value is not None and value <= 0:
                raise UsageError(f"invalid {name}", expected="above 0", got=value)
        if self.time_s is None and self.iterations is None:
            raise UsageError("neither time nor iterations given", expected="time_s, iterations, or both")


def split_benchmark_options(
    settings: DeviceSettings | None, workload: Workload | None, options: BenchmarkOptions
) -> tuple[DeviceSettings, Lookup, Workload]:
    """The values that the keyword arguments of `benchmark` stand for.

    Raises:
        UsageError: an option is unknown, out of range, or given twice.
    """
    check_option_names(options, BenchmarkOptions)
    workload_names = {field.name for field in fields(Workload)}
    workload_options = cast(WorkloadOptions, {name: options[name] for name in options if name in workload_names})  # type: ignore[literal-required]
    run_options = cast(RunOptions, {name: options[name] for name in options if name not in workload_names})  # type: ignore[literal-required]
    if workload is not None and workload_options:
        raise UsageError(
            "workload options are given twice", expected="workload, or its fields", got=", ".join(workload_options)
        )
    chosen, lookup = split_options(settings, run_options)
    return chosen, lookup, workload if workload is not None else Workload(**workload_options)
