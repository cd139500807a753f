"""The HTTP routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from ov_mobilenet.errors import OvMobilenetError
from ov_mobilenet.runtime.results import DEFAULT_TOP_K, Classification, top_predictions
from ov_mobilenet.serving.inference import answer_inference
from ov_mobilenet.serving.model_documents import model_metadata, server_metadata
from ov_mobilenet.serving.request_errors import RequestError, as_request_error
from ov_mobilenet.serving.rest_messages import HEADER_LENGTH, read_infer_message, write_infer_answer

if TYPE_CHECKING:
    from starlette.requests import Request

    from ov_mobilenet.serving.model_repository import ModelRepository
    from ov_mobilenet.serving.observation import Observe
    from ov_mobilenet.serving.settings import ServerSettings


def rest_app(repository: ModelRepository, settings: ServerSettings, observe: Observe) -> Starlette:
    """The ASGI application of a server."""

    async def metadata(request: Request) -> Response:
        return json_response(server_metadata())

    async def live(request: Request) -> Response:
        return json_response({"live": True})

    async def ready(request: Request) -> Response:
        return json_response({"ready": repository.is_ready}, 200 if repository.is_ready else 503)

    async def model(request: Request) -> Response:
        parameters = request.path_params
        return json_response(model_metadata(repository.find(parameters["model"], parameters.get("version", ""))))

    async def model_ready(request: Request) -> Response:
        parameters = request.path_params
        repository.find(parameters["model"], parameters.get("version", ""))
        return json_response({"ready": True})

    async def infer(request: Request) -> Response:
        parameters = request.path_params
        length = request.headers.get(HEADER_LENGTH)
        message = read_infer_message(
            parameters["model"], parameters.get("version", ""), await request.body(), int(length) if length else None
        )
        body, header_length = write_infer_answer(await answer_inference(message, repository, settings))
        if header_length is None:
            return Response(body, media_type="application/json")
        return Response(body, media_type="application/octet-stream", headers={HEADER_LENGTH: str(header_length)})

    async def classify(request: Request) -> Response:
        model = repository.find(request.query_params.get("model", repository.names[0]))
        try:
            inferred = await model.queue.infer(await request.body())
        except OvMobilenetError as error:
            raise as_request_error(error) from error
        top_k = int(request.query_params.get("top_k", DEFAULT_TOP_K))
        predictions = top_predictions(inferred.values, model.classifier.labels, top_k)
        return json_response(Classification("image", predictions, inferred.timings))

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        return json_response({"error": str(error)}, error.http_status)

    versions = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    return Starlette(
        routes=[
            Route("/v2", metadata), Route("/v2/health/live", live), Route("/v2/health/ready", ready),
            *(Route(path, model) for path in versions),
            *(Route(f"{path}/ready", model_ready) for path in versions),
            *(Route(f"{path}/infer", infer, methods=["POST"]) for path in versions),
            Route("/v1/classify", classify, methods=["POST"]),
        ],
        exception_handlers={RequestError: refused},
    )  # fmt: skip


def json_response(document: Any, status: int = 200) -> Response:
    """A response with a JSON document."""
    return Response(msgspec.json.encode(document), status, media_type="application/json")
