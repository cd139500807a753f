"""A connection to a Ray cluster: started here, or joined; quiet, and with the signal handlers of this program."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.bulk_classification.ray_settings import RaySettings
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.errors import MissingDependencyError, OvMobilenetError, install_extra, printable
from ov_mobilenet.operating_system.child_programs import own_group

if TYPE_CHECKING:
    from types import ModuleType

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
THREAD_END_S = 5.0
# Of the object store of a cluster that is started here, which holds the IR and small rows; Ray accepts no less than
# 75 MiB. Memory is taken only when it is used.
OBJECT_STORE_BYTES = 100 << 20


def import_ray() -> ModuleType:
    """The module `ray`, with `ray.data`. Raises: MissingDependencyError."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependencyError(f"--ray needs Ray with Ray Data ({error})", fix=install_extra("bulk")) from error
    module: ModuleType = ray
    return module


@contextmanager
def connected(settings: RaySettings, package_bytes: int) -> Iterator[ModuleType]:
    """Connect to a cluster for a `with` block; a connection that the program itself has opened is used and kept.

    Args:
        package_bytes: size of the model's files.

    Raises:
        MissingDependencyError: Ray is not installed.
        OvMobilenetError: there is no cluster at the address, or it has another version of Ray or Python.
    """
    ray = import_ray()
    if ray.is_initialized():
        with _quiet(ray):
            yield ray
        return
    # Read by the part of Ray that is written in C++: otherwise it warns on stderr of every actor pool of Ray Data.
    quiet = {"RAY_BACKEND_LOG_LEVEL": "fatal"}
    if settings.address == "local":
        quiet["RAY_USAGE_STATS_ENABLED"] = "0"
        # For how long a lost cluster is waited for, in seconds (default 60): here it can only have been killed.
        quiet["RAY_gcs_rpc_server_reconnect_timeout_s"] = "5"
    with _quiet(ray), _logged_messages():
        try:
            wanted = "RAY_BACKEND_LOG_LEVEL" in os.environ
            with (
                _defaults(quiet), _own_signal_handlers(), _own_sessions(),
                nullcontext() if wanted else _without_stderr(),
            ):  # fmt: skip
                _init(ray, settings, package_bytes)
            yield ray
        finally:
            _shut_down(ray)


def worker_count(ray: ModuleType, settings: RaySettings, shards: int) -> int:
    """The number of workers for a number of shards.

    Raises:
        OvMobilenetError: no node has enough CPUs for one worker.
    """
    cpus = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    capacity = sum(each // settings.cpus_per_worker for each in cpus)
    if not capacity:
        raise OvMobilenetError(
            "no node of the Ray cluster has enough CPUs for one worker",
            expected=f"at least {settings.cpus_per_worker} on one node", got=f"at most {max(cpus, default=0)}",
            fix="Give fewer --cpus-per-worker, or add a node with more CPUs",
        )  # fmt: skip
    return min(settings.workers or capacity, shards)


def _init(ray: ModuleType, settings: RaySettings, package_bytes: int) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if settings.address == "local":
        options.update(
            include_dashboard=False, num_cpus=usable_cpus(), object_store_memory=OBJECT_STORE_BYTES + 2 * package_bytes
        )
    elif settings.address != "auto":
        _check_reachable(settings.address)
    try:
        ray.init(address=settings.address, **options)
    except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:  # OSError: also ConnectionError
        text = " ".join(str(error).split())
        if "ersion mismatch" in text:
            raise OvMobilenetError(
                f"the Ray cluster has another version of Ray or Python ({text})", where=f"--ray {settings.address}",
                fix="Install the versions of the cluster here",
            ) from error  # fmt: skip
        raise _no_cluster(settings.address, text) from error


def _shut_down(ray: ModuleType) -> None:
    """End the connection. A thread of Ray Data that still submits work after Ctrl-C fails: that is logged only."""

    def log_error(error: Any) -> None:
        log.debug("while Ray ends: %r", error.exc_value)

    before = threading.excepthook, sys.unraisablehook
    threading.excepthook = sys.unraisablehook = log_error
    try:
        ray.shutdown()
        for thread in threading.enumerate():
            if thread.name.startswith("StreamingExecutor"):
                thread.join(THREAD_END_S)
    finally:
        threading.excepthook, sys.unraisablehook = before


def _check_reachable(address: str) -> None:
    """Try the address for a few seconds: Ray itself tries for a minute and more."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT_S).close()
    except (OSError, UnicodeError) as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str, reason: str) -> OvMobilenetError:
    return OvMobilenetError(
        f"no Ray cluster can be reached ({reason})", where=f"--ray {address}",
        fix="Start one with `ray start --head`, or use --ray local to start Ray on this machine for this run",
    )  # fmt: skip


@contextmanager
def _defaults(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables that are not set, for a `with` block."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Discard what C++ code writes to stderr: Ray announces there that it is quiet. Errors are Python exceptions."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _logged_messages() -> AbstractContextManager[None]:
    """Log what Ray says of dead workers and nodes: it prints that on stdout, also if asked not to log to the driver."""
    from ray._private import worker

    def log_message(data: dict[str, Any], *_: object, **__: object) -> None:
        for line in data.get("lines", ()):
            log.info("Ray: %s", printable(str(line)))

    return _replaced(worker, "print_to_stdstream", lambda _: log_message)


def _own_sessions() -> AbstractContextManager[None]:
    """Start Ray's programs in sessions of their own: a signal to the group of this process must not end them first.

    Ray ends them, and the kernel does when this process is killed.
    """
    from ray._private import services

    return _replaced(services, "ConsolePopen", lambda popen: partial(popen, **own_group()))


@contextmanager
def _replaced(module: Any, name: str, change: Callable[[Any], Any]) -> Iterator[None]:
    """Replace a function inside Ray, for which it has no option; does nothing in a version that does not have it."""
    before = getattr(module, name, None)
    if before is None:
        yield
        return
    setattr(module, name, change(before))
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Restore the handlers that `ray.init` replaces; a SIGTERM that Ray has taken is sent again to the own handler."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)
    except SystemExit:  # as Ray's handler of SIGTERM raises
        signal.raise_signal(signal.SIGTERM)
        raise


@contextmanager
def _quiet(ray: ModuleType) -> Iterator[None]:
    """Ray Data without progress bars and messages on stderr; its log files are kept."""
    context = ray.data.DataContext.get_current()
    bars, context.enable_progress_bars = context.enable_progress_bars, False
    changed = [(handler, handler.level) for handler in logging.getLogger("ray.data").handlers]
    for handler, _ in changed:
        if "PlainRayHandler" in type(handler).__name__:
            handler.setLevel(logging.CRITICAL + 1)
    core = logging.getLogger("ray")
    level = core.level
    core.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        core.setLevel(level)
        for handler, before in changed:
            handler.setLevel(before)
        context.enable_progress_bars = bars
