"""The HTTP routes of what clients can read about models, and of the model repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from ov_mobilenet.serving.protocol.model_documents import model_config
from ov_mobilenet.serving.protocol.repository_control import load_model, repository_index, unload_model
from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from starlette.requests import Request

    from ov_mobilenet.serving.models.model_repository import ModelRepository
    from ov_mobilenet.serving.monitoring.statistics import Statistics
    from ov_mobilenet.serving.settings import ServerSettings

# Far more than a document of the protocol needs. A parser turns two bytes into 72, while nothing else is answered.
MAX_DOCUMENT_BYTES = 1 << 16


def document_routes(repository: ModelRepository, settings: ServerSettings, statistics: Statistics) -> list[Route]:
    """The routes; they belong before `/v2/models/{model}`, which also matches `/v2/models/stats`."""

    async def config(request: Request) -> Response:
        parameters = request.path_params
        model = repository.find(parameters["model"], parameters.get("version", ""))
        return _json(model_config(model, settings))

    async def stats(request: Request) -> Response:
        parameters = request.path_params
        model = repository.find(parameters["model"], parameters.get("version", ""))
        return _json(statistics.document(model.name))

    async def all_stats(request: Request) -> Response:
        return _json(statistics.document())

    async def index(request: Request) -> Response:
        body = await _read_object(request)
        ready = body.get("ready", False)
        if not isinstance(ready, bool):
            raise RequestError("invalid ready", expected="true or false", got=repr(ready)[:40])
        return _json(repository_index(repository, ready=ready))

    async def load(request: Request) -> Response:
        await load_model(repository, settings, request.path_params["model"], await _read_parameters(request))
        return Response()

    async def unload(request: Request) -> Response:
        await unload_model(repository, settings, request.path_params["model"], await _read_parameters(request))
        return Response()

    versions = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    return [
        Route("/v2/models/stats", all_stats, name="stats"),
        *(Route(f"{path}/config", config, name="config") for path in versions),
        *(Route(f"{path}/stats", stats, name="stats") for path in versions),
        Route("/v2/repository/index", index, methods=["POST"], name="repository-index"),
        Route("/v2/repository/models/{model}/load", load, methods=["POST"], name="load"),
        Route("/v2/repository/models/{model}/unload", unload, methods=["POST"], name="unload"),
    ]


def _json(document: Any) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")


async def _read_parameters(request: Request) -> dict[str, Any]:
    parameters = (await _read_object(request)).get("parameters", {})
    if not isinstance(parameters, dict):
        raise RequestError("invalid parameters", expected="a JSON object")
    return parameters


async def _read_object(request: Request) -> dict[str, Any]:
    """The JSON object in the body; empty if there is no body. Raises: RequestError."""
    body = await request.body()
    if not body.strip():
        return {}
    if len(body) > MAX_DOCUMENT_BYTES:
        raise RequestError(
            "the JSON is too long", reason="too-large", expected=f"at most {MAX_DOCUMENT_BYTES} bytes", got=len(body)
        )
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body is not JSON ({str(error)[:100]})") from error
    if not isinstance(document, dict):
        raise RequestError("invalid body", expected="a JSON object")
    return document
