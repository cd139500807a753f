"""`MODEL… --name NAME=MODEL`: several models, each with the name that clients use."""

from __future__ import annotations

import functools
from typing import Any, cast

import click

from ov_mobilenet.cli.options import F


def pairs(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Split the values of an option `NAME=VALUE`. Raises: click.BadParameter."""
    found = []
    for text in given:
        name, _, value = text.partition("=")
        if not (name and value):
            raise click.BadParameter(f"{text!r} does not have the form {parameter.metavar}", context, parameter)
        found.append((name, value))
    return tuple(found)


def named_models(function: F, *, repositories: bool = False) -> F:
    """Add the argument and the option; the command receives a dictionary `models` from names to MODELs.

    Args:
        repositories: take the models of model repositories.
    """

    @functools.wraps(function)
    def collect(*arguments: Any, models: tuple[str, ...], named: tuple[tuple[str, str], ...], **values: Any) -> Any:
        from ov_mobilenet.runtime.model_names import models_by_name

        lookup = {key: values[key] for key in ("config_dirs", "ir_dir")} if repositories else {}
        by_name = models_by_name(models, named, repositories=repositories, **lookup)
        return function(*arguments, models=by_name, **values)

    decorated = click.option(
        "--name", "named", multiple=True, callback=pairs, metavar="NAME=MODEL",
        help="A model under another name; repeatable.",
    )(collect)  # fmt: skip
    return cast(F, click.argument("models", nargs=-1, metavar="MODEL…")(decorated))
