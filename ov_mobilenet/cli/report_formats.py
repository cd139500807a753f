"""The formats of commands that print tables: table, json, csv, markdown."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    _Choice = click.Choice[str]
else:
    _Choice = click.Choice  # not generic before click 8.2

TABLE_FORMATS = ("table", "json", "csv", "markdown")


class TableFormat(_Choice):
    """The values of `--format` where a table is printed; `md` is accepted for `markdown`."""

    def __init__(self) -> None:
        super().__init__(TABLE_FORMATS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check a value; see `click.Choice`."""
        return super().convert("markdown" if value == "md" else value, param, ctx)


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
