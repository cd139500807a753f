"""`quantize`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.progress import Count, open_progress

if TYPE_CHECKING:
    from ov_mobilenet.quantization.calibration import OnImage
    from ov_mobilenet.quantization.quantizer import Quantized

SCHEMA_VERSION = 1


@click.command("quantize")
@click.argument("model")
@click.option(
    "--calibration", multiple=True, required=True, metavar="INPUT",
    help="Images to calibrate on: folders with all below them, files, wildcards, @LIST, - for stdin, tar shards, "
    "videos; repeatable.",
)  # fmt: skip
@click.option("--subset-size", type=click.IntRange(min=1), default=300, show_default=True, help="Images to use.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which images make the subset.")
@click.option(
    "--preset", type=click.Choice(["auto", "performance", "mixed"]), default="auto", show_default=True,
    help="auto: what was measured best for networks of this kind.",
)  # fmt: skip
@click.option(
    "--fast-bias-correction/--no-fast-bias-correction", default=False, show_default=True,
    help="A quicker, coarser correction of each layer's mean.",
)  # fmt: skip
@click.option("--ignored-scope", multiple=True, metavar="NAME|REGEX", help="Operations that stay in float; repeatable.")
@click.option(
    "--dataset", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Labelled images (val.txt, or a folder a class): top-1 before and after.",
)  # fmt: skip
@click.option(
    "--max-drop", type=click.FloatRange(min=0.0, max=1.0), metavar="FRACTION",
    help="Put layers back to float until top-1 on --dataset drops no further, such as 0.01; exit code 3 if it does.",
)  # fmt: skip
@click.option(
    "-d", "--device", default="CPU", show_default=True, help="Where it will run: what it lacks is said first."
)
@click.option(
    "-o", "--output-dir", "--output_dir", type=click.Path(path_type=Path, file_okay=False), default=None,
    help="The IR goes to OUTPUT_DIR/public/NAME/FP16-INT8/NAME.xml (default: beside the IR given, or here).",
)  # fmt: skip
@click.option("--format", "form", type=options.FORMATS, default="table", show_default=True)
@options.config_dirs
@options.cache_dir
@click.pass_context
def quantize_command(
    context: click.Context,
    model: str,
    calibration: tuple[str, ...],
    subset_size: int,
    seed: int,
    preset: Literal["auto", "performance", "mixed"],
    fast_bias_correction: bool,
    ignored_scope: tuple[str, ...],
    dataset: Path | None,
    max_drop: float | None,
    device: str,
    output_dir: Path | None,
    form: str,
    config_dirs: tuple[Path, ...],
    cache_dir: Path | None,
    offline: bool,
) -> None:
    """Make an INT8 IR of a converted model, calibrated on images through the model's own crop and resize.

    Needs NNCF: pip install "ov-mobilenet[quantize]".

    \b
    Examples:
      ov-mobilenet quantize mobilenet-v2-pytorch --calibration images/
      ov-mobilenet quantize public/mine/FP32/mine.xml --calibration train/ --dataset val/ --max-drop 0.01
    """
    from ov_mobilenet.quantization import nncf_calls
    from ov_mobilenet.quantization.quantizer import QuantizeSettings, quantize
    from ov_mobilenet.resolve import Lookup, open_model

    nncf_calls.require()
    xml = open_model(model, Lookup(config_dirs, cache_dir, offline)).xml
    settings = QuantizeSettings(
        subset_size=subset_size,
        seed=seed,
        preset=preset,
        fast_bias_correction=fast_bias_correction,
        ignored_scope=ignored_scope,
        max_drop=max_drop,
    )
    target = None
    if output_dir is not None or not model.endswith(".xml"):
        target = (output_dir or Path()) / "public" / xml.stem / "FP16-INT8" / xml.name
    with _progress(context) as on_image:
        made = quantize(xml, calibration, target, settings=settings, dataset=dataset, device=device, on_image=on_image)
    if form == "json":
        options.print_json(_facts(made))
    else:
        click.echo(made.model.xml)
        if not options.quiet(context):
            click.echo(_summary(made), err=True)


@contextmanager
def _progress(context: click.Context) -> Iterator[OnImage]:
    with open_progress(context) as progress:
        task = progress.task()

        def update(done: int, total: int) -> None:
            if done < total:
                task.update(done, total, Count(total, done=done).describe)
            else:
                task.announce("calibration images read, quantising")

        yield update


def _facts(made: Quantized) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "model": made.model.record.config_name,
        "precision": made.model.precision,
        "xml": str(made.model.xml),
        "calibration": made.model.record.calibration,
        "skipped": made.skipped,
        "put_back": list(made.put_back),
        "accuracy": made.accuracy,
        "report": None if made.report is None else str(made.report),
        "bytes_ratio": made.bytes_ratio,
    }


def _summary(made: Quantized) -> str:
    calibration = made.model.record.calibration or {}
    text = (
        f"{calibration['images']} images, preset {calibration['preset']}; the weights take {made.bytes_ratio:.2f} of "
        "the bytes they took"
    )
    if made.accuracy:
        text += (
            f"; top-1 {made.accuracy['float_top1']:.3f} -> {made.accuracy['top1']:.3f} on {made.accuracy['images']} "
            f"images, {made.accuracy['agreement']:.1%} with the same class"
        )
    if made.put_back:
        text += f"; back in float: {', '.join(made.put_back)}"
    return text
