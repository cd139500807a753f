"""Who may send a request: token, Host and Origin."""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ov_mobilenet.serving.protocol.client_text import shortened
from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from ov_mobilenet.serving.settings import ServerSettings

HEALTH_PATHS = frozenset({"/v2/health/live", "/v2/health/ready"})
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._~-]+))(?::[0-9]{1,5})?")
_REMEMBERED = 64


class RequestGate:
    """Decides whether a request may be answered."""

    def __init__(self, settings: ServerSettings, public_paths: Iterable[str] = ()) -> None:
        """Keep the token and the names of this machine.

        Args:
            public_paths: paths that need no token, besides those of health.
        """
        self._token = None if settings.token is None else settings.token.encode()
        self._public = HEALTH_PATHS.union(public_paths)
        own = socket.gethostname().lower()
        self._names = {
            "localhost", own, own.split(".")[0], settings.host.lower(),
            *(name.lower().rstrip(".") for name in settings.allowed_hosts),
        }  # fmt: skip
        self._known: set[bytes] = set()  # headers that were allowed

    def check(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Check a request.

        Args:
            path: as sent, not decoded.
            headers: by their names in lower case.

        Raises:
            RequestError: the request is refused.
        """
        host = headers.get(b"host", b"")
        if self._token is None and host not in self._known and host:
            self._check_host(host)
        origin = headers.get(b"origin")
        # HTTP/1.0 may have no Host: nothing is the same site then.
        if origin is not None and (not host or origin.lower().partition(b"://")[2] != host.lower()):
            raise RequestError(
                "requests from pages of other sites are refused", reason="forbidden",
                where=f"Origin {shortened(origin.decode('latin-1'))}",
            )  # fmt: skip
        if self._token is not None and path not in self._public:
            self._check_token(headers.get(b"authorization", b""))

    def _check_host(self, host: bytes) -> None:
        """Refuse the name of a foreign page: one can lead to this address (DNS rebinding), and sends its own name."""
        text = host.decode("latin-1")
        found = _HOST.fullmatch(text)
        if found is None:
            raise RequestError("invalid header Host", got=shortened(text))
        if not (found["v6"] or _is_address(found["name"])):
            name = found["name"].lower().rstrip(".")
            if name not in self._names:
                raise RequestError(
                    "the server does not have this name", reason="forbidden", where=f"Host {shortened(text)}",
                    expected="an IP address, localhost, the name of the machine or an allowed host",
                    fix=f"Start the server with --allowed-host {shortened(name)}, or with a token",
                )  # fmt: skip
        if len(self._known) < _REMEMBERED:
            self._known.add(host)

    def _check_token(self, given: bytes) -> None:
        scheme, _, token = given.partition(b" ")
        assert self._token is not None
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token):
            raise RequestError(
                "a token is needed" if not given else "the token is wrong", reason="unauthenticated",
                expected="the header Authorization: Bearer TOKEN",
            )  # fmt: skip


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
