"""A sweep: all combinations of models and settings, one after another; an error is part of the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, product
from pathlib import Path

from ov_mobilenet.benchmarking.bench import Bench
from ov_mobilenet.benchmarking.measurement import Measurement, Mode
from ov_mobilenet.benchmarking.options import Workload
from ov_mobilenet.benchmarking.report import FailedMeasurement
from ov_mobilenet.devices.settings import DeviceSettings, Hint, InferencePrecision
from ov_mobilenet.errors import OvMobilenetError, UsageError
from ov_mobilenet.resolve import Lookup, open_model
from ov_mobilenet.runtime.runnable import Runnable, make_runnable


@dataclass(frozen=True)
class Sweep:
    """The values to combine; None leaves the choice to the device or the model.

    Attributes:
        max_rates: images per second that arrive; 0 for the closed loop.
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
    """One combination: a measurement and the bench to repeat it on, or a failure without a bench."""

    measured: Measurement | FailedMeasurement
    bench: Bench | None


def measurements(
    sweep: Sweep,
    settings: DeviceSettings,
    workload: Workload,
    *,
    lookup: Lookup = Lookup(),  # noqa: B008 (frozen)
    exec_graphs: Path | None = None,
    on_start: Callable[[str], None] = lambda description: None,
) -> Iterator[SweepResult]:
    """Measure all combinations.

    Args:
        settings, workload: what all combinations share.
        exec_graphs: a folder for the execution graphs.
        on_start: called before each measurement, with its description.

    Raises:
        UsageError: there is only one combination, or only one model, and it cannot be used.
    """
    combinations = list(product(
        sweep.devices, sweep.hints, sweep.inference_precisions, sweep.batches, sweep.modes, sweep.max_rates
    ))  # fmt: skip
    graph_numbers = count()  # over all models: their names may be the same
    for model in sweep.models:
        network: Runnable | OvMobilenetError
        try:
            network = make_runnable(open_model(model, lookup))
        except OvMobilenetError as error:
            if isinstance(error, UsageError) and len(sweep.models) == 1:
                raise
            network = error
        name = network.xml.stem if not isinstance(network, OvMobilenetError) else model
        for device, hint, precision, batch, mode, rate in combinations:
            chosen = replace(settings, device=device, hint=hint, inference_precision=precision)
            graph = exec_graphs / f"{name}-{next(graph_numbers)}.xml" if exec_graphs is not None else None
            what = replace(workload, mode=mode, batch=batch, max_rate=rate or None, exec_graph=graph)
            on_start(f"{name} on {device}, {mode}")
            try:
                if isinstance(network, OvMobilenetError):
                    raise network
                bench = Bench(network, chosen, what)
                yield SweepResult(bench.measure(), bench)
            except OvMobilenetError as error:
                if isinstance(error, UsageError) and len(sweep.models) * len(combinations) == 1:
                    raise
                yield SweepResult(FailedMeasurement(model, device, mode, str(error)), None)
