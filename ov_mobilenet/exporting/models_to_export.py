"""The models of an export by name."""

from __future__ import annotations

from pathlib import Path

from ov_mobilenet.errors import UsageError
from ov_mobilenet.runtime.model_names import models_by_name


def models_to_export(models: object) -> dict[str, str | Path]:
    """The MODELs by name.

    Raises:
        UsageError: there are none, one is not a MODEL, a name is invalid or used twice, or two names differ only in
            upper and lower case.
    """
    by_name: dict[str, str | Path] = {}
    for name, model in models_by_name(models).items():  # type: ignore[arg-type]  # it refuses what is not a MODEL
        if not isinstance(model, str | Path):
            raise UsageError("invalid models", expected="a MODEL each", got=f"a loaded {type(model).__name__}")
        by_name[name] = model
    spellings: dict[str, str] = {}
    for name in by_name:
        other = spellings.setdefault(name.lower(), name)
        if other != name:
            raise UsageError(
                "the names of two models differ only in upper and lower case", got=f"{other} and {name}",
                expected="names that are different folders on every file system",
                fix="Choose another one with --name NAME=MODEL, or a mapping in Python",
            )  # fmt: skip
    return by_name
