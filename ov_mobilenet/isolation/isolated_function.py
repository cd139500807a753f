"""Run native libraries on files of unknown origin in a child process.

OpenVINO's frontends, onnxruntime, LiteRT and TensorFlow crash on some damaged files, and run endlessly on some others.
In a child process this is an error. The libraries are imported once per process of the caller, in a `fork_server`.

A crash is found where the same code reads the same bytes. It is not a sandbox: a worker has the rights of its user.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ov_mobilenet import errors
from ov_mobilenet.errors import ConversionError, OvMobilenetError
from ov_mobilenet.isolation.fork_server import ANSWER, ERROR, REQUEST, TASK, receive, send
from ov_mobilenet.operating_system.signals import exit_reason

log = logging.getLogger(__name__)

_START = """
import json, sys
path, control, modules, folder = sys.argv[1:]
sys.path[:] = json.loads(path)
from ov_mobilenet.isolation.fork_server import main
main(int(control), json.loads(modules), folder)
"""


@dataclass(frozen=True)
class Task:
    """What a child process does.

    Attributes:
        factory: full name of a function that returns the function to call, from bytes to bytes.
        arguments: its arguments; they are pickled.
        modules: modules to import before the first task.
        doing: the task in words, such as "reading the network".
        where: the file that an error names.
    """

    factory: str
    arguments: tuple[Any, ...]
    modules: tuple[str, ...]
    doing: str
    where: Path


class IsolatedFunction:
    """A function in a child process, from bytes to bytes."""

    def __init__(self, task: Task, limit_s: float) -> None:
        """Start the child process and call the factory of the task.

        Raises:
            ConversionError: the child process crashed, or took longer than `limit_s` seconds.
            OvMobilenetError: the factory raised it.
        """
        self._task = task
        self._channel, other = socket.socketpair()
        self._close = weakref.finalize(self, self._channel.close)
        with other:
            _send_to_server(task.modules, other)
        # The current folder and the search path may have changed since the server started.
        content = pickle.dumps((_current_folder(), sys.path, task.factory, task.arguments))
        self._exchange(TASK, content, limit_s)

    def __call__(self, request: bytes, limit_s: float) -> bytes:
        """Call the function. Raises: as the constructor."""
        return self._exchange(REQUEST, request, limit_s)

    def close(self) -> None:
        """End the child process."""
        self._close()

    def _exchange(self, kind: bytes, content: bytes, limit_s: float) -> bytes:
        found, answer = b"", b""
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it has ended; the reason is still to be read
                send(self._channel, kind, content, limit_s)
            found, _, answer = receive(self._channel)
        except (EOFError, ValueError, ConnectionResetError):
            pass
        except BaseException:
            self.close()
            raise
        if found == ANSWER:
            return answer
        self.close()
        raise _sent_error(answer) if found == ERROR else self._ended(answer, limit_s)

    def _ended(self, answer: bytes, limit_s: float) -> ConversionError:
        code = int(answer) if answer.lstrip(b"-").isdigit() and len(answer) < 9 else None
        if code == -signal.SIGALRM:
            return ConversionError(
                f"{self._task.doing} takes too long", where=self._task.where,
                expected=f"at most {limit_s:g} s", fix="The network is too large, or has a loop that does not end",
            )  # fmt: skip
        return ConversionError(
            f"{self._task.doing} crashed", where=self._task.where, got=exit_reason(code),
            fix="The file is probably damaged: download or export it again",
        )  # fmt: skip


def _current_folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was deleted
        return "/"


def _sent_error(content: bytes) -> OvMobilenetError:
    """The error that a worker reported; a ConversionError if its report is broken."""
    try:
        report = msgspec.json.decode(content, type=dict[str, Any])
        kind = getattr(errors, str(report["type"]))
        fields = {name: None if text is None else str(text) for name, text in report["fields"].items()}
        error: OvMobilenetError = kind(fields.pop("what") or "", **fields)
    except (msgspec.MsgspecError, AttributeError, KeyError, TypeError):
        return ConversionError("the child process sent a broken report")
    return error if isinstance(error, OvMobilenetError) else ConversionError(str(error))


class _Server:
    """A fork server; it ends with this process."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._control, other = socket.socketpair()
        folder = tempfile.mkdtemp(prefix="ov-mobilenet-")
        debug = log.isEnabledFor(logging.DEBUG)
        with other, ExitStack() as failed:
            failed.callback(shutil.rmtree, folder, ignore_errors=True)
            failed.enter_context(self._control)
            process = subprocess.Popen(
                [
                    sys.executable, "-I", "-c", _START,
                    json.dumps(sys.path), str(other.fileno()), json.dumps(modules), folder,
                ],
                pass_fds=[other.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=None if debug else subprocess.DEVNULL,
                env={**os.environ, "TMPDIR": folder},  # so that a crash leaves no temporary files
            )  # fmt: skip
            failed.pop_all()
        weakref.finalize(self, _end, process, self._control, folder)

    def send(self, channel: socket.socket) -> None:
        """Pass the socket of a task. Raises: OSError, if the server has ended."""
        socket.send_fds(self._control, [b"+"], [channel.fileno()])


def _end(process: subprocess.Popen[bytes], control: socket.socket, folder: str) -> None:
    control.close()
    process.kill()  # its workers end when their channels are closed
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _server(modules: tuple[str, ...]) -> _Server:
    return _Server(modules)


def _send_to_server(modules: tuple[str, ...], channel: socket.socket) -> None:
    try:
        _server(modules).send(channel)
    except OSError:  # it was killed from outside
        _server.cache_clear()
        _server(modules).send(channel)
