"""Make a deployment profile of a search result, and write it to a file, which `runtime.profile` reads."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import msgspec

from ov_mobilenet.benchmarking.measurement import Mode
from ov_mobilenet.ir.files import ir_digest, open_ir
from ov_mobilenet.ir.identity import network_identity
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
from ov_mobilenet.tuning.finalists import Decision
from ov_mobilenet.tuning.measurement_log import median_of, pareto_front
from ov_mobilenet.tuning.search import SearchResult
from ov_mobilenet.tuning.space import Goal, TuningCandidate
from ov_mobilenet.tuning.target import TuningTarget


def save_profile(profile: Profile, path: Path) -> None:
    """Write a profile; an existing file is replaced atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    import yaml

    from ov_mobilenet.outputs.output_files import write_atomically

    text = yaml.safe_dump(msgspec.to_builtins(profile), sort_keys=False, allow_unicode=True, width=100)
    write_atomically(path, text)


def measured_rows(result: SearchResult) -> dict[TuningCandidate, Measured]:
    """The medians of all candidates, highest throughput first; finalists by their samples of the last stage."""
    finals = {one.candidate: list(one.samples) for one in result.decision.finalists if one.samples}
    medians = {**result.samples, **{candidate: median_of(samples) for candidate, samples in finals.items()}}
    front = set(pareto_front(medians))
    return {
        candidate: Measured(
            precision=candidate.precision.name,
            batch=candidate.batch,
            streams=sample.streams,
            requests=sample.requests,
            threads=candidate.threads,
            throughput_fps=sample.throughput_fps,
            p95_ms=sample.p95_ms,
            images_per_cpu_s=sample.images_per_cpu_s,
            images_per_j=sample.images_per_j,
            top1=result.top1.get(candidate.precision),
            on_front=candidate in front,
            chosen=candidate == result.decision.chosen,
        )
        for candidate, sample in sorted(medians.items(), key=lambda pair: -pair[1].throughput_fps)
    }


def make_profile(
    target: TuningTarget, goal: Goal, mode: Mode, result: SearchResult, rows: dict[TuningCandidate, Measured]
) -> Profile | None:  # fmt: skip
    """The profile of the chosen candidate, with the finalists and the Pareto front; None if nothing was chosen."""
    decision = result.decision
    if decision.chosen is None:
        return None
    settings = target.settings(decision.chosen)
    xml = decision.chosen.precision.xml
    finalists = {one.candidate for one in decision.finalists}
    return Profile(
        schema_version=SCHEMA_VERSION,
        created=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        model=ProfiledModel(
            name=xml.stem, xml=str(xml), digest=ir_digest(xml), identity=network_identity(open_ir(xml))
        ),
        device=ProfiledDevice(name=target.device, full_name=full_device_name(target.device)),
        versions=current_versions(),
        settings=ProfiledSettings(
            batch_size=decision.chosen.batch,
            hint=settings.hint,
            inference_precision=settings.inference_precision,
            streams=settings.streams,
            threads=settings.threads,
            nireq=settings.nireq,
        ),
        objective=goal.objective,
        mode=mode,
        latency_budget_ms=goal.latency_budget_ms,
        noise=result.noise,
        gain=_gain(decision),
        measurements=tuple(row for candidate, row in rows.items() if candidate in finalists or row.on_front),
    )


def _gain(decision: Decision) -> Gain | None:
    if decision.chosen is None or decision.gain is None:
        return None
    pairs = decision.common_rounds(decision.chosen, decision.default)
    return Gain(ratio=decision.gain.ratio, low=decision.gain.low, high=decision.gain.high, pairs=pairs)
