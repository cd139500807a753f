"""The token that clients must send, from a file: a command line can be read by every user of the machine."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from ov_mobilenet.errors import UsageError
from ov_mobilenet.operating_system import systems

log = logging.getLogger(__name__)

_MAX_BYTES = 4096
_READABLE_BY_ALL = stat.S_IROTH


def read_token(path: Path) -> str:
    """The content of a token file without white space around it. A file that every user can read is a warning.

    Raises:
        UsageError: the file cannot be read, is empty, is not text, or is larger than a token.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"the token file cannot be read ({error.strerror})", where=path) from error
    try:
        token = content.decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not token or len(content) > _MAX_BYTES:
        raise UsageError(
            "the token file holds no token", where=path, expected=f"one line of ASCII text, up to {_MAX_BYTES} bytes"
        )
    if not systems.WINDOWS and mode & _READABLE_BY_ALL:
        log.warning("%s: every user of this machine can read the token; run: chmod 600 %s", path, path)
    return token
