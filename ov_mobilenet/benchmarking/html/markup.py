"""HTML put together so that no text can become markup: whatever is not `Markup` is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ov_mobilenet.errors import printable

_EMPTY = ("meta", "col")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


# As many characters of a cell are kept on one line.
_UNBROKEN = 28
# Between blocks, so that the source of a page has lines.
LINE_END = Markup("\n")


class Number(str):
    """Text of a table's cell that is set as a figure, right-aligned."""

    __slots__ = ()


def joined(parts: Iterable[str]) -> Markup:
    """One after the other, what is no markup escaped; what no screen shows is spelt out, as in an error message."""
    return Markup("".join(part if isinstance(part, Markup) else escape(printable(part)) for part in parts))


def element(tag: str, *children: str, **attributes: str) -> Markup:
    """`<tag attributes>children</tag>`; `class_` is the attribute class, an underscore elsewhere a hyphen."""
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(printable(value))}"' for name, value in attributes.items()
    )
    end = "" if tag in _EMPTY else f"</{tag}>"
    return Markup(f"<{tag}{given}>{joined(children)}{end}")


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table that scrolls by itself where it is wider than the page; the first cell of a row is its heading."""
    head = element("tr", *(_cell("th", cell, scope="col") for cell in heads))
    body = (
        element("tr", _cell("th", row[0], scope="row"), *(_cell("td", cell) for cell in row[1:]), LINE_END)
        for row in rows
    )
    content = element("table", element("thead", head), LINE_END, element("tbody", *body))
    return element("div", content, class_="scroll", role="region", aria_label=title, tabindex="0")


def _cell(tag: str, cell: str, **attributes: str) -> Markup:
    if isinstance(cell, Number):
        attributes["class_"] = "number"
    elif isinstance(cell, Markup) or len(cell) <= _UNBROKEN:
        attributes["class_"] = "short"
    return element(tag, cell, **attributes)


def bar(share: float) -> Markup:
    """A bar of so much of its cell, in [0, 1]; whoever listens hears the figure beside it instead."""
    width = f"width:{100 * min(max(share, 0.0), 1.0):.2f}%"
    return element("span", element("span", style=width), class_="bar", aria_hidden="true")
