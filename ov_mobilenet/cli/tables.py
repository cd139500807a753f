"""Tables on the terminal; rich is imported only when one is printed, because the import takes time."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ov_mobilenet.errors import printable

PIPE_WIDTH = 200


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int = 1_000) -> None:
    """Print a table on stdout; columns from `numbers_from` on are right-aligned."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, head in enumerate(heads):
        right = index >= numbers_from
        table.add_column(head, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    # A file or a pipe has no width to fit, so lines are not wrapped.
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values, one per line; lists of texts or records one item per line."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)
    width = max(len(name) for name in facts) + 2
    for name, value in facts.items():
        items = value if isinstance(value, list) and any(isinstance(item, dict | str) for item in value) else [value]
        for index, item in enumerate(items):
            console.print(
                Text((name if index == 0 else "").ljust(width), style="bold"), Text(printable(_fact(item))), sep=""
            )


def _fact(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_fact(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return " ".join(str(value).split())
