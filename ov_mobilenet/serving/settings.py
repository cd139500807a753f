"""`ServerSettings`: where a server listens, what it accepts, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LogFormat = Literal["text", "json"]

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where a server listens, what it accepts, and its limits.

    Attributes:
        host: address to listen on. Any other than a loopback address needs `token` or `insecure_no_auth`.
        port: TCP port of HTTP; 0 for a free one.
        grpc_port: TCP port of gRPC; 0 for a free one; None for no gRPC.
        token: what clients send as `Authorization: Bearer TOKEN`; None for no authentication.
        insecure_no_auth: listen on any address without a token.
        tls_cert, tls_key: PEM files; both or none.
        allowed_hosts: names that clients may use in the Host header, besides the default ones.
        max_wait_ms: how long an image waits for others to fill its batch, in milliseconds.
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
