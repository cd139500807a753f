"""`compare`: IRs and source networks on the same images."""

from __future__ import annotations

from collections.abc import Sequence

import click
import msgspec

from ov_mobilenet.accuracy.compare import DEFAULT_TIME_S, compare
from ov_mobilenet.accuracy.comparison import ComparedModel, ModelComparison
from ov_mobilenet.cli import options
from ov_mobilenet.cli.dataset_options import DatasetFlags, dataset_options, print_failure
from ov_mobilenet.cli.device import DeviceFlags, device_options
from ov_mobilenet.cli.progress import count_progress
from ov_mobilenet.cli.report_formats import print_csv, print_markdown
from ov_mobilenet.cli.tables import print_table
from ov_mobilenet.errors import printable
from ov_mobilenet.resolve import Lookup

HEADS = ("model", "runs in", "top-1", "top-5", "agreement", "max diff", "MB", "FPS", "p50 ms")
NUMBERS_FROM = 2
CSV_COLUMNS = (
    "model", "runs_in", "device", "inference_precision", "top1", "top5", "agreement", "max_difference", "size_mb",
    "throughput_fps", "p50_ms", "error",
)  # fmt: skip


@click.command("compare")
@click.argument("models", nargs=-1, required=True, metavar="MODEL[@PRECISION|@source]…")
@dataset_options
@options.format_option("table", "json", "csv", "markdown")
@click.option("--geometry", metavar="STEPS", help="Crop and resize for all models, instead of each model's own.")
@click.option(
    "--time", "time_s", type=click.FloatRange(min=0), default=DEFAULT_TIME_S, show_default=True,
    metavar="SECONDS", help="Duration of each speed measurement; 0 skips them.",
)  # fmt: skip
@click.option("--seconds", type=click.FloatRange(min=0), hidden=True, help="Old spelling of --time.")
@options.lookup
@device_options
@click.pass_context
def compare_command(
    context: click.Context,
    models: tuple[str, ...],
    dataset_flags: DatasetFlags,
    output_format: str,
    geometry: str | None,
    time_s: float,
    seconds: float | None,
    lookup: Lookup,
    device_options: DeviceFlags,
) -> int:
    """Compare IRs and source networks on the same images: accuracy, agreement, size, speed.

    MODEL is a zoo name, a model.yml, hf:OWNER/NAME or an IR .xml, run in OpenVINO at f32 (or --inference-precision);
    MODEL@f32, MODEL@bf16 and MODEL@f16 set the precision. MODEL@source is the source network of a description, run in
    its own framework (onnxruntime, PyTorch, LiteRT, TensorFlow). The path of the network file, such as NET.onnx, means
    the same if its model.yml is beside it.

    Agreement (same top-1) and the largest difference of a probability are measured against the first model. FPS and p50
    are measured on frames in memory: OpenVINO runs them through an infer queue, other frameworks one after another.

    \b
    Examples:
      ov-mobilenet compare mobilenetv2-7@source mobilenetv2-7 mobilenetv2-7@bf16 --dataset val/
      ov-mobilenet compare public/mine/FP32/mine.xml public/mine/FP16/mine.xml --dataset val/ --format markdown
    """
    with count_progress(context) as on_progress:
        found = compare(
            models,
            dataset_flags.dataset,
            annotations=dataset_flags.annotations,
            settings=device_options.settings(),
            geometry=geometry,
            time_s=time_s if seconds is None else seconds,
            on_progress=on_progress,
            on_failure=print_failure,
            **lookup.as_options(),
            **dataset_flags.subset(),
        )
    _print(found, output_format)
    broken = [one for one in found.models if one.error is not None]
    for one in broken:
        name = "" if one.model in (one.error or "") else f"{printable(one.model)}: "
        click.echo(f"error: {name}{one.error}", err=True)
    if output_format == "table" and not options.quiet(context):
        failed = f", {found.failed} could not be read" if found.failed else ""
        click.echo(f"{found.images} images{failed}; EXIF orientation ignored", err=True)
    return 1 if broken or found.failed else 0


def _print(found: ModelComparison, output_format: str) -> None:
    rows = map(_cells, found.models)
    if output_format == "json":
        options.print_json(found)
    elif output_format == "csv":
        print_csv(CSV_COLUMNS, (_csv_row(one) for one in found.models))
    elif output_format == "markdown":
        print_markdown(HEADS, rows, numbers_from=NUMBERS_FROM)
    else:
        print_table(HEADS, rows, numbers_from=NUMBERS_FROM)


def _csv_row(one: ComparedModel) -> Sequence[object]:
    values = msgspec.structs.asdict(one)
    return [values[name] for name in CSV_COLUMNS]


def _cells(one: ComparedModel) -> list[str]:
    runs_in = [word for word in (one.runs_in, one.device, one.inference_precision) if word is not None]
    figures = (
        (one.top1, ".2%"),
        (one.top5, ".2%"),
        (one.agreement, ".2%"),
        (one.max_difference, ".1e"),
        (one.size_mb, ".2f"),
        (one.throughput_fps, ".0f"),
        (one.p50_ms, ".2f"),
    )
    return [printable(one.model), " ".join(runs_in) or "-", *("-" if v is None else format(v, f) for v, f in figures)]
