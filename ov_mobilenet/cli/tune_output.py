"""The result of `tune` as a table, JSON, Markdown or CSV."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ov_mobilenet.cli import options

if TYPE_CHECKING:
    from ov_mobilenet.runtime.profile import Measured
    from ov_mobilenet.tuning.tuner import Tuned

SCHEMA_VERSION = 1
# Rows of the table and of Markdown; the chosen settings and the Pareto front always appear.
MAX_ROWS = 12
HEADS = ("", "precision", "batch", "streams", "requests", "threads", "FPS", "p95 ms", "images/CPU s", "images/J")
NUMBERS_FROM = 2
LEGEND = "* chosen, + on the Pareto front of throughput and p95"


def print_result(found: Tuned, path: Path | None, form: str) -> None:
    """Print to stdout.

    Args:
        path: path of the profile; None if none was written.
        form: table, json, markdown or csv.
    """
    if form == "json":
        options.print_json(_document(found, path))
    elif form == "csv":
        _print_csv(found)
    elif form == "markdown":
        rule = ["---" if index < NUMBERS_FROM else "---:" for index in range(len(HEADS))]
        rows = [[cell.replace("*", "\\*") for cell in _row(row)] for row in _shown(found)]
        for line in (HEADS, rule, *rows):
            click.echo(f"| {' | '.join(line)} |")
        click.echo("\n\\" + LEGEND)
    else:
        from ov_mobilenet.cli.tables import print_table

        print_table(HEADS, map(_row, _shown(found)), numbers_from=NUMBERS_FROM)
        click.echo("\n" + LEGEND)


def _shown(found: Tuned) -> list[Measured]:
    """The chosen settings, the Pareto front and the fastest others, highest throughput first."""
    rows = [row for row in found.measurements if row.on_front or row.chosen]
    others = [row for row in found.measurements if row not in rows]
    return sorted(rows + others[: max(0, MAX_ROWS - len(rows))], key=lambda row: -row.throughput_fps)


def _row(row: Measured) -> tuple[str, ...]:
    def number(value: float | None, form: str = "") -> str:
        return "-" if value is None else format(value, form)

    return (
        ("*" if row.chosen else "") + ("+" if row.on_front else ""), row.precision, str(row.batch), number(row.streams),
        str(row.requests), number(row.threads), f"{row.throughput_fps:.0f}", f"{row.p95_ms:.2f}",
        number(row.images_per_cpu_s, ".0f"), number(row.images_per_j, ".1f"),
    )  # fmt: skip


def _print_csv(found: Tuned) -> None:
    """All measurements, one per line; unknown figures are empty."""
    import msgspec

    rows: list[dict[str, Any]] = msgspec.to_builtins(found.measurements)
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _document(found: Tuned, path: Path | None) -> dict[str, Any]:
    import msgspec

    return {
        "schema_version": SCHEMA_VERSION,
        "xml": str(found.xml),
        "device": found.device,
        "noise": found.noise,
        "profile_path": None if path is None else str(path),
        "profile": None if found.profile is None else msgspec.to_builtins(found.profile),
        "measurements": msgspec.to_builtins(found.measurements),
        "notes": found.notes,
        "sentences": found.notes,  # the name of `notes` in 0.1
    }
