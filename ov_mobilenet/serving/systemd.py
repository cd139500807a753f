"""Messages to systemd, for a unit with `Type=notify-reload` or `Type=notify`; see sd_notify(3).

Without the variable NOTIFY_SOCKET, nothing is sent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic_ns

from ov_mobilenet.operating_system.sockets import send_to_unix_socket

_TIMEOUT_S = 1.0  # to wait for room in the manager's queue


def notify(*lines: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send lines such as `READY=1`. A manager that cannot be reached, also because this process has too many open
    files, is ignored: the server runs without it."""
    address = environment.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    path = "\0" + address[1:] if address[0] == "@" else address
    with suppress(OSError):
        send_to_unix_socket(path, "\n".join(lines).encode(), timeout_s=_TIMEOUT_S)


def notify_reloading() -> None:
    """Tell that the models are loaded again; `READY=1` has to follow."""
    notify("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")


def watchdog_interval_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """How often to send `WATCHDOG=1`, in seconds: half of what the unit's `WatchdogSec` allows; None for never."""
    text = environment.get("WATCHDOG_USEC", "")
    owner = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not text.isdecimal() or not int(text) or owner != str(os.getpid()):
        return None
    return int(text) / 2e6
