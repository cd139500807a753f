"""Messages to systemd, received by a real datagram socket."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving.server_process import SAMPLE, served

from ov_mobilenet.serving.systemd import notify, watchdog_interval_s

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no systemd on Windows")


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    """The socket that systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + address[1:] if address.startswith("@") else address)
        channel.settimeout(60)
        yield channel


def test_lines_are_one_message(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with manager(address) as channel:
        notify("READY=1", "STATUS=Serving 1 of 1 models", environment={"NOTIFY_SOCKET": address})
        assert channel.recv(1024) == b"READY=1\nSTATUS=Serving 1 of 1 models"


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_an_abstract_address() -> None:
    address = f"@ov-mobilenet-test-{os.getpid()}"
    with manager(address) as channel:
        notify("WATCHDOG=1", environment={"NOTIFY_SOCKET": address})
        assert channel.recv(1024) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "relative", "/no/such/socket", "@nobody-listens-here"])
def test_without_a_manager_nothing_happens(address: str) -> None:
    notify("READY=1", environment={"NOTIFY_SOCKET": address} if address else {})


def test_too_many_open_files_do_not_end_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*arguments: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", no_socket)
    notify("WATCHDOG=1", environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "20000000"}, 10.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(environment: dict[str, str], seconds: float | None) -> None:
    assert watchdog_interval_s(environment) == seconds


def test_a_server_reports_its_life(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with (
        manager(address) as channel,
        served(SAMPLE, environment={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"}) as server,
    ):

        def next_message() -> dict[str, str]:
            """The next message that does not come from the watchdog."""
            while (text := channel.recv(1024).decode()) == "WATCHDOG=1":
                fed.append(text)
            return dict(line.split("=", 1) for line in text.splitlines())

        fed: list[str] = []
        assert next_message() == {"READY": "1", "STATUS": "Serving 1 of 1 models"}
        server.process.send_signal(signal.SIGHUP)
        reloading = next_message()
        assert reloading.pop("RELOADING") == "1"
        assert int(reloading.pop("MONOTONIC_USEC")) > 0
        assert next_message()["READY"] == "1"
        server.process.send_signal(signal.SIGTERM)
        assert next_message()["STOPPING"] == "1"
        assert fed, "the watchdog was not fed while the model was loaded"
        assert server.process.wait(60) == 0
