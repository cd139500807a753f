"""`Server`: models over REST and gRPC, in the foreground or in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ov_mobilenet.load import load_classifier
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.serving.model_repository import ModelRepository
from ov_mobilenet.serving.settings import ServerSettings

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ov_mobilenet.devices.settings import DeviceSettings
    from ov_mobilenet.load import RunOptions


class Server:
    """Serves models over the Open Inference Protocol.

        with Server({"signs": "mobilenet-v1-0.25-128-signs"}, ServerSettings(port=0)) as server:
            requests.post(f"{server.url}/v1/classify", data=Path("sign.jpg").read_bytes()).json()

    Attributes:
        port, grpc_port: the TCP ports, once the server runs.
    """

    def __init__(
        self,
        models: Mapping[str, str | Path | Classifier],
        server_settings: ServerSettings | None = None,
        *,
        settings: DeviceSettings | None = None,
        batch_size: int | None = None,
        **options: Unpack[RunOptions],
    ) -> None:
        self.settings = server_settings or ServerSettings()
        self.port = self.grpc_port = 0
        self.repository = ModelRepository(
            {
                name: partial(_load, model, settings=settings, batch_size=batch_size, **options)
                for name, model in models.items()
            },
            self.settings,
        )  # fmt: skip
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        """The address of HTTP."""
        return f"http://{self.settings.host}:{self.port}"

    @property
    def grpc_address(self) -> str:
        """The address of gRPC, as HOST:PORT."""
        return f"{self.settings.host}:{self.grpc_port}"

    async def serve(self) -> None:
        """Serve until `stop` is called."""
        from ov_mobilenet.serving.grpc_service import start_grpc
        from ov_mobilenet.serving.http_server import listen, start_http
        from ov_mobilenet.serving.rest_app import rest_app

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        sock = listen(self.settings)
        self.port = sock.getsockname()[1]
        await self.repository.load_all()
        http, http_task = await start_http(rest_app(self.repository, self.settings), sock, self.settings)
        grpc_server = None
        if self.settings.grpc_port is not None:
            grpc_server, self.grpc_port = await start_grpc(self.repository, self.settings)
        self._ready.set()
        await self._stop.wait()
        http.should_exit = True
        if grpc_server is not None:
            await grpc_server.stop(self.settings.drain_timeout_s)
        await http_task
        await self.repository.close()

    def stop(self) -> None:
        """Finish the running requests and end; may be called from any thread."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=asyncio.run, args=(self.serve(),), name="ov-mobilenet-server")
        self._thread.start()
        self._ready.wait(60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()


def _load(model: str | Path | Classifier, **options: Any) -> Classifier:
    return model if isinstance(model, Classifier) else load_classifier(model, **options)
