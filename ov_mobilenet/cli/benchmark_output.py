"""Output of `benchmark`: one line per measurement while it runs, reports at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from ov_mobilenet.benchmarking.measurement import Measurement
from ov_mobilenet.benchmarking.report import Report, as_json
from ov_mobilenet.benchmarking.tables import (
    HEADS,
    LAYER_HEADS,
    LAYER_TYPE_HEADS,
    NUMBERS_FROM,
    as_csv,
    as_markdown,
    layer_rows,
    layer_type_rows,
    row,
    shared_titles,
)
from ov_mobilenet.cli.report_formats import check_report_file
from ov_mobilenet.errors import printable
from ov_mobilenet.outputs.output_files import write_atomically

FORMATS = ("table", "json", "csv", "markdown")
# Widths are fixed because a line is printed before the next measurement is known.
_WIDTHS = (26, 9, 6, 9, 10, 5, 8, 7, 7, 7, 7, 7, 7)


def head_line() -> str:
    """The head of the table."""
    return _line(HEADS)


def measurement_line(measurements: Sequence[Measurement]) -> str:
    """The last of these measurements as a line of the table."""
    last = measurements[-1]
    return _line(row(last, with_file=last.network.title in shared_titles(measurements)))


def check_reports(files: tuple[Path, ...]) -> None:
    """Check that the reports can be written, before the measurements take their time.

    Raises:
        UsageError: the file name has an unknown suffix, or the folder does not exist.
        MissingDependencyError: the package for HTML reports is not installed.
    """
    for file in files:
        check_report_file(file, _WRITERS)
        if file.suffix == ".html":
            from ov_mobilenet.benchmarking.html_report import environment

            environment()


def write_output(report: Report, form: str, files: tuple[Path, ...]) -> None:
    """Write the report files, and the report in the requested format to stdout."""
    for file in files:  # first: a pipe at stdout may be closed
        write_atomically(file, _WRITERS[file.suffix](report))
    if form == "table":
        _print_layers(report)
    else:
        sys.stdout.write(_WRITERS[_SUFFIXES[form]](report))


def _print_layers(report: Report) -> None:
    """The layers; the table of measurements has been printed already."""
    from ov_mobilenet.cli.tables import print_table

    shared = shared_titles(report.measurements)
    for measurement in report.measurements:
        layers, network = measurement.layers, measurement.network
        if layers is not None:
            click.echo(f"\nLayers of {printable(network.xml if network.title in shared else network.title)}")
            print_table(LAYER_TYPE_HEADS, layer_type_rows(layers), numbers_from=2)
            click.echo()
            print_table(LAYER_HEADS, layer_rows(layers), numbers_from=4)


def _line(cells: tuple[str, ...]) -> str:
    padded = [
        cell.ljust(width) if index < NUMBERS_FROM else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(map(printable, cells), _WIDTHS, strict=False))
    ]
    return "  ".join([*padded, *cells[len(_WIDTHS) :]]).rstrip()


def _json(report: Report) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(as_json(report)), indent=2).decode() + "\n"


def _html(report: Report) -> str:
    from ov_mobilenet.benchmarking.html_report import html_report

    return html_report(report)


_WRITERS: dict[str, Callable[[Report], str]] = {".json": _json, ".csv": as_csv, ".md": as_markdown, ".html": _html}
_SUFFIXES = {"json": ".json", "csv": ".csv", "markdown": ".md"}
