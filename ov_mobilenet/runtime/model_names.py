"""The names under which models are served and exported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ov_mobilenet.errors import UsageError
from ov_mobilenet.runtime.loaded_model import LoadedModel
from ov_mobilenet.runtime.model_folders import ModelFolder, only_model, repository_models
from ov_mobilenet.zoo.hub_reference import is_hub_reference, parse_hub_reference

if TYPE_CHECKING:
    from ov_mobilenet.runtime.classifier import Classifier

Model: TypeAlias = "str | Path | Classifier | ModelFolder"
# What needs no quoting in a URL.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_EXPECTED = "1 to 128 letters, digits, _, - or ., not beginning with - or ."
_FIX = "Choose one with --name NAME=MODEL, or a mapping in Python"


def models_by_name(
    models: Mapping[str, Model] | Sequence[Model],
    named: Sequence[tuple[str, Model]] = (),
    *,
    repositories: bool = False,
    config_dirs: Iterable[Path] = (),
    ir_dir: Path | None = None,
) -> dict[str, Model]:
    """The models by name. One without a given name has its own: see `name_of`.

    Args:
        named: more models, with their names.
        repositories: take the models of model repositories, see `model_folders`.
        config_dirs, ir_dir: see `repository_models`.

    Raises:
        UsageError: there are no models, one is not a MODEL or a classifier, or a name is invalid or used twice.
        UsageError, ConfigError: as `repository_models`.
    """
    folders = tuple(config_dirs)
    pairs: list[tuple[str, Model]] = []
    if isinstance(models, str | Path | LoadedModel):
        models = [models]
    if isinstance(models, Mapping):
        named = [*models.items(), *named]
    else:
        if not isinstance(models, Sequence) or isinstance(models, bytes):
            raise UsageError("invalid models", expected="a mapping of names, or a list", got=type(models).__name__)
        for model in models:
            found = repository_models(model, config_dirs=folders, ir_dir=ir_dir) if repositories else None
            pairs += [(name_of(model), model)] if found is None else found.items()
    for name, model in named:
        folder = only_model(name, model, config_dirs=folders, ir_dir=ir_dir) if repositories else None
        pairs.append((name, folder or model))
    if not pairs:
        raise UsageError("no models", expected="at least one MODEL")
    by_name: dict[str, Model] = {}
    for name, model in pairs:
        _check_model(model)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError("invalid name of one of the models", expected=_EXPECTED, got=repr(name)[:200], fix=_FIX)
        if name in by_name:
            raise UsageError("two models have the same name", got=name, fix=_FIX)
        by_name[name] = model
    return by_name


def name_of(model: Model) -> str:
    """The zoo name, the stem of the IR's file, the folder of a `model.yml`, or the last part of hf:OWNER/NAME[/FILE].

    Raises:
        UsageError: the model is not a MODEL or a classifier, the reference is invalid, or the classifier has no record.
    """
    _check_model(model)
    if isinstance(model, LoadedModel):
        if model.record is not None:
            return model.record.config_name
        if model.xml is not None:
            return model.xml.stem
        raise UsageError("one of the models has no name", expected="a mapping of names to models")
    if isinstance(model, ModelFolder):
        return model.path.name
    if is_hub_reference(model):
        reference = parse_hub_reference(str(model))
        return Path(reference.file).stem if reference.file else reference.repository.partition("/")[2]
    path = Path(str(model))
    if path.suffix in (".yml", ".yaml") and path.stem == "model":
        return path.absolute().parent.name
    return path.stem if path.suffix in (".xml", ".yml", ".yaml") else path.name


def _check_model(model: object) -> None:
    if not isinstance(model, str | Path | LoadedModel | ModelFolder) or model in ("", Path()):
        got = repr(model)[:200] if isinstance(model, str) else type(model).__name__
        raise UsageError("invalid models", expected="a MODEL or a classifier each", got=got)
