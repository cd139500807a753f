"""`RequestError`: why a request is refused, with its HTTP status and its gRPC code."""

from __future__ import annotations

from typing import Literal

from ov_mobilenet.errors import (
    DeadlineError,
    DeviceError,
    ImageError,
    OvMobilenetError,
    QueueFullError,
)

Reason = Literal[
    "invalid", "unauthenticated", "forbidden", "not-found", "too-large", "unprocessable", "unsupported-media",
    "overloaded", "unavailable", "deadline", "internal",
]  # fmt: skip

# HTTP status and name of the gRPC code.
CODES: dict[Reason, tuple[int, str]] = {
    "invalid": (400, "INVALID_ARGUMENT"),
    "unauthenticated": (401, "UNAUTHENTICATED"),
    "forbidden": (403, "PERMISSION_DENIED"),
    "not-found": (404, "NOT_FOUND"),
    "too-large": (413, "RESOURCE_EXHAUSTED"),
    "unprocessable": (422, "INVALID_ARGUMENT"),
    "unsupported-media": (415, "INVALID_ARGUMENT"),
    "overloaded": (503, "RESOURCE_EXHAUSTED"),
    "unavailable": (503, "UNAVAILABLE"),
    "deadline": (504, "DEADLINE_EXCEEDED"),
    "internal": (500, "INTERNAL"),
}


class RequestError(OvMobilenetError):
    """A request that cannot be answered; the message is for its client.

    Attributes:
        reason: the kind; decides HTTP status and gRPC code.
    """

    def __init__(
        self,
        what: str,
        *,
        reason: Reason = "invalid",
        where: object = None,
        expected: object = None,
        got: object = None,
        fix: str | None = None,
    ) -> None:
        self.reason: Reason = reason
        super().__init__(what, where=where, expected=expected, got=got, fix=fix)

    @property
    def http_status(self) -> int:
        """The HTTP status."""
        return CODES[self.reason][0]

    @property
    def grpc_code(self) -> str:
        """The name of the gRPC status code."""
        return CODES[self.reason][1]


def as_request_error(error: OvMobilenetError) -> RequestError:
    """The error that a client gets for an error of the runtime."""
    if isinstance(error, RequestError):
        return error
    reason: Reason = "internal"
    if isinstance(error, ImageError):
        reason = "unprocessable"
    elif isinstance(error, QueueFullError):
        reason = "overloaded"
    elif isinstance(error, DeadlineError):
        reason = "deadline"
    elif isinstance(error, DeviceError):
        # Its advice is for who started the server.
        return RequestError(error.what, reason="unavailable", where=error.where, fix="Try again later")
    return RequestError(
        error.what, reason=reason, where=error.where, expected=error.expected, got=error.got, fix=error.fix
    )
