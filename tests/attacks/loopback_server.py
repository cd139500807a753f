"""A real HTTP server on loopback that misbehaves as a test asks, and the command line as a process."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
WATCHDOG_S = 60
PIECE = 4096
PROXY_VARIABLES = [
    name for word in ("http", "https", "all", "no") for name in (f"{word}_proxy", f"{word}_PROXY".upper())
]


class Exchange(BaseHTTPRequestHandler):
    """One request, as the behaviours see it.

    Attributes:
        sent: number of bytes of the body that were sent.
        done: whether the behaviour ended.
    """

    server: Server
    sent = 0
    done = False

    @property
    def target(self) -> str:
        return self.path

    @property
    def range(self) -> int | None:
        """The offset that the client asked for."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else None

    def head(self, status: int = 200, **headers: object) -> None:
        """Status line and headers; `Content_Length=5`."""
        self.send_response_only(status)
        for name, value in {"Connection": "close", **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, content: bytes, pause_s: float = 0.0) -> None:
        for i in range(0, len(content), PIECE):
            piece = content[i : i + PIECE]
            self.wfile.write(piece)
            self.sent += len(piece)
            if self.sent >= self.server.reach:
                self.server.reached.set()
            if pause_s:
                self.server.released.wait(pause_s)

    def hold(self) -> None:
        """Stall until the test sets `released`."""
        self.server.held.set()
        self.server.released.wait(WATCHDOG_S)

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.exchanges.append(self)
            behaviours = self.server.behaviours.get(self.path, [missing])
            behave = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
        behave(self)
        self.done = True

    do_CONNECT = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


Behaviour = Callable[[Exchange], object]


def missing(exchange: Exchange) -> None:
    exchange.head(404, Content_Length=0)


class Server(ThreadingHTTPServer):
    """Behaviours by path: one for each request, the last one for all further requests.

    Attributes:
        exchanges: the requests so far, in order.
        held: set when a behaviour stalls its connection.
        reached: set when `reach` bytes of a body are sent.
        released: set by a test to end all stalls.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.behaviours: dict[str, list[Behaviour]] = {}
        self.exchanges: list[Exchange] = []
        self.held, self.released, self.lock = threading.Event(), threading.Event(), threading.Lock()
        self.reach, self.reached = 0, threading.Event()

    @property
    def url(self) -> str:
        scheme = "https" if isinstance(self.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://127.0.0.1:{self.server_port}"

    def on(self, path: str, *behaviours: Behaviour) -> str:
        """Set the behaviours of a path. Returns its URL."""
        self.behaviours[path] = list(behaviours)
        return self.url + path

    def ranges(self) -> list[int | None]:
        return [exchange.range for exchange in self.exchanges]

    def sent(self) -> list[int]:
        return [exchange.sent for exchange in self.exchanges]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that close the connection."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Server]:
    server = Server()
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join(WATCHDOG_S)


def serve(
    content: bytes, etag: str | None = '"v1"', *, pause_s: float = 0.0, stop_after: int | None = None
) -> Behaviour:
    """A correct server; with `stop_after` it closes the connection after this many bytes of each answer."""

    def behave(exchange: Exchange) -> None:
        start = exchange.range or 0
        headers: dict[str, object] = {} if etag is None else {"ETag": etag}
        if start and exchange.headers.get("If-Range") == etag and not str(etag).startswith("W/"):
            length = len(content) - start
            range_ = f"bytes {start}-{len(content) - 1}/{len(content)}"
            exchange.head(206, Content_Length=length, Content_Range=range_, **headers)
        else:
            start = 0
            exchange.head(200, Content_Length=len(content), **headers)
        rest = content[start:]
        exchange.body(rest if stop_after is None else rest[:stop_after], pause_s)

    return behave


def says(status: int, **headers: object) -> Behaviour:
    return lambda exchange: exchange.head(status, **{"Content_Length": 0, **headers})


def describe(
    folder: Path, files: Mapping[str, tuple[bytes, object]], network: str = "net.onnx", **keys: object
) -> Path:
    """A description `folder/model.yml` of files with these contents: name -> (content, sources)."""
    document = {
        "description": "A network.",
        "task_type": "classification",
        "framework": "onnx",
        "license": "https://example.org/LICENSE",
        "model_optimizer_args": [f"--input_model=$dl_dir/{network}"],
        "files": [
            {"name": name, "size": len(content), "checksum": hashlib.sha384(content).hexdigest(), "source": source}
            for name, (content, source) in files.items()
        ],
        **keys,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.yml").write_text(yaml.safe_dump(document))
    return folder


def leftovers(folder: Path) -> list[str]:
    """Temporary files below a folder."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.endswith((".part", ".part.json"))
    )


# Limits are set in a small process that then becomes the command: no code runs between fork and exec of this one,
# which has threads.
_PREPARE = """
import os, resource, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
if sys.argv[1] != "-":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execv(sys.executable, [sys.executable, "-m", "ov_mobilenet", *sys.argv[2:]])
"""


def start(*arguments: object, file_limit: int | None = None, **variables: str) -> subprocess.Popen[str]:
    """`python -m ov_mobilenet …` as a process of its own, pipes for its output."""
    environment = {name: value for name, value in os.environ.items() if name not in PROXY_VARIABLES}
    limit = "-" if file_limit is None else str(file_limit)
    return subprocess.Popen(
        [sys.executable, "-c", _PREPARE, limit, *map(str, arguments)],
        env={**environment, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the process. Returns: exit code, stdout, stderr."""
    try:
        out, err = process.communicate(timeout=WATCHDOG_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert "Traceback" not in err, err
    return process.returncode, out, err


def run(*arguments: object, file_limit: int | None = None, **variables: str) -> tuple[int, str, str]:
    return finish(start(*arguments, file_limit=file_limit, **variables))
