"""The tables of docs/performance.md, from what the benches of tools/bench wrote with `--json` to docs/performance/."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from generate_docs.models import as_table

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "performance"
Figure = Mapping[str, Any]
Rows = Sequence[tuple[str, ...]]
# The networks of the benches by the name of their IR; the folder above it is the precision of the weights.
_NETWORKS = {
    "mobilenet-v2-pytorch-real": "V2",
    "mobilenet-v1-0.25-128-tf2017": "V1 0.25 128",
    "mobilenet-v1-0.25-128-signs": "sample model",
}
_RATIOS = ("throughput ratio", "CPU time ratio")
# Versions that a speed depends on.
_VERSIONS = {"Python": "Python", "openvino": "OpenVINO", "numpy": "NumPy", "nncf": "NNCF"}


def part(name: str) -> str:
    """The table of one bench, and below it where and when it was measured."""
    document = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    head, *rows = TABLES[name](document["figures"])
    rule = ("---", *["---:"] * (len(head) - 1))
    return f"{as_table(head, rule, rows)}\n\n{_conditions(name, document)}"


def _conditions(name: str, document: Mapping[str, Any]) -> str:
    day = date.fromisoformat(document["date"])
    found = document["versions"]
    versions = ", ".join(f"{shown} {found[key]}" for key, shown in _VERSIONS.items() if key in found)
    cpu = document["cpu"].replace("(R)", "").replace("(TM)", "").replace(" Processor", "")
    return (
        f"*{day.day} {day:%B %Y}, {cpu}, {document['cores']} cores, load {document['load_before']} before the run, "
        f"{versions}, commit {document['commit']}; `{document['bench']}`, [all figures](performance/{name}.json).*"
    )


def _network(figure: Figure) -> str:
    """The network, and the precision of its weights, of a figure named `FP16/NAME, CASE: A against B`."""
    precision, _, rest = figure["name"].partition(": ")[0].partition("/")
    stem, _, case = rest.partition(", ")
    shown = f"{_NETWORKS[stem]} {precision.removeprefix('FP16-')}"
    return f"{shown}, {case}" if case else shown


def _times(ratios: Sequence[float], median: float) -> str:
    return f"{median:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _rates(figure: Figure) -> tuple[str, str]:
    """Images per second of ours and of the other way."""
    return f"{figure['images_per_s']:.0f}", f"{figure['other_images_per_s']:.0f}"


def _ratios(figure: Figure) -> tuple[str, str]:
    """The cells below `_RATIOS`, of two ways that ran in turn: `cpu_time.Compared`."""
    wall = _times(figure["wall_ratios"], figure["wall_ratio"])
    return wall, _times(figure["cpu_ratios"], figure["cpu_ratio"])


def _against_loop(figures: Sequence[Figure]) -> Rows:
    head = ("network", "`classify`, images/s", "plain loop, images/s", *_RATIOS)
    return [head] + [(_network(figure), *_rates(figure), *_ratios(figure)) for figure in figures]


def _stressed(figures: Sequence[Figure]) -> Rows:
    (_, *head), *rows = _against_loop(figures)
    return [("network, busy cores", *head), *rows]


def _start_up(figures: Sequence[Figure]) -> Rows:
    head = ("network", "`classify`, s", "script, s", *_RATIOS)
    seconds = ((1 / figure["images_per_s"], 1 / figure["other_images_per_s"]) for figure in figures)
    return [head] + [
        (_network(figure), f"{ours:.2f}", f"{other:.2f}", *_ratios(figure))
        for figure, (ours, other) in zip(figures, seconds, strict=True)
    ]


def _int8(figures: Sequence[Figure]) -> Rows:
    head = ("images per request", "INT8, images/s", "other, images/s", *_RATIOS)
    return [head] + [
        (figure["name"].replace(": INT8 against ", ", against "), *_rates(figure), *_ratios(figure))
        for figure in figures
        if "wall_ratio" in figure  # not top-1
    ]


def _stages(figures: Sequence[Figure]) -> Rows:
    stages = [key for key in figures[0] if key != "name"]
    head = ("stage", *(f"{_network(figure)}, ms" for figure in figures))
    return [head, *((stage, *(f"{figure[stage]:.3f}" for figure in figures)) for stage in stages)]


def _host_bound(figures: Sequence[Figure]) -> Rows:
    head = ("way", "images per request", "wall time, µs an image", "CPU time, µs an image", "images/s")
    return [head] + [
        (
            figure["name"],
            str(figure["images_per_request"]),
            f"{figure['wall_us']:.0f}",
            f"{figure['cpu_us']:.0f}",
            f"{figure['images_per_s']:,.0f}",
        )
        for figure in figures
    ]


def _live(figures: Sequence[Figure]) -> Rows:
    head = ("camera and device", "median, ms", "99 %, ms", "maximum, ms", "frames dropped")
    return [head] + [
        (
            figure["name"].replace("request(s)", "infer request" + "s" * ("2 req" in figure["name"])),
            f"{figure['p50_ms']:.1f}",
            f"{figure['p99_ms']:.1f}",
            f"{figure['max_ms']:.1f}",
            f"{figure['dropped']} of {figure['arrived']}" if "dropped" in figure else "",
        )
        for figure in figures
    ]


def _memory(figures: Sequence[Figure]) -> Rows:
    head = ("", "inferences", "at the start, MB", "at the end, MB", "growth, MB", "threads", "open files")
    return [head] + [
        (
            figure["name"],
            f"{figure['inferences'][-1]:,}",
            f"{figure['rss_mb'][0]:.1f}",
            f"{figure['rss_mb'][-1]:.1f}",
            f"{figure['growth_mb']:+.1f}",
            str(figure["threads"][-1]),
            str(figure["open_files"][-1]),
        )
        for figure in figures
        if "rss_mb" in figure
    ]


TABLES: Mapping[str, Callable[[Sequence[Figure]], Rows]] = {
    "classify": _against_loop,
    "stressed-v2": _stressed,
    "stressed-v1": _stressed,
    "start-up": _start_up,
    "int8": _int8,
    "stages": _stages,
    "host-bound": _host_bound,
    "live": _live,
    "memory": _memory,
}
