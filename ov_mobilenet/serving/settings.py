"""`ServerSettings`: where a server listens, what it accepts, and its limits."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import UsageError

LogFormat = Literal["text", "json"]

MIB = 1 << 20
MIN_TOKEN_LENGTH = 16
_DAY_S = 86400
# The smallest and the largest value of each number.
RANGES: dict[str, tuple[float, float]] = {
    "port": (0, 65535), "grpc_port": (0, 65535), "max_wait_ms": (0, 10_000), "max_queue": (1, MIB),
    "decode_workers": (1, 1024), "max_body_bytes": (1024, (1 << 31) - 1), "max_buffered_bytes": (1024, 1 << 40),
    "max_pixels": (1, 1 << 32), "max_images": (1, 65536), "max_connections": (1, MIB),
    "header_timeout_s": (0.1, _DAY_S), "body_timeout_s": (0.1, _DAY_S), "idle_timeout_s": (0.1, _DAY_S),
    "drain_timeout_s": (0, _DAY_S),
}  # fmt: skip


@checked
@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where a server listens, what it accepts, and its limits.

    Attributes:
        host: address to listen on. Any other than a loopback address needs `token` or `insecure_no_auth`; TLS keeps
            the token from being read on the way.
        port: TCP port of HTTP; 0 for a free one.
        grpc_port: TCP port of gRPC; 0 for a free one; None for no gRPC.
        token: what clients send as `Authorization: Bearer TOKEN`, at least 16 characters; None for no authentication.
        insecure_no_auth: listen on any address without a token.
        tls_cert, tls_key: PEM files; both or none.
        allowed_hosts: names that clients may use in the Host header, besides the default ones.
        max_wait_ms: how long an image waits for images that are still being decoded, to fill its batch, in
            milliseconds.
        max_queue: images of one model that are accepted and not answered yet; beyond, requests are refused.
        decode_workers: threads that decode and resize; None for one per CPU.
        max_body_bytes: size of a request.
        max_buffered_bytes: size of all requests that are being received or wait, together.
        max_pixels: pixels of an image, checked before it is decoded.
        max_images: images in one request.
        max_connections: open connections, HTTP and gRPC each.
        header_timeout_s: until the headers of a request have arrived, in seconds.
        body_timeout_s: until its body has arrived, in seconds.
        idle_timeout_s: until a connection without a request is closed, in seconds.
        drain_timeout_s: how long running requests may take after SIGTERM, in seconds.
        allow_model_control: accept `load` and `unload` of the given models.
        reload: load a model again when its files change.
        log_format: `text` or `json`, one line for each request.

    Raises:
        UsageError: a value is out of range, values contradict each other, or other machines could reach the server
            without a token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    grpc_port: int | None = 8001
    token: str | None = None
    insecure_no_auth: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    max_wait_ms: float = 10.0
    max_queue: int = 256
    decode_workers: int | None = None
    max_body_bytes: int = 64 * MIB
    max_buffered_bytes: int = 256 * MIB
    max_pixels: int = 50_000_000
    max_images: int = 64
    max_connections: int = 512
    header_timeout_s: float = 10.0
    body_timeout_s: float = 60.0
    idle_timeout_s: float = 60.0
    drain_timeout_s: float = 30.0
    allow_model_control: bool = False
    reload: bool = False
    log_format: LogFormat = "text"

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"invalid {name}", expected=f"{low:.15g} to {high:.15g}", got=value)
        if self.log_format not in get_args(LogFormat):
            raise UsageError(
                "invalid log_format", expected=" or ".join(get_args(LogFormat)), got=repr(self.log_format)
            )  # fmt: skip
        if self.port and self.port == self.grpc_port:
            raise UsageError("port and grpc_port are the same", expected="two ports", got=self.port)
        if self.max_buffered_bytes < self.max_body_bytes:
            raise UsageError(
                "invalid max_buffered_bytes", expected=f"at least max_body_bytes, {self.max_body_bytes}",
                got=self.max_buffered_bytes,
            )  # fmt: skip
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError(
                "TLS needs a certificate and its key", expected="both tls_cert and tls_key, or none",
                got="only " + ("tls_key" if self.tls_cert is None else "tls_cert"),
            )  # fmt: skip
        _check_names(self)
        _check_token(self.token)
        if not (self.is_loopback or self.token or self.insecure_no_auth):
            raise UsageError(
                "other machines can reach this address, and there is no token", where=f"host {self.host}",
                expected="a token (--token-file), or --insecure-no-auth where every machine that can reach it is "
                "trusted", got="neither",
                fix="Create a token: (umask 077; openssl rand -hex 32 > token), and serve with --token-file token",
            )  # fmt: skip

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach `host`."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _check_names(settings: ServerSettings) -> None:
    for name, value in (("host", settings.host), *(("allowed_hosts", host) for host in settings.allowed_hosts)):
        if not value or not value.isascii() or not value.isprintable() or set(value) & set(" /[]@"):
            raise UsageError(f"invalid {name}", expected="the name or the IP address of a host", got=repr(value))


def _check_token(token: Any) -> None:
    """Check that a token can be sent in a header, and cannot be guessed. The message must not show it."""
    if token is None:
        return
    if len(token) < MIN_TOKEN_LENGTH:
        raise UsageError(
            "invalid token: too short", expected=f"at least {MIN_TOKEN_LENGTH} characters", got=len(token)
        )  # fmt: skip
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError("invalid token", expected="printable ASCII characters without spaces")
