"""Request ids, and trace ids of W3C Trace Context (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import os
import re

REQUEST_ID = "x-request-id"  # the name of the header and of the gRPC metadata, in both directions
TRACE_PARENT = "traceparent"

# Printable ASCII without the space: safe in a header, in a log line and on a terminal.
_CLIENT_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
# version-traceid-parentid-flags; versions after 00 may append fields. Hexadecimal digits are lower case.
_TRACE_PARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<rest>-.*)?",
    re.ASCII,
)
_MAX_TRACE_PARENT = 512  # characters


def request_id_of(value: str | None) -> str:
    """The id of a request: the client's, or a new one of 32 hexadecimal digits.

    Args:
        value: of the header X-Request-Id; taken if it is 1 to 128 printable ASCII characters without spaces.
    """
    if value is not None and _CLIENT_ID.fullmatch(value):
        return value
    return os.urandom(16).hex()


def trace_id_of(value: str | None) -> str:
    """The trace id in a header `traceparent`: 32 hexadecimal digits, or "" if there is none or it is invalid."""
    if value is None or len(value) > _MAX_TRACE_PARENT:
        return ""
    found = _TRACE_PARENT.fullmatch(value.strip(" \t"))
    if found is None or (found["version"] == "00" and found["rest"] is not None):
        return ""
    return found["trace"]
