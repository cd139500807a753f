"""`list --hub`: the known Hugging Face repositories."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ov_mobilenet.cli.row_formats import print_rows
from ov_mobilenet.hub.known_repositories import KnownRepository

SCHEMA_VERSION = 1


def print_repositories(known: Sequence[KnownRepository], output_format: str) -> None:
    """Print repositories as a table, json, jsonl or csv."""
    if output_format != "table":
        rows = [{**msgspec.to_builtins(one), "repository": one.reference} for one in known]
        if output_format == "csv":
            rows = [{**row, "mean": _numbers(row["mean"]), "std": _numbers(row["std"])} for row in rows]
        print_rows(rows, output_format, "repositories", SCHEMA_VERSION)
        return
    from ov_mobilenet.cli.tables import print_table

    print_table(
        ("repository", "size", "MParams", "top-1", "classes", "licence"),
        [
            (
                one.reference,
                _change(str(one.size), str(one.test_size)),
                f"{one.mparams:.1f}",
                _change(_share(one.top1), _share(one.test_top1)),
                str(one.classes),
                one.license,
            )
            for one in known
        ],
        numbers_from=1,
        optional=("licence", "classes", "MParams"),
    )


def _numbers(values: Sequence[float]) -> str:
    return " ".join(map(str, values))


def _share(value: float | None) -> str:
    return f"{value:.1%}" if value is not None else ""


def _change(trained: str, tested: str) -> str:
    return trained if trained == tested else f"{trained} -> {tested}"
