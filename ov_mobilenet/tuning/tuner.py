"""`tune`: the best settings for a model on a device, as a deployment profile."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ov_mobilenet.accuracy.dataset import SubsetOptions
from ov_mobilenet.argument_types import checked
from ov_mobilenet.benchmarking.inputs import RANDOM, inputs_of
from ov_mobilenet.benchmarking.measurement import Mode
from ov_mobilenet.errors import UsageError
from ov_mobilenet.resolve import Lookup, LookupOptions, check_option_names, lookup_options, open_model
from ov_mobilenet.runtime.profile import Measured, Profile
from ov_mobilenet.tuning.accuracy_limit import AccuracyLimit
from ov_mobilenet.tuning.measurement_log import Step
from ov_mobilenet.tuning.notes import notes_on
from ov_mobilenet.tuning.profile_writing import make_profile, measured_rows, save_profile
from ov_mobilenet.tuning.search import search
from ov_mobilenet.tuning.space import Goal, Objective, PrecisionOption
from ov_mobilenet.tuning.target import PRECISION_CHOICES, PrecisionChoice, TuningTarget

if TYPE_CHECKING:
    from typing_extensions import Unpack

TIME_LIMIT_S = 120.0
# Number of images that accuracy is measured on, for each precision, if neither limit nor sample is given.
DATASET_SAMPLE = 200


class TuneOptions(LookupOptions, SubsetOptions, total=False):
    """Further keyword arguments of `tune`: those below, the subset of the dataset, and the fields of `Lookup`.

    Attributes:
        annotations: labels of the dataset, as for `measure_accuracy`.
        max_accuracy_drop: the name that `max_drop` had in 0.1.
    """

    annotations: str | Path | None
    max_accuracy_drop: float | None


@dataclass(frozen=True)
class Tuned:
    """The result of `tune`.

    Attributes:
        profile: the profile, to be saved or given to `load_classifier`; None if no candidate is within
            the latency budget and accurate enough.
        xml: the IR that the profile is for: the given one, or the INT8 IR next to it.
        device: the device that was tuned.
        measurements: the median of every candidate, highest throughput first.
        noise: relative standard deviation of throughput between repeated measurements, before the search.
        notes: notes for the user on the result, one sentence each.
    """

    profile: Profile | None
    xml: Path
    device: str
    measurements: tuple[Measured, ...]
    noise: float
    notes: tuple[str, ...]

    def save(self, path: Path | str) -> None:
        """Write the profile; an existing file is replaced atomically.

        Raises:
            UsageError: there is no profile.
            OutputError: the file cannot be written.
        """
        if self.profile is None:
            raise UsageError("no profile to save", expected="a candidate within the latency budget and accuracy limit")
        save_profile(self.profile, Path(path))


@checked
def tune(
    model: str | Path,
    *,
    device: str = "AUTO",
    objective: Objective = "throughput",
    latency_budget_ms: float | None = None,
    precision: PrecisionChoice = "own",
    mode: Mode = "inference",
    input: Path | str = RANDOM,
    max_drop: float | None = None,
    dataset: str | Path | None = None,
    time_limit_s: float = TIME_LIMIT_S,
    on_step: Callable[[Step], None] = lambda step: None,
    **options: Unpack[TuneOptions],
) -> Tuned:
    """Find the best precision, batch size, streams, infer requests and threads for a model on a device.

    Args:
        model: a zoo name, the path of a `model.yml` or of an IR `.xml`, or `hf:OWNER/NAME`.
        device: name of the device in OpenVINO; with AUTO, the device that AUTO selects is tuned.
        objective: `throughput`; `latency`: the lowest 95th percentile with one infer request; `efficiency`: images per
            joule if the machine reports energy, otherwise images per second of CPU time.
        latency_budget_ms: upper limit of the 95th percentile, with headroom for later runs; None for no limit.
        precision: `own`: the device's default; `any`: every precision of the device, and the INT8 IR in the folder
            `FP16-INT8` next to this one if there is one; otherwise this precision alone.
        mode: `inference`: the network alone; `end-to-end`: from image files to classes, as in
            `Classifier.stream`.
        input: a folder of images, or `random` for generated ones.
        max_drop: how much top-1 accuracy a precision may lose, as a fraction, compared with this IR at f32 (at the
            device's default if it has no f32); requires `dataset`.
        dataset: labelled images to measure accuracy on, as for `measure_accuracy`.
        time_limit_s: seconds for everything after the IR is available.
        on_step: called after each measurement.
        options: `annotations`; `limit` (use the first N images of the dataset), `sample` (use N random ones, 200 by
            default) and `seed`; fields of `Lookup` (`config_dirs`, `cache_dir`, `offline`, `ir_dir`).

    Raises:
        UsageError: a value is out of range, arguments exclude each other, an option is unknown, or there is no INT8 IR.
        DatasetError: the dataset cannot be read.
        OvMobilenetError: as `load_classifier`.
    """
    max_drop = _max_drop(max_drop, options)
    _check(objective, precision, mode, latency_budget_ms, time_limit_s)
    _check_accuracy(max_drop, dataset, options)
    xml = open_model(model, Lookup.of(lookup_options(options))).xml
    started = perf_counter()
    target = TuningTarget(xml, device, objective=objective, mode=mode, inputs=inputs_of(input))
    goal = Goal(objective, latency_budget_ms)
    space = target.search_space(precision)
    accuracy = None
    if dataset is not None and max_drop is not None:
        measure = _top1_on(dataset, target, options)
        accuracy = AccuracyLimit(measure, target.reference(), max_drop)
    result = search(
        target.measure, space, goal, time_limit_s=time_limit_s - (perf_counter() - started), clock=perf_counter,
        accuracy=accuracy, on_step=on_step,
    )  # fmt: skip
    rows = measured_rows(result)
    chosen = result.decision.chosen
    return Tuned(
        profile=make_profile(target, goal, mode, result, rows),
        xml=xml if chosen is None else chosen.precision.xml,
        device=target.device,
        measurements=tuple(rows.values()),
        noise=result.noise,
        notes=tuple(notes_on(result, goal, given=xml)),
    )


def _top1_on(dataset: str | Path, target: TuningTarget, options: TuneOptions) -> Callable[[PrecisionOption], float]:
    """A function that measures the top-1 accuracy of a precision, on the device that is tuned."""
    from ov_mobilenet.accuracy.measure import measure_accuracy

    limit, sample = options.get("limit"), options.get("sample")
    if limit is None and sample is None:
        sample = DATASET_SAMPLE

    def top1(option: PrecisionOption) -> float:
        inference = option.inference or target.default_precision
        settings: dict[str, Any] = {} if inference is None else {"inference_precision": inference}
        return measure_accuracy(
            option.xml, dataset, annotations=options.get("annotations"), device=target.device,
            limit=limit, sample=sample, seed=options.get("seed", 0), **settings,
        ).top1  # fmt: skip

    return top1


def _max_drop(max_drop: float | None, options: TuneOptions) -> float | None:
    """`max_drop`, or `max_accuracy_drop`, its name in 0.1."""
    old = options.get("max_accuracy_drop")
    if max_drop is not None and old is not None:
        raise UsageError("max_drop is given twice", expected="max_drop", got="max_drop and max_accuracy_drop")
    return old if max_drop is None else max_drop


def _check(objective: str, precision: str, mode: str, budget_ms: float | None, time_limit_s: float) -> None:
    for name, value, known in (
        ("objective", objective, ("throughput", "latency", "efficiency")),
        ("precision", precision, PRECISION_CHOICES),
        ("mode", mode, ("inference", "end-to-end")),
    ):
        if value not in known:
            raise UsageError(f"unknown {name}", expected=", ".join(known), got=repr(value))
    for name, number in (("latency budget", budget_ms), ("time limit", time_limit_s)):
        if number is not None and not (math.isfinite(number) and number > 0):
            raise UsageError(f"invalid {name}", expected="a number above 0", got=number)


def _check_accuracy(max_drop: float | None, dataset: str | Path | None, options: TuneOptions) -> None:
    check_option_names(options, TuneOptions)
    if max_drop is not None and not 0 <= max_drop < 1:
        raise UsageError("invalid accuracy drop", expected="a fraction in [0, 1)", got=max_drop)
    if (max_drop is None) != (dataset is None):
        raise UsageError(
            "an accuracy limit needs both max_drop and dataset", expected="both, or neither",
            got="only max_drop" if dataset is None else "only dataset",
        )  # fmt: skip
    if dataset is None and (
        given := [name for name in ("annotations", "limit", "sample") if options.get(name) is not None]
    ):
        raise UsageError(f"{' and '.join(given)} without a dataset", expected="dataset")
