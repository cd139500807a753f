"""A benchmark report as one self-contained HTML file: no script, no request, for light and dark screens and for paper.

A section without data is left out. The same report gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.benchmarking.html import plots, tables
from ov_mobilenet.benchmarking.html.labels import label
from ov_mobilenet.benchmarking.report import Report
from ov_mobilenet.html import formatting
from ov_mobilenet.html.environment import page_environment

if TYPE_CHECKING:
    import jinja2


def html_report(report: Report) -> str:
    """The page, to be written as UTF-8.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    labelled = label(report.measurements)
    stage_names = tables.stage_names(labelled)
    return environment().get_template("report.html.jinja").render(
        report=report,
        entries=labelled.entries,
        common={name: value for name, value in labelled.common.items() if value != formatting.NONE},
        title=", ".join(dict.fromkeys(m.network.name for m in report.measurements)),
        tiles=tables.tiles(report, labelled),
        columns=tables.measurement_columns(labelled),
        networks=tables.networks(labelled),
        machine=tables.machine_facts(report.machine),
        front=plots.front_plot(labelled) if labelled.entries else None,
        ratio_axis=plots.ratio_axis(report.comparisons),
        stage_names=stage_names,
        stage_heads=[f"#{name}" for name in stage_names],
        stages=tables.stage_rows(labelled, stage_names),
        start_up=tables.start_up_rows(labelled),
    )  # fmt: skip


def environment() -> jinja2.Environment:
    """The templates of this report.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    made = page_environment("ov_mobilenet.benchmarking.html")
    made.globals.update(latency_plot=plots.latency_plot, throughput_plot=plots.throughput_plot)
    return made
