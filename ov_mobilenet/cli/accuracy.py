"""`accuracy`: top-1 and top-5 on labelled images."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ov_mobilenet.accuracy.measure import measure_accuracy
from ov_mobilenet.accuracy.reference import check_accuracy
from ov_mobilenet.accuracy.report import AccuracyReport
from ov_mobilenet.cli import options
from ov_mobilenet.cli.accuracy_report import print_report
from ov_mobilenet.cli.dataset_options import DatasetFlags, dataset_options, print_failure
from ov_mobilenet.cli.device import DeviceFlags, device_options
from ov_mobilenet.cli.progress import count_progress
from ov_mobilenet.resolve import Lookup

DEFAULT_WORST = 10


@click.command("accuracy")
@click.argument("model")
@dataset_options
@options.format_option("table", "json", "csv", "markdown")
@click.option("--per-class", is_flag=True, help="Add every class to the table; JSON and CSV always contain them.")
@click.option(
    "--worst", type=click.IntRange(min=0), default=DEFAULT_WORST, show_default=True, metavar="N",
    help="Report confusions for the N classes with the lowest top-1.",
)  # fmt: skip
@click.option(
    "--predictions", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Write the five most probable classes of each image to this .jsonl or .csv file, image by image.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Reuse the predictions that are already in --predictions FILE.")
@click.option("--overwrite", is_flag=True, help="Replace the content of --predictions FILE.")
@click.option("--min-top1", type=click.FloatRange(0, 1), metavar="FRACTION", help="Exit with code 3 if top-1 is lower.")
@click.option(
    "--reference", metavar="published|FILE",
    help="Exit with code 3 if top-1 or top-5 differs from the published accuracy, or from the JSON report in FILE.",
)  # fmt: skip
@click.option(
    "--tolerance", type=click.FloatRange(0, 1), default=0.01, show_default=True, metavar="FRACTION",
    help="Allowed difference from --reference, up or down.",
)  # fmt: skip
@options.geometry_and_labels
@options.lookup
@device_options
@click.pass_context
def accuracy_command(
    context: click.Context,
    model: str,
    dataset_flags: DatasetFlags,
    output_format: str,
    per_class: bool,
    worst: int,
    predictions: Path | None,
    resume: bool,
    overwrite: bool,
    min_top1: float | None,
    reference: str | None,
    tolerance: float,
    geometry: str | None,
    labels: Path | None,
    lookup: Lookup,
    device_options: DeviceFlags,
) -> int:
    """Measure the top-1 and top-5 accuracy of a MODEL on labelled images.

    Images are decoded exactly and go through the model's own crop and resize; EXIF orientation is ignored, as in the
    published protocols. The network computes in f32 unless --inference-precision is given. Class numbers of the dataset
    start at 0 and do not count a background class, even if the network has one. Intervals are Wilson's 95 % confidence
    intervals.

    With 20 images or more, a warning is printed if another normalisation or channel order than the one in the model is
    significantly better on 20 of them (see diagnose).

    An image that cannot be read is reported, the remaining images are measured, and the exit code is 1.

    \b
    Examples:
      ov-mobilenet accuracy mobilenet-v2-pytorch --dataset val/ --annotations val.txt
      ov-mobilenet accuracy public/mine/FP16/mine.xml --dataset images/ --min-top1 0.9 --format json
      ov-mobilenet accuracy mobilenetv2-7 --dataset val/ --predictions v2.jsonl --resume --sample 5000
    """
    with count_progress(context) as on_progress:
        report = measure_accuracy(
            model,
            dataset_flags.dataset,
            annotations=dataset_flags.annotations,
            settings=device_options.settings(),
            geometry=geometry,
            labels=labels,
            predictions=predictions,
            resume=resume,
            overwrite=overwrite,
            reference=reference,
            on_progress=on_progress,
            on_failure=print_failure,
            **lookup.as_options(),
            **dataset_flags.subset(),
        )
    report = msgspec.structs.replace(report, worst_classes=report.worst_classes[:worst])
    print_report(report, output_format, per_class=per_class)
    for warning in report.warnings:  # also with -q: the figures are worthless
        click.echo(f"warning: {warning}", err=True)
    _print_unused(context, report)
    expected = None if reference is None else (report.reference_top1, report.reference_top5)
    check_accuracy(report, min_top1=min_top1, reference=expected, tolerance=tolerance)
    return 1 if report.failed else 0


def _print_unused(context: click.Context, report: AccuracyReport) -> None:
    if options.quiet(context):
        return
    if report.failed:
        click.echo(f"{report.failed} of {report.images + report.failed} images could not be classified", err=True)
    if report.duplicates:
        click.echo(f"{report.duplicates} repeated annotations were ignored; each image is used once", err=True)
