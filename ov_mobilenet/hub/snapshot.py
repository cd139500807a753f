"""What a repository, or a folder with its files, says of its network: config.json and preprocessor_config.json."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.errors import UsageError

SizeProtocol = Literal["train", "test"]


def is_snapshot(folder: Path) -> bool:
    """Whether a folder holds the files of a repository: a config.json and a network."""
    return folder.is_dir() and (folder / "config.json").is_file()


def inspect_snapshot(folder: Path, *, size: SizeProtocol = "train") -> SourceFacts:
    """The facts of the network in a snapshot; see `inspect_source`."""
    raise UsageError("not implemented", where=folder, got=size)
