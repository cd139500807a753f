"""`list`: the models of the zoo, or the known Hugging Face repositories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.options import human_size
from ov_mobilenet.cli.row_formats import print_rows
from ov_mobilenet.cli.selection import load_folders, report_broken
from ov_mobilenet.zoo.model import ModelConfig
from ov_mobilenet.zoo.registry import matching_folders

SCHEMA_VERSION = 1


@click.command("list")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]…")
@options.format_option("table", "json", "jsonl", "csv")
@options.config_dirs
@click.option(
    "--hub", is_flag=True, help="List the MobileNets of timm and Google on Hugging Face instead; needs no network."
)
def list_command(patterns: tuple[str, ...], output_format: str, config_dirs: tuple[Path, ...], hub: bool) -> int:
    """List the models of the zoo, or those whose name matches a PATTERN.

    With --hub, a repository of the list is a MODEL of the other commands. Sizes and accuracies before the arrow are
    those of the training, those after it of the publisher's tests, which --size test takes.

    \b
    Examples:
      ov-mobilenet list
      ov-mobilenet list 'mobilenet-v2*' --format json
      ov-mobilenet list --hub 'mobilenetv4_conv*'
    """
    if hub:
        from ov_mobilenet.cli.list_hub import print_repositories
        from ov_mobilenet.hub.known_repositories import list_repositories

        print_repositories(list_repositories(*patterns), output_format)
        return 0
    found = load_folders(matching_folders(*patterns, config_dirs=config_dirs))
    _print(found.configs, output_format)
    return report_broken(found)


def _print(configs: list[ModelConfig], output_format: str) -> None:
    if output_format != "table":
        print_rows([summary(config) for config in configs], output_format, "models", SCHEMA_VERSION)
        return
    from ov_mobilenet.cli.tables import print_table

    rows = []
    for config in configs:
        details = config.details
        accuracy = details.accuracy
        rows.append(
            (
                config.name,
                config.framework,
                "x".join(map(str, config.input_info[0].shape)) if config.input_info else "",
                f"{details.gflops:g}" if details.gflops else "",
                f"{details.mparams:g}" if details.mparams else "",
                f"{accuracy.top1:.2%}" if accuracy else "",
                f"{accuracy.top5:.2%}" if accuracy else "",
                human_size(sum(file.size for file in config.files)),
            )
        )
    print_table(
        ("model", "framework", "input", "GFLOPs", "MParams", "top-1", "top-5", "download"), rows, numbers_from=3,
        optional=("top-5", "framework", "MParams", "input"),
    )  # fmt: skip


def summary(config: ModelConfig) -> dict[str, Any]:
    """The values that `list` prints for a model, by name; None if unknown."""
    details = config.details
    return {
        "name": config.name,
        "framework": config.framework,
        "input_shape": list(config.input_info[0].shape) if config.input_info else None,
        "gflops": details.gflops,
        "mparams": details.mparams,
        "top1": details.accuracy.top1 if details.accuracy else None,
        "top5": details.accuracy.top5 if details.accuracy else None,
        "download_bytes": sum(file.size for file in config.files),
    }
