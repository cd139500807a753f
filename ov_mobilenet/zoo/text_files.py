"""Read the text files of a description: regular files of a limited size, never a device or a pipe."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.operating_system.open_file import open_without_waiting


def read_limited(path: Path, most: int, *, name: str = "file") -> bytes:
    """The bytes of a regular file.

    Args:
        most: largest size in bytes.
        name: what the file is, for messages.

    Raises:
        ConfigError: it is missing, not a regular file or too large.
    """
    try:
        descriptor = open_without_waiting(path)
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISDIR(mode):
                raise ConfigError(f"{name} cannot be read", where=path, got="Is a directory")
            if not stat.S_ISREG(mode):
                got = "a device, pipe or socket"
                raise ConfigError(f"{name} cannot be read", where=path, expected="a regular file", got=got)
            with open(descriptor, "rb", closefd=False) as stream:
                content = stream.read(most + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError(f"{name} cannot be read", where=path, got=error.strerror or error) from error
    except ValueError as error:  # a NUL character in the path
        raise ConfigError(f"{name} cannot be read", where=path, got=error) from error
    if len(content) > most:
        raise ConfigError(f"{name} too large", where=path, expected=f"at most {most} bytes", got="more")
    return content
