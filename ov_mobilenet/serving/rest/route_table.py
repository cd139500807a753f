"""`RouteTable`: from a path as sent to the function that answers.

Paths are split at slashes before they are percent-decoded, so that an encoded slash or dot leads nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ov_mobilenet.serving.http_transport.http_limits import HttpRefusal
from ov_mobilenet.serving.protocol.client_text import shortened

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    Handler = Callable[[Request], Awaitable[Response]]


class MethodRefusal(HttpRefusal):
    """The path exists, for other methods."""

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        names = ", ".join(sorted(allowed))
        self.headers = {"allow": names}
        super().__init__(405, "the method is not allowed for this path", expected=names, got=method)


@dataclass
class _Path:
    """A path with the handlers of its methods."""

    pattern: re.Pattern[str]
    handlers: dict[str, tuple[str, Handler]] = field(default_factory=dict)


class RouteTable:
    """All routes of a server."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Sort routes: fixed paths first.

        Args:
            routes: with functions as endpoints.
        """
        self._fixed: dict[str, _Path] = {}
        templates: dict[str, _Path] = {}
        for route in routes:
            target = templates if "{" in route.path else self._fixed
            path = target.setdefault(route.path, _Path(_pattern(route.path)))
            for method in route.methods or ():
                path.handlers[method] = (route.name, route.endpoint)
        self._templates = list(templates.values())

    def find(self, path: str, method: str) -> tuple[str, Handler, dict[str, Any]]:
        """The name of a route, its handler and the decoded parameters of its path.

        Raises:
            HttpRefusal: no such path (404), or no such method (405).
        """
        found = self._fixed.get(path)
        parameters: dict[str, Any] = {}
        if found is None:
            for candidate in self._templates:
                match = candidate.pattern.fullmatch(path)
                if match is not None:
                    found = candidate
                    parameters = {name: unquote(value) for name, value in match.groupdict().items()}
                    break
            else:
                raise HttpRefusal(404, "unknown path", got=shortened(path))
        if method not in found.handlers:
            raise MethodRefusal(method, found.handlers)
        return *found.handlers[method], parameters


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    for number, part in enumerate(parts):
        parts[number] = f"(?P<{part}>[^/]+)" if number % 2 else re.escape(part)
    return re.compile("".join(parts))
