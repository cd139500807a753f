"""`RestCall`: what is known of a request while it is answered, and the JSON responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from ov_mobilenet.serving.http_transport.http_limits import RETRY_AFTER_S, HttpRefusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from ov_mobilenet.runtime.async_queue import InferredImage
    from ov_mobilenet.serving.request_errors import RequestError

GONE_STATUS = 499  # the status that logs show for a client that did not wait for its response


@dataclass
class RestCall:
    """A request that is being answered, for its `RequestRecord`.

    Attributes:
        operation: the name of its route; "" if there is none.
        model, version: as served; "" if the request names none that exists.
        status: of the response; 0 before it.
        error: the message that the client gets.
        inferred: the images that were inferred.
    """

    request_id: str
    trace_id: str
    operation: str = ""
    model: str = ""
    version: str = ""
    status: int = 0
    error: str | None = None
    inferred: tuple[InferredImage, ...] = ()


def call_of(request: Request) -> RestCall:
    """The call that a request belongs to."""
    call: RestCall = request.scope["state"]["call"]
    return call


def json_response(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response with a JSON document."""
    return Response(msgspec.json.encode(document), status, headers, media_type="application/json")


def error_response(error: RequestError) -> Response:
    """The response to a request that is refused."""
    status = error.http_status
    headers: dict[str, str] = {}
    if status == 503:
        headers["retry-after"] = str(RETRY_AFTER_S)
    elif status == 401:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, HttpRefusal):
        headers.update(error.headers)
    return json_response({"error": str(error)}, status, headers)
