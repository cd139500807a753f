"""What the results in a file were made with, so that `--resume` never mixes two models or settings in one file.

The settings are texts by name, such as `{"network: weights": "4ab0…", "top-k": "5"}`. A Parquet file has them in the
metadata of its schema. Beside a JSON Lines or CSV file `results.jsonl` they are in the hidden file
`.results.jsonl.run.json`, because every line of these formats is a result. A file without settings (of version 0.1, or
copied without its hidden file) can be resumed, with a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ov_mobilenet.errors import OutputError, printable

RunSettings = Mapping[str, str]

METADATA_KEY = b"ov_mobilenet.run"

_log = logging.getLogger(__name__)


def settings_file(path: Path) -> Path:
    """The hidden file with the settings of a JSON Lines or CSV file."""
    return path.with_name(f".{path.name}.run.json")


def read_settings_file(path: Path) -> RunSettings | None:
    """The settings beside a JSON Lines or CSV file; None if there are none, or they cannot be read."""
    try:
        return decode_settings(settings_file(path).read_bytes())
    except OSError:
        return None


def write_settings_file(path: Path, settings: RunSettings | None) -> None:
    """Write the settings beside a JSON Lines or CSV file; None removes those of an earlier run."""
    try:
        if settings is None:
            settings_file(path).unlink(missing_ok=True)
        else:
            # Not renamed into place: a run that is killed here has no results yet, and the next one writes it again.
            settings_file(path).write_bytes(encode_settings(settings) + b"\n")
    except OSError as error:
        _log.warning("%s; --resume will not be able to check the settings of %s", error, printable(str(path)))


def encode_settings(settings: RunSettings) -> bytes:
    """The settings as JSON."""
    return msgspec.json.encode(dict(settings))


def decode_settings(data: bytes | None) -> RunSettings | None:
    """The settings in JSON; None if it is not valid."""
    try:
        return None if data is None else msgspec.json.decode(data, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def check_settings(path: Path, found: RunSettings | None, wanted: RunSettings) -> None:
    """Check that a file to resume was written with these settings. Names that only one of them has are not compared.

    Raises:
        OutputError: a value differs; the message names all that do.
    """
    if found is None:
        _log.warning(
            "%s: it is not recorded which model and settings its results were made with; they are not checked",
            printable(str(path)),
        )
        return
    names = [name for name in wanted if name in found and found[name] != wanted[name]]
    if names:
        raise OutputError(
            "the results in the file were made with another model or other settings", where=path,
            expected=", ".join(f"{name} {found[name]}" for name in names),
            got=", ".join(f"{name} {wanted[name]}" for name in names),
            fix="Use the same model and settings, select another file, or replace this one with --overwrite",
        )  # fmt: skip
