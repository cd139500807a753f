"""`download`: the source files of models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.classic_options import ClassicCommand, ClassicTable, IgnoredOption
from ov_mobilenet.cli.progress import download_progress
from ov_mobilenet.cli.selection import Selection, each_model, model_selection, print_names, selected
from ov_mobilenet.downloads.attempts import DEFAULT_RETRY
from ov_mobilenet.downloads.cache import default_root
from ov_mobilenet.downloads.fetch import download, plan_file, sources_of
from ov_mobilenet.downloads.transport import http_transport
from ov_mobilenet.zoo.model import ModelConfig

_CLASSIC: ClassicTable = {"--precisions": IgnoredOption("source files do not depend on the precision")}


@click.command("download", cls=ClassicCommand, program="omz_downloader", classic=_CLASSIC)
@model_selection
@click.option(
    "-o", "--output-dir", "--output_dir", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    metavar="DIR", help="Download to DIR/public/NAME (default: the current folder).",
)  # fmt: skip
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Number of models to download in parallel.",
)
@click.option(
    "--num-attempts", "--num_attempts", type=click.IntRange(min=1), default=DEFAULT_RETRY.attempts, show_default=True,
    metavar="N", help="Number of attempts for each URL.",
)  # fmt: skip
@click.option(
    "--progress-format", "--progress_format", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="json: print the Open Model Zoo's events to stdout.",
)  # fmt: skip
@click.option("--dry-run", "--dry_run", is_flag=True, help="Print the files and their sources without downloading.")
@click.option("--allow-http", is_flag=True, help="Allow http:// URLs, and redirects to them.")
@options.allow_unverified
@options.cache_dir
@click.pass_context
def download_command(
    context: click.Context,
    selection: Selection,
    jobs: int,
    output_dir: Path,
    num_attempts: int,
    progress_format: str,
    dry_run: bool,
    allow_http: bool,
    allow_unverified: bool,
    cache_dir: Path | None,
    offline: bool,
    mirror: tuple[str, ...],
) -> int:
    """Download the source files of models and verify their size and digest.

    MODEL is a zoo name, a wildcard, the path of a model.yml, or a Hugging Face repository hf:OWNER/NAME.

    Interrupted downloads are resumed. An attempt fails if the server sends nothing for 30 s, or less than 500 bytes per
    second for 60 s. Use -j to download several models in parallel.

    \b
    Examples:
      ov-mobilenet download mobilenet-v2-pytorch -o models
      ov-mobilenet download hf:timm/mobilenetv4_conv_small.e2400_r224_in1k
      ov-mobilenet download --all -j 4 --mirror https://models.example.org/zoo
    """
    if selection.print_all:
        print_names(selection.config_dirs)
        return 0
    found = selected(selection, cache_dir=cache_dir, offline=offline)
    if dry_run:

        def print_plan(config: ModelConfig) -> None:
            _print_plan(config, output_dir / "public" / config.name, cache_dir or default_root(), mirror)

        return each_model(found, print_plan)
    with download_progress(context, progress_format) as on_event:

        def fetch(config: ModelConfig) -> None:
            options.print_licence(context, config)
            folder = output_dir / "public" / config.name
            download(
                config,
                folder,
                cache_root=cache_dir,
                offline=offline,
                mirror=mirror,
                retry=replace(DEFAULT_RETRY, attempts=num_attempts),
                transport=http_transport(allow_http=allow_http),
                allow_unverified=allow_unverified,
                on_event=on_event,
            )
            if progress_format == "text":
                click.echo(folder)

        return each_model(found, fetch, jobs)


def _print_plan(config: ModelConfig, folder: Path, cache_root: Path, mirror: tuple[str, ...]) -> None:
    """Print one line per file: its path, size and source."""
    for file in config.files:
        action = plan_file(file, folder / file.name, cache_root)
        words = {"keep": "already downloaded", "copy": "from the cache"}.get(action)
        origin = words or "from " + ", else ".join(map(str, sources_of(config, file, mirror)))
        click.echo(f"{folder / file.name}  {options.human_size(file.size)}  {origin}")
