"""How this program was started, for suggestions that work when they are copied from the terminal."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

PROGRAM = "ov-mobilenet"


def program_words() -> str:
    """The words that start this program again from the current folder.

    `ov-mobilenet` if the shell finds this installation under that name, otherwise the path by which it was started,
    such as `.venv-demo/bin/ov-mobilenet`, or `PYTHON -m ov_mobilenet`.
    """
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        python = Path(sys.executable)
        return f"{'python' if _is_found('python', python) else short_path(python)} -m ov_mobilenet"
    if started.stem != PROGRAM or _is_found(PROGRAM, started):
        return PROGRAM
    return short_path(started)


def short_path(path: Path) -> str:
    """The path for a command line: relative to the current folder if it is below, quoted for the shell."""
    path = path.absolute()
    if not path.is_relative_to(Path.cwd()):
        return shlex.quote(str(path))
    relative = path.relative_to(Path.cwd())
    return shlex.quote(str(relative) if len(relative.parts) > 1 else f"./{relative}")


def _is_found(name: str, program: Path) -> bool:
    """Whether the shell starts this file by the name. Links are not followed: each environment links to one Python."""
    found = shutil.which(name)
    return found is not None and Path(found).absolute() == program.absolute()
