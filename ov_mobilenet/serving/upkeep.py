"""`Upkeep`: what a server does once a second beside answering requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.runtime.model_folders import ModelFolder
from ov_mobilenet.serving import systemd
from ov_mobilenet.serving.models.watched_files import WatchedFiles, description_files, ir_files

if TYPE_CHECKING:
    from ov_mobilenet.serving.models.model_repository import ModelRepository

log = logging.getLogger(__name__)

INTERVAL_S = 1.0  # between two looks at the files and the devices


class Upkeep:
    """Reloads models on request and when their files change, finds lost devices, and reports to systemd."""

    def __init__(
        self, repository: ModelRepository, sources: Mapping[str, str | Path | ModelFolder], *, watches_files: bool
    ) -> None:
        """Remember the state of the files.

        Args:
            sources: MODELs and folders of models by name, without classifiers that the caller made.
            watches_files: load a model again when its files change.
        """
        self._repository = repository
        self._wake = asyncio.Event()
        self._is_requested = False
        watched = sources if watches_files else {}
        self._given = {
            name: description_files(model) for name, model in watched.items() if not isinstance(model, ModelFolder)
        }
        self._watched = {name: WatchedFiles(paths) for name, paths in self._given.items()}
        # A version may appear or vanish, so the folder is watched as a whole.
        folders = {name: model.path for name, model in watched.items() if isinstance(model, ModelFolder)}
        self._watched |= {name: WatchedFiles([path]) for name, path in folders.items()}

    def request_reload(self) -> None:
        """Have all models loaded again. Requests during a reload lead to one more."""
        self._is_requested = True
        self._wake.set()

    async def run(self, loading: asyncio.Future[Any]) -> None:
        """Run until the task is cancelled.

        Args:
            loading: the task that loads the models for the first time.
        """
        watchdog_s = systemd.watchdog_interval_s()
        watchdog = None if watchdog_s is None else asyncio.ensure_future(_keep_alive(watchdog_s))
        try:
            await asyncio.wait([loading])
            if loading.cancelled() or loading.exception() is not None:
                return  # the server ends
            self._tell_ready()
            while True:
                self._watch_irs()
                if await self._wait_for_request():
                    changed = list(self._repository.names)
                else:
                    self._repository.check_devices()
                    changed = [name for name, files in self._watched.items() if files.poll()]
                if changed:
                    await self._reload_models(changed)
        finally:
            if watchdog is not None:
                watchdog.cancel()

    def tell_stopping(self) -> None:
        """Report the end of the server to systemd."""
        systemd.notify("STOPPING=1", "STATUS=Finishing the running requests")

    async def _wait_for_request(self) -> bool:
        """Wait until a reload is requested, or for the interval; returns whether one is requested."""
        # Not asyncio.wait_for: before Python 3.12, it drops a cancellation that comes with the event.
        timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()
        self._wake.clear()
        is_requested, self._is_requested = self._is_requested, False
        return is_requested

    async def _reload_models(self, names: list[str]) -> None:
        systemd.notify_reloading()
        for name in names:
            await self._repository.reload(name)
        self._tell_ready()

    def _tell_ready(self) -> None:
        states = self._repository.index()
        ready = sum(one.state == "READY" for one in states)
        systemd.notify("READY=1", f"STATUS=Serving {ready} of {len(states)} models")

    def _watch_irs(self) -> None:
        """Watch the files that the models were loaded from; the IR of a description may have another name now."""
        for name, given in self._given.items():
            xml = self._repository.xml_of(name)
            if xml is not None:
                self._watched[name].watch({*given, *ir_files(xml)})


async def _keep_alive(interval_s: float) -> None:
    """Tell systemd's watchdog that the event loop runs."""
    while True:
        systemd.notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)
