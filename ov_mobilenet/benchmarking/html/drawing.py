"""A matplotlib figure as an SVG element of a page.

The colours of a drawing are names of the page's style sheet, so that one drawing suits light and dark. Text stays text,
in the page's font. The same figure gives the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ov_mobilenet.benchmarking.html.markup import Markup, element
from ov_mobilenet.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# What matplotlib draws with, and what stands for it in the page. Never black, which matplotlib leaves unsaid.
INK, MUTED, GRID, PAPER, BAD = "#010101", "#010102", "#010103", "#010104", "#010105"
SERIES = tuple(f"#0102{number:02x}" for number in range(1, 7))
_IN_PAGE = {
    INK: "currentColor", MUTED: "var(--muted)", GRID: "var(--grid)", PAPER: "var(--paper)", BAD: "var(--bad)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, 1)},
}  # fmt: skip
# The same shapes for matplotlib and as characters for a legend.
MARKERS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚"}

_STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "ov-mobilenet", "font.size": 11, "text.parse_math": False,
    "axes.edgecolor": GRID, "axes.labelcolor": MUTED, "axes.titlecolor": MUTED, "axes.titlesize": 11,
    "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 0.8, "text.color": INK,
    "xtick.color": GRID, "ytick.color": GRID, "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.6, "hatch.color": PAPER, "figure.facecolor": "none", "axes.facecolor": "none",
}  # fmt: skip


@contextmanager
def style() -> Iterator[None]:
    """Within it figures are drawn as the page wants them, whatever the user's matplotlibrc says.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        import matplotlib.style
    except ImportError as error:
        raise MissingDependencyError(
            "the HTML report needs matplotlib", fix="Install it with: pip install 'ov-mobilenet[report]'"
        ) from error
    with matplotlib.style.context(["default", _STYLE]):
        yield


def axes(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of so many CSS pixels at its natural size, and its one pair of axes."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained")
    return drawn, drawn.add_subplot()


def scale(axis: Axis, values: Sequence[float], *, logarithmic: bool | None = None) -> None:
    """Ticks in plain figures, and a logarithmic axis (by default: where the values span more than a factor of five)."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = min(values), max(values)
    factor = high / low if low > 0 else 0.0
    if low > 0 and (factor > 5 if logarithmic is None else logarithmic):
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})  # type: ignore[attr-defined]  # missing from the stubs
        subs = (1.0,) if factor > 1000 else (1.0, 2.0, 5.0) if factor < 100 else (1.0, 3.0)
        axis.set_major_locator(LogLocator(subs=subs) if factor > 8 else MaxNLocator(6, steps=[1, 2, 5, 10]))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))


def plain(value: float) -> str:
    """As short as can be: 2,000, 2.5, 0.05."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def svg(drawn: Figure, name: str, spoken: str) -> Markup:
    """The figure as `<svg>`.

    Args:
        drawn: what to draw; its texts hold figures and words of ours only.
        name: unique in the page, a word: ids of the SVG begin with it.
        spoken: what is said instead of the drawing to whoever cannot see it.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    written = io.StringIO()
    FigureCanvasSVG(drawn).print_svg(written, metadata={"Date": None})  # type: ignore[no-untyped-call]
    root = ElementTree.fromstring(written.getvalue())
    _into_page(root, name)
    text = ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)
    inner = text[text.index(">") + 1 : text.rindex("</svg>")]
    for colour, of_page in _IN_PAGE.items():
        inner = inner.replace(colour, of_page)
    inner = re.sub(r"\s*\n\s*", "\n", inner)
    return element(
        "svg", Markup(inner), class_="plot", viewBox=root.attrib["viewBox"], role="img", aria_label=spoken,
        style=f"--width:{float(root.attrib['viewBox'].split()[2]):.0f}",
    )  # fmt: skip


def _into_page(root: ElementTree.Element, name: str) -> None:
    """Drop what only a file of its own needs, and make ids unique in the page."""
    references = set(re.findall(r"#([A-Za-z][\w-]*)", ElementTree.tostring(root, encoding="unicode")))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rsplit("}")[-1] in ("metadata", "style"):
                parent.remove(child)
    for part in root.iter():
        part.tag = part.tag.rsplit("}")[-1]
        for key, value in list(part.attrib.items()):
            del part.attrib[key]
            plain_key = key.rsplit("}")[-1]
            if plain_key == "id" and value not in references:
                continue
            if plain_key == "id":
                value = f"{name}-{value}"
            elif plain_key == "href":
                value = f"#{name}-{value.removeprefix('#')}"
            else:
                value = value.replace("url(#", f"url(#{name}-")
            part.attrib[plain_key] = value
