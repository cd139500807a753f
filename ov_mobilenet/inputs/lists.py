"""Paths from a list, one a line, read as they are needed."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from typing import IO

from ov_mobilenet.errors import ImageError

MAX_LINE_BYTES = 1 << 16


def read_paths(stream: IO[bytes], *, comments: bool) -> Iterator[str]:
    """The paths, without empty lines.

    Args:
        comments: leave out lines that begin with `#`.

    Raises:
        ImageError: a line is too long for a path: this is no list.
    """
    first = True
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            raise ImageError("not a list of paths", expected=f"lines of at most {MAX_LINE_BYTES} bytes", got="more")
        if first:
            line, first = line.removeprefix(codecs.BOM_UTF8), False
        line = line.rstrip(b"\r\n")
        if line and not (comments and line.startswith(b"#")):
            yield os.fsdecode(line)
