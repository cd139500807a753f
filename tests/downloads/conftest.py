"""A transport without a network, and descriptions of files that it serves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from ov_mobilenet.downloads.transport import PassingError, Stream
from ov_mobilenet.zoo.config import load_config
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
    def __call__(self, url: str, *, start: int = 0, validator: str | None = None) -> Iterator[Stream]:
        self.calls.append(url)
        answer = self.answers[url]
        if isinstance(answer, Exception):
            raise answer
        size = len(answer) if isinstance(answer, bytes) and self.announced == "true" else self.announced
        yield Stream(size if isinstance(size, int) else None, self._chunks(answer))

    def _chunks(self, answer: bytes | Iterator[bytes]) -> Iterator[bytes]:
        pieces = (answer[i : i + 100] for i in range(0, len(answer), 100)) if isinstance(answer, bytes) else answer
        for piece in pieces:
            if self.break_after is not None and self.sent + len(piece) > self.break_after:
                raise PassingError("the connection broke")
            self.sent += len(piece)
            yield piece


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def describe_files(tmp_path: Path) -> Callable[..., ModelConfig]:
    """A description of files with these contents: name -> (content, sources, ...)."""

    def write(
        files: dict[str, tuple[bytes, object]], *, name: str = "net", network: str = "net.onnx", **keys: object
    ) -> ModelConfig:
        document = {
            "description": "A network.",
            "task_type": "classification",
            "framework": "onnx",
            "license": "https://example.org/LICENSE",
            "model_optimizer_args": [f"--input_model=$dl_dir/{network}"],
            "files": [
                {
                    "name": file,
                    "size": len(content),
                    "checksum": hashlib.sha384(content).hexdigest(),
                    "source": source,
                }
                for file, (content, source) in files.items()
            ],
            **keys,
        }
        folder = tmp_path / "configs" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.yml").write_text(yaml.safe_dump(document))
        return load_config(folder)

    return write
