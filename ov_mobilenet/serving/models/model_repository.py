"""`ModelRepository`: the models of a server by name: loading, reloading, and rebuilding after a device failure."""

from __future__ import annotations

import asyncio
import logging
import random
import weakref
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from ov_mobilenet.errors import OvMobilenetError, printable
from ov_mobilenet.serving.models.served_model import VERSION, Loader, ModelState, ServedModel, start_model
from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from ov_mobilenet.runtime.async_queue import AsyncQueue
    from ov_mobilenet.serving.settings import ServerSettings

log = logging.getLogger(__name__)

FIRST_DELAY_S, MAX_DELAY_S = 0.5, 60.0
_NAME_SHOWN = 100  # characters of a name that a client sends
UNLOADED = "unloaded"


@dataclass(eq=False)
class RepositoryEntry:
    """One model of a repository.

    Attributes:
        model: answers requests; None if it is not ready.
        reason: why there is none; empty while it is loaded for the first time.
        lock: held while the model is replaced.
        rebuilding: runs after a device failure until the model is ready again.
        rebuilds: times that it was started again after a device failure.
    """

    name: str
    load: Loader
    model: ServedModel | None = None
    reason: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    rebuilding: asyncio.Task[None] | None = None
    rebuilds: int = 0

    @property
    def state(self) -> ModelState:
        """The state for clients."""
        if self.model is not None:
            return ModelState(self.name, VERSION, "READY")
        return ModelState(self.name, VERSION, "UNAVAILABLE" if self.reason else "LOADING", self.reason)


class ModelRepository:
    """The models of a server by name. All methods are called in the event loop.

    Attributes:
        draining: whether the server ends; it is then not ready, and still answers.
    """

    def __init__(
        self,
        loaders: Mapping[str, Loader],
        settings: ServerSettings,
        *,
        batch_size: int | None = None,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Make a repository without loading a model.

        Args:
            loaders: return the classifier of each name; called in a thread.
            batch_size: images per infer request; None for the default of each model and device.
            sleep: waits for a time in seconds between attempts to rebuild a model.
            jitter: a number in [0, 1).
        """
        self.draining = False
        self._entries = {name: RepositoryEntry(name, load) for name, load in loaders.items()}
        self._settings = settings
        self._batch_size = batch_size
        self._sleep = sleep
        self._jitter = jitter
        self._retired: dict[AsyncQueue, weakref.finalize[Any, ServedModel]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all models, also of those that are not ready."""
        return tuple(self._entries)

    @property
    def is_ready(self) -> bool:
        """Whether the server is not ending and all models are ready, but for those that a client has unloaded."""
        self.check_devices()
        return not self.draining and all(
            entry.model is not None or entry.reason == UNLOADED for entry in self._entries.values()
        )

    def find(self, name: str, version: str = "") -> ServedModel:
        """A model that is ready. It answers as long as the caller keeps it, also if it is replaced meanwhile.

        Args:
            version: "" for the current one.

        Raises:
            RequestError: there is no model of this name or version (not-found), or it is not ready (unavailable).
        """
        entry = self._entry(name)
        if version not in ("", VERSION):
            raise RequestError(
                "unknown version", reason="not-found", where=name, expected=VERSION, got=version[:_NAME_SHOWN]
            )  # fmt: skip
        self._check_device(entry)
        if entry.model is None:
            raise RequestError(
                "the model is not ready", reason="unavailable", where=name, got=entry.reason or "it is being loaded"
            )  # fmt: skip
        return entry.model

    def index(self) -> list[ModelState]:
        """The states of all models."""
        self.check_devices()
        return [entry.state for entry in self._entries.values()]

    def xml_of(self, name: str) -> Path | None:
        """The IR that a model was loaded from; None if it is not ready, or was made by the caller."""
        model = self._entry(name).model
        return None if model is None else model.classifier.xml

    def rebuilds_of(self, name: str) -> int:
        """Times that a model was started again after its device had failed."""
        return self._entry(name).rebuilds

    def check_devices(self) -> None:
        """Take models off whose device is lost, and begin to rebuild them."""
        for entry in self._entries.values():
            self._check_device(entry)

    async def load_all(self) -> None:
        """Load every model and warm it up. Raises: OvMobilenetError, for the first that cannot be loaded."""
        for entry in self._entries.values():
            # Left from an earlier run of the server, in another event loop.
            entry.reason, entry.lock = "", asyncio.Lock()
        for entry in self._entries.values():
            async with entry.lock:
                await self._replace(entry)

    async def load(self, name: str) -> None:
        """Load a model that was unloaded; one that is ready is loaded again.

        Raises:
            RequestError: there is no model of this name, or it cannot be loaded. One that was ready still is.
        """
        entry = self._entry(name)
        try:
            async with entry.lock:
                await self._replace(entry)
        except Exception as error:
            log.error("%s: cannot be loaded: %s", name, printable(str(error)))
            why = error.what if isinstance(error, OvMobilenetError) else type(error).__name__
            raise RequestError(f"the model cannot be loaded ({why})", reason="unavailable", where=name) from error

    async def unload(self, name: str) -> None:
        """Accept no more requests for a model; those that run are answered. Raises: RequestError if it is unknown."""
        entry = self._entry(name)
        async with entry.lock:
            old, entry.model, entry.reason = entry.model, None, UNLOADED
            if old is not None:
                self._retire(old)
                log.info("%s: unloaded", name)

    async def reload(self, name: str) -> bool:
        """Load a model again beside the one that answers, and replace that between two requests.

        An error is logged, and the old one stays. A model that a client has unloaded is left alone.

        Returns:
            Whether the model was replaced.

        Raises:
            RequestError: there is no model of this name.
        """
        entry = self._entry(name)
        async with entry.lock:
            if entry.reason == UNLOADED:
                return False
            try:
                await self._replace(entry)
            except Exception as error:  # noqa: BLE001 (a broken file must not end the server)
                stays = "the one that was loaded before stays" if entry.model is not None else "it stays unavailable"
                log.error("%s: cannot be loaded again, %s: %s", name, stays, printable(str(error)))
                return False
        log.info("%s: loaded again from %s", name, entry.model and entry.model.classifier.xml)
        return True

    async def close(self, *, cancel: bool = False) -> None:
        """Finish all images and end the threads.

        Args:
            cancel: give up the images that wait.
        """
        rebuilding = [entry.rebuilding for entry in self._entries.values() if entry.rebuilding is not None]
        for task in rebuilding:
            task.cancel()
        await asyncio.gather(*rebuilding, return_exceptions=True)
        models = [entry.model for entry in self._entries.values() if entry.model is not None]
        for entry in self._entries.values():
            entry.model, entry.reason = None, entry.reason or "the server is stopping"
        for finalizer in self._retired.values():
            finalizer.detach()
        queues = [*self._retired, *(model.queue for model in models)]
        self._retired.clear()
        await asyncio.gather(*(queue.close(cancel=cancel) for queue in queues), *self._closing)

    def _entry(self, name: str) -> RepositoryEntry:
        entry = self._entries.get(name)
        if entry is None:
            raise RequestError(
                "unknown model", reason="not-found", where=name[:_NAME_SHOWN] or None, expected=", ".join(self._entries)
            )  # fmt: skip
        return entry

    async def _replace(self, entry: RepositoryEntry) -> None:
        """Start the model of an entry and let it answer from the next request on; the entry's lock is held."""
        new = await start_model(entry.name, entry.load, self._settings, self._batch_size)
        old, entry.model, entry.reason = entry.model, new, ""
        if old is not None:
            self._retire(old)

    def _retire(self, model: ServedModel) -> None:
        """Close the queue of a model as soon as no request holds the model any more."""
        loop, queue = asyncio.get_running_loop(), model.queue

        def close() -> None:
            if self._retired.pop(queue, None) is None:
                return
            task = loop.create_task(queue.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

        finalizer = weakref.finalize(model, loop.call_soon_threadsafe, close)
        finalizer.atexit = False
        self._retired[queue] = finalizer

    def _check_device(self, entry: RepositoryEntry) -> None:
        model = entry.model
        lost: OvMobilenetError | None = None if model is None else getattr(model.queue, "lost", None)
        if model is None or lost is None:
            return
        entry.model, entry.reason = None, lost.what
        log.error("%s: not ready, it is rebuilt: %s", entry.name, lost)
        self._retire(model)
        if entry.rebuilding is None or entry.rebuilding.done():
            entry.rebuilding = asyncio.get_running_loop().create_task(self._rebuild(entry))

    async def _rebuild(self, entry: RepositoryEntry) -> None:
        """Start a model again, with growing delays, until that works or somebody else has done it."""
        for attempt in count(1):
            await self._sleep(rebuild_delay_s(attempt, self._jitter()))
            async with entry.lock:
                if entry.model is not None or entry.reason == UNLOADED:
                    return
                try:
                    await self._replace(entry)
                except Exception as error:  # noqa: BLE001 (whatever a driver raises: try again)
                    log.error("%s: attempt %d to rebuild it failed: %s", entry.name, attempt, printable(str(error)))
                else:
                    entry.rebuilds += 1
                    log.info("%s: ready again after %d attempts", entry.name, attempt)
                    return


def rebuild_delay_s(attempt: int, jitter: float) -> float:
    """How long to wait before the n-th attempt, in seconds: doubled each time, and between half and all of that."""
    return min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** min(attempt - 1, 30)) * (0.5 + jitter / 2)
