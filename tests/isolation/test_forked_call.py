"""Functions that return, raise, crash, hang, write and are interrupted in a fork of this process."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ov_mobilenet.isolation.availability import can_isolate
from ov_mobilenet.isolation.forked_call import call_in_fork

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not can_isolate(), reason="needs a system that can fork")


def fail() -> None:
    raise ZeroDivisionError


def hang() -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("function", "code"),
    [
        (list, 0),
        (fail, 0),
        (lambda: ctypes.string_at(0), -signal.SIGSEGV),
        (os.abort, -signal.SIGABRT),
        (lambda: os._exit(7), 7),
        (lambda: signal.raise_signal(signal.SIGTERM), -signal.SIGTERM),
    ],
    ids=["returns", "raises", "invalid memory", "abort", "exits", "is ended"],
)
def test_how_a_function_ended(function: Callable[[], object], code: int) -> None:
    assert call_in_fork(function, 30.0) == code


def test_a_function_that_hangs_is_ended_although_the_caller_handles_the_signal() -> None:
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    try:
        assert call_in_fork(hang, 0.1) is None
    finally:
        signal.signal(signal.SIGALRM, before)


def test_output_and_changes_of_the_function_are_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    changed: list[int] = []

    def write() -> None:
        os.write(1, b"text")
        os.write(2, b"text")
        changed.append(1)
        ctypes.string_at(0)

    assert call_in_fork(write, 30.0) == -signal.SIGSEGV
    assert capfd.readouterr() == ("", "")
    assert changed == []


# The function notes its process once the caller waits for it.
INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from ov_mobilenet.isolation.forked_call import call_in_fork

def note_and_hang():
    caller = Path(f"/proc/{os.getppid()}/stat")
    while caller.read_text().rpartition(")")[2].split()[0] != "S":
        pass
    os.write(int(sys.argv[1]), b"%d\\n" % os.getpid())
    while True:
        pass

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    call_in_fork(note_and_hang, 60.0)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_ends_the_function() -> None:
    reading, writing = os.pipe()
    command = [sys.executable, "-c", INTERRUPTED, str(writing)]
    caller = subprocess.Popen(
        command, pass_fds=[writing], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    os.close(writing)
    with open(reading) as noted, caller:  # noqa: PTH123 (a file descriptor)
        called = int(noted.readline())
        caller.send_signal(signal.SIGINT)
        assert caller.communicate(timeout=120)[0] == "interrupted\n"
    with pytest.raises(ProcessLookupError):
        os.kill(called, 0)


def test_a_caller_that_ignores_the_end_of_its_children_learns_nothing() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert call_in_fork(list, 30.0) is None
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_system_without_room_for_a_copy_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(os, "fork", refuse)
    assert call_in_fork(list, 30.0) is None
