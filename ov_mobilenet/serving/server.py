"""`Server`: models over REST and gRPC, in the foreground, in a thread or in an event loop."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ov_mobilenet.argument_types import checked
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import MissingDependencyError, UsageError, install_extra
from ov_mobilenet.images.load_image import DecodeMode, check_decode_mode
from ov_mobilenet.load import load_classifier, split_options
from ov_mobilenet.operating_system import systems
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.infer_queue import check_at_least_1
from ov_mobilenet.runtime.model_folders import ModelFolder
from ov_mobilenet.runtime.model_names import models_by_name
from ov_mobilenet.serving.memory_need import memory_warning
from ov_mobilenet.serving.models.model_repository import ModelRepository
from ov_mobilenet.serving.monitoring.request_log import RequestLog, process_log
from ov_mobilenet.serving.server_signals import server_signals
from ov_mobilenet.serving.settings import ServerSettings
from ov_mobilenet.serving.upkeep import Upkeep
from ov_mobilenet.zoo.geometry import Geometry, parse_geometry

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ov_mobilenet.load import RunOptions
    from ov_mobilenet.runtime.model_names import Model
    from ov_mobilenet.runtime.profile import Profile
    from ov_mobilenet.serving.transports import Transports

log = logging.getLogger(__name__)

_M_ARENA_MAX = -8  # of malloc.h
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Server:
    """Serves models over the Open Inference Protocol, REST and gRPC.

        with Server(["mobilenet-v2-pytorch"], ServerSettings(port=0, grpc_port=0)) as server:
            requests.post(f"{server.url}/v1/classify", data=Path("cat.jpg").read_bytes()).json()

    In a `with` block it runs in a thread. `run` runs it in the foreground, `serve` in an event loop.

    Attributes:
        settings: where it listens, and its limits.
        repository: the models and their states.
        port, grpc_port: the TCP ports, once it listens; `grpc_port` is None without gRPC.
    """

    @checked
    def __init__(
        self,
        models: Mapping[str, Model] | Sequence[Model],
        server_settings: ServerSettings | None = None,
        *,
        settings: DeviceSettings | None = None,
        profile: Profile | Path | str | None = None,
        batch_size: int | None = None,
        geometry: str | Geometry | None = None,
        labels: tuple[str, ...] | Path | None = None,
        decode: DecodeMode = "auto",
        devices: Mapping[str, str] | None = None,
        **options: Unpack[RunOptions],
    ) -> None:
        """Check the arguments; nothing is loaded and no port is opened yet.

        Args:
            models: MODELs or classifiers by the names that clients use. In a list, a MODEL has its own name: that of
                the zoo, of the IR's file, or NAME of `hf:OWNER/NAME`. A model repository, such as the folder that
                `export_ovms` wrote, stands for all models in it, each in its newest version; by a name, for its only
                model.
            server_settings: None for the defaults: 127.0.0.1, HTTP on port 8000, gRPC on 8001.
            settings, profile, geometry, labels, decode, options: as for `load_classifier`, for all models that are not
                classifiers already. `profile`, `geometry` and `labels` are for a single model.
            batch_size: the largest number of images that run together; None for the default of the model and device.
            devices: devices by the names of models that shall not run on that of `settings`.

        Raises:
            UsageError: an argument is invalid, there are no models, two have the same name, an argument for a single
                model is given with several, or `devices` names a model that is not served or is loaded already.
        """
        # A wrong value is an error here, not when the server starts.
        chosen, lookup = split_options(settings, options)
        named = models_by_name(models, repositories=True, config_dirs=lookup.config_dirs, ir_dir=lookup.ir_dir)
        on_device = _devices_by_name(devices, chosen, named)
        check_at_least_1(batch_size=batch_size)
        check_decode_mode(decode)
        if isinstance(geometry, str):
            parse_geometry(geometry)
        if profile is not None and (chosen != DeviceSettings() or on_device or batch_size is not None):
            raise UsageError(
                "device settings are given twice", expected="a profile, or device settings and a batch size"
            )
        single = {"profile": profile, "geometry": geometry, "labels": labels}
        given = [name for name, value in single.items() if value is not None]
        if given and len(named) > 1:
            raise UsageError(
                f"{given[0]} is for a single model", expected="one model",
                got=f"{len(named)} models: {', '.join(named)}",
            )  # fmt: skip
        load = partial(
            load_classifier, profile=profile, geometry=geometry, labels=labels, decode=decode, batch_size=batch_size,
            **lookup.as_options(),
        )  # fmt: skip

        def load_one(name: str, model: Model) -> Classifier:
            if isinstance(model, ModelFolder):
                model = model.newest_xml()
            if not isinstance(model, str | Path):
                return model
            return load(model, settings=None if profile is not None else on_device.get(name, chosen))

        self.settings: ServerSettings = server_settings or ServerSettings()
        self.port: int = 0
        self.grpc_port: int | None = None
        self.repository = ModelRepository(
            {name: partial(load_one, name, model) for name, model in named.items()},
            self.settings,
            batch_size=batch_size,
        )
        self._sources = {name: model for name, model in named.items() if isinstance(model, str | Path | ModelFolder)}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._upkeep: Upkeep | None = None
        self._request_log: RequestLog | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address of HTTP, such as `http://127.0.0.1:8000`."""
        scheme = "http" if self.settings.tls_cert is None else "https"
        return f"{scheme}://{_reachable(self.settings.host)}:{self.port}"

    @property
    def grpc_address(self) -> str | None:
        """The address of gRPC, such as `127.0.0.1:8001`; None without gRPC."""
        return None if self.grpc_port is None else f"{_reachable(self.settings.host)}:{self.grpc_port}"

    async def serve(self, *, on_ready: Callable[[], object] = lambda: None) -> None:
        """Serve until `stop` is called or the task is cancelled.

        Args:
            on_ready: called in the event loop as soon as all models are ready.

        Raises:
            ServerError: a port cannot be used.
            ConfigError: the certificate or its key cannot be used.
            MissingDependencyError: the packages of the extra `serve` are not installed.
            OvMobilenetError: a model cannot be loaded; see `load_classifier`.
        """
        if self._loop is not None:
            raise UsageError("the server runs already", expected="one call of serve, run or a `with` block at a time")
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self.repository.draining = False
        try:
            transports = await _import_transports()(self.repository, self.settings, self._request_log)
            try:
                await self._run(transports, on_ready)
            finally:
                self.repository.draining = True
                if self._stopping.is_set():  # not at the end of a start that failed
                    log.info("stopping: running requests get %g s", self.settings.drain_timeout_s)
                await transports.stop(self.settings.drain_timeout_s)
                await self.repository.close(cancel=True)
        finally:
            self._loop = None

    async def _run(self, transports: Transports, on_ready: Callable[[], object]) -> None:
        """Load the models and serve until the stop."""
        self.port, self.grpc_port = transports.port, transports.grpc_port
        stopping = asyncio.ensure_future(self._stopping.wait())
        loading = asyncio.ensure_future(self.repository.load_all())
        self._upkeep = Upkeep(self.repository, self._sources, watches_files=self.settings.reload)
        upkeep = asyncio.ensure_future(self._upkeep.run(loading))
        tasks = [stopping, loading, upkeep, transports.http_task]
        try:
            await asyncio.wait([stopping, loading, transports.http_task], return_when=asyncio.FIRST_COMPLETED)
            if loading.done():
                loading.result()
                self._log_ready()
                on_ready()
                await asyncio.wait([stopping, upkeep, transports.http_task], return_when=asyncio.FIRST_COMPLETED)
                if upkeep.done():
                    upkeep.result()
        finally:
            self._upkeep.tell_stopping()
            self._upkeep = None
            for task in tasks[:-1]:
                task.cancel()
            await asyncio.gather(*tasks[:-1], return_exceptions=True)

    def _log_ready(self) -> None:
        for name in self.repository.names:
            loaded = self.repository.find(name).classifier
            precision = loaded.inference_precision or "precision not reported"
            log.info("%s: ready on %s, %s, %d classes", name, loaded.device, precision, loaded.classes)
        log.info("serving on %s, gRPC on %s", self.url, self.grpc_address or "no port")
        if (warning := memory_warning(self.settings, len(self.repository.names))) is not None:
            log.warning("%s", warning)
        if self.settings.is_loopback:
            return
        if self.settings.token is None:
            log.warning("every machine that can reach %s can use this server", self.settings.host)
        elif self.settings.tls_cert is None:
            log.warning(
                "the token is sent unencrypted: use --tls-cert and --tls-key, or a proxy with TLS on this machine"
            )

    def run(self, *, on_ready: Callable[[], object] = lambda: None, log_level: int = logging.INFO) -> None:
        """Serve in the foreground until SIGTERM or Ctrl-C, and finish the running requests. SIGHUP reloads the models.

        A second Ctrl-C ends the process at once. Messages of this package, and a line for each request, go to stderr.

        Args:
            on_ready: called as soon as all models are ready.
            log_level: of `logging`. Requests have level INFO, requests for health and metrics DEBUG.

        Raises:
            OvMobilenetError: as for `serve`.
        """
        _use_one_heap()
        self._request_log = request_log = RequestLog(self.settings.log_format, level=log_level)

        async def with_signals() -> None:
            with server_signals(stop=self.stop, reload=self.reload):
                await self.serve(on_ready=on_ready)

        try:
            with process_log(request_log, log_level):
                run_event_loop(with_signals())
        finally:
            self._request_log = None
            request_log.close()

    def stop(self) -> None:
        """Finish the running requests and end; may be called from any thread, also if the server does not run."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._stopping.set)

    def reload(self) -> None:
        """Load all models again, beside those that answer; may be called from any thread and returns at once."""
        loop, upkeep = self._loop, self._upkeep
        if loop is not None and upkeep is not None:
            loop.call_soon_threadsafe(upkeep.request_reload)

    def __enter__(self) -> Self:
        ready = threading.Event()
        errors: list[BaseException] = []

        def serve_in_thread() -> None:
            try:
                run_event_loop(self.serve(on_ready=ready.set))
            except BaseException as error:  # noqa: BLE001 (raised in the thread of the caller)
                errors.append(error)
            finally:
                ready.set()

        self._thread = threading.Thread(target=serve_in_thread, name="ov-mobilenet-server", daemon=True)
        self._thread.start()
        try:
            ready.wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        if errors:
            self._thread.join()
            raise errors[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def run_event_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in an event loop of its own: uvloop's, if that is installed."""
    try:
        import uvloop
    except ImportError:  # not on Windows
        asyncio.run(main)
    else:
        uvloop.run(main)


def _import_transports() -> Any:
    """`transports.start_transports`. Raises: MissingDependencyError."""
    try:
        from ov_mobilenet.serving.transports import start_transports
    except (ImportError, RuntimeError) as error:  # RuntimeError: tritonclient without grpc
        if isinstance(error, ImportError) and (error.name or "").startswith("ov_mobilenet"):
            raise
        missing = getattr(error, "name", None) or str(error)
        raise MissingDependencyError(
            "a package that serves models is not installed", where=missing, fix=install_extra("serve")
        ) from error
    return start_transports


def _reachable(host: str) -> str:
    """The host as clients on this machine write it in an address."""
    host = _EVERY_ADDRESS.get(host, host)
    return f"[{host}]" if ":" in host else host


def _devices_by_name(
    devices: Mapping[str, str] | None, settings: DeviceSettings, named: Mapping[str, Model]
) -> dict[str, DeviceSettings]:
    """The device settings of models that shall not run on the device of `settings`. Raises: UsageError."""
    if devices is None:
        return {}
    if not isinstance(devices, Mapping):
        raise UsageError("invalid devices", expected="a mapping of model names to devices", got=type(devices).__name__)
    loaded_here = [name for name, model in named.items() if isinstance(model, str | Path | ModelFolder)]
    for name in devices:
        if name not in loaded_here:
            raise UsageError(
                "a device for a model that is not loaded here", expected=", ".join(loaded_here) or "no name", got=name
            )
    return {name: replace(settings, device=device) for name, device in devices.items()}


def _use_one_heap() -> None:
    """Let all threads allocate from the same heap, where glibc has one for each thread.

    glibc gives the memory of a decoded image back to the system when it is freed in a thread's own heap, and the next
    image costs as many page faults: 0.1 to 0.6 ms of 1.5 ms for each image file (measured with JPEGs of 500x375). Also,
    freed memory of one thread is of use to the others.
    """
    if systems.LINUX:
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
