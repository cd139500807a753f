"""Servers that send a few bytes a minute: the attempt fails, what came is kept, and the next attempt goes on."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from attacks.loopback_server import Behaviour, Exchange, serve
from attacks.served_model import ServedModel

from ov_mobilenet.downloads import speed
from ov_mobilenet.errors import DownloadError

ETAG = '"v1"'


def make_slow(monkeypatch: pytest.MonkeyPatch, is_slow: Callable[[], bool] = lambda: True) -> None:
    """Each read takes an hour on the clock of the program."""
    hours = itertools.count()
    monkeypatch.setattr(speed, "monotonic", lambda: next(hours) * 3600.0 if is_slow() else 0.0)


def dribble(head: bytes, body: bytes = b"") -> Behaviour:
    def behave(exchange: Exchange) -> None:
        exchange.wfile.write(head + body)
        exchange.hold()

    return behave


@pytest.mark.parametrize(
    "head",
    [b"H", b"HTTP/1.1 200 OK\r\nETag: a\r\nX-", b"HTTP/1.1 200 OK\r\nContent-Length: 327680\r\n\r\nabc"],
    ids=["status line", "headers", "body"],
)
def test_slow_server(head: bytes, served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    make_slow(monkeypatch)
    served.on(dribble(head))
    with pytest.raises(DownloadError, match="too slow: .* bytes per second, at least 500 are expected over 60 s"):
        served.download(attempts=2)
    assert len(served.server.exchanges) == 2
    assert not served.target.exists()


def test_slow_server_through_a_proxy(served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    make_slow(monkeypatch)
    monkeypatch.setenv("http_proxy", served.server.url)
    served.server.behaviours["http://example.org/net.onnx"] = [dribble(b"HTTP/1.1 200 OK\r\n")]
    with pytest.raises(DownloadError, match="the server is too slow"):
        served.download("http://example.org/net.onnx", attempts=1)


def test_download_from_a_server_that_was_slow_is_resumed(served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    make_slow(monkeypatch, lambda: len(served.sizes) > 4 and len(served.server.exchanges) == 1)
    served.on(serve(served.content, ETAG))
    served.download(attempts=2)
    assert served.is_right()
    first, second = served.server.ranges()
    assert first is None and second is not None and second > 0
