"""The HTTP application: routes, errors, and a record of each request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, MutableMapping
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ov_mobilenet.errors import OvMobilenetError
from ov_mobilenet.serving.http_transport.http_exchange import CLIENT_GONE, STOPPING
from ov_mobilenet.serving.http_transport.http_limits import SAFE_HEADERS, HttpRefusal
from ov_mobilenet.serving.models.served_model import VERSION
from ov_mobilenet.serving.monitoring.observation import RequestRecord
from ov_mobilenet.serving.monitoring.statistics import Statistics
from ov_mobilenet.serving.protocol.client_text import shortened
from ov_mobilenet.serving.protocol.inference import answer_inference
from ov_mobilenet.serving.protocol.model_documents import model_metadata, server_metadata
from ov_mobilenet.serving.request_errors import RequestError, as_request_error
from ov_mobilenet.serving.request_ids import REQUEST_ID, TRACE_PARENT, request_id_of, trace_id_of
from ov_mobilenet.serving.rest.classify_route import classify_route
from ov_mobilenet.serving.rest.document_routes import document_routes
from ov_mobilenet.serving.rest.http_security import RequestGate
from ov_mobilenet.serving.rest.rest_call import GONE_STATUS, RestCall, call_of, error_response, json_response
from ov_mobilenet.serving.rest.rest_messages import HEADER_LENGTH, receive_infer_message, send_infer_answer
from ov_mobilenet.serving.rest.route_table import RouteTable

if TYPE_CHECKING:
    from ov_mobilenet.serving.models.model_repository import ModelRepository
    from ov_mobilenet.serving.monitoring.observation import Observe
    from ov_mobilenet.serving.settings import ServerSettings

LOGGER = logging.getLogger(__name__)
_REQUEST_ID, _TRACE_PARENT = REQUEST_ID.encode(), TRACE_PARENT.encode()
_NO_STORE = (b"cache-control", b"no-store")


def rest_app(
    repository: ModelRepository,
    settings: ServerSettings,
    observe: Observe | None = None,
    *,
    statistics: Statistics | None = None,
    routes: Iterable[Route] = (),
    public_paths: Iterable[str] = (),
) -> RestApp:
    """The ASGI application of a server.

    Args:
        observe: is told about each request that has ended.
        statistics: what `.../stats` reports.
        routes: further ones.
        public_paths: paths that need no token, besides those of health.
    """
    all_routes = [
        *inference_routes(repository, settings),
        *document_routes(repository, settings, statistics or Statistics(repository.names)),
        classify_route(repository, settings),
        *routes,
    ]
    return RestApp(RouteTable(all_routes), RequestGate(settings, public_paths), repository, observe)


def inference_routes(repository: ModelRepository, settings: ServerSettings) -> list[Route]:
    """The routes of the Open Inference Protocol itself."""

    async def metadata(request: Request) -> Response:
        return json_response(server_metadata())

    async def live(request: Request) -> Response:
        return json_response({"live": True})

    async def ready(request: Request) -> Response:
        is_ready = repository.is_ready
        return json_response({"ready": is_ready}, 200 if is_ready else 503)

    async def model(request: Request) -> Response:
        return json_response(model_metadata(repository.find(*_model_of(request))))

    async def model_ready(request: Request) -> Response:
        name, version = _model_of(request)
        try:
            repository.find(name, version)
        except RequestError as error:
            if error.reason != "unavailable":
                raise
            return json_response({"name": name, "ready": False, "error": str(error)}, error.http_status)
        return json_response({"name": name, "ready": True})

    async def infer(request: Request) -> Response:
        message = await receive_infer_message(
            *_model_of(request), await request.body(), request.headers.get(HEADER_LENGTH),
            max_images=settings.max_images,
        )  # fmt: skip
        answer = await answer_inference(message, repository, settings)
        call_of(request).inferred = answer.inferred
        body, header_length = await send_infer_answer(answer)
        if header_length is None:
            return Response(body, media_type="application/json")
        return Response(body, media_type="application/octet-stream", headers={HEADER_LENGTH: str(header_length)})

    versions = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    return [
        # /v2/: as in the description of the protocol.
        *(Route(path, metadata) for path in ("/v2", "/v2/")),
        Route("/v2/health/live", live), Route("/v2/health/ready", ready),
        *(Route(f"{path}/infer", infer, methods=["POST"]) for path in versions),
        *(Route(f"{path}/ready", model_ready) for path in versions),
        *(Route(path, model) for path in versions),
    ]  # fmt: skip


class RestApp:
    """An ASGI application that answers every request, also with an error, in JSON."""

    def __init__(
        self, table: RouteTable, gate: RequestGate, repository: ModelRepository, observe: Observe | None = None
    ) -> None:
        self._table = table
        self._gate = gate
        self._repository = repository
        self._observe = observe

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        started = perf_counter()
        headers = dict(scope["headers"])
        call = RestCall(request_id_of(_text(headers.get(_REQUEST_ID))), trace_id_of(_text(headers.get(_TRACE_PARENT))))
        scope.setdefault("state", {})["call"] = call
        request_id = (_REQUEST_ID, call.request_id.encode())

        async def send_marked(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                given = message["headers"]
                names = {name for name, _ in given}
                extra = (header for header in (*SAFE_HEADERS, _NO_STORE) if header[0] not in names)
                message["headers"] = [*given, *extra, request_id]
            await send(message)

        try:
            try:
                response = await self._answer(scope, headers, receive, call)
            except (OvMobilenetError, HTTPException, ClientDisconnect) as error:
                response = _refused(error, call)
            except Exception:
                LOGGER.exception("request %s ended with an unexpected error", call.request_id)
                response = _refused(RequestError("internal error", reason="internal"), call)
            await response(scope, receive, send_marked)
        except asyncio.CancelledError:
            is_gone = CLIENT_GONE in scope["state"]
            call.status = call.status or (GONE_STATUS if is_gone else STOPPING.http_status)
            call.error = call.error or ("the client is gone" if is_gone else str(STOPPING))
            raise
        finally:
            if self._observe is not None:
                self._observe(RequestRecord(
                    "rest", call.operation, call.model, call.version, str(call.status), perf_counter() - started,
                    call.request_id, call.trace_id, call.error, call.inferred,
                ))  # fmt: skip

    async def _answer(
        self, scope: MutableMapping[str, Any], headers: dict[bytes, bytes], receive: Any, call: RestCall
    ) -> Response:
        path = scope["raw_path"].decode("ascii")
        self._gate.check(path, headers)
        encoding = headers.get(b"content-encoding", b"identity")
        if encoding.lower() != b"identity":
            raise RequestError(
                "unsupported Content-Encoding", reason="unsupported-media", expected="identity",
                got=shortened(encoding.decode("latin-1")),
            )  # fmt: skip
        call.operation, handler, parameters = self._table.find(path, scope["method"])
        scope["path_params"] = parameters
        if parameters.get("model") in self._repository.names:
            call.model, call.version = parameters["model"], VERSION
        return await handler(Request(scope, receive))


def _refused(error: Exception, call: RestCall) -> Response:
    """The response for an error."""
    if isinstance(error, HTTPException):
        error = HttpRefusal(error.status_code, error.detail or HTTPStatus(error.status_code).phrase)
    elif isinstance(error, ClientDisconnect):
        error = HttpRefusal(GONE_STATUS, "the client is gone")
    assert isinstance(error, OvMobilenetError)
    refusal = as_request_error(error)
    call.error = str(refusal)
    return error_response(refusal)


def _model_of(request: Request) -> tuple[str, str]:
    """The names of the model and of the version in the path; "" for no version."""
    parameters = request.path_params
    return parameters["model"], parameters.get("version", "")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
