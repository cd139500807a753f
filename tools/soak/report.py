"""The outcome of a soak: a table for people, JSON for programs, and how to repeat what was wrong."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from typing import Any

from soak.scenario_run import ScenarioRun

HEAD = ("scenario", "rounds", "images", "classified", "failures", "memory MB", "growth MB", "limit", "threads",
        "handles", "temp files", "")  # fmt: skip
PACKAGES = ("openvino", "numpy", "opencv-python", "pillow", "simplejpeg", "cykooz.resizer")


def as_json(runs: Sequence[ScenarioRun], *, seed: int, seconds: float, interrupted: bool) -> dict[str, Any]:
    """The JSON of a soak."""
    import openvino as ov

    import ov_mobilenet as ovm

    return {
        "schema_version": 1,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seed": seed,
        "seconds": round(seconds, 1),
        "interrupted": interrupted,
        "cpu": ov.Core().get_property("CPU", "FULL_DEVICE_NAME"),
        "versions": {
            "ov_mobilenet": ovm.__version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
        "scenarios": [_scenario(run) for run in runs],
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # for example opencv-python-headless in place of opencv-python
        return None


def _scenario(run: ScenarioRun) -> dict[str, Any]:
    held, violation = run.watch.rounds, run.violation
    first, last = (held[0], held[-1]) if held else (None, None)
    before, after = run.watch.memory_mb
    growth = run.watch.growth_mb
    return {
        "name": run.scenario.name,
        "rounds": run.rounds,
        "images": run.counts.images,
        "classified": run.counts.classified,
        "failures": run.counts.failed,
        "results": run.counts.classified + run.counts.failed,
        "memory_mb": None if growth is None else [round(before, 1), round(after, 1)],
        "peak_memory_mb": round(max((one.memory_mb for one in held), default=0.0), 1),
        "growth_mb": None if growth is None else round(growth, 1),
        "growth_limit_mb": run.watch.growth_limit_mb,
        "threads": [first.threads, last.threads] if first and last else None,
        "handles": [len(first.handles), len(last.handles)] if first and last else None,
        "temporary_files": len(last.files) if last else 0,
        "violation": None
        if violation is None
        else {
            "round": run.next_round, "what": violation.what, "expected": violation.expected, "got": violation.got,
        },
    }  # fmt: skip


def table(document: dict[str, Any]) -> str:
    """The scenarios of `as_json`, one line each."""
    rows = [HEAD, *(_row(scenario) for scenario in document["scenarios"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "  ".join(
            text.ljust(width) if column == 0 or column == len(HEAD) - 1 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items() if version)
    title = f"soak of {document['seconds']:.0f} s, seed {document['seed']}, {document['date']}"
    ended = ", interrupted" if document["interrupted"] else ""
    return "\n".join([title + ended, f"{document['cpu']}; {versions}", "", *lines])


def _row(scenario: dict[str, Any]) -> tuple[str, ...]:
    def from_to(values: list[float] | None, digits: int = 0) -> str:
        return "-" if values is None else " -> ".join(f"{value:.{digits}f}" for value in values)

    growth = scenario["growth_mb"]
    return (
        scenario["name"],
        *(str(scenario[key]) for key in ("rounds", "images", "classified", "failures")),
        from_to(scenario["memory_mb"]),
        "-" if growth is None else f"{growth:+.1f}",
        f"{scenario['growth_limit_mb']:g}",
        from_to(scenario["threads"]),
        from_to(scenario["handles"]),
        str(scenario["temporary_files"]),
        _outcome(scenario),
    )


def _outcome(scenario: dict[str, Any]) -> str:
    if scenario["violation"] is not None:
        return f"WRONG in round {scenario['violation']['round']}"
    return "ok" if scenario["rounds"] else "not run"


def explanation(run: ScenarioRun, seed: int) -> str:
    """What was wrong in a scenario, and how to run that round again."""
    assert run.violation is not None
    return (
        f"scenario {run.scenario.name}, seed {seed}, round {run.next_round}: {run.violation.what}\n"
        f"  expected: {run.violation.expected}\n"
        f"  got: {run.violation.got}\n"
        f"  repeat: make soak SEED={seed} SCENARIO={run.scenario.name}"
        f" (SOAK_ARGS='--first-round {run.next_round}' begins with this round)"
    )
