"""`download`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ov_mobilenet.cli import options
from ov_mobilenet.downloads.fetch import Progress, download
from ov_mobilenet.errors import OvMobilenetError, UsageError
from ov_mobilenet.zoo.model import ModelConfig, ModelFile
from ov_mobilenet.zoo.registry import find_config, model_names


@click.command("download")
@click.argument("models", nargs=-1, required=True, metavar="MODEL…")
@click.option(
    "-o", "--output-dir", "--output_dir", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    help="Files go to OUTPUT_DIR/public/NAME (default: here).",
)  # fmt: skip
@options.cache_dir
@click.pass_context
def download_command(
    context: click.Context, models: tuple[str, ...], output_dir: Path, cache_dir: Path | None, offline: bool
) -> int:
    """Fetch the source files of models, verified against the size and hash of their descriptions.

    Example: ov-mobilenet download mobilenet-v2-pytorch -o models
    """

    def one(config: ModelConfig) -> None:
        folder = output_dir / "public" / config.name
        say_licence(context, config)
        with progress_bar(context, config) as on_progress:
            download(config, folder, cache_root=cache_dir, offline=offline, on_progress=on_progress)
        click.echo(folder)

    return each_model(find_configs(models), one)


def say_licence(context: click.Context, config: ModelConfig) -> None:
    """Say on stderr under which licence the weights are, before they are fetched."""
    if not options.quiet(context):
        click.echo(f"{config.name}: weights under {config.license}", err=True)


def find_configs(models: tuple[str, ...]) -> list[ModelConfig]:
    """The descriptions of MODEL arguments, wildcards expanded. Raises: UnknownModelError before anything is done."""
    found: dict[str, ModelConfig] = {}
    for model in models:
        for name in model_names(model) or [model]:
            config = find_config(name)
            other = found.setdefault(config.name, config)
            if other.path.resolve() != config.path.resolve():
                raise UsageError(f"two models are called {config.name}", got=f"{other.path} and {config.path}")
    return list(found.values())


def each_model(configs: list[ModelConfig], work: Callable[[ModelConfig], None]) -> int:
    """Do the work for each model; one that fails is reported and the others are done. Returns the exit code."""
    codes = [0]
    for config in configs:
        try:
            work(config)
        except OvMobilenetError as error:
            if len(configs) == 1:
                raise
            click.echo(f"error: {error}", err=True)
            codes.append(error.exit_code)
    return max(codes)


@contextmanager
def progress_bar(context: click.Context, config: ModelConfig) -> Iterator[Progress]:
    """A bar per file on a terminal's stderr; nothing elsewhere."""
    if not options.show_progress(context):
        yield lambda file, count: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        tasks = {}

        def advance(file: ModelFile, count: int) -> None:
            if file.name not in tasks:
                tasks[file.name] = bars.add_task(f"{config.name}/{file.name}", total=file.size)
            bars.advance(tasks[file.name], count)

        yield advance
