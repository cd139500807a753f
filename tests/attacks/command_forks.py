"""Run commands of ov-mobilenet, each in a fork of a process that has imported what they need.

A command that crashes ends its fork, and one that hangs is ended by the kernel. A new process for each would import
OpenVINO for half a second.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

LIMIT_S = 50.0  # less than the watchdog's
EXIT_CODES = (0, 1, 2, 3)  # documented; the others are for signals
UNEXPECTED = 70  # a fork that raised an exception

PROGRAM = "import sys; sys.path[:0] = sys.argv[2:]; from attacks.command_forks import serve; serve(sys.argv[1])"
COMMANDS = ("cv2", "openvino.tools.ovc.error", "ov_mobilenet.cli.classify", "ov_mobilenet.cli.convert")


@dataclass(frozen=True)
class Ran:
    """A command that has ended; `code` as `subprocess` gives it."""

    code: int
    out: str
    err: str


def run_command(arguments: list[str], folder: Path, *modules: str) -> Ran:
    """Run a command in a fork, and check how it ended and that it left no temporary file.

    Args:
        folder: its output streams and temporary files are written here.
        modules: modules to import before the fork, besides those that every command needs.
    """
    server = _server(modules)
    assert server.stdin is not None and server.stdout is not None
    (folder / "tmp").mkdir(parents=True)
    server.stdin.write(json.dumps([arguments, str(folder)]) + "\n")
    server.stdin.flush()
    try:
        code = int(server.stdout.readline())
    except BaseException:  # also the watchdog: a later answer would be taken for that of the next command
        server.kill()
        _server.cache_clear()
        raise
    out, err = ((folder / name).read_text("utf-8", errors="surrogateescape") for name in ("out.txt", "err.txt"))
    assert code in EXIT_CODES, f"exit code {code}: {err[-500:]}"
    assert "Traceback" not in err, err[-500:]
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == (0 if code == 0 else 1), f"{len(errors)} errors, exit code {code}: {err[-500:]}"
    left = [path.name for path in (folder / "tmp").iterdir() if not path.name.startswith("torchinductor_")]
    assert left == [], "temporary files were left"  # torch keeps a cache of its own there
    return Ran(code, out, err)


@functools.cache
def _server(modules: tuple[str, ...]) -> subprocess.Popen[str]:
    # It ends with this process, because its stdin is closed then.
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, ",".join((*COMMANDS, *modules)), *sys.path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "CI": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip


def serve(modules: str) -> None:
    """In the process that forks: run commands until stdin ends."""
    from ov_mobilenet.conversion import isolated_reading
    from ov_mobilenet.isolation import isolated_function

    for module in modules.split(","):
        importlib.import_module(module)
    isolated_function._server(isolated_reading._MODULES)  # the forks share it
    for line in sys.stdin:
        arguments, folder = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(arguments, Path(folder))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _run(arguments: list[str], folder: Path) -> NoReturn:
    import faulthandler
    import tempfile

    from ov_mobilenet.cli.main import main

    faulthandler.disable()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    for stream, name in ((1, "out.txt"), (2, "err.txt")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), stream)
    os.chdir(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
    code = UNEXPECTED
    known = set(weakref.finalize._registry)  # type: ignore[attr-defined]
    try:
        code = main(arguments)
        for at_exit in set(weakref.finalize._registry) - known:  # type: ignore[attr-defined]
            at_exit()  # deletes temporary folders, as at the end of a process
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else UNEXPECTED
    except BaseException:  # noqa: BLE001 (the test fails and shows it)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
