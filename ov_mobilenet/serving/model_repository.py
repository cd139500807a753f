"""`ModelRepository`: the models of a server by name, and their states."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ov_mobilenet.runtime.async_queue import AsyncQueue
from ov_mobilenet.serving.request_errors import RequestError
from ov_mobilenet.serving.served_model import VERSION, ServedModel

if TYPE_CHECKING:
    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.serving.settings import ServerSettings

Loader = Callable[[], "Classifier"]


@dataclass(frozen=True)
class ModelState:
    """Whether a model can answer.

    Attributes:
        reason: why it is not ready; "" if it is.
    """

    name: str
    version: str
    state: Literal["READY", "LOADING", "UNAVAILABLE"]
    reason: str


class ModelRepository:
    """The models of a server by name."""

    def __init__(self, loaders: Mapping[str, Loader], settings: ServerSettings) -> None:
        self._loaders = dict(loaders)
        self._settings = settings
        self._ready: dict[str, ServedModel] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all models, also of those that are not ready."""
        return tuple(self._loaders)

    @property
    def is_ready(self) -> bool:
        """Whether all models are ready."""
        return len(self._ready) == len(self._loaders)

    def find(self, name: str, version: str = "") -> ServedModel:
        """A model that is ready.

        Args:
            version: "" for the current one.

        Raises:
            RequestError: there is no model of this name or version (not-found), or it is not ready (unavailable).
        """
        if name not in self._loaders:
            raise RequestError("unknown model", reason="not-found", where=name, expected=", ".join(self.names))
        if version not in ("", VERSION):
            raise RequestError("unknown version", reason="not-found", where=name, expected=VERSION, got=version)
        found = self._ready.get(name)
        if found is None:
            raise RequestError("the model is not ready", reason="unavailable", where=name)
        return found

    async def load_all(self) -> None:
        """Load every model and warm it up."""
        for name in self._loaders:
            await self.load(name)

    async def load(self, name: str) -> None:
        """Load a model; the one that runs answers until then."""
        classifier = await asyncio.to_thread(self._loaders[name])
        compiled = classifier.compiled().model
        queue = AsyncQueue(
            classifier, max_wait_ms=self._settings.max_wait_ms, max_queue=self._settings.max_queue,
            decode_workers=self._settings.decode_workers,
        )  # fmt: skip
        before = self._ready.get(name)
        self._ready[name] = ServedModel(
            name, classifier, queue, compiled.inputs[0].get_any_name(), compiled.outputs[0].get_any_name()
        )
        if before is not None:
            await before.queue.close()

    async def unload(self, name: str) -> None:
        """Finish the requests of a model and free it."""
        model = self._ready.pop(name, None)
        if model is not None:
            await model.queue.close()

    def index(self) -> list[ModelState]:
        """The states of all models."""
        return [
            ModelState(name, VERSION, "READY", "")
            if name in self._ready
            else ModelState(name, VERSION, "UNAVAILABLE", "unloaded")
            for name in self._loaders
        ]

    async def close(self) -> None:
        """Finish all images and end the threads."""
        for model in self._ready.values():
            await model.queue.close()
        self._ready.clear()
