"""A benchmark report as one self-contained HTML file: no script, no request, for light and dark screens and for paper.

A section without data is left out. The same report gives the same bytes.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from ov_mobilenet.benchmarking.html import formatting, plots, tables
from ov_mobilenet.benchmarking.html.labels import label
from ov_mobilenet.benchmarking.report import Report
from ov_mobilenet.errors import MissingDependencyError, install_extra, printable

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
    """The templates with their filters; every value is escaped.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise MissingDependencyError("the HTML report needs jinja2", fix=install_extra("report")) from error
    folder = resources.files("ov_mobilenet.benchmarking.html") / "templates"
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        figure=formatting.figure, percent=formatting.percent, tick=formatting.tick, width=formatting.width_percent
    )
    made.globals.update(
        NONE=formatting.NONE, count=formatting.count, latency_plot=plots.latency_plot,
        throughput_plot=plots.throughput_plot,
    )  # fmt: skip
    return made


def _visible(value: object) -> object:
    """Text with its invisible characters escaped, as in an error message; markup and numbers as they are."""
    return value if not isinstance(value, str) or hasattr(value, "__html__") else printable(value)
