"""`accuracy`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ov_mobilenet.accuracy.measure import WORST, check_accuracy, measure_accuracy, published_accuracy
from ov_mobilenet.accuracy.report import AccuracyReport, read_figures
from ov_mobilenet.cli import options
from ov_mobilenet.cli.accuracy_report import print_csv, print_report
from ov_mobilenet.cli.device import DeviceFlags, device_options
from ov_mobilenet.cli.progress import count_progress
from ov_mobilenet.errors import UsageError, printable
from ov_mobilenet.runtime.results import Failure

PUBLISHED = "published"


@click.command("accuracy")
@click.argument("model")
@click.option(
    "--dataset", required=True, metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Images: a folder a class, named by synset, number or class name; or with --annotations.",
)  # fmt: skip
@click.option(
    "--annotations", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Which image has which class: ImageNet's val.txt, or CSV (default: DIR/val.txt if it is there).",
)  # fmt: skip
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@click.option("--per-class", is_flag=True, help="Every class in the table as well; JSON and CSV have them anyway.")
@click.option(
    "--worst", type=click.IntRange(min=0), default=WORST, show_default=True, metavar="N",
    help="Of so many classes, what they were taken for.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only so many images, drawn at random.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which ones --limit draws.")
@click.option(
    "--predictions", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Write each image's five best classes here, .jsonl or .csv, as soon as they are known.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Take over what --predictions FILE has already.")
@click.option("--min-top1", type=click.FloatRange(0, 1), metavar="X", help="Exit code 3 below this fraction.")
@click.option(
    "--reference", metavar="published|FILE",
    help="Exit code 3 unless top-1 and top-5 are those of the description, or of a FILE that --format json printed.",
)  # fmt: skip
@click.option(
    "--tolerance", type=click.FloatRange(0, 1), default=0.01, show_default=True, metavar="T",
    help="By how much they may differ from --reference, up or down.",
)  # fmt: skip
@options.geometry_and_labels
@options.config_dirs
@device_options
@options.cache_dir
@click.pass_context
def accuracy_command(
    context: click.Context,
    model: str,
    dataset: Path,
    annotations: Path | None,
    form: str,
    per_class: bool,
    worst: int,
    limit: int | None,
    seed: int,
    predictions: Path | None,
    resume: bool,
    min_top1: float | None,
    reference: str | None,
    tolerance: float,
    geometry: str | None,
    labels: Path | None,
    config_dirs: tuple[Path, ...],
    device_options: DeviceFlags,
    cache_dir: Path | None,
    offline: bool,
) -> int:
    """Top-1 and top-5 of a MODEL on images whose classes are known.

    By the model's own protocol: its crop and resize, pixels exact, EXIF orientation ignored as in the published
    protocols, computed in f32 unless --inference-precision says otherwise. Classes are counted from 0 without a
    background class, whether the network has one or not. Intervals are 95 % (Wilson).

    An image that cannot be read is reported, the others are measured, and the exit code is 1.

    \b
    Examples:
      ov-mobilenet accuracy mobilenet-v2-pytorch --dataset val/ --annotations val.txt
      ov-mobilenet accuracy public/mine/FP16/mine.xml --dataset images/ --min-top1 0.9 --format json
      ov-mobilenet accuracy mobilenetv2-7 --dataset val/ --predictions v2.jsonl --resume --limit 5000
    """
    wanted = _reference(reference, model, config_dirs)

    def on_failure(failure: Failure) -> None:
        click.echo(f"error: {printable(failure.source)}: {printable(failure.error)}", err=True)

    with count_progress(context) as on_progress:
        report = measure_accuracy(
            model,
            dataset,
            annotations=annotations,
            settings=device_options.settings(),
            geometry=geometry,
            labels=options.read_label_file(labels),
            limit=limit,
            seed=seed,
            predictions=predictions,
            resume=resume,
            worst=worst,
            config_dirs=config_dirs,
            cache_dir=cache_dir,
            offline=offline,
            on_progress=on_progress,
            on_failure=on_failure,
        )
    if wanted is not None:
        report = msgspec.structs.replace(report, reference_top1=wanted[0], reference_top5=wanted[1])
    if form == "json":
        options.print_json(report)
    elif form == "csv":
        print_csv(report)
    else:
        print_report(report, every_class=per_class)
    _say_left_out(context, report)
    check_accuracy(report, min_top1=min_top1, reference=wanted, tolerance=tolerance)
    return 1 if report.failed else 0


def _reference(
    reference: str | None, model: str, config_dirs: tuple[Path, ...]
) -> tuple[float | None, float | None] | None:
    """What to compare with. Raises: UsageError, if nothing is published; DatasetError, if the file is bad."""
    if reference is None:
        return None
    if reference != PUBLISHED:
        return read_figures(Path(reference))
    found = published_accuracy(model, config_dirs)
    if found[0] is None:
        raise UsageError(
            "no published accuracy is known", where=model,
            expected="a model whose description has one, or an IR made from one in the zoo",
            fix="Name the model.yml or the model of the zoo, or a FILE of an earlier measurement",
        )  # fmt: skip
    return found


def _say_left_out(context: click.Context, report: AccuracyReport) -> None:
    if options.quiet(context):
        return
    if report.failed:
        click.echo(f"{report.failed} of {report.images + report.failed} images could not be classified", err=True)
    if report.duplicates:
        click.echo(f"{report.duplicates} images were named twice and count once", err=True)
