"""The gRPC health service: https://grpc.io/docs/guides/health-checking/"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2

from ov_mobilenet.serving.grpc_transport.grpc_messages import parse
from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from ov_mobilenet.serving.grpc_transport.grpc_receiving import MessageReceiver
    from ov_mobilenet.serving.models.model_repository import ModelRepository

HEALTH_SERVICE = "grpc.health.v1.Health"
MAX_WATCHERS = 64
POLL_S = 0.5  # how soon watchers are told that a model has become ready or failed

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """Tells whether the server and its models are ready.

    The services are "" and the inference service, for all models together, and the name of each model. The servicer of
    grpc_health is not used: it must be told about changes, and it forgets all watchers of a service when one leaves.
    """

    def __init__(self, repository: ModelRepository, receiver: MessageReceiver, service: str) -> None:
        self._repository = repository
        self._receiver = receiver
        self._server_names = ("", service)
        self._serving = True
        self._closed = False
        self._changed = asyncio.Event()
        self._watchers = 0

    @property
    def is_serving(self) -> bool:
        """Whether the server answers, with all models."""
        return self._serving and self._repository.is_ready

    def set_serving(self, serving: bool) -> None:
        """Tell all clients whether the server takes requests; False while it drains."""
        self._serving = serving
        self._wake()

    def close(self) -> None:
        """End all watching calls, which would otherwise last until the grace of the server has passed."""
        self._closed = True
        self._wake()

    def handlers(self) -> Mapping[str, grpc.RpcMethodHandler]:
        """The handlers of the calls by name."""
        return {
            "Check": grpc.stream_unary_rpc_method_handler(self._check),
            "Watch": grpc.stream_stream_rpc_method_handler(self._watch),
        }

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _status(self, service: str) -> int:
        if service in self._server_names:
            return int(_SERVING if self.is_serving else _NOT_SERVING)
        if service not in self._repository.names:
            return int(_SERVICE_UNKNOWN)
        try:
            self._repository.find(service)
        except RequestError:
            return int(_NOT_SERVING)
        return int(_SERVING if self._serving else _NOT_SERVING)

    async def _read_service(self, context: Any) -> str:
        """The name of the service that a client asks about."""
        try:
            data = await self._receiver.receive(context)
            service: str = parse(health_pb2.HealthCheckRequest, data or b"").service
        except RequestError as error:
            await context.abort(grpc.StatusCode[error.grpc_code], str(error))
        return service

    async def _check(self, messages: Any, context: Any) -> bytes:
        status = self._status(await self._read_service(context))
        if status == _SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return _response(status)

    async def _watch(self, messages: Any, context: Any) -> None:
        if self._watchers >= MAX_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"more than {MAX_WATCHERS} clients watch")
        self._watchers += 1
        try:
            service = await self._read_service(context)
            told = None
            while True:
                changed = self._changed
                status = self._status(service)
                if status != told:
                    await context.write(_response(status))
                    told = status
                if self._closed:
                    break
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changed.wait(), POLL_S)
        finally:
            self._watchers -= 1


def _response(status: int) -> bytes:
    data: bytes = health_pb2.HealthCheckResponse(status=status).SerializeToString()
    return data
