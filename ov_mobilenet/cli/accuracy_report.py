"""Print an accuracy report as a table, JSON, CSV or Markdown."""

from __future__ import annotations

import click

from ov_mobilenet.accuracy.metrics import ClassAccuracy, ClassConfusion, Interval
from ov_mobilenet.accuracy.protocol import GeometryOrigin
from ov_mobilenet.accuracy.report import AccuracyReport
from ov_mobilenet.cli import options
from ov_mobilenet.cli.report_formats import print_csv, print_markdown
from ov_mobilenet.cli.tables import print_facts, print_table

GEOMETRY_ORIGINS: dict[GeometryOrigin, str] = {
    "model": "the model's own",
    "graph": "the model's own, in the graph",
    "asked": "given with --geometry",
    "not known": "the model records none; the whole image is resized",
}
CLASS_HEADS = ("id", "class", "images", "top-1", "top-5")
CONFUSION_HEADS = ("id", "worst classes", "correct", "taken for")
SHOWN_CONFUSIONS = 3


def print_report(report: AccuracyReport, form: str, *, per_class: bool) -> None:
    """Print a report as table, json, csv or markdown.

    Args:
        per_class: include every class in the table and Markdown formats; JSON and CSV always do.
    """
    if form == "json":
        options.print_json(report)
    elif form == "csv":
        _print_csv(report)
    elif form == "markdown":
        _print_markdown(report, per_class=per_class)
    else:
        _print_table(report, per_class=per_class)


def _print_table(report: AccuracyReport, *, per_class: bool) -> None:
    print_facts(_facts(report))
    if per_class:
        click.echo()
        print_table(CLASS_HEADS, map(_class_cells, report.per_class), numbers_from=2)
    if report.worst_classes:
        click.echo()
        print_table(CONFUSION_HEADS, map(_confusion_cells, report.worst_classes))


def _print_markdown(report: AccuracyReport, *, per_class: bool) -> None:
    print_markdown(("", ""), _facts(report).items(), numbers_from=2)
    if per_class:
        click.echo()
        print_markdown(CLASS_HEADS, map(_class_cells, report.per_class), numbers_from=2)
    if report.worst_classes:
        click.echo()
        print_markdown(CONFUSION_HEADS, map(_confusion_cells, report.worst_classes), numbers_from=4)


def _print_csv(report: AccuracyReport) -> None:
    """Print one row for all images, without a class number, and one row per class."""
    total = (None, "all", report.images, report.top1, report.top5)
    per_class = ((one.class_id, one.label, one.images, one.top1, one.top5) for one in report.per_class)
    print_csv(("class_id", "label", "images", "top1", "top5"), (total, *per_class))


def _facts(report: AccuracyReport) -> dict[str, str]:
    failed = f", {report.failed} failed" if report.failed else ""
    subset = ""
    if report.sample is not None:
        subset = f", drawn at random with seed {report.seed}"
    elif report.limit is not None:
        subset = f", the first {report.limit}"
    return {
        "model": report.model,
        "top-1": _percent(report.top1, report.top1_interval, report.reference_top1),
        "top-5": _percent(report.top5, report.top5_interval, report.reference_top5),
        "images": f"{report.images}{failed}{subset}",
        "geometry": f"{report.geometry or 'done in the graph'} ({GEOMETRY_ORIGINS[report.geometry_from]})",
        "EXIF": "orientation ignored, as in the published protocols",
        "device": f"{report.device} at {report.inference_precision or 'a precision that it does not report'}",
    }


def _percent(value: float, interval: Interval, reference: float | None) -> str:
    low, high = interval
    compared = "" if reference is None else f"; reference {reference:.2%}"
    return f"{value:.2%} (95 %: {low:.2%} to {high:.2%}){compared}"


def _class_cells(one: ClassAccuracy) -> tuple[str, ...]:
    return str(one.class_id), one.label, str(one.images), f"{one.top1:.1%}", f"{one.top5:.1%}"


def _confusion_cells(one: ClassConfusion) -> tuple[str, ...]:
    others = ", ".join(f"{other.label} {other.images}" for other in one.taken_for[:SHOWN_CONFUSIONS])
    return str(one.class_id), one.label, f"{one.correct}/{one.images}", others
