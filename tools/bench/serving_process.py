"""A server in processes of its own: its start, its CPU time, memory, threads and sockets (Linux)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from images import ROOT
from typing_extensions import Self

START_S, STOP_S = 120.0, 40.0


class Resources(NamedTuple):
    """What a server holds; `threads` without those of gRPC's own pool, which grows and shrinks."""

    rss_mb: float
    threads: int
    sockets: int


def free_ports(count: int) -> list[int]:
    """TCP ports that nobody listens on."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class ServerProcess:
    """A server, from the answer of its ready URL to the end of the `with` block.

    Attributes:
        port, grpc_port: its TCP ports on 127.0.0.1.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        ports: Sequence[int],
        ready: str,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """Define it.

        Args:
            command: starts it; names the ports itself.
            ports: of HTTP and gRPC.
            ready: path of the URL that answers 200 when the server is ready.
            log: file for its output; None for nothing.
        """
        self.port, self.grpc_port = ports
        self._command, self._ready, self._log = command, ready, log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started."""
        assert self._process is not None
        return self._process

    def __enter__(self) -> Self:
        with Path(self._log or os.devnull).open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment, start_new_session=True
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pids = self._tree()
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_S)
        for pid in pids:  # what it did not end itself
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def cpu_s(self) -> float:
        """CPU time of all its processes and threads, also of ended threads, in seconds."""
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in self._tree())  # CPUCLOCK_SCHED of a process

    def resources(self) -> Resources:
        """What its processes hold now."""
        pages = threads = sockets = 0
        for pid in self._tree():
            folder = Path(f"/proc/{pid}")
            pages += int((folder / "statm").read_text().split()[1])
            names = [_text(task / "comm") for task in (folder / "task").iterdir()]
            threads += sum(1 for name in names if name and not name.startswith("event_engine"))
            sockets += sum(1 for fd in (folder / "fd").iterdir() if _target(fd).startswith("socket:"))
        return Resources(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, threads, sockets)

    def _tree(self) -> list[int]:
        """The process and its descendants."""
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, fields = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(pid)
        tree = [self.process.pid]
        for pid in tree:
            tree += children.get(pid, ())
        return tree

    def _wait_until_ready(self) -> None:
        begun = time.monotonic()
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self._ready}", timeout=5).close()
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                if self.process.poll() is not None or time.monotonic() - begun > START_S:
                    raise RuntimeError(
                        f"the server did not start: {' '.join(self._command)}; see {self._log}"
                    ) from error
                time.sleep(0.05)
            else:
                return


def our_server(models: Mapping[str, str], *options: str, log: Path | None = None) -> ServerProcess:
    """`ov-mobilenet serve` on the CPU.

    Args:
        models: MODEL by name.
        options: further options of the command.
    """
    ports = free_ports(2)
    named = [text for name, model in models.items() for text in ("--name", f"{name}={model}")]
    command = [
        sys.executable, "-m", "ov_mobilenet", "serve", *named, "--port", str(ports[0]), "--grpc-port", str(ports[1]),
        "-d", "CPU", *options,
    ]  # fmt: skip
    return ServerProcess(
        command, ports=ports, ready="/v2/health/ready", environment={"PYTHONPATH": str(ROOT)}, log=log
    )  # fmt: skip


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # the thread has ended
        return ""


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed in the meantime
        return ""
