"""Servers that send little: given up by their speed, wherever in the response they become slow."""

from __future__ import annotations

import io
import random
from pathlib import Path
from unittest import mock

from attacks.fuzz import Attack
from attacks.loopback_server import Exchange, serving
from attacks.served_model import CONTENT, ServedModel

from ov_mobilenet.downloads import speed
from ov_mobilenet.errors import DownloadError


class Line(io.RawIOBase):
    """Sends pieces of random size at a speed, on a clock of its own."""

    def __init__(self, rng: random.Random, bytes_per_s: float, size: int) -> None:
        self.rng, self.bytes_per_s, self.left = rng, bytes_per_s, size
        self.now = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        # The client gives up a read after 30 s, so a piece takes less.
        size = min(self.left, len(buffer), self.rng.randrange(1, max(2, int(self.bytes_per_s * 29))))
        self.left -= size
        self.now += size / self.bytes_per_s
        return size


def steady_line(rng: random.Random, folder: Path) -> None:
    """A line of constant speed: given up below the limit, after at most two windows, and never above it."""
    bytes_per_s = 10 ** rng.uniform(-0.7, 5)
    line = Line(rng, bytes_per_s, 2_000_000)
    with mock.patch.object(speed, "monotonic", lambda: line.now):
        reader = io.BufferedReader(speed.MeteredReader(line))
        try:
            while reader.read1(1 << 14):
                pass
        except speed.TooSlowError as error:
            assert bytes_per_s < speed.MIN_BYTES_PER_S
            assert abs(error.bytes_per_s / bytes_per_s - 1) < 0.01
            assert line.now < 2 * speed.WINDOW_S
        else:
            assert bytes_per_s >= speed.MIN_BYTES_PER_S


def slow_at_any_byte(rng: random.Random, folder: Path) -> None:
    """A response that stops at any byte and goes on at a byte an hour: an error that says so; nothing is left behind
    but the part that was received."""
    response = b"HTTP/1.1 200 OK\r\nETag: a\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT
    kept = response[: rng.choice((rng.randrange(1, 60), rng.randrange(60, 9000)))]
    hours = iter(range(0, 10**9, 3600))

    def behave(exchange: Exchange) -> None:
        exchange.wfile.write(kept)
        exchange.hold()

    with serving() as server, mock.patch.object(speed, "monotonic", lambda: float(next(hours))):
        served = ServedModel(folder, server)
        served.on(behave)
        try:
            served.download(attempts=1)
        except DownloadError as error:
            assert "the server is too slow" in str(error) and "at least 500 are expected over 60 s" in str(error), error
        else:
            raise AssertionError("the download succeeded")
        assert not served.target.exists()


ATTACKS = (
    Attack("slow servers: steady line", 1000, steady_line, 20),
    Attack("slow servers: slow at any byte", 100, slow_at_any_byte, 4),
)
