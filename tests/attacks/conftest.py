"""A server, a model it serves, and a watchdog."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks.loopback_server import (
    PROXY_VARIABLES,
    WATCHDOG_S,
    Behaviour,
    Server,
    describe,
    leftovers,
    serving,
)

from ov_mobilenet.downloads.attempts import Retry
from ov_mobilenet.downloads.fetch import SourceFiles, download
from ov_mobilenet.downloads.transport import CHUNK_BYTES, http_transport
from ov_mobilenet.zoo.config import load_config

CONTENT = random.Random(4).randbytes(20 * CHUNK_BYTES)  # a chunk that broke off is lost: tests count whole ones
PATH = "/net.onnx"


class Hung(BaseException):
    """Nothing under test may catch it."""


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    def bark(signum: int, frame: object) -> None:
        raise Hung(f"not done after {WATCHDOG_S} s")

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(WATCHDOG_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1 in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    key, made, both = folder / "key.pem", folder / "made.pem", folder / "both.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=loopback -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [openssl, *words.split(), "-keyout", key, "-out", made], check=True, capture_output=True, timeout=WATCHDOG_S
    )
    both.write_bytes(key.read_bytes() + made.read_bytes())
    return both


class Bench:
    """A model of one file, `net.onnx`, in a folder and a cache of their own.

    Attributes:
        content: the right bytes.
        waits: the seconds that were asked of `sleep`.
        sizes: what progress events said.
    """

    def __init__(self, room: Path, server: Server) -> None:
        self.room, self.server, self.content = room, server, CONTENT
        self.folder, self.cache = room / "public" / "net", room / "cache"
        self.waits: list[float] = []
        self.sizes: list[int] = []

    @property
    def target(self) -> Path:
        return self.folder / "net.onnx"

    def on(self, *behaviours: Behaviour, path: str = PATH) -> str:
        return self.server.on(path, *behaviours)

    def describe(self, source: object = None, name: str = "net") -> Path:
        source = self.server.url + PATH if source is None else source
        return describe(self.room / "configs" / name, {"net.onnx": (self.content, source)})

    def download(
        self,
        source: object = None,
        *,
        attempts: int = 4,
        read_timeout_s: float = 20,
        allow_http: bool = True,
        **options,
    ) -> SourceFiles:
        return download(
            load_config(self.describe(source)),
            self.folder,
            cache_root=self.cache,
            retry=Retry(attempts, sleep=self.waits.append, jitter=lambda: 0.0),
            transport=http_transport(allow_http=allow_http, read_timeout_s=read_timeout_s),
            on_event=lambda event: self.sizes.append(event.size) if hasattr(event, "size") else None,
            **options,
        )

    def is_right(self) -> bool:
        """The file is there and right, nothing temporary anywhere."""
        return self.target.read_bytes() == self.content and leftovers(self.room) == []

    def part(self) -> Path | None:
        """What the cache keeps of an unfinished file."""
        return next((self.cache / "files").rglob("*.part"), None)


@pytest.fixture
def bench(tmp_path: Path, server: Server) -> Bench:
    return Bench(tmp_path, server)
