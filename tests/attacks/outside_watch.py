"""Notice files that are written outside a folder, programs that are started and connections that are opened."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {  # events of the interpreter, and how many of their arguments are paths
    "os.chmod": 1, "os.chown": 1, "os.link": 2, "os.mkdir": 1, "os.remove": 1, "os.rename": 2, "os.rmdir": 1,
    "os.symlink": 2, "os.truncate": 1, "os.utime": 1, "shutil.rmtree": 1,
}  # fmt: skip
_NEVER = ("subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "socket.connect", "pty.")

_folder: str | None = None
_seen: list[str] = []


def _notice(event: str, arguments: tuple[object, ...]) -> None:
    if _folder is None:
        return
    if event == "open":
        path, _, flags = arguments
        paths = [path] if isinstance(flags, int) and flags & _WRITES else []
    else:
        paths = list(arguments[: _PATHS.get(event, 0)])
        if event.startswith(_NEVER):
            _seen.append(event)
    for path in paths:
        if isinstance(path, str | bytes | os.PathLike) and not _is_inside(os.fsdecode(path)):
            _seen.append(f"{event} {os.fsdecode(path)!r}")


def _is_inside(path: str) -> bool:
    # The folder of the path is resolved, and not its last part: a link may be replaced or deleted.
    head, tail = os.path.split(os.path.abspath(path))  # noqa: PTH100 (not resolved)
    real = f"{os.path.realpath(head).rstrip(os.sep)}{os.sep}{tail}"
    return real == "/dev/null" or real == _folder or real.startswith(f"{_folder}{os.sep}")


@contextmanager
def nothing_outside(folder: Path) -> Iterator[None]:
    """Fail if the code in the `with` block writes outside the folder, starts a program or opens a connection."""
    global _folder
    if _notice not in _hooks:
        sys.addaudithook(_notice)  # stays for the life of the process
        _hooks.append(_notice)
    _seen.clear()
    _folder = os.path.realpath(folder)
    try:
        yield
    finally:
        _folder = None
    assert not _seen, f"outside the folder: {_seen}"


_hooks: list[object] = []
