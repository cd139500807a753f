"""The gRPC reflection service, for tools such as grpcurl."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2
from grpc_reflection.v1alpha._async import ReflectionServicer

from ov_mobilenet.serving.grpc_transport.grpc_messages import parse
from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from ov_mobilenet.serving.grpc_transport.grpc_receiving import MessageReceiver

REFLECTION_SERVICE = reflection.SERVICE_NAME
MAX_STREAMS = 16


class Reflection:
    """The servicer of grpc_reflection behind the token, with a limit of streams and of the time between requests."""

    def __init__(
        self, services: Sequence[str], receiver: MessageReceiver, check_token: Callable[[Any], None]
    ) -> None:  # fmt: skip
        self._servicer = ReflectionServicer(services)
        self._receiver = receiver
        self._check_token = check_token
        self._streams = 0

    def handlers(self) -> Mapping[str, grpc.RpcMethodHandler]:
        """The handlers of the calls by name."""
        return {"ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(self._answer)}

    async def _answer(self, messages: Any, context: Any) -> None:
        self._streams += 1
        try:
            if self._streams > MAX_STREAMS:
                raise RequestError("too many reflection calls", reason="overloaded", expected=f"at most {MAX_STREAMS}")
            self._check_token(context)
            while (data := await self._receiver.receive(context, until_stop=True)) is not None:
                request = parse(reflection_pb2.ServerReflectionRequest, data)
                async for response in self._servicer.ServerReflectionInfo(_only(request), context):
                    await context.write(response.SerializeToString())
        except RequestError as error:
            await context.abort(grpc.StatusCode[error.grpc_code], str(error))
        finally:
            self._streams -= 1


async def _only(request: Any) -> AsyncIterator[Any]:
    yield request
