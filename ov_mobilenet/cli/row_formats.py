"""Rows of data on stdout as JSON, JSON lines or CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

from ov_mobilenet.cli.options import print_json


def print_rows(rows: Sequence[Mapping[str, Any]], output_format: str, name: str, schema_version: int) -> None:
    """Print rows with equal keys as json (a document with the rows under `name`), jsonl or csv."""
    if output_format == "json":
        print_json({"schema_version": schema_version, name: rows})
    elif output_format == "jsonl":
        for row in rows:
            click.echo(msgspec.json.encode(row).decode())
    else:
        writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            # A list holds dimensions.
            writer.writerow(
                {key: "x".join(map(str, one)) if isinstance(one, list) else one for key, one in row.items()}
            )
