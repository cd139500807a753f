"""The limit on slow servers, with a clock that a test sets; the network tests are in `attacks`."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from ov_mobilenet.downloads import speed
from ov_mobilenet.downloads.speed import MeteredReader, TooSlowError


class SlowStream(io.RawIOBase):
    """Gives a piece each time, after its number of seconds."""

    def __init__(self, pieces: Iterator[tuple[bytes, float]]) -> None:
        self.pieces = pieces
        self.now = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece, seconds = next(self.pieces, (b"", 0.0))
        self.now += seconds
        buffer[: len(piece)] = piece
        return len(piece)


def read_all(pieces: list[tuple[bytes, float]], monkeypatch: pytest.MonkeyPatch, pause_s: float = 0.0) -> int:
    stream = SlowStream(iter(pieces))
    monkeypatch.setattr(speed, "monotonic", lambda: stream.now)
    reader = io.BufferedReader(MeteredReader(stream))
    total = 0
    while chunk := reader.read1(100_000):
        total += len(chunk)
        stream.now += pause_s
    return total


@pytest.mark.parametrize(("size", "seconds"), [(1, 5.0), (100, 1.0), (14_000, 30.0)])
def test_a_slow_stream_is_an_error_after_a_minute(size: int, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [(bytes(size), seconds)] * 1000
    with pytest.raises(TooSlowError, match=rf"^{size / seconds:.1f} bytes per second$"):
        read_all(pieces, monkeypatch)
    few = int(55 / seconds)
    assert read_all(pieces[:few], monkeypatch) == few * size


def test_a_stream_that_becomes_slow_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [(bytes(8000), 0.1)] * 1200 + [(b"x", 5.0)] * 100
    with pytest.raises(TooSlowError):
        read_all(pieces, monkeypatch)


def test_an_honest_slow_line_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_all([(bytes(600), 1.0)] * 5000, monkeypatch) == 3_000_000
    assert read_all([(bytes(30_000), 50.0)] * 100, monkeypatch) == 3_000_000


def test_time_between_reads_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_all([(b"abc", 0.01)] * 50, monkeypatch, pause_s=3600.0) == 150
