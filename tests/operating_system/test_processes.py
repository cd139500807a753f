"""Signals, child programs, memory and sockets of the other systems, with their functions replaced."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ov_mobilenet.operating_system import child_programs, process_resources, signals, sockets, systems
from ov_mobilenet.serving.server_signals import server_signals


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "exit code 1"), (None, "exit code None"), (-9, "signal SIGKILL"), (-40, "signal 40"),
        (0xC0000005, "exit code 0xC0000005"), (3221225786, "exit code 0xC000013A"),
    ],
)  # fmt: skip
def test_how_a_process_ended_is_said_in_the_words_of_the_system(code: int | None, text: str) -> None:
    assert signals.exit_reason(code) == text


@pytest.mark.usefixtures("windows")
def test_ctrl_c_stops_a_server_whose_event_loop_has_no_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "RELOAD", None)
    before = [signal.getsignal(one) for one in signals.STOP]

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        for name in ("add_signal_handler", "remove_signal_handler"):
            monkeypatch.setattr(loop, name, None)  # calling it is an error
        stopped = asyncio.Event()
        with server_signals(stop=stopped.set, reload=lambda: None):
            handler = signal.getsignal(signal.SIGTERM)
            assert callable(handler), "called here: a signal without a handler would end all tests of this process"
            handler(signal.SIGTERM, None)
            await asyncio.wait_for(stopped.wait(), 60)
        monkeypatch.undo()

    asyncio.run(serve())
    assert [signal.getsignal(one) for one in signals.STOP] == before


@pytest.mark.usefixtures("windows")
def test_blocking_sigint_does_nothing_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "pthread_sigmask", raising=False)
    with signals.sigint_blocked():
        signals.unblock_sigint()


@pytest.mark.usefixtures("windows")
def test_a_program_is_ended_with_its_children_by_taskkill(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: calls.append(command))
    ended: list[bool] = []
    process: Any = SimpleNamespace(pid=4711, kill=lambda: ended.append(True))
    child_programs.kill_group(process)
    assert calls == [["taskkill", "/F", "/T", "/PID", "4711"]]
    assert ended == [True]
    assert child_programs.own_group() == {"creationflags": 0x200}


@pytest.mark.usefixtures("windows")
def test_a_program_is_ended_also_without_taskkill(monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setenv("PATH", "")
    with process:
        child_programs.kill_group(process)
        assert process.wait(60) != 0


class FakeKernel32:
    """`GetCurrentProcess` and `K32GetProcessMemoryInfo`, which writes at the offsets of psapi.h."""

    def __init__(self, done: int) -> None:
        def memory_info(process: int, counters: Any, size: int) -> int:
            assert (process, size) == (-1, 72)  # sizeof(PROCESS_MEMORY_COUNTERS) on 64-bit Windows
            ctypes.c_uint64.from_buffer(counters._obj, 8).value = 123_000_000  # PeakWorkingSetSize
            ctypes.c_uint64.from_buffer(counters._obj, 16).value = 99  # WorkingSetSize
            return done

        self.GetCurrentProcess = FakeFunction(lambda: -1)
        self.K32GetProcessMemoryInfo = FakeFunction(memory_info)


class FakeFunction:
    """A function of a library: its types can be set."""

    def __init__(self, function: Callable[..., int]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> int:
        return self.function(*arguments)


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="the offsets are those of 64-bit Windows")
@pytest.mark.parametrize(("done", "expected"), [(1, 123_000_000), (0, None)])
def test_the_peak_of_memory_on_windows(monkeypatch: pytest.MonkeyPatch, done: int, expected: int | None) -> None:
    monkeypatch.setattr(process_resources, "resource", None)
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: FakeKernel32(done), raising=False)
    assert process_resources.peak_memory_bytes() == expected


def test_without_the_functions_of_the_systems_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_resources, "resource", None)
    monkeypatch.delattr(ctypes, "WinDLL", raising=False)
    monkeypatch.delattr(os, "getloadavg", raising=False)
    assert process_resources.peak_memory_bytes() is None
    assert process_resources.load_average() is None
    process_resources.raise_open_file_limit(10**6)


def test_macos_tells_the_peak_in_bytes_and_linux_in_kilobytes(monkeypatch: pytest.MonkeyPatch) -> None:
    resource: Any = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=2000))
    monkeypatch.setattr(process_resources, "resource", resource)
    monkeypatch.setattr(systems, "MACOS", False)
    assert process_resources.peak_memory_bytes() == 2_048_000
    monkeypatch.setattr(systems, "MACOS", True)
    assert process_resources.peak_memory_bytes() == 2000


@pytest.mark.usefixtures("windows")
def test_a_port_is_taken_for_one_server_on_windows() -> None:
    options: list[tuple[int, ...]] = []
    listener: Any = SimpleNamespace(setsockopt=lambda *option: options.append(option))
    sockets.use_port_alone(listener)
    assert options == [(socket.SOL_SOCKET, -5, 1)]  # SO_EXCLUSIVEADDRUSE of winsock2.h: ~SO_REUSEADDR, which is 4


@pytest.mark.usefixtures("windows")
def test_nothing_is_sent_to_a_unix_socket_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX", raising=False)
    sockets.send_to_unix_socket("/run/systemd/notify", b"READY=1", timeout_s=1)
