"""Programs that start programs of their own, and are ended together with them."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any

from ov_mobilenet.operating_system import systems

_NEW_PROCESS_GROUP = 0x200  # subprocess.CREATE_NEW_PROCESS_GROUP, which exists on Windows only


def own_group() -> dict[str, Any]:
    """The arguments of `subprocess.Popen` for a program that Ctrl-C in our terminal does not reach."""
    return {"creationflags": _NEW_PROCESS_GROUP} if systems.WINDOWS else {"start_new_session": True}


def kill_group(process: subprocess.Popen[Any]) -> None:
    """End a program that was started with `own_group`, and all that it has started; not waited for."""
    if not systems.WINDOWS:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return
    with suppress(OSError):  # taskkill is missing
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    with suppress(OSError):  # it has ended
        process.kill()
