"""A model whose file the loopback server serves, and how a test downloads it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from attacks.loopback_server import Behaviour, Server, describe, leftovers

from ov_mobilenet.downloads.attempts import Retry
from ov_mobilenet.downloads.fetch import SourceFiles, download
from ov_mobilenet.downloads.transport import CHUNK_BYTES, http_transport
from ov_mobilenet.zoo.config import load_config

CONTENT = random.Random(4).randbytes(20 * CHUNK_BYTES)  # whole chunks: an incomplete chunk is lost with the connection
PATH = "/net.onnx"


def wrong_bytes(content: bytes) -> bytes:
    """Other bytes of the same size."""
    return bytes(byte ^ 1 for byte in content)


class ServedModel:
    """A model of one file, `net.onnx`, on the test server, with a download folder and a cache of its own.

    Attributes:
        root: the folder that holds everything.
        content: the correct bytes of the file.
        waits: seconds of each wait between two attempts.
        sizes: bytes reported by each progress event.
    """

    def __init__(self, root: Path, server: Server) -> None:
        self.root, self.server, self.content = root, server, CONTENT
        self.folder, self.cache = root / "public" / "net", root / "cache"
        self.waits: list[float] = []
        self.sizes: list[int] = []

    @property
    def target(self) -> Path:
        return self.folder / "net.onnx"

    def on(self, *behaviours: Behaviour, path: str = PATH) -> str:
        return self.server.on(path, *behaviours)

    def describe(self, source: object = None, name: str = "net") -> Path:
        source = self.server.url + PATH if source is None else source
        return describe(self.root / "configs" / name, {"net.onnx": (self.content, source)})

    def download(
        self,
        source: object = None,
        *,
        attempts: int = 4,
        read_timeout_s: float = 20,
        allow_http: bool = True,
        **options: Any,
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
        """Whether the file is complete and correct, and no temporary file is left."""
        return self.target.read_bytes() == self.content and leftovers(self.root) == []

    def part(self) -> Path:
        """The unfinished file in the cache."""
        (part,) = (self.cache / "files").rglob("*.part")
        return part

    def half(self) -> int:
        return len(self.content) // 2

    def nothing_kept(self) -> bool:
        """Whether neither the file nor anything temporary is there."""
        return not self.target.exists() and leftovers(self.root) == []
