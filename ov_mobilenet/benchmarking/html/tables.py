"""The headline figures of the HTML report, and the tables whose columns depend on the measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ov_mobilenet.benchmarking.html.labels import Entries, Entry
from ov_mobilenet.benchmarking.report import MachineFacts, Report
from ov_mobilenet.html.formatting import NONE, count, figure, percent


@dataclass(frozen=True)
class Tile:
    """A headline figure; a warning is shown in the colour of errors."""

    value: str
    unit: str
    detail: str
    warning: bool = False


@dataclass(frozen=True)
class Column:
    """A column with the text of its cells."""

    head: str
    cells: tuple[str, ...]
    numeric: bool = False


def tiles(report: Report, labelled: Entries) -> list[Tile]:
    """The most important figures: of the only measurement, or the best of several; regressions and failures."""
    found = []
    if len(labelled.entries) == 1:
        only = labelled.entries[0].measurement
        found += [
            Tile(figure(only.throughput_fps), "FPS", f"{only.count:,} images in {figure(only.duration_s)} s"),
            Tile(figure(only.latency_ms.p50), "ms p50", "median latency"),
            Tile(figure(only.latency_ms.p99), "ms p99", f"at most {figure(only.latency_ms.max)} ms"),
        ]
    elif labelled.entries:
        networks = len({entry.measurement.network.digest for entry in labelled.entries})
        fastest = max(labelled.entries, key=lambda entry: entry.measurement.throughput_fps)
        found += [
            Tile(str(len(labelled.entries)), "measurements", f"of {count(networks, 'network')}"),
            Tile(figure(fastest.measurement.throughput_fps), "FPS", f"highest: no. {fastest.key}"),
        ]
        loops = [(entry, entry.measurement.open_loop) for entry in labelled.entries]
        stable = [entry for entry, loop in loops if loop is None or not loop.saturated]
        if stable:
            best = min(stable, key=lambda entry: entry.measurement.latency_ms.p50)
            found.append(Tile(figure(best.measurement.latency_ms.p50), "ms p50", f"lowest: no. {best.key}"))
    if report.comparisons:
        slower = sum(comparison.regressed for comparison in report.comparisons)
        compared = count(len(report.comparisons), "comparison")
        found.append(Tile(str(slower), "slower than allowed", f"of {compared}", slower > 0))
    if report.failures:
        found.append(Tile(str(len(report.failures)), "failed", "could not be measured", True))
    return found


def measurement_columns(labelled: Entries) -> list[Column]:
    """The table of all measurements: differing settings and figures, without columns that are empty in every row."""
    measured = [entry.measurement for entry in labelled.entries]
    settings = [
        Column(name, tuple(entry.settings[name] for entry in labelled.entries)) for name in labelled.differing
    ]  # fmt: skip
    texts = {
        "FPS": [figure(m.throughput_fps) for m in measured],
        "p50 ms": [figure(m.latency_ms.p50) for m in measured],
        "p90 ms": [figure(m.latency_ms.p90) for m in measured],
        "p95 ms": [figure(m.latency_ms.p95) for m in measured],
        "p99 ms": [figure(m.latency_ms.p99) for m in measured],
        "p99.9 ms": [figure(m.latency_ms.p99_9) for m in measured],
        "max ms": [figure(m.latency_ms.max) for m in measured],
        "FPS spread": [percent(m.spread.variation) for m in measured],
        "images": [f"{m.count:,}" for m in measured],
        "CPU cores used": [figure(m.resources.cpu_cores) for m in measured],
        "peak memory MB": [figure(m.resources.peak_memory_mb) for m in measured],
        "J per image": [figure(m.resources.energy_per_image_j) for m in measured],
    }
    if any(m.failed for m in measured):
        texts["unreadable"] = [f"{m.failed:,}" for m in measured]
    figures = [Column(head, tuple(cells), numeric=True) for head, cells in texts.items()]
    return [column for column in (*settings, *figures) if any(cell != NONE for cell in column.cells)]


def networks(labelled: Entries) -> list[dict[str, str]]:
    """Every network and the device it ran on, once."""
    rows: list[dict[str, str]] = []
    for measurement in (entry.measurement for entry in labelled.entries):
        network = measurement.network
        device = (measurement.device, measurement.device_name, measurement.device_version)
        row = {
            "network": network.name,
            "weights": network.precision or NONE,
            "input": " × ".join("any" if size < 0 else str(size) for size in network.input_shape),
            "file": network.xml,
            "SHA-256": network.digest[:16],
            "device": " ".join(filter(None, device)),
        }
        if row not in rows:
            rows.append(row)
    return rows


def machine_facts(machine: MachineFacts) -> dict[str, str]:
    """Hardware, system and versions by name."""
    flags = "unknown"
    if machine.cpu_flags is not None:
        missing = [name for name, present in machine.cpu_flags.items() if not present]
        flags = ", ".join(name for name, present in machine.cpu_flags.items() if present) or NONE
        flags += f" (missing: {', '.join(missing)})" if missing else ""
    return {
        "CPU": machine.cpu,
        "cores": str(machine.cores),
        "CPU flags": flags,
        "system": machine.system,
        "frequency governor": machine.governor or "unknown",
        "load before": f"{figure(machine.load.average)} on average, CPU {percent(machine.load.cpu_busy)} busy",
        "versions": ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
    }


@dataclass(frozen=True)
class BarRow:
    """A measurement's row of texts, and of shares in [0, 1] of the widest bar."""

    entry: Entry
    cells: tuple[str, ...]
    shares: tuple[float, ...]


def stage_names(labelled: Entries) -> list[str]:
    """The stages of all measurements, without the total."""
    stages = (entry.measurement.stages_ms or {} for entry in labelled.entries)
    return list(dict.fromkeys(name for found in stages for name in found if name != "total"))


def stage_rows(labelled: Entries, names: Sequence[str]) -> list[BarRow]:
    """Mean and p95 of each stage and of the total; the bars show the means of the stages."""
    staged = [(entry, entry.measurement.stages_ms) for entry in labelled.entries]
    means = {
        entry.key: [stages[name].mean if name in stages else 0.0 for name in names]
        for entry, stages in staged
        if stages
    }
    longest = max(map(sum, means.values()), default=0.0) or 1.0
    return [
        BarRow(
            entry,
            tuple(
                f"{figure(stages[name].mean)} / {figure(stages[name].p95)}" if name in stages else NONE
                for name in (*names, "total")
            ),
            tuple(mean / longest for mean in means[entry.key]),
        )
        for entry, stages in staged
        if stages
    ]


def start_up_rows(labelled: Entries) -> list[BarRow]:
    """Compilation, compilation from a model cache, first inference."""
    started = [(entry, entry.measurement.start_up_ms) for entry in labelled.entries]
    times = {
        entry.key: (start_up.compile, start_up.cached_compile, start_up.first_inference)
        for entry, start_up in started
        if start_up is not None
    }
    longest = max((value or 0.0 for values in times.values() for value in values), default=0.0) or 1.0
    return [
        BarRow(
            entry, tuple(map(figure, times[entry.key])), tuple((value or 0.0) / longest for value in times[entry.key])
        )
        for entry in labelled.entries
        if entry.key in times
    ]
