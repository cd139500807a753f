"""The gRPC server: inference, health and reflection, with the limits of `ServerSettings`."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from ov_mobilenet.errors import ConfigError, ServerError
from ov_mobilenet.serving.grpc_transport.grpc_calls import SERVICE, InferenceCalls
from ov_mobilenet.serving.grpc_transport.grpc_health import HEALTH_SERVICE, Health
from ov_mobilenet.serving.grpc_transport.grpc_receiving import MessageReceiver
from ov_mobilenet.serving.grpc_transport.grpc_reflection_service import REFLECTION_SERVICE, Reflection
from ov_mobilenet.serving.grpc_transport.open_files import reserve_open_files
from ov_mobilenet.serving.monitoring.statistics import Statistics

if TYPE_CHECKING:
    from ov_mobilenet.serving.models.model_repository import ModelRepository
    from ov_mobilenet.serving.monitoring.observation import Observe
    from ov_mobilenet.serving.settings import ServerSettings

MAX_STREAMS = 128  # calls at the same time on one connection; clients wait with further ones
MAX_METADATA_BYTES = 16 << 10
MIN_PING_INTERVAL_S = 10  # between pings of an idle client; a client that sends more often is disconnected
# gRPC cannot close an idle connection when a new one arrives, as HTTP does; an idle one takes 17 KB.
CONNECTIONS_FACTOR = 4
KEEPALIVE_S = 60  # after which the server asks whether a silent client is still there
_IDENTITY_ONLY = 1  # of the bits for compression algorithms


class GrpcServer:
    """A running gRPC server."""

    def __init__(self, server: grpc.aio.Server, health: Health, receiver: MessageReceiver) -> None:
        self._server = server
        self._health = health
        self._receiver = receiver

    def set_serving(self, serving: bool) -> None:
        """Tell clients by the health service whether the server takes requests; False while it drains."""
        self._health.set_serving(serving)

    async def stop(self, grace: float | None) -> None:
        """Accept no more calls, and cancel those that still run after `grace` seconds; None for at once."""
        self._health.set_serving(False)
        self._health.close()
        self._receiver.stop()
        await self._server.stop(grace)


async def start_grpc(
    repository: ModelRepository,
    settings: ServerSettings,
    *,
    statistics: Statistics | None = None,
    observe: Observe | None = None,
) -> tuple[GrpcServer, int]:
    """A running gRPC server and its port.

    Args:
        statistics: what ModelStatistics reports.
        observe: called at the end of each call of the inference service.

    Raises:
        ServerError: the server cannot listen on the port.
        ConfigError: the certificate or its key cannot be used.
    """
    reserve_open_files((1 + CONNECTIONS_FACTOR) * settings.max_connections)
    max_calls = 2 * settings.max_queue + MAX_STREAMS  # so that a full queue is the first limit that clients meet
    receiver = MessageReceiver(settings, max_calls)
    health = Health(repository, receiver, SERVICE.full_name)
    calls = InferenceCalls(
        repository, settings, statistics or Statistics(repository.names), receiver, health, observe
    )  # fmt: skip
    reflection = Reflection((SERVICE.full_name, HEALTH_SERVICE, REFLECTION_SERVICE), receiver, calls.check_token)
    server = grpc.aio.server(options=_options(settings), maximum_concurrent_rpcs=max_calls)
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(name, handlers)
            for name, handlers in (
                (SERVICE.full_name, calls.handlers()),
                (HEALTH_SERVICE, health.handlers()),
                (REFLECTION_SERVICE, reflection.handlers()),
            )
        ]
    )
    port = _listen(server, settings)
    await server.start()
    return GrpcServer(server, health, receiver), port


def _options(settings: ServerSettings) -> list[tuple[str, Any]]:
    return [
        ("grpc.so_reuseport", 0),  # otherwise two servers share a port silently
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.max_concurrent_streams", MAX_STREAMS),
        ("grpc.max_allowed_incoming_connections", CONNECTIONS_FACTOR * settings.max_connections),
        # A compressed message may be a bomb; clients are told which encodings there are.
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
        # Buffer at most 64 KiB of a message before it is received.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.server_handshake_timeout_ms", _ms(settings.header_timeout_s)),
        ("grpc.max_connection_idle_ms", _ms(settings.idle_timeout_s)),
        ("grpc.keepalive_time_ms", _ms(KEEPALIVE_S)),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(MIN_PING_INTERVAL_S)),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1e3))


def _listen(server: grpc.aio.Server, settings: ServerSettings) -> int:
    """The port that the server listens on. Raises: ServerError."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{settings.grpc_port or 0}"
    credentials = None if settings.tls_cert is None else _credentials(settings)
    try:
        if credentials is None:
            port: int = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise _no_port(address) from error
    if port == 0:
        raise _no_port(address)
    return port


def _no_port(address: str) -> ServerError:
    return ServerError(
        "gRPC cannot listen", where=address, expected="a free port on an address of this machine",
        fix="Choose another --grpc-port or --host, or stop the program that uses the port",
    )  # fmt: skip


def _credentials(settings: ServerSettings) -> grpc.ServerCredentials:
    """The TLS credentials. Raises: ConfigError."""
    assert settings.tls_cert is not None and settings.tls_key is not None
    try:
        # gRPC reports a bad file by failing handshakes only. Without the function, OpenSSL would ask for the passphrase
        # of an encrypted key on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key, password=str)
        return grpc.ssl_server_credentials([(settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())])
    except (OSError, ValueError) as error:
        raise ConfigError(
            "the certificate and its key cannot be used", where=f"{settings.tls_cert}, {settings.tls_key}",
            expected="a certificate and its key without a passphrase, as PEM files",
            got=getattr(error, "reason", None) or getattr(error, "strerror", None) or "files that are not PEM",
        ) from error  # fmt: skip
