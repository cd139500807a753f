"""A benchmark report: all measurements of one call, the machine they ran on, and the JSON form.

The JSON is one object. The headline keys of the first measurement (`throughput_fps`, `latency_ms`, `count`, `device`,
`inference_precision`, `num_streams`, `infer_requests`, `batch`, `mode`) are repeated at the top level, for programs
that read only one measurement:

    {"schema_version": 1, …headline…, "created": "2026-01-31T12:00:00Z", "command": str, "machine": MachineFacts,
     "measurements": [Measurement], "comparisons": [BaselineComparison], "failures": [FailedMeasurement]}

The keys are the fields of these classes; the module `measurement` states the rules for all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from ov_mobilenet.benchmarking.measurement import Measurement, Mode
from ov_mobilenet.errors import UsageError

SCHEMA_VERSION = 1


class Load(Struct, frozen=True):
    """Load of the machine before the first measurement.

    Attributes:
        average: load average over the last minute: processes that ran or waited to run.
        cpu_busy: busy fraction of all cores over a tenth of a second.
        busy: whether the load is high enough to distort the figures.
    """

    average: float | None
    cpu_busy: float | None
    busy: bool


class MachineFacts(Struct, frozen=True):
    """The machine that the measurements ran on.

    Attributes:
        cpu_flags: instruction sets that speed up MobileNets, and whether the CPU has them.
        cores: CPU cores that this process may use.
        governor: frequency governor of the CPU; several are joined by a comma.
        versions: versions of ov_mobilenet, openvino, numpy, opencv, python.
    """

    cpu: str
    cpu_flags: dict[str, bool] | None
    cores: int
    system: str
    governor: str | None
    load: Load
    versions: dict[str, str]


class BaselineComparison(Struct, frozen=True):
    """Throughput of one measurement compared with a baseline.

    Attributes:
        measurement: index of the present measurement in `measurements`, from 0.
        way: interleaved: both were measured in turn; recorded: compared with the figures of the report; command:
            measured in turn with another command.
        baseline: the report's file or the command.
        pairs: number of pairs of runs; 1 for `recorded`.
        baseline_fps, present_fps: medians.
        ratio: present throughput divided by the baseline's, estimated as described in `baseline`; below 1 is slower.
        low, high: confidence interval of the ratio; None if there are too few figures.
        confidence: level of the interval, in (0, 1).
        max_regression: the allowed loss of throughput; 0.05 for 5 %.
        regressed: whether it is slower than `max_regression` allows, by the rule in `baseline`.
    """

    measurement: int
    way: Literal["interleaved", "recorded", "command"]
    baseline: str
    pairs: int
    baseline_fps: float
    present_fps: float
    ratio: float
    low: float | None
    high: float | None
    confidence: float
    max_regression: float
    regressed: bool


class FailedMeasurement(Struct, frozen=True):
    """A combination that could not be measured, and the error."""

    model: str
    device: str
    mode: Mode | None
    error: str


class Report(Struct, frozen=True, kw_only=True):
    """Everything that one call measured.

    Attributes:
        created: UTC, to the second.
        command: the command line; empty for a call from Python.
    """

    created: str
    command: str
    machine: MachineFacts
    measurements: tuple[Measurement, ...]
    comparisons: tuple[BaselineComparison, ...] = ()
    failures: tuple[FailedMeasurement, ...] = ()
    schema_version: int = SCHEMA_VERSION


_HEADLINE = (
    "throughput_fps", "latency_ms", "count", "device", "inference_precision", "num_streams", "infer_requests", "batch",
    "mode",
)  # fmt: skip


def as_json(report: Report) -> dict[str, Any]:
    """The report as a JSON object."""
    document: dict[str, Any] = msgspec.to_builtins(report)
    first = document["measurements"][0] if document["measurements"] else {}
    headline = {key: first[key] for key in _HEADLINE if first}
    return {"schema_version": document.pop("schema_version"), **headline, **document}


def parse_report(data: bytes, where: Path | str) -> Report:
    """A report from its JSON; unknown keys are ignored.

    Args:
        where: the source of the data, for error messages.

    Raises:
        UsageError: the data are not a report, or have another schema version.
    """
    try:
        report = msgspec.json.decode(data, type=Report)
    except msgspec.DecodeError as error:
        raise UsageError(
            "not a benchmark report", where=where, expected="JSON as `benchmark --format json` writes it", got=error
        ) from error
    if report.schema_version != SCHEMA_VERSION:
        raise UsageError(
            "unsupported schema version of a benchmark report", where=where, expected=SCHEMA_VERSION,
            got=report.schema_version,
        )  # fmt: skip
    return report


def read_report(path: Path) -> Report:
    """A report from a JSON file.

    Raises:
        UsageError: the file cannot be read, or is not a report of this schema version.
    """
    try:
        return parse_report(path.read_bytes(), path)
    except OSError as error:
        raise UsageError("cannot read the benchmark report", where=path, got=error.strerror) from error
