"""Tables as Markdown and CSV on stdout."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence

import click


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
