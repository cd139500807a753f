"""The model repository extension: the index, `load` and `unload`; for both transports.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from ov_mobilenet.serving.models.model_repository import ModelRepository
    from ov_mobilenet.serving.settings import ServerSettings

# Sent by clients with every `unload`; no model depends on another one.
_UNLOAD_PARAMETERS = ("unload_dependents",)


def repository_index(repository: ModelRepository, *, ready: bool = False) -> list[dict[str, str]]:
    """The models of the server: `name`, `version`, `state` (READY, LOADING or UNAVAILABLE) and `reason`.

    Args:
        ready: leave out models that are not ready.
    """
    return [
        {"name": one.name, "version": one.version, "state": one.state, "reason": one.reason}
        for one in repository.index()
        if not ready or one.state == "READY"
    ]


async def load_model(
    repository: ModelRepository, settings: ServerSettings, name: str, parameters: Mapping[str, Any]
) -> None:
    """Load a model again, or after `unload`.

    Args:
        parameters: as sent by the client; must be empty.

    Raises:
        RequestError: model control is off (forbidden), the server has no such model (not-found), there are parameters
            (invalid), or the model cannot be loaded.
    """
    _check(repository, settings, name)
    if parameters:
        raise RequestError(
            "load takes no parameters: files and settings of a model are those that the server was started with",
            where=name, expected="no parameters", got=_names(parameters),
        )  # fmt: skip
    await repository.load(name)


async def unload_model(
    repository: ModelRepository, settings: ServerSettings, name: str, parameters: Mapping[str, Any]
) -> None:
    """Finish the requests of a model and free it.

    Args:
        parameters: as sent by the client; may hold `unload_dependents`, which has no effect.

    Raises:
        RequestError: as for `load_model`.
    """
    _check(repository, settings, name)
    unknown = [one for one in parameters if one not in _UNLOAD_PARAMETERS]
    if unknown:
        raise RequestError(
            "unknown parameter of unload", where=name, expected=" or ".join(_UNLOAD_PARAMETERS), got=_names(unknown)
        )
    await repository.unload(name)


def _check(repository: ModelRepository, settings: ServerSettings, name: str) -> None:
    if not settings.allow_model_control:
        raise RequestError(
            "load and unload are switched off", reason="forbidden", fix="Start the server with --allow-model-control"
        )
    if name not in repository.names:
        raise RequestError(
            "unknown model", reason="not-found", where=name[:100], expected=", ".join(repository.names)[:200]
        )


def _names(parameters: Mapping[str, Any] | list[str]) -> str:
    return ", ".join(name[:40] for name in list(parameters)[:5])
