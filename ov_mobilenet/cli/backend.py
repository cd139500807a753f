"""`convert --backend`: which converter does the work."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from ov_mobilenet.cli import options
from ov_mobilenet.conversion.model_optimizer import ModelOptimizer
from ov_mobilenet.errors import MissingDependencyError, UsageError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Backend:
    """The values of the options below, by their names."""

    backend: str
    mo: str | None
    add_mo_arg: tuple[str, ...]


def backend_options(function: F) -> F:
    """`--backend`, `--mo`, `--add-mo-arg`, which reach the command as one value `backend`."""
    function = options.collect_into(Backend, "backend")(function)
    for option in reversed((
        click.option(
            "--backend", type=click.Choice(["openvino", "mo"]), default="openvino", show_default=True,
            help="This OpenVINO, or the classic Model Optimizer of openvino-dev.",
        ),
        click.option("--mo", metavar="PATH", help="The Model Optimizer of --backend mo (default: mo on PATH)."),
        click.option(
            "--add-mo-arg", "--add_mo_arg", metavar="ARG", multiple=True,
            help="Passed on to the Model Optimizer as it is, such as --add-mo-arg=--log_level=DEBUG; repeatable.",
        ),
    )):  # fmt: skip
        function = option(function)
    return function


def optimizer_of(chosen: Backend) -> ModelOptimizer | None:
    """The Model Optimizer, if it was asked for.

    Raises:
        UsageError: an option of it without `--backend mo`, or no such program.
        MissingDependencyError: there is none on PATH.
    """
    if chosen.backend != "mo":
        for option, value in (("--mo", chosen.mo), ("--add-mo-arg", chosen.add_mo_arg)):
            if value:
                raise UsageError(f"{option} is for the Model Optimizer", fix="Say --backend mo as well")
        return None
    program = shutil.which(chosen.mo or "mo")
    if program is None and chosen.mo is not None:
        raise UsageError("no such program", where=chosen.mo, expected="the path of mo, which may be executed")
    if program is None:
        raise MissingDependencyError(
            "the classic Model Optimizer is not on PATH",
            fix="It needs an environment of its own and Python 3.10 to 3.12: python3.11 -m venv mo-env && "
            "mo-env/bin/pip install -r tools/omz-requirements.txt (openvino-dev==2024.6.0), then --mo mo-env/bin/mo",
        )
    return ModelOptimizer(program, chosen.add_mo_arg)
