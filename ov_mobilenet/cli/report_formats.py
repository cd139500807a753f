"""Tables as Markdown and CSV on stdout; names of report files."""

from __future__ import annotations

import csv
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import click

from ov_mobilenet.errors import UsageError


def print_markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int) -> None:
    """Print a Markdown table; columns from `numbers_from` on are right-aligned."""
    click.echo(_markdown_row(heads))
    click.echo(_markdown_row(["---" if index < numbers_from else "---:" for index in range(len(heads))]))
    for row in rows:
        click.echo(_markdown_row([cell.replace("|", "\\|") for cell in row]))


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print CSV on stdout; None is an empty cell."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def check_report_file(file: Path, suffixes: Collection[str]) -> None:
    """Check the name and the folder of a report, before the command takes its time.

    Raises:
        UsageError: the name has another suffix, or the folder does not exist.
    """
    if file.suffix not in suffixes:
        raise UsageError("unknown report format", expected=f"a file name that ends in {', '.join(suffixes)}", got=file)
    if not file.parent.is_dir():
        raise UsageError("the folder of the report does not exist", where=file.parent)
