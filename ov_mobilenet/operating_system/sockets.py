"""Sockets: what the same option means on each system."""

from __future__ import annotations

import socket

from ov_mobilenet.operating_system import systems

_EXCLUSIVE_ADDRESS: int = getattr(socket, "SO_EXCLUSIVEADDRUSE", -5)  # exists on Windows only


def use_port_alone(listener: socket.socket) -> None:
    """Call it before `bind`: the port may be used again at once after an earlier server, but by one server only.

    On Windows, SO_REUSEADDR would let a second server listen on a port in use.
    """
    listener.setsockopt(socket.SOL_SOCKET, _EXCLUSIVE_ADDRESS if systems.WINDOWS else socket.SO_REUSEADDR, 1)


def send_to_unix_socket(address: str, content: bytes, *, timeout_s: float) -> None:
    """Send a datagram to a socket with a path; Windows has none, and nothing is sent. Raises: OSError."""
    if systems.WINDOWS:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(timeout_s)
        channel.sendto(content, address)
