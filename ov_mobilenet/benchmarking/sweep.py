"""Many measurements, one after another, each with its error as a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from ov_mobilenet.benchmarking.benchmark import Bench, Workload
from ov_mobilenet.benchmarking.measurement import Failed, Measurement, Mode
from ov_mobilenet.devices.settings import DeviceSettings, Hint, InferencePrecision
from ov_mobilenet.errors import OvMobilenetError, UsageError
from ov_mobilenet.resolve import Lookup, open_model
from ov_mobilenet.runtime.runnable import Runnable, make_runnable


@dataclass(frozen=True)
class Sweep:
    """All combinations of these; a None leaves the choice to the device or the model.

    Attributes:
        hints: as `DeviceSettings.hint`.
        max_rates: 0 for the closed loop.
    """

    models: Sequence[str]
    devices: Sequence[str] = ("AUTO",)
    hints: Sequence[Hint | None] = (None,)
    inference_precisions: Sequence[InferencePrecision | None] = (None,)
    batches: Sequence[int | None] = (None,)
    max_rates: Sequence[float] = (0.0,)
    modes: Sequence[Mode] = ("inference",)


@dataclass(frozen=True)
class SweepResult:
    """One combination: what was found, and the bench to compare it on; or why there is nothing."""

    found: Measurement | Failed
    bench: Bench | None


def measurements(
    sweep: Sweep,
    settings: DeviceSettings,
    how: Workload,
    *,
    lookup: Lookup = Lookup(),  # noqa: B008 (frozen)
    exec_graphs: Path | None = None,
    about_to: Callable[[str], None] = lambda what: None,
) -> Iterator[SweepResult]:
    """Measure all combinations; a bench lives until the next one is asked for.

    Args:
        settings, how: what is the same for all.
        exec_graphs: a folder for the graphs that really run.
        about_to: told what comes next, before it begins.

    Raises:
        UsageError: a setting that no combination can have.
    """
    kinds = list(product(sweep.devices, sweep.hints, sweep.inference_precisions, sweep.batches, sweep.modes,
                         sweep.max_rates))  # fmt: skip
    for model in sweep.models:
        network: Runnable | OvMobilenetError
        try:
            network = make_runnable(open_model(model, lookup))
        except OvMobilenetError as error:
            if isinstance(error, UsageError) and len(sweep.models) == 1:
                raise
            network = error
        for number, (device, hint, precision, batch, mode, rate) in enumerate(kinds):
            own = replace(settings, device=device, hint=hint, inference_precision=precision)
            graph = exec_graphs / f"{Path(model).stem}-{number}.xml" if exec_graphs is not None else None
            work = replace(how, mode=mode, batch=batch, max_rate=rate or None, exec_graph=graph)
            about_to(f"{Path(model).stem} on {device}, {mode}")
            try:
                if isinstance(network, OvMobilenetError):
                    raise network
                bench = Bench(network, own, work)
                yield SweepResult(bench.measure(), bench)
            except OvMobilenetError as error:
                if isinstance(error, UsageError) and len(sweep.models) * len(kinds) == 1:
                    raise
                yield SweepResult(Failed(model, device, mode, str(error)), None)
