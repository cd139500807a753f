"""The user's defaults for options: the file `config.yml` and the variables `OV_MOBILENET_*`.

The command line takes precedence over a variable, a variable over the file, and the file over the default of the
command. Only the command line reads them; the functions of the Python package do not.

    device: GPU
    cache_dir: ~/models
    mirrors: [/mnt/zoo, "https://models.example.org/zoo"]
    format: json
    model_cache: off
    offline: true
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ov_mobilenet.errors import UsageError
from ov_mobilenet.operating_system.path_texts import has_drive

PREFIX = "OV_MOBILENET_"
FORMATS = ("table", "json", "jsonl", "csv", "markdown")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

Value = str | bool | tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """A default that the user may set.

    Attributes:
        name: its key in the file; the variable is the prefix and this name in upper case.
        option: the option that it is the default of, in every command that has it.
        expected: the values that it takes, in words.
        read: the value of what the file or the variable holds; a path is relative to the folder. Raises: ValueError.
        replaced_by: options that take its place if they are given.
    """

    name: str
    option: str
    expected: str
    read: Callable[[object, Path], Value]
    replaced_by: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.upper()


@dataclass(frozen=True)
class Configured:
    """The value of a setting and where it comes from: the name of a variable, or FILE:LINE."""

    value: Value
    origin: str


def _text(value: object, folder: Path) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value.strip()


def _path(value: object, folder: Path) -> str:
    return str(folder / Path(_text(value, folder)).expanduser())


def _path_or_off(value: object, folder: Path) -> str:
    return "off" if value in (False, "off") else _path(value, folder)


def _mirrors(value: object, folder: Path) -> tuple[str, ...]:
    texts = [_text(one, folder) for one in (value if isinstance(value, list) else [value])]
    return tuple(text if "://" in text and not has_drive(text) else _path(text, folder) for text in texts)


def _format(value: object, folder: Path) -> str:
    if value not in FORMATS:
        raise ValueError
    return str(value)


def _flag(value: object, folder: Path) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text not in (*_TRUE, *_FALSE):
        raise ValueError
    return text in _TRUE


SETTINGS = (
    Setting("device", "--device", "a device, such as CPU, GPU or AUTO:GPU,CPU", _text, ("--profile",)),
    Setting("cache_dir", "--cache-dir", "a folder", _path),
    Setting("model_cache", "--model-cache", "a folder, or off", _path_or_off, ("--profile",)),
    Setting("mirrors", "--mirror", "folders or URLs: a list; in the variable separated by spaces", _mirrors),
    Setting("format", "--format", " or ".join(FORMATS), _format, ("-o", "--output")),
    Setting("offline", "--offline", "true or false", _flag),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


def configuration_file() -> Path:
    """The path of the user's configuration file, which need not exist."""
    import platformdirs

    return platformdirs.user_config_path("ov-mobilenet") / "config.yml"


def configuration(environment: Mapping[str, str] = os.environ, file: Path | None = None) -> dict[str, Configured]:
    """The settings of the user by name; without those that are not set.

    Args:
        environment: the environment variables; an empty one counts as not set.
        file: None for `configuration_file()`; a file that does not exist sets nothing.

    Raises:
        ConfigError: the file cannot be read, or has an unknown key or a wrong value; the message names file, line and
            key.
        UsageError: a variable has a wrong value.
    """
    return {**_from_file(file or configuration_file()), **dict(_from_environment(environment))}


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Configured]]:
    for setting in SETTINGS:
        given = environment.get(setting.variable, "")
        if not given.strip():
            continue
        try:
            value = setting.read(given.split() if setting.name == "mirrors" else given, Path.cwd())
        except ValueError as error:
            raise UsageError(
                "invalid value", where=setting.variable, expected=setting.expected, got=repr(given)
            ) from error
        yield setting.name, Configured(value, setting.variable)


def _from_file(file: Path) -> dict[str, Configured]:
    if not file.exists():
        return {}
    from ov_mobilenet.zoo.document import load_document

    document = load_document(file)
    if document.data is None:
        return {}
    if not isinstance(document.data, dict):
        raise document.error("invalid configuration", expected="lines such as `device: CPU`")
    found = {}
    for key, given in document.data.items():
        setting = _BY_NAME.get(key)
        if setting is None:
            raise document.error("unknown key", (key,), expected=", ".join(_BY_NAME), got=key)
        try:
            value = setting.read(given, file.parent)
        except ValueError as error:
            raise document.error("invalid value", (key,), expected=setting.expected, got=repr(given)) from error
        found[key] = Configured(value, f"{file}:{document.lines[key,]}")
    return found


def default_map(command: click.Command, arguments: list[str]) -> dict[str, Any]:
    """The user's defaults for the options of a command, as click takes them (`Context.default_map`).

    Help is printed with the command's own defaults, so that a wrong file does not prevent it. A setting is left out if
    the arguments hold an option that replaces it: a profile chooses the device, an output file the format.

    Raises:
        ConfigError, UsageError: see `configuration`.
    """
    given = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if _holds(given, ("-h", "--help")):
        return {}
    settings = {
        name: configured.value
        for name, configured in configuration().items()
        if not _holds(given, _BY_NAME[name].replaced_by)
    }
    return _of_command(command, settings)


def _of_command(command: click.Command, settings: Mapping[str, Value]) -> dict[str, Any]:
    if isinstance(command, click.Group):
        return {name: _of_command(below, settings) for name, below in command.commands.items()}
    found: dict[str, Any] = {}
    for parameter in command.params:
        for name, value in settings.items():
            if _BY_NAME[name].option not in parameter.opts or parameter.name is None:
                continue
            if isinstance(parameter.type, click.Choice) and value not in parameter.type.choices:
                continue  # this command has no such format
            found[parameter.name] = (value,) if parameter.multiple and isinstance(value, str) else value
    return found


def _holds(arguments: Iterable[str], options: tuple[str, ...]) -> bool:
    """Whether one of the options is among the arguments; the value of a short one may follow without a space."""
    return any(
        argument == option or argument.startswith(f"{option}=" if option.startswith("--") else option)
        for argument in arguments
        for option in options
    )
