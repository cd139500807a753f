"""Options that several commands share, and small things they all say."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from ov_mobilenet.errors import UsageError
from ov_mobilenet.zoo.model import ModelConfig

F = TypeVar("F", bound=Callable[..., Any])

CONFIG_DIR_VARIABLE = "OV_MOBILENET_CONFIG_DIR"
FORMATS = click.Choice(["table", "json"])


def gathered(kind: type, name: str) -> Callable[[F], F]:
    """Hand the parameters that are fields of a dataclass to the command as one value of it, called `name`."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def gather(*arguments: Any, **values: Any) -> Any:
            own = {field.name: values.pop(field.name) for field in dataclasses.fields(kind)}
            return function(*arguments, **{name: kind(**own)}, **values)

        return cast(F, gather)

    return decorate


def cache_root(function: F) -> F:
    """`--cache-dir`."""
    return click.option(
        "--cache-dir", "--cache_dir", type=click.Path(path_type=Path, file_okay=False), default=None,
        help="Cache of downloads and converted models (default: the user's cache folder).",
    )(function)  # fmt: skip


def cache_dir(function: F) -> F:
    """`--cache-dir`, `--offline`."""
    return cache_root(click.option("--offline", is_flag=True, help="Take nothing over the network.")(function))


def config_dirs(function: F) -> F:
    """`--config-dir`; the user's configuration folder is added where it is there."""
    return click.option(
        "--config-dir", "config_dirs", multiple=True, envvar=CONFIG_DIR_VARIABLE, callback=_with_user_folder,
        type=click.Path(path_type=Path),
        help=f"Folder with descriptions of your own, NAME/model.yml each; repeatable (or {CONFIG_DIR_VARIABLE}).",
    )(function)  # fmt: skip


def _with_user_folder(context: click.Context, parameter: click.Parameter, given: tuple[Path, ...]) -> tuple[Path, ...]:
    import platformdirs

    missing = next((folder for folder in given if not folder.is_dir()), None)
    if missing is not None:
        by_variable = context.get_parameter_source(parameter.name or "") == click.core.ParameterSource.ENVIRONMENT
        raise UsageError(
            "no such folder", where=CONFIG_DIR_VARIABLE if by_variable else "--config-dir",
            expected="a folder with descriptions, NAME/model.yml each", got=missing,
        )  # fmt: skip
    own = platformdirs.user_config_path("ov-mobilenet") / "model_configs"
    return (*given, own) if own.is_dir() else given


def other_protocol(function: F) -> F:
    """`--geometry` and `--labels`, in place of the model's own."""
    function = click.option(
        "--labels", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
        help="Class names, one a line, instead of the model's own.",
    )(function)  # fmt: skip
    return click.option(
        "--geometry", metavar="STEPS", help="Crop and resize instead of the model's own, such as 'resize 224'."
    )(function)


def read_label_file(path: Path | None) -> tuple[str, ...] | None:
    """The names of `--labels`. Raises: ConfigError."""
    from ov_mobilenet.zoo.labels import read_labels

    return None if path is None else read_labels(path)


def allow_unverified(function: F) -> F:
    """`--allow-unverified`."""
    return click.option("--allow-unverified", is_flag=True, help="Take files for which the description has no digest.")(
        function
    )


def quiet(context: click.Context) -> bool:
    """Whether `-q` was given."""
    return bool(context.find_root().params.get("quiet"))


def show_progress(context: click.Context) -> bool:
    """Progress goes to stderr, and only where somebody sees it."""
    return sys.stderr.isatty() and not quiet(context)


def say_licence(context: click.Context, config: ModelConfig) -> None:
    """Say on stderr under which licence the weights are, before they are fetched."""
    if not quiet(context):
        click.echo(f"{config.name}: weights under {config.license}", err=True)


def human_size(count: int) -> str:
    """Bytes as `14.2 MB`."""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def print_json(value: object) -> None:
    """One JSON document on stdout, indented."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
