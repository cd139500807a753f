"""Tables on the terminal; rich is imported only when one is printed, because the import takes time."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from ov_mobilenet.errors import printable

PIPE_WIDTH = 200


def print_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int = 1_000, optional: Sequence[str] = ()
) -> None:
    """Print a table on stdout. The first column, of names, is never broken into lines.

    Args:
        numbers_from: columns from this one on are right-aligned.
        optional: heads of columns that a narrow terminal leaves out, the first one first.
    """
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    cells = list(rows)

    def table_of(shown: Sequence[int]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for index in shown:
            right = index >= numbers_from
            justify: Literal["left", "right"] = "right" if right else "left"
            table.add_column(heads[index], justify=justify, no_wrap=right or index == 0, overflow="fold")
        for row in cells:
            table.add_row(*(Text(row[index]) for index in shown))
        return table

    # A file or a pipe has no width to fit, so lines are not wrapped.
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    shown = list(range(len(heads)))
    unlimited = console.options.update(width=sys.maxsize)
    for head in optional:
        if Measurement.get(console, unlimited, table_of(shown)).maximum <= console.width:
            break
        shown.remove(heads.index(head))
    console.print(table_of(shown))


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
