"""`list`: the models of the zoo."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from ov_mobilenet.cli import options
from ov_mobilenet.cli.options import human_size, print_json
from ov_mobilenet.cli.selection import load_folders, report_broken
from ov_mobilenet.zoo.model import ModelConfig
from ov_mobilenet.zoo.registry import matching_folders

SCHEMA_VERSION = 1


@click.command("list")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]…")
@options.format_option("table", "json", "jsonl", "csv")
@options.config_dirs
def list_command(patterns: tuple[str, ...], output_format: str, config_dirs: tuple[Path, ...]) -> int:
    """List the models of the zoo, or those whose name matches a PATTERN.

    \b
    Examples:
      ov-mobilenet list
      ov-mobilenet list 'mobilenet-v2*' --format json
    """
    found = load_folders(matching_folders(*patterns, config_dirs=config_dirs))
    _print(found.configs, output_format)
    return report_broken(found)


def _print(configs: list[ModelConfig], output_format: str) -> None:
    if output_format == "json":
        print_json({"schema_version": SCHEMA_VERSION, "models": [summary(config) for config in configs]})
        return
    if output_format == "jsonl":
        for config in configs:
            click.echo(msgspec.json.encode(summary(config)).decode())
        return
    if output_format == "csv":
        rows_of_values = [summary(config) for config in configs]
        writer = csv.DictWriter(sys.stdout, list(rows_of_values[0]) if rows_of_values else [], lineterminator="\n")
        writer.writeheader()
        for row in rows_of_values:
            shape = "x".join(map(str, row["input_shape"] or ()))
            writer.writerow({**row, "input_shape": shape})
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
