"""The calls of the gRPC service `inference.GRPCInferenceService`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hmac import compare_digest
from time import perf_counter
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import service_pb2

from ov_mobilenet.errors import OvMobilenetError
from ov_mobilenet.serving.grpc_transport.grpc_messages import (
    parse,
    read_infer_request,
    read_parameters,
    write_infer_response,
)
from ov_mobilenet.serving.grpc_transport.grpc_receiving import BufferedBytes
from ov_mobilenet.serving.grpc_transport.grpc_wire import MAX_HEAD_BYTES, split_request
from ov_mobilenet.serving.models.served_model import VERSION
from ov_mobilenet.serving.monitoring.observation import RequestRecord
from ov_mobilenet.serving.protocol.inference import answer_inference
from ov_mobilenet.serving.protocol.model_documents import model_config, model_metadata, server_metadata
from ov_mobilenet.serving.protocol.repository_control import load_model, repository_index, unload_model
from ov_mobilenet.serving.request_errors import RequestError, as_request_error
from ov_mobilenet.serving.request_ids import REQUEST_ID, TRACE_PARENT, request_id_of, trace_id_of

if TYPE_CHECKING:
    from ov_mobilenet.runtime.async_queue import InferredImage
    from ov_mobilenet.serving.grpc_transport.grpc_health import Health
    from ov_mobilenet.serving.grpc_transport.grpc_receiving import MessageReceiver
    from ov_mobilenet.serving.models.model_repository import ModelRepository
    from ov_mobilenet.serving.monitoring.observation import Observe
    from ov_mobilenet.serving.monitoring.statistics import Statistics
    from ov_mobilenet.serving.settings import ServerSettings

log = logging.getLogger(__name__)

SERVICE = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
MAX_MESSAGE_BYTES = 1024  # of the text of an error; clients take 8 KiB of metadata
_NO_DEADLINE_S = 1e9
_OPEN_CALLS = ("ServerLive", "ServerReady")  # need no token
_OPERATIONS = {"ModelInfer": "infer"}


@dataclass
class GrpcCall:
    """A call that is being answered; its method fills in what the record of the request needs."""

    context: Any
    model: str = ""
    inferred: tuple[InferredImage, ...] = ()


_Method = Callable[["GrpcCall", bytes], Awaitable[bytes]]


class InferenceCalls:
    """Answers the calls.

    To gRPC each call is a stream of one message: so the token is checked, and the time runs, before it is received.
    """

    def __init__(
        self, repository: ModelRepository, settings: ServerSettings, statistics: Statistics, receiver: MessageReceiver,
        health: Health, observe: Observe | None,
    ) -> None:  # fmt: skip
        self._repository = repository
        self._settings = settings
        self._statistics = statistics
        self._receiver = receiver
        self._health = health
        self._observe = observe
        self._buffered = BufferedBytes(settings.max_buffered_bytes)
        self._authorization = None if settings.token is None else settings.token.encode()

    def handlers(self) -> Mapping[str, grpc.RpcMethodHandler]:
        """The handlers of all calls of the service by name; those that are not supported say so."""
        supported: dict[str, _Method] = {
            "ServerLive": self._server_live, "ServerReady": self._server_ready, "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata, "ModelMetadata": self._model_metadata,
            "ModelConfig": self._model_config, "ModelStatistics": self._model_statistics,
            "ModelInfer": self._model_infer, "RepositoryIndex": self._repository_index,
            "RepositoryModelLoad": partial(self._control, service_pb2.RepositoryModelLoadRequest, load_model),
            "RepositoryModelUnload": partial(self._control, service_pb2.RepositoryModelUnloadRequest, unload_model),
        }  # fmt: skip
        return {
            name: grpc.stream_unary_rpc_method_handler(partial(self._answer, name, supported.get(name)))
            for name in SERVICE.methods_by_name
        }

    def check_token(self, context: Any) -> None:
        """Check the token of a call. Raises: RequestError."""
        if self._authorization is None:
            return
        # Of two, a proxy may have checked the other one.
        sent = [value for name, value in context.invocation_metadata() or () if name == "authorization"]
        scheme, _, given = (sent[0] if len(sent) == 1 else "").partition(" ")
        if scheme.lower() != "bearer" or not compare_digest(given.strip().encode(), self._authorization):
            raise RequestError(
                "the token is missing or wrong", reason="unauthenticated",
                expected="the metadata authorization with Bearer TOKEN",
            )  # fmt: skip

    async def _answer(self, name: str, method: _Method | None, messages: Any, context: Any) -> bytes:
        started = perf_counter()
        call = GrpcCall(context)
        metadata = _metadata(context)
        request_id = request_id_of(metadata.get(REQUEST_ID))
        code, error, response = "OK", None, b""
        try:
            if method is None:
                code, error = "UNIMPLEMENTED", f"{name} is not supported"
            else:
                if name not in _OPEN_CALLS:
                    self.check_token(context)
                if name in _OPERATIONS and self._repository.draining:
                    raise RequestError("the server is stopping", reason="unavailable")
                response = await self._receive_and_answer(method, call)
        except OvMobilenetError as failure:
            # Not in a variable: with its traceback, it would keep this frame and the message until the next collection.
            code, error = _code_and_text(failure)
        except asyncio.CancelledError:
            left = _time_left_s(context)
            code = "CANCELLED" if left is None or left > 0 else "DEADLINE_EXCEEDED"
            error = "the client gave up the call, or its deadline passed"
            raise
        except Exception:
            log.exception("%s failed", name)
            code, error = "INTERNAL", "internal error of the server; its log has the details"
        finally:
            if self._observe is not None:
                self._observe(
                    RequestRecord(
                        "grpc", _OPERATIONS.get(name, name), call.model, VERSION if call.model else "", code,
                        perf_counter() - started, request_id, trace_id_of(metadata.get(TRACE_PARENT)), error,
                        call.inferred,
                    )
                )  # fmt: skip
        context.set_trailing_metadata(((REQUEST_ID, request_id),))
        if error is not None:
            await context.abort(grpc.StatusCode[code], _shortened(error))
        return response

    async def _receive_and_answer(self, method: _Method, call: GrpcCall) -> bytes:
        data = await self._receiver.receive(call.context)
        if data is None:
            raise RequestError("the call ended without a message", expected="one message")
        with self._buffered.holding(len(data)):
            return await method(call, data)

    async def _model_infer(self, call: GrpcCall, data: bytes) -> bytes:
        split = split_request(data)
        request = parse(service_pb2.ModelInferRequest, split.head, MAX_HEAD_BYTES)
        self._note_model(call, request.model_name)
        left_s = _time_left_s(call.context)
        if split.contents:
            message = await asyncio.to_thread(read_infer_request, request, split, left_s)
        else:
            message = read_infer_request(request, split, left_s)
        answer = await answer_inference(message, self._repository, self._settings)
        call.inferred = answer.inferred
        return write_infer_response(answer)

    async def _server_live(self, call: GrpcCall, data: bytes) -> bytes:
        return _serialised(service_pb2.ServerLiveResponse(live=True))

    async def _server_ready(self, call: GrpcCall, data: bytes) -> bytes:
        return _serialised(service_pb2.ServerReadyResponse(ready=self._health.is_serving))

    async def _model_ready(self, call: GrpcCall, data: bytes) -> bytes:
        request = parse(service_pb2.ModelReadyRequest, data)
        self._note_model(call, request.name)
        try:
            self._repository.find(request.name, request.version)
        except RequestError as error:
            if error.reason != "unavailable":
                raise
            return _serialised(service_pb2.ModelReadyResponse(ready=False))
        return _serialised(service_pb2.ModelReadyResponse(ready=True))

    async def _server_metadata(self, call: GrpcCall, data: bytes) -> bytes:
        return _serialised(ParseDict(server_metadata(), service_pb2.ServerMetadataResponse()))

    async def _model_metadata(self, call: GrpcCall, data: bytes) -> bytes:
        request = parse(service_pb2.ModelMetadataRequest, data)
        self._note_model(call, request.name)
        document = model_metadata(self._repository.find(request.name, request.version))
        # The message has no field for it.
        return _serialised(ParseDict(document, service_pb2.ModelMetadataResponse(), ignore_unknown_fields=True))

    async def _model_config(self, call: GrpcCall, data: bytes) -> bytes:
        request = parse(service_pb2.ModelConfigRequest, data)
        self._note_model(call, request.name)
        document = model_config(self._repository.find(request.name, request.version), self._settings)
        return _serialised(ParseDict({"config": document}, service_pb2.ModelConfigResponse()))

    async def _model_statistics(self, call: GrpcCall, data: bytes) -> bytes:
        request = parse(service_pb2.ModelStatisticsRequest, data)
        self._note_model(call, request.name)
        if request.name or request.version:
            self._repository.find(request.name, request.version)
        document = self._statistics.document(request.name)
        return _serialised(ParseDict(document, service_pb2.ModelStatisticsResponse()))

    async def _repository_index(self, call: GrpcCall, data: bytes) -> bytes:
        request = parse(service_pb2.RepositoryIndexRequest, data)
        _check_repository(request)
        document = {"models": repository_index(self._repository, ready=request.ready)}
        return _serialised(ParseDict(document, service_pb2.RepositoryIndexResponse()))

    async def _control(self, kind: Any, act: Callable[..., Awaitable[None]], call: GrpcCall, data: bytes) -> bytes:
        request = parse(kind, data)
        self._note_model(call, request.model_name)
        _check_repository(request)
        await act(self._repository, self._settings, request.model_name, read_parameters(request.parameters))
        return b""  # both responses have no fields

    def _note_model(self, call: GrpcCall, name: str) -> None:
        """Note the model for the record of the request; not a name that the client invented."""
        if name in self._repository.names:
            call.model = name


def _code_and_text(failure: OvMobilenetError) -> tuple[str, str]:
    refusal = as_request_error(failure)
    return refusal.grpc_code, str(refusal)


def _metadata(context: Any) -> dict[str, str]:
    return dict(context.invocation_metadata() or ())


def _time_left_s(context: Any) -> float | None:
    """Seconds until the deadline of a call; None if it has none."""
    left: float | None = context.time_remaining()
    return None if left is None or left > _NO_DEADLINE_S else left


def _check_repository(request: Any) -> None:
    if request.repository_name:
        raise RequestError(
            "repository_name is not supported", expected="an empty text", got=request.repository_name[:40]
        )


def _serialised(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def _shortened(text: str) -> str:
    """The start of a text whose UTF-8 form is short enough for the metadata of a response."""
    data = text.encode(errors="replace")
    return text if len(data) <= MAX_MESSAGE_BYTES else data[:MAX_MESSAGE_BYTES].decode(errors="ignore") + "…"
