"""`convert`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.backend import Backend, backend_options, optimizer_of
from ov_mobilenet.cli.conversion_job import ConversionOutcome, Job, failed, run_apart, run_job
from ov_mobilenet.cli.form import FormOptions, form_options
from ov_mobilenet.cli.interruption import Gate
from ov_mobilenet.cli.own_network import (
    OwnNetwork,
    check_name,
    describe_own,
    refuse_strays,
    show_own,
    source_options,
)
from ov_mobilenet.cli.progress import download_progress
from ov_mobilenet.cli.selection import SelectedConfigs, Selection, each_model, model_selection, print_names, selected
from ov_mobilenet.conversion.converter import PRECISIONS, Precision, default_precisions
from ov_mobilenet.conversion.inspection import is_network
from ov_mobilenet.conversion.own_network import Draft, check_place, staged, write
from ov_mobilenet.downloads.cache import default_root
from ov_mobilenet.downloads.fetch import download, plan_file
from ov_mobilenet.errors import AlreadyNormalisedError, OvMobilenetError, UsageError
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.geometry import from_dataset
from ov_mobilenet.zoo.model import ModelConfig


@click.command("convert")
@model_selection
@source_options
@backend_options
@click.option(
    "-o", "--output-dir", "--output_dir", type=click.Path(path_type=Path, file_okay=False), default=None,
    help="IRs go to OUTPUT_DIR/public/NAME/PRECISION/NAME.xml (default: the download folder).",
)  # fmt: skip
@click.option(
    "-d", "--download-dir", "--download_dir", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    help="Source files lie, or are fetched to, DOWNLOAD_DIR/public/NAME (default: here).",
)  # fmt: skip
@click.option("--precisions", metavar="P[,P]", help="FP16, FP32 or both (default: what the description asks for).")
@form_options
@click.option("--verify/--no-verify", default=False, help="Compare with the source network in its own framework.")
@click.option(
    "--verify-images", type=click.Path(path_type=Path, exists=True), default=None,
    help="Images to verify on (default: drawn noise).",
)  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Models at a time.")
@click.option("--dry-run", "--dry_run", is_flag=True, help="Print what would be converted from what, and stop.")
@click.option("--format", "form", type=options.FORMATS, default="table", show_default=True)
@options.allow_unverified
@options.cache_dir
@click.pass_context
def convert_command(
    context: click.Context,
    selection: Selection,
    own: OwnNetwork,
    backend: Backend,
    output_dir: Path | None,
    download_dir: Path,
    precisions: str | None,
    shape: FormOptions,
    verify: bool,
    verify_images: Path | None,
    jobs: int,
    dry_run: bool,
    form: str,
    allow_unverified: bool,
    cache_dir: Path | None,
    offline: bool,
) -> int:
    """Convert models to OpenVINO IR that takes raw BGR pixels and gives probabilities.

    \b
    Examples:
      ov-mobilenet convert mobilenet-v2-pytorch -o models
      ov-mobilenet convert path/to/model.yml --precisions FP16 --verify --verify-images images/
      ov-mobilenet convert mobilenet-v1-0.25-128 --input-type u8 --layout NHWC --batch -1
      ov-mobilenet convert mobilenet-v2-pytorch --bake-geometry --color-format nv12
      ov-mobilenet convert --all -j 2 --dry-run
      ov-mobilenet convert --source mine.pth --name mine --preset torchvision --labels labels.txt
    """
    if selection.print_all:
        print_names(selection.config_dirs)
        return 0
    optimizer = optimizer_of(backend)
    wanted = _precisions(precisions)
    ir_form = shape.form()
    for model in (*selection.models, *([str(own.source)] if own.source else [])):
        if model.endswith(".xml"):
            _refuse_ir(Path(model))
    for model in selection.models:
        if is_network(Path(model)):
            raise UsageError(
                "a network, not a description of one", where=model,
                fix=f"ov-mobilenet convert --source {shlex.quote(model)} --name NAME",
            )  # fmt: skip
    images = _images(verify_images)
    verified = verify or images is not None
    output_dir = output_dir or download_dir
    if own.source is not None:
        target = output_dir / "public" / (selection.names or "")
        like = _lender(selection)
        made, files = describe_own(context, own, selection.names, ir_form, like)
        check_name(made.description.name, target, selection.config_dirs)
        check_place(target)
        with staged(made, files, target) as sources:
            if dry_run:
                show_own(made, target)
                return 0
            own_form = replace(ir_form, geometry=None, input_shape=None)  # in the description now
            job = Job(sources, target, wanted, own_form, verified, images, options.quiet(context), optimizer)
            return _convert_own(job, made, form)
    refuse_strays(own)
    found = selected(selection)
    rows = [row for name, error in found.broken.items() for row in failed(name, error).rows]
    if dry_run:
        code = each_model(found, partial(_show_plan, download_dir, output_dir, wanted, cache_dir, form, rows))
        return _print_rows(rows, form, code)
    gate = Gate()
    convert_one = run_job if jobs == 1 or len(found.configs) <= 1 else partial(run_apart, gate=gate)
    with download_progress(context) as on_event:

        def outcome(config: ModelConfig) -> ConversionOutcome:
            try:
                options.say_licence(context, config)
                sources = download(
                    config,
                    download_dir / "public" / config.name,
                    cache_root=cache_dir,
                    offline=offline,
                    allow_unverified=allow_unverified,
                    on_event=on_event,
                )
            except (OvMobilenetError, OSError) as error:
                return failed(config.name, error)
            target = output_dir / "public" / config.name
            quiet = options.quiet(context)
            return convert_one(Job(sources, target, wanted, ir_form, verified, images, quiet, optimizer))

        def one(config: ModelConfig) -> None:
            _show(outcome(config), rows, form)

        code = 1
        try:
            code = each_model(found, one, jobs, gate)
        finally:
            _print_rows(rows, form, code)
    return code


def _convert_own(job: Job, made: Draft, form: str) -> int:
    """Convert a network of the user's own; its description is written when that was possible, and only then."""
    result = run_job(job)
    if any("xml" in row for row in result.rows):
        write(made, job.sources.folder, job.target)
    rows: list[dict[str, Any]] = []
    code = 1
    try:
        code = each_model(SelectedConfigs([job.sources.config], {}), lambda _: _show(result, rows, form))
    finally:
        _print_rows(rows, form, code)
    return code


def _show(result: ConversionOutcome, rows: list[dict[str, Any]], form: str) -> None:
    """Keep the rows and print their IRs. Raises: what went wrong."""
    rows.extend(result.rows)
    if form == "table":
        for row in result.rows:
            if "xml" in row:
                click.echo(row["xml"])
    if result.failure is not None:
        raise result.failure


def _print_rows(rows: list[dict[str, Any]], form: str, code: int) -> int:
    if form == "json":
        options.print_json(sorted(rows, key=lambda row: (row["model"], row["precision"] or "")))
    return code


def _lender(selection: Selection) -> ModelConfig | None:
    """The MODEL beside `--source`, whose normalisation and geometry are taken. Raises: UsageError."""
    if selection.all_models or selection.list_file or len(selection.models) > 1:
        raise UsageError("--source converts one network", expected="at most one MODEL beside it, and --name")
    from ov_mobilenet.zoo.registry import find_config

    return find_config(selection.models[0], config_dirs=selection.config_dirs) if selection.models else None


def _show_plan(
    download_dir: Path,
    output_dir: Path,
    precisions: tuple[Precision, ...] | None,
    cache_dir: Path | None,
    form: str,
    rows: list[dict[str, Any]],
    config: ModelConfig,
) -> None:
    """What would be done for one model: a row for each IR, and in words what goes into it."""
    plan = plan_conversion(config)
    folder = download_dir / "public" / config.name
    actions = {f.name: plan_file(f, folder / f.name, cache_dir or default_root()) for f in config.files}
    fetched = [name for name, action in actions.items() if action == "fetch"]
    network = f"${plan.source.root}/{plan.source.path}"
    geometry = from_dataset(config.dataset) if config.dataset is not None else None
    for precision in precisions or default_precisions(plan):
        xml = output_dir / "public" / config.name / precision / f"{config.name}.xml"
        rows.append(
            {"model": config.name, "precision": precision, "xml": str(xml), "network": network, "fetch": fetched}
        )
        if form == "table":
            click.echo(xml)
    if form == "table":
        size = options.human_size(sum(file.size for file in config.files if file.name in fetched))
        click.echo(f"  from {config.framework} {network}, {f'{size} to fetch' if fetched else 'files at hand'}")
        click.echo(
            f"  input {plan.input.name} {list(plan.input.shape)} {plan.input.layout}; baked in: {plan.normalisation}"
        )
        click.echo(f"  geometry {geometry or 'not known'}; output {plan.output or 'as the network has it'}")


def _refuse_ir(xml: Path) -> None:
    """Say what an IR holds already. Raises: AlreadyNormalisedError, or IrError if it cannot be read."""
    from ov_mobilenet.ir.files import read_ir
    from ov_mobilenet.ir.normalisation import baked_already

    raise AlreadyNormalisedError(
        "is an IR already; converting it again would normalise twice",
        where=xml,
        got=baked_already(read_ir(xml)) or "no record of a normalisation",
        fix="Convert from the source network, or run the IR as it is",
    )


def _images(folder: Path | None) -> list[Path] | None:
    """The images to verify on; None for drawn noise. Raises: UsageError if there is none where one was named."""
    from ov_mobilenet.inputs.sources import find_sources

    if folder is None:
        return None
    found = [Path(file) for source in find_sources((str(folder),)) for file in source.images]
    if not found:
        raise UsageError("no images to verify on", expected="a folder with images", got=folder)
    return found


def _precisions(text: str | None) -> tuple[Precision, ...] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    known: dict[str, Precision] = {precision: precision for precision in PRECISIONS}
    if unknown := [name for name in names if name not in known]:
        raise UsageError("unknown precision", expected=" or ".join(PRECISIONS), got=repr(unknown[0]))
    return tuple(dict.fromkeys(known[name] for name in names))
