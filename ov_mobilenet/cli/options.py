"""Options and output that several commands share."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ov_mobilenet.cli import verbosity
from ov_mobilenet.devices.memory import usable_memory
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.errors import UsageError
from ov_mobilenet.resolve import PRECISION_ORDER, Lookup
from ov_mobilenet.zoo.hub_reference import SIZE_PROTOCOLS
from ov_mobilenet.zoo.model import ModelConfig

F = TypeVar("F", bound=Callable[..., Any])

# What a conversion takes with torch and `--verify` (0.45 GB for MobileNet V2), or with TensorFlow.
CONVERSION_BYTES = 1 << 30
CONFIG_DIR_VARIABLE = "OV_MOBILENET_CONFIG_DIR"
# What options with several images accept.
INPUT_KINDS = "folders (recursive), files, wildcards, @LIST.txt, - for stdin, tar shards, videos; repeatable"
ALL_FORMATS = ("table", "json", "jsonl", "csv", "markdown", "parquet")


def collect_into(kind: type, name: str) -> Callable[[F], F]:
    """A decorator that passes the options named like the fields of a dataclass to the command as one value.

    Args:
        kind: the dataclass.
        name: parameter of the command that receives the value.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def collect(*arguments: Any, **values: Any) -> Any:
            fields = {field.name: values.pop(field.name) for field in dataclasses.fields(kind)}
            return function(*arguments, **{name: kind(**fields)}, **values)

        return cast(F, collect)

    return decorate


if TYPE_CHECKING:
    _Choice = click.Choice[str]
    _IntParameter = click.ParamType[int]
else:
    _Choice, _IntParameter = click.Choice, click.ParamType  # not generic before click 8.2


class _FormatChoice(_Choice):
    """The values of `--format`; `md` is accepted for `markdown`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check a value; see `click.Choice`."""
        return super().convert("markdown" if value == "md" else value, param, ctx)


def format_option(*formats: str) -> Callable[[F], F]:
    """`--format` with some of `ALL_FORMATS`, as the parameter `output_format`; the first is the default."""
    known = [name for name in ALL_FORMATS if name in formats]
    return click.option(
        "--format", "output_format", type=_FormatChoice(known), default=formats[0], show_default=True,
        help="Format of the output on stdout.",
    )  # fmt: skip


def lookup(function: F) -> F:
    """`--config-dir`, `--cache-dir`, `--offline`, `--mirror`, `--isolate` and `--ir-dir` as one `Lookup`, `lookup`."""
    function = isolate(collect_into(Lookup, "lookup")(function))
    function = click.option(
        "--ir-dir", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR",
        help="If MODEL is not an IR, use the one that `convert -o DIR` wrote to DIR/public/NAME/PRECISION/NAME.xml; of "
        f"several, the first of {', '.join(PRECISION_ORDER)}.",
    )(function)  # fmt: skip
    return size_protocol(config_dirs(cache_dir(function)))


def isolate(function: F) -> F:
    """`--isolate` and `--no-isolate`."""
    return click.option(
        "--isolate/--no-isolate", default=None,
        help="Read networks and IRs in a child process first, so that a crash of OpenVINO is an error (default: those "
        "of unknown origin; Linux only).",
    )(function)  # fmt: skip


def size_protocol(function: F) -> F:
    """`--size`."""
    return click.option(
        "--size", type=click.Choice(SIZE_PROTOCOLS), default="train", show_default=True,
        help="Input size and crop that timm trained or tested with, for hf: repositories in timm's format.",
    )(function)  # fmt: skip


class JobCount(_IntParameter):
    """A number of conversions of at least 1, or `auto` for as many as CPUs and memory of this process allow."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Check a value; see `click.ParamType`."""
        if value == "auto":
            memory = usable_memory()
            return usable_cpus() if memory is None else min(usable_cpus(), max(1, memory // CONVERSION_BYTES))
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is not a number of at least 1, or auto", param, ctx)
        return int(value)


def cache_root(function: F) -> F:
    """`--cache-dir`."""
    return click.option(
        "--cache-dir", "--cache_dir", type=click.Path(path_type=Path, file_okay=False), default=None, metavar="DIR",
        help="Cache of downloads and converted models (default: the user's cache folder).",
    )(function)  # fmt: skip


def cache_dir(function: F) -> F:
    """`--cache-dir`, `--offline` and `--mirror`."""
    function = click.option(
        "--mirror", multiple=True, metavar="DIR|URL", help="Folder or URL that is tried first; it holds NAME/FILE; "
        "repeatable.",
    )(function)  # fmt: skip
    return cache_root(offline(function))


def offline(function: F) -> F:
    """`--offline`."""
    return click.option("--offline/--no-offline", default=False, help="Do not use the network.")(function)


def config_dirs(function: F) -> F:
    """`--config-dir`; the user's configuration folder is added if it exists."""
    return click.option(
        "--config-dir", "config_dirs", multiple=True, envvar=CONFIG_DIR_VARIABLE, callback=_with_user_folder,
        type=click.Path(path_type=Path), metavar="DIR",
        help=f"Folder with your own descriptions, NAME/model.yml each; repeatable (or {CONFIG_DIR_VARIABLE}).",
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


def profile(text: str) -> Callable[[F], F]:
    """The option `--profile`, with its help text."""
    kind = click.Path(path_type=Path, dir_okay=False)
    return click.option("--profile", type=kind, metavar="FILE", help=text)


def geometry_and_labels(function: F) -> F:
    """`--geometry` and `--labels`, which replace those of the model."""
    function = click.option(
        "--labels", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
        help="File with one class name per line, instead of the model's labels.",
    )(function)  # fmt: skip
    return click.option(
        "--geometry",
        metavar="STEPS",
        help="Crop and resize instead of the model's own, such as 'resize 256, crop 224'.",
    )(function)


def read_label_file(path: Path | None) -> tuple[str, ...] | None:
    """The class names in the file given by `--labels`. Raises: ConfigError."""
    from ov_mobilenet.zoo.labels import read_labels

    return None if path is None else read_labels(path)


def allow_unverified(function: F) -> F:
    """`--allow-unverified`."""
    return click.option(
        "--allow-unverified", is_flag=True, help="Accept files for which the description has no digest."
    )(function)


def quiet(context: click.Context) -> bool:
    """Whether `-q` is given."""
    return verbosity.is_quiet(context)


def verbose(context: click.Context) -> bool:
    """Whether `-v` is given."""
    return verbosity.is_verbose(context)


def print_licence(context: click.Context, config: ModelConfig) -> None:
    """Print the licence of the weights on stderr, before they are downloaded."""
    if not quiet(context):
        click.echo(f"{config.name}: weights under {config.license}", err=True)


def human_size(count: int) -> str:
    """A number of bytes with its unit, such as `14.2 MB`."""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def print_json(value: object) -> None:
    """Print one JSON document on stdout, indented."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
