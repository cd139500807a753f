"""What an INPUT is: told by what is there, its suffix and its form."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from ov_mobilenet.errors import UsageError
from ov_mobilenet.images.image_files import IMAGE_SUFFIXES

Kind = Literal["images", "shard", "video", "list", "stdin", "camera", "stream", "refused"]

SHARD_SUFFIXES = (".tar", ".tar.gz", ".tgz")
# Files whose header says how long they are, and those that just go on.
CONTAINER_SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"))
VIDEO_SUFFIXES = CONTAINER_SUFFIXES | {".mjpeg", ".mpg", ".mpeg", ".ts"}
STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https")

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_CAMERA = re.compile(r"/dev/video\d+")


@dataclass(frozen=True)
class Source:
    """One thing to read from.

    Attributes:
        text: the path, URL or number of it; for a list the path without `@`; for what is refused, why.
        images: paths, for images only.
    """

    kind: Kind
    text: str
    images: tuple[str, ...] = ()

    @property
    def live(self) -> bool:
        """Whether it goes on by itself, read or not."""
        return self.kind in ("camera", "stream")


def sources(texts: Iterable[str], *, recursive: bool = True) -> list[Source]:
    """What the arguments stand for, in their order.

    Raises:
        UsageError: a URL of a scheme that is no stream's.
    """
    found: list[Source] = []
    for text in texts:
        for source in _of_argument(text, recursive=recursive):
            if source.kind == "images" and found and found[-1].kind == "images":
                source = Source("images", "", found.pop().images + source.images)
            found.append(source)
    return found


def _of_argument(text: str, *, recursive: bool) -> Iterator[Source]:
    there = os.path.lexists(text)
    if text == "-":
        yield Source("stdin", text)
    elif text.startswith("@") and not there:
        yield Source("list", text[1:])
    elif (url := _URL.match(text)) is not None:
        if url[1].lower() not in STREAM_SCHEMES:
            raise UsageError("no such stream", where=masked(text), expected=" or ".join(STREAM_SCHEMES), got=url[1])
        suffix = PurePosixPath(urlsplit(text).path).suffix.lower()
        yield Source("video" if suffix in CONTAINER_SUFFIXES else "stream", text)
    elif _CAMERA.fullmatch(text) or (re.fullmatch(r"[0-9]{1,4}", text) and not there):
        yield Source("camera", text)
    elif not there and glob.has_magic(text):
        for path in sorted(glob.glob(text, recursive=True)) or [text]:  # noqa: PTH207 (keeps the user's spelling)
            yield of_path(path, recursive=recursive)
    else:
        yield of_path(text, recursive=recursive)


def of_path(path: str, *, recursive: bool) -> Source:
    """What a path stands for. One that is not there is kept: it gets its error in its place among the results."""
    if _URL.match(path):
        return Source("refused", masked(path))
    # Not Path.is_dir(): a name that the system refuses must get its own error, not stop the run.
    if os.path.isdir(path):  # noqa: PTH112
        return Source("images", path, tuple(images_below(path, recursive=recursive)))
    name = path.lower()
    if name.endswith(SHARD_SUFFIXES):
        return Source("shard", path)
    if os.path.splitext(name)[1] in VIDEO_SUFFIXES:  # noqa: PTH122
        return Source("video", path)
    return Source("images", path, (path,))


def images_below(folder: str, *, recursive: bool = True) -> list[str]:
    """The images of a folder, and of all below it, sorted by path."""
    files = Path(folder).rglob("*") if recursive else Path(folder).glob("*")
    return sorted(str(file) for file in files if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())


def masked(text: str) -> str:
    """A URL without the user's name and password, for results and messages; anything else as it is."""
    if not _URL.match(text):
        return text
    # Up to the last @ before the path: a password may hold one.
    return re.sub(r"(://)[^/?#]*@", r"\1***@", text, count=1)
