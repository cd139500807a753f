"""A diagnosis as one self-contained HTML file: no script, no request, for light and dark screens and for paper.

The same diagnosis gives the same bytes, with the same versions of OpenVINO and of this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.diagnosis import layer_summary, summary
from ov_mobilenet.diagnosis.diagnosis import Diagnosis
from ov_mobilenet.diagnosis.score_plot import score_plot
from ov_mobilenet.html.environment import page_environment
from ov_mobilenet.html.formatting import NONE
from ov_mobilenet.runtime.profile import current_versions

if TYPE_CHECKING:
    import jinja2


def diagnosis_page(found: Diagnosis) -> str:
    """The page, to be written as UTF-8.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    versions = current_versions()
    return page_templates().get_template("diagnosis.html.jinja").render(
        found=found,
        advice=summary.advice(found),
        best=summary.best_in_words(found),
        baked=summary.baked_in_words(found),
        baked_name=summary.candidate_name(found.baked) if found.baked is not None else "not known",
        verdict=summary.verdict_in_words(found),
        words=summary.EVIDENCE[found.evidence],
        share_explanation=summary.SHARE_EXPLANATION,
        plot=score_plot(found),
        rows=_rows(found),
        layers=layer_summary,
        versions=f"ov_mobilenet {versions.ov_mobilenet}, openvino {versions.openvino}",
    )  # fmt: skip


def page_templates() -> jinja2.Environment:
    """The templates of this report.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    return page_environment("ov_mobilenet.diagnosis")


def _rows(found: Diagnosis) -> list[dict[str, str | float]]:
    """The table of candidates."""
    return [
        {
            "name": row.candidate.name,
            "order": row.candidate.channel_order,
            "marks": ", ".join(summary.marks(row, found)) or NONE,
            "mean": summary.number_list(row.candidate.mean),
            "scale": summary.number_list(row.candidate.scale),
            "score": summary.shown_score(row, found.evidence),
            "share": row.share,
        }
        for row in found.candidates
    ]
