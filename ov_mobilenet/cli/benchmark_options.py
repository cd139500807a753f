"""Options of `benchmark`, and the values made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import click

from ov_mobilenet.benchmarking.baseline import MAX_REGRESSION, PAIRS
from ov_mobilenet.benchmarking.inputs import RANDOM
from ov_mobilenet.benchmarking.measurement import Mode
from ov_mobilenet.benchmarking.options import Workload
from ov_mobilenet.benchmarking.sweep import Sweep
from ov_mobilenet.cli import options
from ov_mobilenet.cli.device import MORE, SharedDeviceFlags
from ov_mobilenet.devices.settings import HINTS, INFERENCE_PRECISIONS, DeviceSettings, Hint, InferencePrecision
from ov_mobilenet.errors import UsageError
from ov_mobilenet.images.load_image import DECODE_MODES, DecodeMode
from ov_mobilenet.resolve import Lookup, open_model

_MODES: dict[str, tuple[Mode, ...]] = {
    "inference": ("inference",), "end-to-end": ("end-to-end",), "both": ("inference", "end-to-end"),
}  # fmt: skip


@dataclass(frozen=True)
class SweepFlags:
    """The options that take several values; all combinations are measured."""

    devices: tuple[str, ...]
    hints: tuple[str, ...]
    precisions: tuple[str, ...]
    batches: tuple[int, ...]
    rates: tuple[float, ...]
    mode: str

    def sweep(self, models: tuple[str, ...], settings: DeviceSettings) -> Sweep:
        """All combinations; the default hint is throughput unless the settings choose the parallelism themselves."""
        default_hint: Hint | None = None if settings.sets_parallelism else "throughput"
        hints = tuple(None if hint == "none" else cast(Hint, hint) for hint in self.hints)
        precisions = cast("tuple[InferencePrecision, ...]", self.precisions)  # the option's callback checks them
        return Sweep(
            models, self.devices or ("AUTO",), hints or (default_hint,), precisions or (None,), self.batches or (None,),
            self.rates or (0.0,), _MODES[self.mode],
        )  # fmt: skip

    def profile_sweep(
        self, models: tuple[str, ...], settings: DeviceSettings, profile: Path, lookup: Lookup
    ) -> tuple[Sweep, DeviceSettings]:
        """The one model and the device settings of a profile.

        Raises:
            UsageError: there are several models, or settings besides the profile.
            ConfigError: the profile is invalid, or for another network or device.
        """
        from ov_mobilenet.runtime.profile import apply_profile, named_profile

        if len(models) > 1:
            raise UsageError("--profile takes one model", expected="the model that was tuned", got=", ".join(models))
        if any((self.devices, self.hints, self.precisions, self.batches)) or settings != DeviceSettings():
            raise UsageError(
                "device settings are given twice", expected="--profile, or --batch and options such as --device"
            )
        named = named_profile(profile)
        ir = open_model(models[0], lookup)
        settings, batch = apply_profile(*named, ir)
        sweep = Sweep(
            (str(ir.xml),), (settings.device,), (settings.hint,), (settings.inference_precision,), (batch,),
            self.rates or (0.0,), _MODES[self.mode],
        )  # fmt: skip
        return sweep, settings


@dataclass(frozen=True)
class WorkloadFlags:
    """The options of a workload: input, duration, decode mode."""

    time_s: float | None
    iterations: int | None
    warmup: float
    source: str
    decode: DecodeMode
    per_layer: bool

    def workload(self) -> Workload:
        """The workload; 10 s unless a time or a number of iterations is given."""
        time_s = 10.0 if self.time_s is None and self.iterations is None else self.time_s
        return Workload(
            time_s=time_s, iterations=self.iterations, warmup_s=self.warmup, input=self.source, decode=self.decode,
            per_layer=self.per_layer,
        )  # fmt: skip


@dataclass(frozen=True)
class BaselineFlags:
    """The baseline, and the allowed loss of throughput."""

    baseline: Path | None
    baseline_command: str | None
    max_regression: float


def benchmark_options(function: options.F) -> options.F:
    """All options of a measurement, gathered into the values above."""
    gathered = (
        (SweepFlags, "sweep_flags"), (SharedDeviceFlags, "device_flags"), (WorkloadFlags, "workload_flags"),
        (BaselineFlags, "baseline_flags"),
    )  # fmt: skip
    for kind, name in gathered:
        function = options.collect_into(kind, name)(function)
    for option in reversed((*_SWEEP, *MORE, *_WORKLOAD, *_BASELINE)):
        function = option(function)
    return function


def _names(known: tuple[str, ...] | None = None) -> Callable[..., tuple[str, ...]]:
    """A callback that splits at commas, except in a device such as `MULTI:CPU,GPU`."""

    def split(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(name for text in given for name in ([text] if ":" in text else text.split(",")) if name)
        for name in names:
            if known is not None and name not in known:
                raise click.BadParameter(f"{name!r} is not one of {', '.join(known)}", context, parameter)
        return names

    return split


def _numbers(kind: type[int] | type[float], least: float) -> Callable[..., tuple[float, ...]]:
    """A callback that splits at commas and checks the numbers."""

    def split(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[float, ...]:
        texts = [text for texts in given for text in texts.split(",")]
        try:
            numbers = tuple(kind(text) for text in texts)
        except ValueError as error:
            raise click.BadParameter(f"{', '.join(texts)!r} is not a list of numbers", context, parameter) from error
        if any(not least <= number < float("inf") for number in numbers):
            raise click.BadParameter(f"expected numbers of at least {least:g}", context, parameter)
        return numbers

    return split


_SWEEP = (
    click.option("-d", "--device", "devices", multiple=True, callback=_names(), metavar="DEVICE,…",
                 help="Devices to measure on (default: AUTO)."),
    click.option("--hint", "hints", multiple=True, callback=_names((*HINTS, "none")), metavar="HINT,…",
                 help=f"Performance hints: {', '.join(HINTS)} or none "
                      "(default: throughput, unless --streams is given)."),
    click.option("--inference-precision", "--precision", "precisions", multiple=True,
                 callback=_names(INFERENCE_PRECISIONS), metavar="PRECISION,…",
                 help=f"Inference precisions: {', '.join(INFERENCE_PRECISIONS)} (default: chosen by the device)."),
    click.option("--batch", "batches", multiple=True, callback=_numbers(int, 1), metavar="N,…",
                 help="Images per request (default: the model's batch size; end to end, as `classify` chooses it)."),
    click.option("--max-rate", "rates", multiple=True, callback=_numbers(float, 0), metavar="FPS,…",
                 help="Send images at this rate; latency counts from the arrival of an image. 0: as fast as possible "
                      "(default: 0)."),
    click.option("--mode", type=click.Choice(list(_MODES)), default="inference", show_default=True,
                 help="inference: the network alone; end-to-end: from image files to classes."),
)  # fmt: skip
_WORKLOAD = (
    click.option("--time", "time_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
                 help="Duration of each measurement (default: 10, unless --iterations is given)."),
    click.option("--iterations", type=click.IntRange(min=1), metavar="N",
                 help="Number of requests per measurement; end to end, number of images."),
    click.option("--warmup", type=click.FloatRange(min=0), default=0.5, show_default=True, metavar="SECONDS",
                 help="Duration of the warm-up before each measurement."),
    click.option("--input", "source", default=RANDOM, show_default=True, metavar="DIR|random",
                 help="Folder of images, or random for generated images."),
    click.option("--decode", type=click.Choice(DECODE_MODES), default="auto", show_default=True,
                 help="How image files are decoded, as in `classify`."),
    click.option("--per-layer", is_flag=True, help="Also report the time and the precision of each layer."),
)  # fmt: skip
_BASELINE = (
    click.option("--baseline", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
                 help="Compare with the JSON report of an earlier run."),
    click.option("--baseline-command", metavar="COMMAND",
                 help=f"Compare with a command that prints a JSON report; both run {PAIRS} times, in turn."),
    click.option("--max-regression", type=click.FloatRange(min=0, max=1), default=MAX_REGRESSION, show_default=True,
                 metavar="FRACTION",
                 help="Exit with code 3 if throughput is lower than the baseline's by more than this fraction."),
)  # fmt: skip
