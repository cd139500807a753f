"""Where descriptions are found: the packaged zoo, or a path the user gives."""

from __future__ import annotations

import difflib
import fnmatch
from pathlib import Path

from ov_mobilenet.errors import UnknownModelError
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.model import ModelConfig

_PACKAGE = Path(__file__).resolve().parent.parent


def zoo_folder() -> Path:
    """The folder of the packaged descriptions: inside the wheel, or beside the package in a checkout."""
    packaged = _PACKAGE / "model_configs"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "model_configs"


def model_names(pattern: str = "*") -> list[str]:
    """Names of the packaged models that match a shell wildcard, sorted."""
    names = sorted(path.parent.name for path in zoo_folder().glob("*/model.yml"))
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def list_models(*patterns: str) -> list[ModelConfig]:
    """The descriptions whose names match any of the wildcards (all without one), sorted by name.

    Raises:
        UnknownModelError: a pattern matches nothing.
    """
    names: set[str] = set()
    for pattern in patterns or ("*",):
        found = model_names(pattern)
        if not found:
            raise _unknown(pattern)
        names.update(found)
    return [load_config(zoo_folder() / name) for name in sorted(names)]


def find_config(model: str | Path) -> ModelConfig:
    """The description of a MODEL: a zoo name, a `model.yml`, or a folder that holds one.

    Raises:
        UnknownModelError: there is no such name and no such file.
        ConfigError: the description has a mistake.
    """
    path = Path(model)
    if str(model) in model_names():
        return load_config(zoo_folder() / str(model))
    if path.is_file() or (path / "model.yml").is_file():
        return load_config(path)
    raise _unknown(str(model))


def _unknown(name: str) -> UnknownModelError:
    close = difflib.get_close_matches(name, model_names(), n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    return UnknownModelError(
        f"no model {name!r}",
        expected="a name of the zoo, the path of a model.yml or of an IR .xml",
        fix=f"{hint}`ov-mobilenet list` shows the zoo",
    )
