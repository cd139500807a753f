"""A transport that answers from memory instead of the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from ov_mobilenet.downloads.transport import ResponseStream, TransientError
from ov_mobilenet.zoo.model import ModelConfig


class FakeTransport:
    """Answers from a dict URL -> bytes, an exception, or an iterator of chunks; keeps the URLs asked for.

    Attributes:
        announced: the size that the server announces; "true" for the right one.
        break_after: bytes after which the connection breaks.
    """

    def __init__(self) -> None:
        self.answers: dict[str, bytes | Exception | Iterator[bytes]] = {}
        self.calls: list[str] = []
        self.announced: int | str | None = "true"
        self.break_after: int | None = None
        self.sent = 0

    @contextmanager
    def __call__(self, url: str, *, start: int = 0, validator: str | None = None) -> Iterator[ResponseStream]:
        self.calls.append(url)
        answer = self.answers[url]
        if isinstance(answer, Exception):
            raise answer
        size = len(answer) if isinstance(answer, bytes) and self.announced == "true" else self.announced
        yield ResponseStream(size if isinstance(size, int) else None, self._chunks(answer))

    def _chunks(self, answer: bytes | Iterator[bytes]) -> Iterator[bytes]:
        pieces = (answer[i : i + 100] for i in range(0, len(answer), 100)) if isinstance(answer, bytes) else answer
        for piece in pieces:
            if self.break_after is not None and self.sent + len(piece) > self.break_after:
                raise TransientError("the connection broke")
            self.sent += len(piece)
            yield piece


class DescribeFiles(Protocol):
    """Write a description of files, name -> (content, source), and load it."""

    def __call__(
        self, files: Mapping[str, tuple[bytes, object]], *, name: str = "net", network: str = "net.onnx", **keys: object
    ) -> ModelConfig: ...
