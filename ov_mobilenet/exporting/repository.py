"""The folders of a model repository: `models/NAME/1/NAME.xml`, which OpenVINO Model Server and `serve` read."""

from __future__ import annotations

from pathlib import Path

from ov_mobilenet.errors import printable

MODELS = "models"
VERSION = "1"
CONFIG = "config.json"
LABELS = "labels"
README = "README.md"
CLIENTS = "clients"
# The files of models in an export, as regular expressions.
MODEL_FILES = (rf"{MODELS}/([^/]+)/{VERSION}/\1\.(xml|bin)", rf"{LABELS}/[^/]+\.txt")


def model_folder(name: str) -> str:
    """The folder of a model, relative to the repository, with `/`."""
    return f"{MODELS}/{name}"


def class_names(repository: Path, name: str) -> Path:
    """The file with the class names of a model, one per line; the number of the line, from 0, is the class."""
    return repository / LABELS / f"{name}.txt"


def write_class_names(repository: Path, name: str, labels: tuple[str, ...] | None) -> None:
    """Write the file with the class names, if a model has any."""
    if labels is not None:
        path = class_names(repository, name)
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{printable(' '.join(label.split()))}\n" for label in labels), "utf-8", newline="\n")


def model_xml(repository: Path, name: str) -> Path:
    """The IR of a model."""
    return repository / MODELS / name / VERSION / f"{name}.xml"
