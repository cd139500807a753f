"""The bar chart of a diagnosis as values: positions in pixels, which `templates/plot.svg.jinja` draws."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ov_mobilenet.diagnosis.diagnosis import Diagnosis
from ov_mobilenet.diagnosis.summary import EVIDENCE, candidate_name, marks, shown_score, shown_value
from ov_mobilenet.html.axis import Axis, make_axis
from ov_mobilenet.html.formatting import percent

WIDTH, EDGE, ROW, FOOT = 400, 4, 36, 44


@dataclass(frozen=True)
class ScoreBar:
    """The bar of a candidate.

    Attributes:
        top: position of its upper edge, in pixels; its text is above it.
        end: position of its right end; None for a score that is not a number.
        label, figures: the texts above the bar, on the left and on the right.
        is_best: whether it is the best candidate or cannot be told apart from it.
    """

    top: int
    end: float | None
    label: str
    figures: str
    is_best: bool


@dataclass(frozen=True)
class ScorePlot:
    """The scores of all candidates.

    Attributes:
        width, height: natural size in CSS pixels.
        title: of the axis.
        description: read out by a screen reader instead of the plot.
    """

    width: int
    height: int
    axis: Axis
    bars: tuple[ScoreBar, ...]
    title: str
    description: str


def score_plot(found: Diagnosis) -> ScorePlot:
    """One bar per candidate, best first."""
    words = EVIDENCE[found.evidence]
    values = [shown_value(row, found.evidence) for row in found.candidates]
    axis = make_axis(
        [value for value in values if math.isfinite(value)] or [1.0], EDGE, WIDTH - EDGE, margin=0.05, max_ticks=6,
        logarithmic=None if found.evidence == "batch_norm" else False,
    )  # fmt: skip
    bars = tuple(
        ScoreBar(
            number * ROW + 20,
            axis.at(value) if math.isfinite(value) else None,
            " · ".join([candidate_name(row.candidate), *marks(row, found)]),
            f"{shown_score(row, found.evidence)} · best in {percent(row.share)}",
            row.same_as_best,
        )
        for number, (row, value) in enumerate(zip(found.candidates, values, strict=True))
    )
    logarithmic = ", logarithmic" if axis.logarithmic else ""
    best = ", ".join(f"{bar.label} {bar.figures}" for bar in bars[:3])
    return ScorePlot(
        WIDTH, len(bars) * ROW + FOOT, axis, bars, f"{words.title}, nats{logarithmic}; {words.better}",
        f"Bars of {words.title} of {len(bars)} candidates, best first: {best}; the table of candidates has them all",
    )  # fmt: skip
