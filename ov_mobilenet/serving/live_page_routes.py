"""The routes of the live page: its files, and what they ask for."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from ov_mobilenet.serving.monitoring.live_status import LiveStatus

# The page loads nothing from elsewhere and runs no inline script or style; `blob:` is an image or video of the user's.
CONTENT_SECURITY_POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob: data:", "connect-src 'self'",
    "media-src blob:", "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'",
))  # fmt: skip
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",  # ask again, with the ETag
}
SCRIPTS = ("elements", "examples", "models", "page", "plots", "results", "server", "webcam")
# Path: file and media type.
FILES = {
    "/": ("page.html", "text/html"),
    "/assets/page.css": ("page.css", "text/css"),
    **{f"/assets/{name}.js": (f"{name}.js", "text/javascript") for name in SCRIPTS},
}
PUBLIC_PATHS = frozenset(FILES)
"""These paths need no token: the page asks for it."""


def live_page_routes(status: LiveStatus) -> list[Route]:
    """The routes of the page's files, of `/v1/status` and of `/v1/models`."""

    async def answer_status(request: Request) -> Response:
        return _json(status.document())

    async def answer_models(request: Request) -> Response:
        return _json({"schema_version": 1, "models": status.descriptions()})

    return [
        *(_file_route(path, *file) for path, file in FILES.items()),
        Route("/v1/status", answer_status, name="status"),
        Route("/v1/models", answer_models, name="models"),
    ]


def _file_route(path: str, name: str, media_type: str) -> Route:
    body = (resources.files(__package__) / "live_page" / name).read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'

    async def answer(request: Request) -> Response:
        if _matches(request.headers.get("if-none-match", ""), etag):
            return Response(status_code=304, headers={**HEADERS, "etag": etag})
        return Response(body, media_type=media_type, headers={**HEADERS, "etag": etag})

    return Route(path, answer, name="page")


def _matches(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag in (one.strip().removeprefix("W/") for one in header.split(","))


def _json(document: object) -> Response:
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(msgspec.json.encode(document), media_type="application/json", headers=headers)
