"""A measured accuracy as a table for people, JSON or CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable

from ov_mobilenet.accuracy.figures import ClassFigures, Interval
from ov_mobilenet.accuracy.report import AccuracyReport
from ov_mobilenet.cli.tables import print_facts, print_table

GEOMETRY_FROM = {
    "model": "the model's own",
    "graph": "the model's own, in the graph",
    "asked": "asked for, not the model's own",
    "not known": "the model names none: the whole image is resized",
}


def print_report(report: AccuracyReport, *, every_class: bool) -> None:
    """Figures, what ran, the worst classes."""
    missing = f", {report.failed} failed" if report.failed else ""
    drawn = f", drawn with seed {report.seed}" if report.limit is not None else ""
    print_facts(
        {
            "model": report.model,
            "top-1": _figure(report.top1, report.top1_interval, report.reference_top1),
            "top-5": _figure(report.top5, report.top5_interval, report.reference_top5),
            "images": f"{report.images}{missing}{drawn}",
            "geometry": f"{report.geometry or 'of the graph'} ({GEOMETRY_FROM[report.geometry_from]})",
            "EXIF": "orientation ignored, as in the published protocols",
            "ran on": f"{report.device} at {report.inference_precision or 'a precision it does not tell'}",
        }
    )
    if every_class:
        print()  # noqa: T201
        print_table(("id", "class", "images", "top-1", "top-5"), _rows(report.per_class), numbers_from=2)
    if report.worst_classes:
        print()  # noqa: T201
        rows = (
            (
                str(entry.class_id),
                entry.label,
                f"{entry.correct}/{entry.images}",
                ", ".join(f"{other.label} {other.images}" for other in entry.taken_for[:3]),
            )
            for entry in report.worst_classes
        )
        print_table(("id", "worst classes", "right", "taken for"), rows)


def print_csv(report: AccuracyReport) -> None:
    """A row for all images, without a class, and one a class."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("class_id", "label", "images", "top1", "top5"))
    writer.writerow(("", "all", report.images, report.top1, report.top5))
    for entry in report.per_class:
        writer.writerow((entry.class_id, entry.label, entry.images, entry.top1, entry.top5))


def _rows(classes: Iterable[ClassFigures]) -> Iterable[tuple[str, ...]]:
    for entry in classes:
        yield str(entry.class_id), entry.label, str(entry.images), f"{entry.top1:.1%}", f"{entry.top5:.1%}"


def _figure(value: float, interval: Interval, reference: float | None) -> str:
    low, high = interval
    against = "" if reference is None else f"; reference {reference:.2%}"
    return f"{value:.2%} (95 %: {low:.2%} to {high:.2%}){against}"
