"""`convert`: models of the zoo, or the user's own network, to IRs."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.backend import BackendOptions, backend_options, find_optimizer
from ov_mobilenet.cli.classic_options import ClassicCommand
from ov_mobilenet.cli.conversion_dry_run import show_plan
from ov_mobilenet.cli.conversion_job import ConversionJob, ConversionOutcome, failed, run_in_process, run_job
from ov_mobilenet.cli.form import FormOptions, form_options
from ov_mobilenet.cli.interruption import Gate
from ov_mobilenet.cli.mo_options import MO_OPTIONS
from ov_mobilenet.cli.own_network import (
    SourceOptions,
    check_name,
    describe_source,
    refuse_source_options,
    show_draft,
    source_options,
)
from ov_mobilenet.cli.progress import download_progress
from ov_mobilenet.cli.selection import SelectedConfigs, Selection, each_model, model_selection, print_names, selected
from ov_mobilenet.conversion.converter import WEIGHT_PRECISIONS, WeightPrecision
from ov_mobilenet.conversion.local_network import find_network
from ov_mobilenet.conversion.own_network import DraftDescription
from ov_mobilenet.conversion.own_network_files import check_overwritable, described_network, save_described_network
from ov_mobilenet.convert_model import check_convertible
from ov_mobilenet.downloads.fetch import download
from ov_mobilenet.errors import OvMobilenetError, UsageError
from ov_mobilenet.ir.trial_reading import Isolation
from ov_mobilenet.resolve import Lookup, find_description
from ov_mobilenet.zoo.hub_reference import is_hub_reference
from ov_mobilenet.zoo.model import ModelConfig

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1  # of each entry of the JSON output
# Precisions that the Open Model Zoo's converter knows, but makes only by quantisation.
_QUANTISED = ("FP16-INT8", "FP16-INT1", "FP32-INT8", "FP32-INT1")


@click.command("convert", cls=ClassicCommand, program="the Model Optimizer", classic=MO_OPTIONS)
@model_selection
@source_options
@backend_options
@click.option(
    "-o", "--output-dir", "--output_dir", type=click.Path(path_type=Path, file_okay=False), default=None,
    metavar="DIR", help="Write IRs to DIR/public/NAME/PRECISION/NAME.xml (default: the download folder).",
)  # fmt: skip
@click.option(
    "-d", "--download-dir", "--download_dir", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    metavar="DIR", help="Download source files to DIR/public/NAME (default: the current folder).",
)  # fmt: skip
@click.option(
    "--precisions", metavar="P[,P]", help="Weight precisions: FP16, FP32 or both (default: as the description says)."
)
@form_options
@click.option(
    "--verify/--no-verify", default=False, help="Compare the IRs with the source network in its own framework."
)
@click.option(
    "--verify-images", type=click.Path(path_type=Path, exists=True), default=None,
    help="Image or folder of images to verify on (default: generated noise).",
)  # fmt: skip
@click.option(
    "-j", "--jobs", type=options.JobCount(), default=1, show_default=True, metavar="N|auto",
    help="Number of models to convert in parallel; auto: as many as CPU cores and memory allow.",
)  # fmt: skip
@click.option("--dry-run", "--dry_run", is_flag=True, help="Print what would be converted, without converting it.")
@options.format_option("table", "json")
@options.allow_unverified
@options.cache_dir
@options.isolate
@click.pass_context
def convert_command(
    context: click.Context,
    selection: Selection,
    own: SourceOptions,
    backend: BackendOptions,
    output_dir: Path | None,
    download_dir: Path,
    precisions: str | None,
    form_values: FormOptions,
    verify: bool,
    verify_images: Path | None,
    jobs: int,
    dry_run: bool,
    output_format: str,
    allow_unverified: bool,
    cache_dir: Path | None,
    offline: bool,
    mirror: tuple[str, ...],
    isolate: bool | None,
) -> int:
    """Convert models to OpenVINO IRs that take raw BGR pixels and return probabilities.

    MODEL is a zoo name, a wildcard, the path of a model.yml, or a Hugging Face repository hf:OWNER/NAME. Use --source
    to convert your own network, or a repository with other settings than its config.json has.

    \b
    Examples:
      ov-mobilenet convert mobilenet-v2-pytorch -o models
      ov-mobilenet convert path/to/model.yml --precisions FP16 --verify --verify-images images/
      ov-mobilenet convert mobilenet-v1-0.25-128 --input-type u8 --layout NHWC --batch -1
      ov-mobilenet convert mobilenet-v2-pytorch --bake-geometry --color-format nv12
      ov-mobilenet convert --all -j 2 --dry-run
      ov-mobilenet convert hf:timm/mobilenetv4_conv_small.e2400_r224_in1k --size test
      ov-mobilenet convert --source mine.pth --name mine --preset torchvision --labels labels.txt
    """
    if selection.print_all:
        print_names(selection.config_dirs)
        return 0
    optimizer = find_optimizer(backend)
    weight_precisions = _parse_precisions(precisions)
    form = form_values.form()
    for model in selection.models:
        check_convertible(model, Isolation(isolate, cache_dir))
    images = _find_images(verify_images)
    verify = verify or images is not None
    output_dir = output_dir or download_dir
    quiet = options.quiet(context)
    if own.source is not None:
        if own.source.suffix == ".xml" and not is_hub_reference(own.source):
            check_convertible(own.source, Isolation(isolate, cache_dir))
        folder = output_dir / "public" / (selection.names or "")
        lookup = Lookup(selection.config_dirs, cache_dir, offline, size=selection.size, isolate=isolate)
        template = _template(selection, lookup)
        draft, source_folder = describe_source(context, own, selection.names, form, template, lookup)
        check_name(draft.description.name, folder, selection.config_dirs)
        check_overwritable(folder)
        with described_network(draft, source_folder, folder) as network:
            if dry_run:
                show_draft(draft, folder)
                return 0
            if draft.description.licence is not None:
                options.print_licence(context, network.config)
            form = replace(form, geometry=None, input_shape=None)  # both are in the description
            job = ConversionJob(network, folder, weight_precisions, form, verify, images, quiet, optimizer, isolate)
            return _convert_own(job, draft, output_format)
    refuse_source_options(own, selection.models)
    found = selected(selection, cache_dir=cache_dir, offline=offline)
    rows = [row for name, error in found.broken.items() for row in failed(name, error).rows]
    if dry_run:
        plan = partial(show_plan, download_dir, output_dir, weight_precisions, cache_dir, output_format, rows)
        code = each_model(found, plan)
        _print_rows(rows, output_format)
        return code
    gate = Gate()
    run = run_job if jobs == 1 or len(found.configs) <= 1 else partial(run_in_process, gate=gate)
    with download_progress(context) as on_event:

        def convert_one(config: ModelConfig) -> ConversionOutcome:
            try:
                options.print_licence(context, config)
                sources = download(
                    config,
                    download_dir / "public" / config.name,
                    cache_root=cache_dir,
                    offline=offline,
                    mirror=mirror,
                    allow_unverified=allow_unverified,
                    on_event=on_event,
                )
                network = find_network(sources)
            except (OvMobilenetError, OSError) as error:
                return failed(config.name, error)
            folder = output_dir / "public" / config.name
            return run(
                ConversionJob(network, folder, weight_precisions, form, verify, images, quiet, optimizer, isolate)
            )

        def convert_and_show(config: ModelConfig) -> None:
            _show(convert_one(config), rows, output_format)

        try:
            return each_model(found, convert_and_show, jobs, gate)
        finally:
            _print_rows(rows, output_format)


def _convert_own(job: ConversionJob, draft: DraftDescription, output_format: str) -> int:
    """Convert a network of the user's own; its description is saved only if an IR was written."""
    outcome = run_job(job)
    if any("xml" in row for row in outcome.rows):
        save_described_network(draft, job.network.sources.folder, job.folder)
    rows: list[dict[str, Any]] = []
    try:
        return each_model(SelectedConfigs([job.network.config], {}), lambda _: _show(outcome, rows, output_format))
    finally:
        _print_rows(rows, output_format)


def _show(outcome: ConversionOutcome, rows: list[dict[str, Any]], output_format: str) -> None:
    """Collect the rows of an outcome, and print the paths of its IRs. Raises: the error of the outcome."""
    rows.extend(outcome.rows)
    if output_format == "table":
        for row in outcome.rows:
            if "xml" in row:
                click.echo(row["xml"])
    if outcome.failure is not None:
        raise outcome.failure


def _print_rows(rows: list[dict[str, Any]], output_format: str) -> None:
    if output_format == "json":
        ordered = sorted(rows, key=lambda row: (row["model"], row["precision"] or ""))
        options.print_json([{"schema_version": SCHEMA_VERSION, **row} for row in ordered])


def _template(selection: Selection, lookup: Lookup) -> ModelConfig | None:
    """The MODEL given with `--source`, whose normalisation and geometry are the defaults. Raises: UsageError."""
    if selection.all_models or selection.list_file or len(selection.models) > 1:
        raise UsageError("--source converts one network", expected="--name and at most one MODEL")
    return find_description(selection.models[0], lookup) if selection.models else None


def _find_images(folder: Path | None) -> list[Path] | None:
    """The images to verify on; None for generated noise. Raises: UsageError if the folder has none."""
    from ov_mobilenet.inputs.sources import find_sources

    if folder is None:
        return None
    found = [Path(file.path) for source in find_sources((str(folder),)) for file in source.images]
    if not found:
        raise UsageError("no images to verify on", expected="a folder with images", got=folder)
    return found


def _parse_precisions(text: str | None) -> tuple[WeightPrecision, ...] | None:
    """The float precisions; those that `quantize` makes are skipped with a warning. Raises: UsageError."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    known: dict[str, WeightPrecision] = {precision: precision for precision in WEIGHT_PRECISIONS}
    if unknown := [name for name in names if name not in known and name not in _QUANTISED]:
        raise UsageError("unknown precision", expected=" or ".join(WEIGHT_PRECISIONS), got=repr(unknown[0]))
    wanted = tuple(dict.fromkeys(known[name] for name in names if name in known))
    quantised = [name for name in names if name in _QUANTISED]
    if quantised and not wanted:
        raise UsageError(
            f"convert does not make {', '.join(quantised)}", expected=" or ".join(WEIGHT_PRECISIONS),
            fix="For INT8, run ov-mobilenet quantize MODEL --calibration DIR, which writes FP16-INT8",
        )  # fmt: skip
    if quantised:
        log.warning("%s skipped: ov-mobilenet quantize MODEL --calibration DIR makes INT8", ", ".join(quantised))
    return wanted
