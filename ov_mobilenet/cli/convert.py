"""`convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.download import each_model, find_configs, progress_bar, say_licence
from ov_mobilenet.conversion.converter import PRECISIONS, Form, IrModel, Precision, convert
from ov_mobilenet.downloads.fetch import SourceFiles, download
from ov_mobilenet.errors import OvMobilenetError, UsageError, VerificationError
from ov_mobilenet.zoo.geometry import parse_words
from ov_mobilenet.zoo.model import ModelConfig

SCHEMA_VERSION = 1


@click.command("convert")
@click.argument("models", nargs=-1, required=True, metavar="MODEL…")
@click.option(
    "-o", "--output-dir", "--output_dir", type=click.Path(path_type=Path, file_okay=False), default=None,
    help="IRs go to OUTPUT_DIR/public/NAME/PRECISION/NAME.xml (default: the download folder).",
)  # fmt: skip
@click.option(
    "-d", "--download-dir", "--download_dir", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    help="Source files lie, or are fetched to, DOWNLOAD_DIR/public/NAME (default: here).",
)  # fmt: skip
@click.option("--precisions", metavar="P[,P]", help="FP16, FP32 or both (default: what the description asks for).")
@click.option("--batch", type=int, help="Fixed batch size, or -1 for any.")
@click.option("--layout", type=click.Choice(["NCHW", "NHWC"]), help="Layout of the converted input.")
@click.option("--input-type", type=click.Choice(["f32", "u8"]), default="f32", show_default=True)
@click.option("--geometry", metavar="STEPS", help="Recorded crop and resize, such as 'resize 256 greater, crop 224'.")
@click.option("--verify/--no-verify", default=False, help="Compare with the source network in its own framework.")
@click.option(
    "--verify-images", type=click.Path(path_type=Path, exists=True), default=None,
    help="Pictures to verify on (default: drawn noise).",
)  # fmt: skip
@click.option("--format", "form", type=options.FORMATS, default="table", show_default=True)
@options.cache_dir
@click.pass_context
def convert_command(
    context: click.Context,
    models: tuple[str, ...],
    output_dir: Path | None,
    download_dir: Path,
    precisions: str | None,
    batch: int | None,
    layout: str | None,
    input_type: str,
    geometry: str | None,
    verify: bool,
    verify_images: Path | None,
    form: str,
    cache_dir: Path | None,
    offline: bool,
) -> int:
    """Convert models to OpenVINO IR that takes raw BGR pixels and gives probabilities.

    \b
    Examples:
      ov-mobilenet convert mobilenet-v2-pytorch -o models
      ov-mobilenet convert path/to/model.yml --precisions FP16 --verify --verify-images pictures/
      ov-mobilenet convert mobilenet-v1-0.25-128 --input-type u8 --layout NHWC --batch -1
    """
    if batch is not None and batch != -1 and batch < 1:
        raise UsageError("bad --batch", expected="a positive number, or -1 for any", got=batch)
    wanted = _precisions(precisions)
    shape = Form(batch, layout, "u8" if input_type == "u8" else "f32", parse_words(geometry) if geometry else None)
    rows: list[dict[str, Any]] = []

    def one(config: ModelConfig) -> None:
        try:
            folder = download_dir / "public" / config.name
            say_licence(context, config)
            with progress_bar(context, config) as on_progress:
                sources = download(config, folder, cache_root=cache_dir, offline=offline, on_progress=on_progress)
            target = (output_dir or download_dir) / "public" / config.name
            for model in convert(sources, target, precisions=wanted, form=shape):
                row: dict[str, Any] = {"model": config.name, "precision": model.precision, "xml": str(model.xml)}
                rows.append(row)
                if form == "table":
                    click.echo(model.xml)
                if verify or verify_images is not None:
                    row["verification"] = _verify(context, sources, model, verify_images)
        except OvMobilenetError as error:
            failed = rows[-1] if isinstance(error, VerificationError) and rows else None
            rows.append({"model": config.name, "precision": (failed or {}).get("precision"), "error": str(error)})
            raise

    try:
        return each_model(find_configs(models), one)
    finally:
        if form == "json":
            options.print_json(rows)


def _precisions(text: str | None) -> tuple[Precision, ...] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    known: dict[str, Precision] = {precision: precision for precision in PRECISIONS}
    if unknown := [name for name in names if name not in known]:
        raise UsageError("unknown precision", expected=" or ".join(PRECISIONS), got=repr(unknown[0]))
    return tuple(dict.fromkeys(known[name] for name in names))


def _verify(context: click.Context, sources: SourceFiles, model: IrModel, images: Path | None) -> dict[str, Any]:
    import msgspec

    from ov_mobilenet.cli.inputs import expand_inputs
    from ov_mobilenet.conversion.verification import check, verify

    files = expand_inputs((str(images),)) if images is not None else []
    result = verify(sources, model, [Path(file) for file in files])
    if not options.quiet(context):
        click.echo(
            f"verified {sources.config.name} {model.precision} on {result.images} "
            f"{'pictures' if files else 'drawings'}: largest difference {result.max_difference:.2g} "
            f"(tolerance {result.tolerance:g}), top-1 agreement {result.top1_agreement:.1%} "
            f"(least {result.least_agreement:.0%})" + (f", {result.skipped} unreadable" if result.skipped else ""),
            err=True,
        )
    check(result, model.xml)
    facts: dict[str, Any] = msgspec.to_builtins(result)
    return facts
