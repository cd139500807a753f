"""Run a command in a process that has nothing that Windows lacks, as far as that can be had on Linux.

    python as_windows.py [WORD… [+ WORD…]…]

It imports every module of the package, and runs the command line with each group of words.
Third-party packages and the parts of the standard library that differ are imported before: these are other files on
Windows. What is left is our own code.
"""

from __future__ import annotations

import importlib
import importlib.abc
import os
import pkgutil
import select
import signal
import socket
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

import filelock

# Those that modules of the package import at their top, and that classifying an image imports.
THIRD_PARTY = (
    "click", "cv2", "cykooz_resizer", "filelock", "google.protobuf", "grpc.aio", "grpc_health.v1.health_pb2",
    "grpc_reflection.v1alpha.reflection_pb2", "httptools", "msgspec.json", "numpy", "openvino", "PIL.Image",
    "platformdirs", "prometheus_client", "python_multipart", "regex", "requests", "rich.console", "rich.progress",
    "rich.table", "simplejpeg", "starlette", "tritonclient.grpc", "uvicorn", "yaml",
)  # fmt: skip
# Modules that import torch, which takes seconds.
NEED_TORCH = ("ov_mobilenet.conversion.architectures.", "ov_mobilenet.conversion.library_networks.")
MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty", "uvloop")
MISSING: tuple[tuple[ModuleType, tuple[str, ...]], ...] = (
    (
        os,
        ("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "WNOHANG", "chown", "fchmod", "fork", "forkpty",
         "getgid", "getloadavg", "getpgid", "getuid", "geteuid", "killpg", "mkfifo", "openpty", "posix_fallocate",
         "pread", "pwrite", "register_at_fork", "sched_getaffinity", "set_blocking", "setsid", "statvfs", "sysconf",
         "uname", "wait", "waitid"),
    ),
    (
        signal,
        ("ITIMER_REAL", "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP",
         "SIGUSR1", "SIGUSR2", "SIG_BLOCK", "SIG_SETMASK", "SIG_UNBLOCK", "alarm", "pthread_sigmask", "setitimer",
         "siginterrupt", "sigwait"),
    ),
    (select, ("epoll", "poll")),
    (socket, ("SO_REUSEPORT", "send_fds", "recv_fds")),  # not AF_UNIX: the event loop of Linux needs it
)  # fmt: skip


class _NotOnWindows(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in MODULES:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def become_windows() -> None:
    """Take away what Windows lacks."""
    for name in THIRD_PARTY:
        try:
            importlib.import_module(name)
        except ImportError:  # an optional package
            continue
    filelock.FileLock = filelock.SoftFileLock  # that of Windows needs msvcrt
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, _NotOnWindows())
    for module, names in MISSING:
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    socket.SO_EXCLUSIVEADDRUSE = socket.SO_REUSEADDR  # type: ignore[attr-defined]  # its number is refused by Linux
    sys.platform = "win32"


def import_all() -> int:
    """Import every module of the package; how many."""
    import ov_mobilenet

    found = [one.name for one in pkgutil.walk_packages(ov_mobilenet.__path__, "ov_mobilenet.")]
    names = [name for name in found if not name.startswith(NEED_TORCH)]
    for name in names:
        importlib.import_module(name)
    return len(names)


def run(words: list[str]) -> None:
    """Run the command line for each group of words; the process ends if one fails."""
    from ov_mobilenet.cli.main import main

    while words:
        end = words.index("+") if "+" in words else len(words)
        if code := main(words[:end]):
            sys.exit(code)
        words = words[end + 1 :]


if __name__ == "__main__":
    become_windows()
    print(f"{import_all()} modules imported", file=sys.stderr)
    run(sys.argv[1:])
