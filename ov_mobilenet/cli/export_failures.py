"""The models of an export that could not be exported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ov_mobilenet.errors import OvMobilenetError

SCHEMA_VERSION = 1  # of each entry of the JSON output


def print_errors(failures: Mapping[str, OvMobilenetError]) -> None:
    """Print a line for each model, by name."""
    for name, error in failures.items():
        click.echo(f"error: {name}: {error}", err=True)


def print_summary(failures: Mapping[str, OvMobilenetError], *, given: int, consequence: str) -> None:
    """Print how many of the given models failed, and what that means, such as `have no service`."""
    click.echo(f"{len(failures)} of {given} models failed and {consequence}: {', '.join(failures)}", err=True)


def failure_rows(failures: Mapping[str, OvMobilenetError]) -> list[dict[str, Any]]:
    """The entries of the JSON output."""
    return [
        {"schema_version": SCHEMA_VERSION, "model": name, "error": " ".join(str(error).split())}
        for name, error in failures.items()
    ]
