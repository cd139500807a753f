"""`compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ov_mobilenet.accuracy.side_by_side import SECONDS, Compared, ModelComparison, compare
from ov_mobilenet.cli import options
from ov_mobilenet.cli.device import DeviceFlags, device_options
from ov_mobilenet.cli.progress import count_progress
from ov_mobilenet.cli.tables import print_table
from ov_mobilenet.errors import printable
from ov_mobilenet.runtime.results import Failure

HEADS = ("model", "runs in", "top-1", "top-5", "agreement", "max diff", "MB", "FPS", "p50 ms")


@click.command("compare")
@click.argument("models", nargs=-1, required=True, metavar="MODEL[@FORM]…")
@click.option(
    "--dataset", required=True, metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Images and their classes, as for `accuracy`.",
)  # fmt: skip
@click.option(
    "--annotations", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="ImageNet's val.txt, or CSV (default: DIR/val.txt if it is there).",
)  # fmt: skip
@click.option("--format", "form", type=click.Choice(["table", "json", "md"]), default="table", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only so many images, drawn at random.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which ones --limit draws.")
@click.option("--geometry", metavar="STEPS", help="Crop and resize for all, instead of each one's own.")
@click.option(
    "--seconds", type=click.FloatRange(min=0), default=SECONDS, show_default=True, metavar="S",
    help="How long each figure of speed is measured; 0 leaves speed out.",
)  # fmt: skip
@options.config_dirs
@device_options
@options.cache_dir
@click.pass_context
def compare_command(
    context: click.Context,
    models: tuple[str, ...],
    dataset: Path,
    annotations: Path | None,
    form: str,
    limit: int | None,
    seed: int,
    geometry: str | None,
    seconds: float,
    config_dirs: tuple[Path, ...],
    device_options: DeviceFlags,
    cache_dir: Path | None,
    offline: bool,
) -> int:
    """IRs and source networks side by side on the same images: accuracy, agreement, size, speed.

    MODEL is a zoo name, a model.yml or an IR .xml, run in OpenVINO at f32 (or --inference-precision); MODEL@bf16,
    MODEL@f16 and MODEL@f32 name the precision. MODEL@source is the source network of a description in its own framework
    (onnxruntime, PyTorch, LiteRT, TensorFlow), and so is its file, NET.onnx or NET.tflite, with model.yml beside it.

    Agreement (the same first class) and the largest difference of a probability are those from the first model. FPS
    and p50 are measured on frames in memory: FPS through the queue in OpenVINO, elsewhere one image after another.

    \b
    Examples:
      ov-mobilenet compare mobilenetv2-7@source mobilenetv2-7 mobilenetv2-7@bf16 --dataset val/
      ov-mobilenet compare public/mine/FP32/mine.xml public/mine/FP16/mine.xml --dataset val/ --format md
    """

    def on_failure(failure: Failure) -> None:
        click.echo(f"error: {printable(failure.source)}: {printable(failure.error)}", err=True)

    with count_progress(context) as on_progress:
        found = compare(
            models,
            dataset,
            annotations=annotations,
            settings=device_options.settings(),
            geometry=geometry,
            limit=limit,
            seed=seed,
            seconds=seconds,
            config_dirs=config_dirs,
            cache_dir=cache_dir,
            offline=offline,
            on_progress=on_progress,
            on_failure=on_failure,
        )
    _print(found, form)
    broken = [row for row in found.models if row.error is not None]
    for row in broken:
        name = "" if row.model in (row.error or "") else f"{printable(row.model)}: "
        click.echo(f"error: {name}{row.error}", err=True)
    if form == "table" and not options.quiet(context):
        left_out = f", {found.failed} could not be read" if found.failed else ""
        click.echo(f"{found.images} images{left_out}; EXIF orientation ignored", err=True)
    return 1 if broken or found.failed else 0


def _print(found: ModelComparison, form: str) -> None:
    if form == "json":
        options.print_json(found)
        return
    rows = [_cells(row) for row in found.models]
    if form == "table":
        print_table(HEADS, rows, numbers_from=2)
        return
    click.echo(_line(HEADS))
    click.echo(_line(["---"] * 2 + ["---:"] * (len(HEADS) - 2)))
    for row in rows:
        click.echo(_line([cell.replace("|", "\\|") for cell in row]))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Compared) -> list[str]:
    ran = [word for word in (row.runs_in, row.device, row.inference_precision) if word is not None]
    figures = (
        (row.top1, ".2%"),
        (row.top5, ".2%"),
        (row.agreement, ".2%"),
        (row.max_difference, ".1e"),
        (row.size_mb, ".2f"),
        (row.throughput_fps, ".0f"),
        (row.p50_ms, ".2f"),
    )
    return [printable(row.model), " ".join(ran) or "-", *("-" if v is None else format(v, f) for v, f in figures)]
