"""The folders of a model repository: `models/NAME/1/NAME.xml`, which OpenVINO Model Server and `serve` read."""

from __future__ import annotations

from pathlib import Path

MODELS = "models"
VERSION = "1"
CONFIG = "config.json"
LABELS = "labels"
README = "README.md"
CLIENTS = "clients"


def model_folder(name: str) -> str:
    """The folder of a model, relative to the repository, with `/`."""
    return f"{MODELS}/{name}"


def model_xml(repository: Path, name: str) -> Path:
    """The IR of a model."""
    return repository / MODELS / name / VERSION / f"{name}.xml"
