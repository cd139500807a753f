"""The options of `convert` that choose the converter: `--backend`, `--mo`, `--add-mo-arg`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from ov_mobilenet.cli import options
from ov_mobilenet.conversion.mo_program import ModelOptimizer
from ov_mobilenet.errors import MissingDependencyError, UsageError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class BackendOptions:
    """The values of the options below, by parameter name."""

    backend: str
    mo: str | None
    add_mo_arg: tuple[str, ...]


def backend_options(function: F) -> F:
    """Add the options; the command receives them as one argument `backend`."""
    function = options.collect_into(BackendOptions, "backend")(function)
    for option in reversed((
        click.option(
            "--backend", type=click.Choice(["openvino", "mo"]), default="openvino", show_default=True,
            help="Convert with this OpenVINO, or with the classic Model Optimizer of openvino-dev.",
        ),
        click.option(
            "--mo", metavar="PATH", help="Path of the Model Optimizer for --backend mo (default: mo on PATH)."
        ),
        click.option(
            "--add-mo-arg", "--add_mo_arg", metavar="ARG", multiple=True,
            help="Argument passed to the Model Optimizer, such as --add-mo-arg=--log_level=DEBUG; repeatable.",
        ),
    )):  # fmt: skip
        function = option(function)
    return function


def find_optimizer(backend: BackendOptions) -> ModelOptimizer | None:
    """The Model Optimizer for `--backend mo`; None for `--backend openvino`.

    Raises:
        UsageError: `--mo` or `--add-mo-arg` is given without `--backend mo`, or there is no such program.
        MissingDependencyError: the Model Optimizer is not on PATH.
    """
    if backend.backend != "mo":
        for option, value in (("--mo", backend.mo), ("--add-mo-arg", backend.add_mo_arg)):
            if value:
                raise UsageError(f"{option} requires --backend mo", fix="Add --backend mo")
        return None
    program = shutil.which(backend.mo or "mo")
    if program is None and backend.mo is not None:
        raise UsageError("no such program", where=backend.mo, expected="the path of an executable mo")
    if program is None:
        raise MissingDependencyError(
            "the classic Model Optimizer is not on PATH",
            fix="Install it in an environment of its own with Python 3.10 to 3.12: python3.11 -m venv mo-env && "
            "mo-env/bin/pip install -r tools/omz-requirements.txt (openvino-dev==2024.6.0), and use --mo mo-env/bin/mo",
        )
    return ModelOptimizer(program, backend.add_mo_arg)
