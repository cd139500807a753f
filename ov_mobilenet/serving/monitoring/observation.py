"""`RequestRecord`: what metrics, statistics and the log are told about each request that has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ov_mobilenet.runtime.async_queue import InferredImage

Transport = Literal["rest", "grpc"]


@dataclass(frozen=True)
class RequestRecord:
    """A request that has ended.

    Attributes:
        operation: `infer`, `classify`, or the name of the route or call.
        model, version: as served; "" if the request names none that exists.
        code: HTTP status, as text, or name of the gRPC code.
        duration_s: from the end of the headers to the end of the response, in seconds.
        request_id: sent by the client as X-Request-Id, or generated.
        trace_id: trace id of the W3C header `traceparent`; "" if there is none.
        error: the message that the client got; None for a success.
        inferred: the images that were inferred.
    """

    transport: Transport
    operation: str
    model: str
    version: str
    code: str
    duration_s: float
    request_id: str
    trace_id: str = ""
    error: str | None = None
    inferred: tuple[InferredImage, ...] = ()


Observe = Callable[[RequestRecord], None]
