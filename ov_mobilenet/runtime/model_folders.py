"""Model repositories: folders with `NAME/VERSION/NAME.xml`, as `export` writes them and OpenVINO Model Server reads.

A repository is one of

    DIR/models/NAME/VERSION/*.xml    as `export` writes it
    DIR/NAME/VERSION/*.xml
    DIR/VERSION/*.xml                the folder of one model
    config.json, or DIR/config.json  of OpenVINO Model Server: name and base_path of each model

VERSION is a number from 1 on. A zoo name, a folder with a model.yml, and a folder whose config.json is that of a
Hugging Face repository are no model repositories.
"""

from __future__ import annotations

import glob
import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ov_mobilenet.errors import ConfigError, UsageError, printable
from ov_mobilenet.zoo.hub_reference import is_hub_reference
from ov_mobilenet.zoo.registry import find_folders

log = logging.getLogger(__name__)

MODELS, CONFIG = "models", "config.json"
_LIST = "model_config_list"
_VERSION = re.compile(r"0*[1-9][0-9]{0,17}")
_MAX_CONFIG_BYTES = 1 << 24
_SHOWN = 5
_EXPECTED = f"{MODELS}/NAME/VERSION/NAME.xml, NAME/VERSION/NAME.xml or VERSION/NAME.xml, with a number as VERSION"


@dataclass(frozen=True)
class ModelFolder:
    """The folder of a model with its versions, `VERSION/NAME.xml`."""

    path: Path

    def newest_xml(self) -> Path:
        """The IR in the folder with the highest number.

        Raises:
            UsageError: no version holds an IR, or the highest one holds several.
        """
        versions = _versions(self.path)
        for version in versions:
            found = sorted(version.glob("*.xml"))
            if not found:
                continue
            if version != versions[0]:
                log.warning("%s: holds no IR, version %s runs", versions[0], version.name)
            same_name = version / f"{self.path.name}.xml"
            if len(found) > 1 and same_name not in found:
                raise UsageError(
                    "several IRs in a version of a model", where=version, expected="one", got=_listed(found)
                )
            return same_name if same_name in found else found[0]
        raise UsageError("no IR of a model", where=self.path, expected="VERSION/NAME.xml", got=_listed(versions))


def repository_models(
    model: object, *, config_dirs: Iterable[Path] = (), ir_dir: Path | None = None
) -> dict[str, ModelFolder] | None:
    """The models of a repository by name; None if a MODEL is none.

    Args:
        config_dirs, ir_dir: as in `Lookup`. A name that is looked up there comes before a folder of the same name.

    Raises:
        UsageError: the folder is neither a repository nor a MODEL; config.json names a folder without versions.
        ConfigError: config.json of OpenVINO Model Server is invalid.
    """
    if not isinstance(model, str | Path) or is_hub_reference(model) or not str(model):
        return None
    path = Path(model)
    if path.name == CONFIG and path.is_file():
        return _configured(path, _read_list(path) or [])
    if not path.is_dir() or (path / "model.yml").is_file():
        return None
    is_name = path.name == str(model)
    if is_name and (ir_dir is not None or find_folders(glob.escape(path.name), config_dirs=config_dirs)):
        return None
    if (path / CONFIG).is_file():
        entries = _read_list(path / CONFIG)
        return None if entries is None else _configured(path / CONFIG, entries)
    single = {path.absolute().name: ModelFolder(path)}
    if found := _models_below(path / MODELS):
        return found
    # KServe fetches all objects whose names begin with the URI: for the model `signs` also `signs-2/1/signs-2.xml`.
    if any(any(version.glob("*.xml")) for version in _versions(path)):
        return single
    if found := _models_below(path):
        return found
    if _versions(path):
        return single
    raise UsageError(
        "the folder holds no models", where=path, expected=f"{_EXPECTED}; a model.yml; or the files of a Hugging Face "
        "repository", got=_listed(sorted(path.iterdir())),
    )  # fmt: skip


def only_model(
    name: str, model: object, *, config_dirs: Iterable[Path] = (), ir_dir: Path | None = None
) -> ModelFolder | None:
    """The folder of the model for which a name is given; None if a MODEL is no repository.

    Raises:
        UsageError, ConfigError: as `repository_models`; the repository has several models.
    """
    found = repository_models(model, config_dirs=config_dirs, ir_dir=ir_dir)
    if found is None:
        return None
    if len(found) != 1:
        raise UsageError(
            f"the name {str(name)[:200]} is given to a folder with several models", where=str(model),
            expected="one model", got=_shown(list(found)),
            fix=f"Take the folder of one of them, such as {next(iter(found.values())).path}",
        )  # fmt: skip
    return next(iter(found.values()))


def _read_list(path: Path) -> list[Any] | None:
    """`model_config_list` of a config.json; None if it has none, as that of a Hugging Face repository."""
    try:
        with path.open("rb") as stream:
            content = json.loads(stream.read(_MAX_CONFIG_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"the file cannot be read ({printable(str(error))[:200]})", where=path) from error
    entries = content.get(_LIST) if isinstance(content, dict) else None
    return entries if isinstance(entries, list) else None


def _configured(config: Path, entries: list[Any]) -> dict[str, ModelFolder]:
    """The models of a config.json. Its other keys are for OpenVINO Model Server."""
    if not entries:
        raise ConfigError("no models in the file", where=config, expected=f"{_LIST} with at least one model")
    found: dict[str, ModelFolder] = {}
    for number, entry in enumerate(entries):
        model = entry.get("config") if isinstance(entry, dict) else None
        name, base_path = (model.get(key) for key in ("name", "base_path")) if isinstance(model, dict) else (None, None)
        if not (isinstance(name, str) and isinstance(base_path, str) and name and base_path):
            raise ConfigError(
                "invalid entry", where=f"{config}: {_LIST}[{number}].config", expected="texts name and base_path"
            )
        if name in found:
            raise ConfigError("two models have the same name", where=config, got=repr(name)[:200])
        folder = config.parent / base_path
        if not _versions(folder):
            raise UsageError(
                f"the model {name[:200]} has no versions", where=config, expected="VERSION/NAME.xml in its base_path",
                got=_listed(sorted(folder.iterdir())) if folder.is_dir() else f"no folder {folder}",
            )  # fmt: skip
        found[name] = ModelFolder(folder)
    return found


def _models_below(path: Path) -> dict[str, ModelFolder]:
    return {one.name: ModelFolder(one) for one in _folders(path) if _versions(one)}


def _folders(path: Path) -> list[Path]:
    return sorted(one for one in path.iterdir() if one.is_dir()) if path.is_dir() else []


def _versions(path: Path) -> list[Path]:
    """The folders of the versions of a model, the highest number first."""
    return sorted(
        (one for one in _folders(path) if _VERSION.fullmatch(one.name)), key=lambda one: int(one.name), reverse=True
    )


def _listed(paths: list[Path]) -> str:
    return _shown([path.name for path in paths]) or "an empty folder"


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(name[:100] for name in names[:_SHOWN]) + more
