"""Give up on a server that sends too slowly to be waited for: one byte every few seconds never exceeds a read timeout.

The limit holds for the whole response, headers included, and counts only the time in which the program waits for data.
"""

from __future__ import annotations

import http.client
import io
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

MIN_BYTES_PER_S = 500
WINDOW_S = 60.0


class TooSlowError(OSError):
    """The connection is slower than `MIN_BYTES_PER_S` over `WINDOW_S`.

    Attributes:
        bytes_per_s: its speed.
    """

    def __init__(self, bytes_per_s: float) -> None:
        super().__init__(f"{bytes_per_s:.1f} bytes per second")
        self.bytes_per_s = bytes_per_s


class MeteredReader(io.RawIOBase):
    """Reads from a stream, and raises `TooSlowError` when it is too slow."""

    def __init__(self, stream: io.RawIOBase) -> None:
        self._stream = stream
        self._received = 0
        self._waited_s = 0.0

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read into a buffer. Raises: TooSlowError."""
        before = monotonic()
        count = self._stream.readinto(buffer)
        self._waited_s += monotonic() - before
        self._received += count or 0
        if count and self._waited_s >= WINDOW_S:
            bytes_per_s = self._received / self._waited_s
            if bytes_per_s < MIN_BYTES_PER_S:
                raise TooSlowError(bytes_per_s)
            self._received, self._waited_s = 0, 0.0
        return count

    def close(self) -> None:
        """Close the stream too."""
        self._stream.close()
        super().close()


class _MeteredResponse(http.client.HTTPResponse):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fp = io.BufferedReader(MeteredReader(self.fp.detach()))


def limit_speed(session: requests.Session) -> None:
    """Make a session refuse slow servers, also through a proxy."""
    from requests.adapters import HTTPAdapter
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    pools: dict[str, Any] = {}
    for scheme, pool in (("http", HTTPConnectionPool), ("https", HTTPSConnectionPool)):
        connection = type(
            f"Metered{pool.ConnectionCls.__name__}", (pool.ConnectionCls,), {"response_class": _MeteredResponse}
        )
        pools[scheme] = type(f"Metered{pool.__name__}", (pool,), {"ConnectionCls": connection})

    class MeteredAdapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
            manager = super().proxy_manager_for(*args, **options)
            manager.pool_classes_by_scheme = pools
            return manager

    for scheme in pools:
        session.mount(f"{scheme}://", MeteredAdapter())
