"""`POST /v1/classify`: image files in, the JSON of `ov-mobilenet classify` out.

    curl --data-binary @cat.jpg 'http://127.0.0.1:8000/v1/classify?top_k=3'
    curl -F image=@cat.jpg -F image=@dog.jpg http://127.0.0.1:8000/v1/classify

One image as the body gives one object, as a line of `classify --format jsonl`. A form gives
`{"schema_version": 1, "results": [...]}`, as `classify --format json`; an image that cannot be read has an error there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.routing import Route

from ov_mobilenet.errors import ImageError, OvMobilenetError
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import DEFAULT_TOP_K, Classification, Failure, top_predictions
from ov_mobilenet.serving.protocol.client_text import shortened
from ov_mobilenet.serving.request_errors import RequestError, as_request_error
from ov_mobilenet.serving.rest.multipart_files import file_name, media_type_of, multipart_files
from ov_mobilenet.serving.rest.rest_call import call_of, json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ov_mobilenet.runtime.async_queue import InferredImage
    from ov_mobilenet.serving.models.model_repository import ModelRepository
    from ov_mobilenet.serving.models.served_model import ServedModel
    from ov_mobilenet.serving.settings import ServerSettings

PARAMETERS = ("model", "version", "top_k")
UNNAMED = "image"
SLOW_PARSE_BYTES = 256 * 1024  # larger forms are split in a thread


def classify_route(repository: ModelRepository, settings: ServerSettings) -> Route:
    """The route."""

    async def classify(request: Request) -> Response:
        call = call_of(request)
        query = _query(request)
        model = repository.find(query.get("model", repository.names[0]), query.get("version", ""))
        call.model, call.version = model.name, model.version
        top_k = _top_k(query.get("top_k"), model.classifier.classes)
        content_type = request.headers.get("content-type", "")
        media_type = media_type_of(content_type)
        if media_type == "application/json":
            raise RequestError(
                "an image file is expected, not JSON", reason="unsupported-media",
                fix="Send the file as the body, or files as multipart/form-data",
            )  # fmt: skip
        body = await request.body()
        if not body:
            raise RequestError("the body is empty", expected="an image file")
        if media_type != "multipart/form-data":
            source = file_name(request.headers.get("content-disposition")) or UNNAMED
            inferred = await _infer(model, Item(body, source, max_pixels=settings.max_pixels))
            call.inferred = (inferred,)
            return json_response(_result(model, inferred, source, top_k))
        limit = min(settings.max_images, model.queue.max_queue)
        if len(body) > SLOW_PARSE_BYTES:
            files = await asyncio.to_thread(multipart_files, body, content_type, limit)
        else:
            files = multipart_files(body, content_type, limit)
        results = await _infer_all(
            model, [Item(data, name or UNNAMED, max_pixels=settings.max_pixels) for name, data in files], top_k
        )
        call.inferred = tuple(inferred for _, inferred in results if inferred is not None)
        document = {"schema_version": 1, "results": [result for result, _ in results]}
        if call.inferred:
            return json_response(document)
        call.error = next(result.error for result, _ in results if isinstance(result, Failure))
        return json_response({"error": call.error, **document}, 422)

    return Route("/v1/classify", classify, methods=["POST"], name="classify")


async def _infer(model: ServedModel, item: Item) -> InferredImage:
    try:
        return await model.queue.infer(item)
    except OvMobilenetError as error:
        raise as_request_error(error) from error


async def _infer_all(
    model: ServedModel, items: list[Item], top_k: int
) -> list[tuple[Classification | Failure, InferredImage | None]]:
    """The result of each image; that of one that cannot be read is a `Failure`."""

    async def result(item: Item) -> tuple[Classification | Failure, InferredImage | None]:
        try:
            inferred = await model.queue.infer(item)
        except ImageError as error:
            return item.failure(str(error)), None
        return _result(model, inferred, item.source, top_k), inferred

    tasks = [asyncio.ensure_future(result(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    except OvMobilenetError as error:
        raise as_request_error(error) from error
    finally:
        for task in tasks:
            task.cancel()


def _result(model: ServedModel, inferred: InferredImage, source: str, top_k: int) -> Classification:
    predictions = top_predictions(inferred.values, model.classifier.labels, top_k)
    return Classification(source, predictions, inferred.timings)


def _query(request: Request) -> dict[str, str]:
    """The parameters in the URL. Raises: RequestError: one is unknown or occurs twice."""
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=len(PARAMETERS)
        )
    except ValueError as error:
        raise RequestError("too many parameters in the URL", expected=", ".join(PARAMETERS)) from error
    query = dict(pairs)
    unknown = [name for name in query if name not in PARAMETERS]
    if unknown:
        raise RequestError(
            "unknown parameter in the URL", expected=", ".join(PARAMETERS), got=shortened(unknown[0])
        )  # fmt: skip
    if len(query) < len(pairs):
        raise RequestError("a parameter of the URL occurs twice")
    return query


def _top_k(text: str | None, classes: int) -> int:
    if text is None:
        return min(DEFAULT_TOP_K, classes)
    if text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= classes:
        return int(text)
    raise RequestError("invalid top_k", expected=f"1 to {classes}", got=shortened(text) or "nothing")
