"""From a model and a wish to a deployment profile."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from time import perf_counter

import msgspec

from ov_mobilenet.benchmarking.inputs import RANDOM, inputs_of
from ov_mobilenet.benchmarking.measurement import Mode
from ov_mobilenet.devices.device_settings import InferencePrecision
from ov_mobilenet.errors import UsageError
from ov_mobilenet.ir.files import ir_digest
from ov_mobilenet.resolve import Lookup, open_model
from ov_mobilenet.runtime.profile import (
    SCHEMA_VERSION,
    Gain,
    Measured,
    Profile,
    ProfiledDevice,
    ProfiledModel,
    ProfiledSettings,
    current_versions,
    full_device_name,
)
from ov_mobilenet.tuning.ledger import Step, median_of, pareto_front
from ov_mobilenet.tuning.noise import CONFIDENCE, Ratio
from ov_mobilenet.tuning.rig import PRECISION_CHOICES, PrecisionChoice, Rig
from ov_mobilenet.tuning.search import AccuracyLimit, SearchResult, search
from ov_mobilenet.tuning.space import Goal, Objective, Precision, Setting, describe

TIME_LIMIT_S = 120.0

Top1 = Callable[[Path, InferencePrecision | None], float]  # None: the device does not say what it chooses


@dataclass(frozen=True)
class Tuned:
    """What tuning found.

    Attributes:
        profile: to save and to load classifiers with; None where nothing keeps the budget, or is accurate enough.
        xml: the IR that the profile is for: an INT8 one beside that which was given, if it won.
        device: that was tuned.
        measurements: medians of all settings, highest throughput first.
        noise: by how much throughput varied before the search, as a fraction.
        sentences: what should be known of it, one thing each.
    """

    profile: Profile | None
    xml: Path
    device: str
    measurements: tuple[Measured, ...]
    noise: float
    sentences: tuple[str, ...]

    def save(self, path: Path | str) -> None:
        """Write the profile; one that is there is replaced.

        Raises:
            UsageError: there is none.
            OSError: it cannot be written.
        """
        if self.profile is None:
            raise UsageError("there is no profile to save", expected="a setting that keeps budget and accuracy")
        save_profile(self.profile, Path(path))


def tune(
    model: str | Path,
    *,
    device: str = "AUTO",
    objective: Objective = "throughput",
    latency_budget_ms: float | None = None,
    precision: PrecisionChoice = "own",
    mode: Mode = "inference",
    images: Path | str = RANDOM,
    max_accuracy_drop: float | None = None,
    accuracy: Top1 | None = None,
    time_limit_s: float = TIME_LIMIT_S,
    config_dirs: Iterable[Path] = (),
    cache_dir: Path | None = None,
    offline: bool = False,
    on_step: Callable[[Step], None] = lambda step: None,
) -> Tuned:
    """Search for the settings that suit a model and a device best: precision, batch, streams, requests, threads.

    Args:
        model: a zoo name, the path of a `model.yml`, or the path of an IR `.xml`.
        device: as OpenVINO names it; with AUTO the device that it takes here is tuned.
        objective: `throughput`; `latency`: the least 95th percentile with one request; `efficiency`: most images for
            a joule where that can be read, else for a second of processor time.
        latency_budget_ms: the 95th percentile stays within it, also in later runs; None for any.
        precision: `own`: the device's own choice; `any`: each that it has, and INT8 where such an IR lies in
            `FP16-INT8` beside this one; or one of them alone.
        mode: `inference`: the network alone; `end-to-end`: from image files to classes, as `Classifier.stream`.
        images: a folder, or `random` for made up ones.
        max_accuracy_drop: fraction of top-1 that a precision may lose against this IR at f32, or at the device's own
            choice where it has no f32; needs `accuracy`.
        accuracy: top-1 as a fraction, of an IR at an inference precision.
        time_limit_s: seconds for all of it, once the IR is there.
        on_step: told of each measurement, between them.

    Raises:
        UsageError: a value is out of range, or excludes another; no INT8 IR.
        OvMobilenetError: as `load_classifier`.
    """
    _check(objective, latency_budget_ms, precision, mode, max_accuracy_drop, accuracy, time_limit_s)
    xml = open_model(model, Lookup(tuple(config_dirs), cache_dir, offline)).xml
    begun = perf_counter()
    rig = Rig(xml, device, objective=objective, mode=mode, images=inputs_of(images))
    space = rig.space(precision)
    goal = Goal(objective, latency_budget_ms)
    limit = None
    if accuracy is not None and max_accuracy_drop is not None:
        limit = AccuracyLimit(_judged(accuracy, rig), rig.reference(), max_accuracy_drop)
    outcome = search(
        rig.measure, space, goal, time_limit_s=time_limit_s - (perf_counter() - begun), clock=perf_counter,
        accuracy=limit, on_step=on_step,
    )  # fmt: skip
    rows = _rows(outcome)
    chosen = outcome.verdict.chosen
    used = xml if chosen is None else chosen.precision.xml
    profile = None
    if chosen is not None:
        kept = {one.setting for one in outcome.verdict.finalists}
        profile = _profile(rig, goal, mode, chosen, outcome, [row for one, row in rows if one in kept or row.on_front])
    told = tuple(_sentences(outcome, goal, given=xml))
    return Tuned(profile, used, rig.device, tuple(row for _, row in rows), outcome.noise, told)


def save_profile(profile: Profile, path: Path) -> None:
    """Write a profile; one that is there is replaced, as a whole or not at all. Raises: OutputError."""
    import yaml

    from ov_mobilenet.outputs.output_files import write_atomically

    text = yaml.safe_dump(msgspec.to_builtins(profile), sort_keys=False, allow_unicode=True, width=100)
    write_atomically(path, text)


def _check(
    objective: str, budget_ms: float | None, precision: str, mode: str, drop: float | None, accuracy: Top1 | None,
    time_limit_s: float,
) -> None:  # fmt: skip
    for what, value, known in (
        ("objective", objective, ("throughput", "latency", "efficiency")),
        ("precision", precision, PRECISION_CHOICES),
        ("mode", mode, ("inference", "end-to-end")),
    ):
        if value not in known:
            raise UsageError(f"unknown {what}", expected=", ".join(known), got=repr(value))
    for what, number in (("latency budget", budget_ms), ("time limit", time_limit_s)):
        if number is not None and not (math.isfinite(number) and number > 0):
            raise UsageError(f"bad {what}", expected="above 0", got=number)
    if drop is not None and not 0 <= drop < 1:
        raise UsageError("bad accuracy drop", expected="a fraction in [0, 1)", got=drop)
    if (drop is None) != (accuracy is None):
        raise UsageError("an accuracy drop goes with a way to measure accuracy", expected="both, or none")


def _judged(accuracy: Top1, rig: Rig) -> Callable[[Precision], float]:
    return lambda precision: accuracy(precision.xml, precision.inference or rig.own_precision)


def _rows(outcome: SearchResult) -> list[tuple[Setting, Measured]]:
    finals = {one.setting: list(one.samples) for one in outcome.verdict.finalists if one.samples}
    medians = {**outcome.samples, **{setting: median_of(samples) for setting, samples in finals.items()}}
    front = set(pareto_front(medians))
    found = [
        (
            setting,
            Measured(
                precision=setting.precision.name,
                batch=setting.batch,
                streams=sample.streams,
                requests=sample.requests,
                threads=setting.threads,
                throughput_fps=sample.throughput_fps,
                p95_ms=sample.p95_ms,
                images_per_cpu_s=sample.images_per_cpu_s,
                images_per_j=sample.images_per_j,
                top1=outcome.top1.get(setting.precision),
                on_front=setting in front,
                chosen=setting == outcome.verdict.chosen,
            ),
        )
        for setting, sample in medians.items()
    ]
    return sorted(found, key=lambda pair: -pair[1].throughput_fps)


def _profile(
    rig: Rig, goal: Goal, mode: Mode, chosen: Setting, outcome: SearchResult, measured: list[Measured]
) -> Profile:  # fmt: skip
    settings = rig.settings(chosen)
    return Profile(
        schema_version=SCHEMA_VERSION,
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        model=ProfiledModel(
            name=chosen.precision.xml.stem, xml=str(chosen.precision.xml), digest=ir_digest(chosen.precision.xml)
        ),
        device=ProfiledDevice(name=rig.device, full_name=full_device_name(rig.device)),
        versions=current_versions(),
        settings=ProfiledSettings(
            batch_size=chosen.batch,
            hint=settings.hint,
            inference_precision=settings.inference_precision,
            streams=settings.streams,
            threads=settings.threads,
            nireq=settings.nireq,
        ),
        objective=goal.objective,
        mode=mode,
        latency_budget_ms=goal.budget_ms,
        noise=outcome.noise,
        gain=None if outcome.verdict.gain is None else _gain(outcome.verdict.gain),
        measurements=tuple(measured),
    )


def _gain(ratio: Ratio) -> Gain:
    known = math.isfinite(ratio.high)
    return Gain(
        ratio=ratio.ratio, low=ratio.low if known else None, high=ratio.high if known else None, pairs=ratio.pairs
    )  # fmt: skip


def _sentences(outcome: SearchResult, goal: Goal, *, given: Path) -> Iterator[str]:
    verdict = outcome.verdict
    if outcome.busy:
        yield f"the machine is busy: throughput varied by {outcome.noise:.0%} from one measurement to the next"
    for precision, reason in outcome.refused.items():
        yield f"{precision.name} is left out: {reason}"
    if outcome.failures:
        first, reason = next(iter(outcome.failures.items()))
        more = f", and {len(outcome.failures) - 1} more" if len(outcome.failures) > 1 else ""
        yield f"could not be run: {describe(first)}{more} ({reason})"
    if verdict.chosen is None or verdict.best is None:
        yield _nothing(outcome, goal)
        return
    for one in verdict.finalists:
        if one.setting in verdict.equals and one.best_by is not None:
            yield (
                f"cannot be told apart: {describe(verdict.best)} against {describe(one.setting)}: {_text(one.best_by)}"
            )
    if verdict.equals:
        yield f"the simplest of these is taken: {describe(verdict.chosen)}"
    if verdict.gain is not None:
        yield f"against the defaults, in {goal.objective}: {_text(verdict.gain)}"
    elif verdict.chosen is not None and outcome.rounds == 0:
        yield "there was no time to measure the best again; give it more"
    if verdict.chosen.precision.xml != given:
        yield f"the profile is for {verdict.chosen.precision.xml}"


def _nothing(outcome: SearchResult, goal: Goal) -> str:
    accurate = {one: sample for one, sample in outcome.samples.items() if one.precision not in outcome.refused}
    if goal.budget_ms is None or not accurate:
        return "nothing that there was time to measure is accurate enough"
    nearest = min(accurate, key=lambda setting: accurate[setting].p95_ms)
    shortest = f"the shortest p95 was {accurate[nearest].p95_ms:.2f} ms, with {describe(nearest)}"
    return f"nothing is sure to stay within {goal.budget_ms:g} ms; {shortest}"


def _text(ratio: Ratio) -> str:
    if not math.isfinite(ratio.high):
        return f"{ratio.ratio:.2f}x, too few measurements for an interval"
    return f"{ratio.ratio:.2f}x ({ratio.low:.2f} to {ratio.high:.2f} at {CONFIDENCE:.0%}, {ratio.pairs} pairs)"
