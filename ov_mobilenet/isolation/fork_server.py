"""The child process of `isolated_function`: it imports a library once, and forks a worker for each task.

For every task there are two processes: the worker, and a supervisor that reports how the worker ended, and that ends it
when the caller is gone. The caller's requests are pickled; answers to the caller are bytes and JSON only, because a
worker that reads a hostile file is not trusted.
"""

from __future__ import annotations

import importlib
import os
import pickle
import select
import shutil
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from ov_mobilenet.errors import ConversionError, OvMobilenetError

HEADER = struct.Struct("<cdQ")  # kind, time limit of a request in seconds, length of the content in bytes
TASK, REQUEST, ANSWER, ERROR, EXIT = b"T", b"R", b"A", b"E", b"X"
LARGEST_MESSAGE = 1 << 30


def send(channel: socket.socket, kind: bytes, content: bytes, limit_s: float = 0.0) -> None:
    """Send one message. Raises: OSError, if the other side is gone."""
    channel.sendall(HEADER.pack(kind, limit_s, len(content)) + content)


def receive(channel: socket.socket) -> tuple[bytes, float, bytes]:
    """Kind, time limit and content of one message. Raises: EOFError, if the other side is gone; ValueError."""
    kind, limit_s, length = HEADER.unpack(_read(channel, HEADER.size))
    if length > LARGEST_MESSAGE:
        raise ValueError(f"a message of {length} bytes")
    return kind, limit_s, _read(channel, length)


def _read(channel: socket.socket, count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        part = channel.recv(min(count - len(content), 1 << 20))
        if not part:
            raise EOFError
        content += part
    return bytes(content)


def main(control: int, modules: Sequence[str], folder: str) -> None:
    """Serve until the caller closes the control socket, or is killed.

    Args:
        control: file descriptor of the control socket, which brings one socket per task.
        modules: imported before the first fork; a worker reports those that are missing.
        folder: the folder for temporary files; it is deleted at the end.
    """
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal; the caller ends us
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors are not waited for
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for module in modules:
        with suppress(ImportError):
            importlib.import_module(module)
    channel = socket.socket(fileno=control)
    while True:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not descriptors:
            shutil.rmtree(folder, ignore_errors=True)
            return
        if os.fork() == 0:
            channel.close()
            _supervise(socket.socket(fileno=descriptors[0]))
            os._exit(0)
        os.close(descriptors[0])


def _supervise(channel: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    alive, held_by_worker = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(alive)
        _work(channel)
        os._exit(0)
    os.close(held_by_worker)
    either = select.poll()
    either.register(alive, 0)  # hangs up when the worker ends
    either.register(channel, 0)  # hangs up when the caller is gone
    if alive not in (descriptor for descriptor, _ in either.poll()):
        os.kill(worker, signal.SIGKILL)
    _, status = os.waitpid(worker, 0)
    with suppress(OSError):
        send(channel, EXIT, str(os.waitstatus_to_exitcode(status)).encode())


def _work(channel: socket.socket) -> None:
    """Answer requests until the caller closes the channel, or one fails."""
    try:
        _, limit_s, content = receive(channel)
        # When the time is over, the kernel ends the process, whatever a library does meanwhile.
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        task = pickle.loads(content)  # noqa: S301 (from the process that started this one)
        folder, sys.path[:], factory, arguments = task
        with suppress(OSError):
            os.chdir(folder)
        module, _, name = factory.rpartition(".")
        answer = getattr(importlib.import_module(module), name)(*arguments)
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(channel, ANSWER, b"")
        while True:
            _, limit_s, content = receive(channel)
            signal.setitimer(signal.ITIMER_REAL, limit_s)
            result = answer(content)
            signal.setitimer(signal.ITIMER_REAL, 0)
            send(channel, ANSWER, result)
    except (EOFError, OSError) as error:
        if not isinstance(error, EOFError):
            _report(channel, error)
    except Exception as error:  # noqa: BLE001 (every error is the caller's to handle)
        _report(channel, error)


def _report(channel: socket.socket, error: Exception) -> None:
    known = error if isinstance(error, OvMobilenetError) else ConversionError(f"{type(error).__name__}: {error}")
    fields = {"what": known.what, "where": known.where, "expected": known.expected, "got": known.got, "fix": known.fix}
    with suppress(OSError):
        send(channel, ERROR, msgspec.json.encode({"type": type(known).__name__, "fields": fields}))
