"""Find model descriptions: in the packaged zoo, in the user's folders, or by path."""

from __future__ import annotations

import difflib
import fnmatch
import glob
import re
from collections.abc import Iterable
from pathlib import Path

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import ConfigError, UnknownModelError
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.model import ModelConfig

# As copied from a page of the hub.
_REPOSITORY = re.compile(r"(?:https?://huggingface\.co/|HF:)?([\w.-]+/[\w.-]+?)/?", re.ASCII)
_PACKAGE = Path(__file__).resolve().parent.parent


def zoo_folder() -> Path:
    """The folder of the packaged descriptions: inside the installed package, or beside it in a checkout."""
    packaged = _PACKAGE / "model_configs"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "model_configs"


def find_folders(pattern: str = "*", *, config_dirs: Iterable[Path] = ()) -> dict[str, Path]:
    """The folders of models whose names match a shell wildcard, sorted by name.

    Args:
        config_dirs: additional folders with `NAME/model.yml` files.

    Raises:
        ConfigError: two folders have the same name; the message contains both paths.
    """
    found: dict[str, Path] = {}
    for folder in (zoo_folder(), *config_dirs):
        for path in sorted(folder.glob("*/model.yml")):
            name = path.parent.name
            if not fnmatch.fnmatchcase(name, pattern):
                continue
            other = found.setdefault(name, path.parent)
            if other.resolve() != path.parent.resolve():
                raise ConfigError(
                    f"two models are called {name}", got=f"{other} and {path.parent}", fix="Rename one of the folders"
                )
    return dict(sorted(found.items()))


def model_names(pattern: str = "*", *, config_dirs: Iterable[Path] = ()) -> list[str]:
    """Sorted names of the models that match a shell wildcard. Raises: see `find_folders`."""
    return list(find_folders(pattern, config_dirs=config_dirs))


def matching_folders(*patterns: str, config_dirs: Iterable[Path] = ()) -> list[Path]:
    """The folders of models whose names match any of the wildcards (all models if none is given), sorted by name.

    Raises:
        UnknownModelError: a pattern matches nothing.
        ConfigError: two folders have the same name.
    """
    config_dirs = tuple(config_dirs)
    folders: dict[str, Path] = {}
    for pattern in patterns or ("*",):
        found = find_folders(pattern, config_dirs=config_dirs)
        if not found:
            raise _unknown(pattern, config_dirs)
        folders.update(found)
    return [folder for _, folder in sorted(folders.items())]


@checked
def list_models(*patterns: str, config_dirs: Iterable[Path] = ()) -> list[ModelConfig]:
    """The descriptions of models whose names match any of the wildcards (all if none is given), sorted by name.

    Args:
        config_dirs: additional folders with `NAME/model.yml` files.

    Raises:
        UnknownModelError: a pattern matches nothing.
        ConfigError: a description is invalid, or two models have the same name.
    """
    return [load_config(folder) for folder in matching_folders(*patterns, config_dirs=config_dirs)]


@checked
def find_config(model: str | Path, *, config_dirs: Iterable[Path] = ()) -> ModelConfig:
    """The description of a MODEL: a zoo name, a `model.yml`, or the folder of one.

    Args:
        config_dirs: additional folders with `NAME/model.yml` files.

    Raises:
        UnknownModelError: there is no such name and no such file.
        ConfigError: the description is invalid, or two models have this name.
    """
    config_dirs = tuple(config_dirs)
    for folder in find_folders(glob.escape(str(model)), config_dirs=config_dirs).values():
        return load_config(folder)
    path = Path(model)
    if path.is_file() or (path / "model.yml").is_file():
        return load_config(path)
    raise _unknown(str(model), config_dirs)


def _unknown(name: str, config_dirs: Iterable[Path]) -> UnknownModelError:
    if glob.has_magic(name):
        return UnknownModelError(f"no model matches {name!r}", fix="Run `ov-mobilenet list` to see all models")
    close = difflib.get_close_matches(name, model_names(config_dirs=config_dirs), n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    if (repository := _REPOSITORY.fullmatch(name)) is not None and not name.endswith((".yml", ".xml")):
        hint = f"For the Hugging Face repository: hf:{repository[1]}. "
    return UnknownModelError(
        f"unknown model {name!r}",
        expected="a zoo name, the path of a model.yml or an IR .xml, or hf:OWNER/NAME",
        fix=f"{hint}Run `ov-mobilenet list` to see all models",
    )
