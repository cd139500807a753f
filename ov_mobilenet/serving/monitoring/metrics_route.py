"""`GET /metrics`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from ov_mobilenet.serving.monitoring.metrics import Metrics


def metrics_route(metrics: Metrics) -> Route:
    """The route that answers with all metrics."""

    async def answer(request: Request) -> Response:
        metrics.read_gauges()
        # With many models the text takes some milliseconds.
        body, media_type = await asyncio.to_thread(metrics.text, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": media_type, "cache-control": "no-store"})

    return Route("/metrics", answer, name="metrics")
