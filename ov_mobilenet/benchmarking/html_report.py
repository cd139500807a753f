"""A benchmark as one HTML file that needs nothing else: no script, no request, light and dark.

What it shows is what the report holds: a section without data is left out. The same report gives the same bytes.
"""

from __future__ import annotations

from ov_mobilenet.benchmarking.html import details, sections
from ov_mobilenet.benchmarking.html.drawing import style
from ov_mobilenet.benchmarking.html.markup import LINE_END, Markup, element, joined
from ov_mobilenet.benchmarking.html.style_sheet import style_sheet
from ov_mobilenet.benchmarking.html.words import Words
from ov_mobilenet.benchmarking.measurement import Report

# The browser itself holds the page to what is promised above.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def html_report(report: Report) -> str:
    """The page, to be written as UTF-8.

    Raises:
        MissingDependencyError: matplotlib, which draws the plots, is not installed.
    """
    words = Words(report.measurements)
    measured = report.measurements
    with style():
        parts = [
            sections.head(report, words),
            sections.failures(report.failures),
            sections.measurements(measured, words),
            sections.front(measured, words),
            details.comparisons(report, words),
            details.distributions(measured, words),
            details.stages(measured, words),
            details.open_loop(measured, words),
            details.start_up(measured, words),
            details.layers(measured, words),
            sections.machine(report.machine),
        ]
    title = ", ".join(dict.fromkeys(one.network.name for one in measured))
    header = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Benchmark of {title}" if title else "Benchmark"),
        element("style", Markup(style_sheet())),
    ]
    body = element("main", *(joined([part, LINE_END]) for part in parts if part))
    page = element("html", element("head", *header), LINE_END, element("body", body), LINE_END, lang="en")
    return f"<!doctype html>\n{page}\n"
