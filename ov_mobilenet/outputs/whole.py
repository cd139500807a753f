"""Files that appear complete or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from ov_mobilenet.outputs.files import cannot_write


def write_whole(path: Path, text: str) -> None:
    """Write a text file as UTF-8 beside its place, and put it there at once; what was there before is replaced.

    Raises:
        OutputError: it cannot be written; what was there is kept.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
