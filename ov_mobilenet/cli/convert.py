"""`convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.progress import download_progress
from ov_mobilenet.cli.selection import each_model, print_names, selected, selection
from ov_mobilenet.conversion.converter import PRECISIONS, Form, IrModel, Precision, convert
from ov_mobilenet.downloads.fetch import SourceFiles, download
from ov_mobilenet.errors import AlreadyNormalisedError, OvMobilenetError, UsageError
from ov_mobilenet.zoo.geometry import parse_words
from ov_mobilenet.zoo.model import ModelConfig


@click.command("convert")
@selection
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
@options.allow_unverified
@options.cache_dir
@click.pass_context
def convert_command(
    context: click.Context,
    models: tuple[str, ...],
    names: str | None,
    all_models: bool,
    list_file: Path | None,
    print_all: bool,
    config_dirs: tuple[Path, ...],
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
    allow_unverified: bool,
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
    if print_all:
        print_names(config_dirs)
        return 0
    if batch is not None and batch != -1 and batch < 1:
        raise UsageError("bad --batch", expected="a positive number, or -1 for any", got=batch)
    wanted = _precisions(precisions)
    shape = Form(batch, layout, "u8" if input_type == "u8" else "f32", parse_words(geometry) if geometry else None)
    for model in models:
        if model.endswith(".xml"):
            _refuse_ir(Path(model))
    configs = selected(models, names, all_models, list_file, config_dirs)
    pictures = _pictures(verify_images)
    rows: list[dict[str, Any]] = []
    with download_progress(context) as on_event:

        def one(config: ModelConfig) -> None:
            try:
                folder = download_dir / "public" / config.name
                options.say_licence(context, config)
                sources = download(
                    config,
                    folder,
                    cache_root=cache_dir,
                    offline=offline,
                    allow_unverified=allow_unverified,
                    on_event=on_event,
                )
                target = (output_dir or download_dir) / "public" / config.name
                converted = convert(sources, target, precisions=wanted, form=shape)
            except (OvMobilenetError, OSError) as error:
                rows.append({"model": config.name, "precision": None, "error": " ".join(str(error).split())})
                raise
            failures = []
            for model in converted:
                row: dict[str, Any] = {"model": config.name, "precision": model.precision, "xml": str(model.xml)}
                rows.append(row)
                if form == "table":
                    click.echo(model.xml)
                if verify or pictures is not None:
                    failures += _verify(context, sources, model, pictures, row)
            if failures:
                raise failures[0]

        try:
            return each_model(configs, one)
        finally:
            if form == "json":
                options.print_json(rows)


def _refuse_ir(xml: Path) -> None:
    """Say what an IR holds already. Raises: AlreadyNormalisedError, or IrError if it cannot be read."""
    from ov_mobilenet.conversion.ir import read_ir
    from ov_mobilenet.conversion.normalisation import baked_already

    raise AlreadyNormalisedError(
        "is an IR already; converting it again would normalise twice",
        where=xml,
        got=baked_already(read_ir(xml)) or "no record of a normalisation",
        fix="Convert from the source network, or run the IR as it is",
    )


def _pictures(folder: Path | None) -> list[Path] | None:
    """The pictures to verify on; None for drawn noise. Raises: UsageError if there is none where one was named."""
    from ov_mobilenet.cli.inputs import expand_inputs

    if folder is None:
        return None
    found = [Path(file) for file in expand_inputs((str(folder),))]
    if not found:
        raise UsageError("no pictures to verify on", expected="a folder with pictures", got=folder)
    return found


def _precisions(text: str | None) -> tuple[Precision, ...] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    known: dict[str, Precision] = {precision: precision for precision in PRECISIONS}
    if unknown := [name for name in names if name not in known]:
        raise UsageError("unknown precision", expected=" or ".join(PRECISIONS), got=repr(unknown[0]))
    return tuple(dict.fromkeys(known[name] for name in names))


def _verify(
    context: click.Context, sources: SourceFiles, model: IrModel, pictures: list[Path] | None, row: dict[str, Any]
) -> list[OvMobilenetError]:
    """Verify one IR and put the outcome into its row; the failure is given back, so that the others are verified."""
    import msgspec

    from ov_mobilenet.conversion.verification import check, verify

    try:
        result = verify(sources, model, pictures)
        row["verification"] = msgspec.to_builtins(result)
        if not options.quiet(context):
            click.echo(
                f"verified {sources.config.name} {model.precision} on {result.images} "
                f"{'pictures' if pictures else 'drawings'}: largest difference {result.max_difference:.2g} "
                f"(tolerance {result.tolerance:g}), top-1 agreement {result.top1_agreement:.1%} "
                f"(least {result.least_agreement:.0%})" + (f", {result.skipped} unreadable" if result.skipped else ""),
                err=True,
            )
        check(result, model.xml)
    except OvMobilenetError as error:
        row["error"] = str(error)
        return [error]
    return []
