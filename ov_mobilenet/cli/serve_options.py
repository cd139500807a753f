"""The options of `serve` that are fields of `ServerSettings`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from ov_mobilenet.cli import options
from ov_mobilenet.serving.settings import RANGES, LogFormat, ServerSettings
from ov_mobilenet.serving.token_file import read_token

F = TypeVar("F", bound=Callable[..., Any])

_DEFAULTS = {field.name: field.default for field in fields(ServerSettings)}
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@dataclass(frozen=True)
class ServerFlags:
    """The values of the options below, by parameter name: those of `ServerSettings`, if they do not say otherwise."""

    host: str
    port: int
    grpc_port: int
    no_grpc: bool
    token_file: Path | None
    insecure_no_auth: bool
    tls_cert: Path | None
    tls_key: Path | None
    allowed_hosts: tuple[str, ...]
    max_wait_ms: float
    max_queue: int
    decode_workers: int | None
    max_body_bytes: int
    max_buffered_bytes: int
    max_pixels: int
    max_images: int
    max_connections: int
    header_timeout_s: float
    body_timeout_s: float
    idle_timeout_s: float
    drain_timeout_s: float
    allow_model_control: bool
    reload: bool
    log_format: LogFormat

    def settings(self) -> ServerSettings:
        """The settings of the server.

        Raises:
            UsageError: options contradict each other, other machines could reach the server without a token, or the
                token file holds no token.
        """
        same = {field.name: getattr(self, field.name) for field in fields(ServerSettings) if hasattr(self, field.name)}
        return ServerSettings(**{
            **same,
            "grpc_port": None if self.no_grpc else self.grpc_port,
            "token": None if self.token_file is None else read_token(self.token_file),
        })  # fmt: skip


def server_options(function: F) -> F:
    """Add the options; the command receives them as one argument `server_flags`."""
    function = options.collect_into(ServerFlags, "server_flags")(function)
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def _number(spelling: str, help_text: str, *, metavar: str = "N", field: str | None = None) -> Callable[[F], F]:
    """An option with the range and the default of a field of `ServerSettings`."""
    name = field or spelling.removeprefix("--").replace("-", "_")
    low, high = RANGES[name]
    default = _DEFAULTS[name]
    kind: Any = click.FloatRange(low, high) if isinstance(default, float) else click.IntRange(int(low), int(high))
    return click.option(
        spelling, name, type=kind, default=default, show_default=default is not None, metavar=metavar, help=help_text
    )


def _seconds(spelling: str, help_text: str) -> Callable[[F], F]:
    name = spelling.removeprefix("--").replace("-", "_") + "_s"
    return _number(spelling, help_text, metavar="SECONDS", field=name)


_OPTIONS = (
    click.option(
        "--host", default=_DEFAULTS["host"], show_default=True, metavar="ADDRESS",
        help="Address to listen on. One that other machines can reach needs --token-file or --insecure-no-auth.",
    ),
    _number("--port", "Port of HTTP; 0 for a free one."),
    _number("--grpc-port", "Port of gRPC; 0 for a free one."),
    click.option("--no-grpc", is_flag=True, help="No gRPC."),
    click.option(
        "--token-file", type=_FILE, metavar="FILE",
        help="File with the token that clients must send as `Authorization: Bearer TOKEN`.",
    ),
    click.option("--insecure-no-auth", is_flag=True, help="Let every machine that can reach the address use it."),
    click.option("--tls-cert", type=_FILE, metavar="FILE", help="PEM certificate for TLS, with its chain."),
    click.option("--tls-key", type=_FILE, metavar="FILE", help="PEM key of the certificate, without a passphrase."),
    click.option(
        "--allowed-host", "allowed_hosts", multiple=True, metavar="HOST",
        help="Name of this server in clients' addresses, besides localhost, this machine's name and IP addresses; "
        "repeatable. Not needed with a token.",
    ),
    _number(
        "--max-wait-ms", "How long an image waits for images that are still being decoded, to fill its batch.",
        metavar="MS",
    ),
    _number("--max-queue", "Images of one model that are accepted and not answered; more are refused with 503."),
    _number("--decode-workers", "Threads that decode and resize (default: one per CPU)."),
    _number("--max-body-bytes", "Size of a request; a larger one is refused with 413.", metavar="BYTES"),
    _number("--max-buffered-bytes", "Size of all requests that are in memory, together.", metavar="BYTES"),
    _number("--max-pixels", "Pixels of an image, checked before it is decoded."),
    _number("--max-images", "Images in one request."),
    _number("--max-connections", "Open connections, HTTP and gRPC each."),
    _seconds("--header-timeout", "Time for the headers of a request to arrive."),
    _seconds("--body-timeout", "Time for the body of a request to arrive."),
    _seconds("--idle-timeout", "Time after which a connection without a request is closed."),
    _seconds("--drain-timeout", "Time that running requests get after SIGTERM or Ctrl-C."),
    click.option("--allow-model-control", is_flag=True, help="Let clients load and unload the models given here."),
    click.option("--reload", is_flag=True, help="Load a model again when its files change. SIGHUP always does it."),
    click.option(
        "--log-format", type=click.Choice(get_args(LogFormat)), default=_DEFAULTS["log_format"], show_default=True,
        help="Format of the log on stderr, one line for each request.",
    ),
)  # fmt: skip
