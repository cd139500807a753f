"""`quantize`: a model to INT8."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.progress import Count, open_progress
from ov_mobilenet.inputs.image_subset import MIN_IMAGES
from ov_mobilenet.resolve import Lookup

if TYPE_CHECKING:
    from ov_mobilenet.accuracy.protocol import OnProgress
    from ov_mobilenet.quantization.quantizer import Quantized

SCHEMA_VERSION = 1


@click.command("quantize")
@click.argument("model")
@click.option(
    "--calibration", multiple=True, required=True, metavar="INPUT",
    help=f"Calibration images: {options.INPUT_KINDS}.",
)  # fmt: skip
@click.option(
    "--subset-size",
    type=click.IntRange(min=MIN_IMAGES),
    default=300,
    show_default=True,
    metavar="N",
    help=f"Number of calibration images to use, at least {MIN_IMAGES}.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of the random choice of calibration images.",
)
@click.option(
    "--preset", type=click.Choice(["auto", "performance", "mixed"]), default="auto", show_default=True,
    help="auto: the preset with the best measured results for this kind of network.",
)  # fmt: skip
@click.option(
    "--fast-bias-correction/--no-fast-bias-correction", default=False, show_default=True,
    help="Correct the bias of each layer by a faster, less accurate method.",
)  # fmt: skip
@click.option("--ignored-scope", multiple=True, metavar="NAME|REGEX", help="Operations to keep in float; repeatable.")
@click.option(
    "--dataset", type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Labelled images (val.txt, or one folder per class): measure top-1 before and after.",
)  # fmt: skip
@click.option(
    "--max-drop", type=click.FloatRange(min=0.0, max=1.0), metavar="FRACTION",
    help="Revert layers to float until top-1 on --dataset drops by at most this fraction, such as 0.01; exit with code "
    "3 if that is not possible.",
)  # fmt: skip
@click.option(
    "-d",
    "--device",
    default="CPU",
    show_default=True,
    metavar="DEVICE",
    help="Device that the model will run on; a warning is printed if INT8 is not faster there.",
)
@click.option(
    "-o", "--output-dir", "--output_dir", type=click.Path(path_type=Path, file_okay=False), default=None,
    metavar="DIR", help="Write the IR to DIR/public/NAME/FP16-INT8/NAME.xml (default: beside a given IR, otherwise in "
    "the current folder).",
)  # fmt: skip
@options.format_option("table", "json")
@options.lookup
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
    output_format: str,
    lookup: Lookup,
) -> None:
    """Quantise a MODEL to INT8. Calibration images go through the model's own crop and resize.

    MODEL is a zoo name, a model.yml, hf:OWNER/NAME, or an IR .xml written by `convert`. A warning is printed if another
    normalisation or channel order than the one in the model is significantly better on 20 of the images (see diagnose).

    Needs NNCF: pip install "ov-mobilenet[quantize]".

    \b
    Examples:
      ov-mobilenet quantize mobilenet-v2-pytorch --calibration images/
      ov-mobilenet quantize public/mine/FP32/mine.xml --calibration train/ --dataset val/ --max-drop 0.01
    """
    from ov_mobilenet.quantization.quantizer import QuantizeSettings, quantize

    settings = QuantizeSettings(
        subset_size=subset_size,
        seed=seed,
        preset=preset,
        fast_bias_correction=fast_bias_correction,
        ignored_scope=ignored_scope,
        max_drop=max_drop,
    )
    with _progress(context) as on_progress:
        made = quantize(
            model,
            calibration,
            output_dir=output_dir,
            settings=settings,
            dataset=dataset,
            device=device,
            on_progress=on_progress,
            **lookup.as_options(),
        )
    for warning in made.warnings:  # also with -q: the figures are worthless
        click.echo(f"warning: {warning}", err=True)
    if output_format == "json":
        options.print_json(_facts(made))
    else:
        click.echo(made.model.xml)
        if not options.quiet(context):
            click.echo(_summary(made), err=True)


@contextmanager
def _progress(context: click.Context) -> Iterator[OnProgress]:
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
        "warnings": list(made.warnings),
    }


def _summary(made: Quantized) -> str:
    calibration = made.model.record.calibration or {}
    text = (
        f"{calibration['images']} calibration images, preset {calibration['preset']}; size of the weights "
        f"{made.bytes_ratio:.0%} of the float IR"
    )
    if made.accuracy:
        text += (
            f"; top-1 {made.accuracy['float_top1']:.3f} -> {made.accuracy['top1']:.3f} on {made.accuracy['images']} "
            f"images, same top-1 on {made.accuracy['agreement']:.1%}"
        )
    if made.put_back:
        text += f"; reverted to float: {', '.join(made.put_back)}"
    return text
