"""Find the image sources that an INPUT argument stands for, by existing files, suffix and spelling."""

from __future__ import annotations

import codecs
import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Literal
from urllib.parse import urlsplit

from ov_mobilenet.errors import ImageError, UsageError
from ov_mobilenet.images.compact_sort import CompactSort
from ov_mobilenet.images.image_folders import FoundImage, iter_images
from ov_mobilenet.operating_system.path_texts import has_drive

SourceKind = Literal["images", "folder", "shard", "video", "list", "stdin", "camera", "stream", "refused"]

SHARD_SUFFIXES = (".tar", ".tar.gz", ".tgz")
# A container's header holds the number of frames; raw streams have none.
CONTAINER_SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"))
VIDEO_SUFFIXES = CONTAINER_SUFFIXES | {".mjpeg", ".mpg", ".mpeg", ".ts"}
STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https")
MAX_LINE_BYTES = 1 << 16  # of a list of paths

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_CAMERA = re.compile(r"/dev/video\d+")


@dataclass(frozen=True)
class Source:
    """One source of images.

    Attributes:
        kind: `folder` is one whose images were not listed yet, see `with_images`.
        text: its path, URL or number; for a list the path without `@`; for a refused URL the URL without a password.
        images: the files, for images only.
    """

    kind: SourceKind
    text: str
    images: tuple[FoundImage, ...] = ()

    @property
    def live(self) -> bool:
        """Whether frames arrive in real time, regardless of whether they are read."""
        return self.kind in ("camera", "stream")


def find_sources(texts: Iterable[str], *, recursive: bool = True) -> list[Source]:
    """The sources that INPUT arguments stand for, in order.

    Raises:
        UsageError: a URL with an unsupported scheme.
    """
    found: list[Source] = []
    for source in (with_images(given, recursive=recursive) for text in texts for given in sources_of(text)):
        if source.kind == "images" and found and found[-1].kind == "images":
            source = Source("images", "", found.pop().images + source.images)
        found.append(source)
    return found


def sources_of(text: str) -> Iterator[Source]:
    """The sources that one INPUT argument stands for; folders are not listed. Raises: UsageError."""
    exists = os.path.lexists(text)
    if text == "-":
        yield Source("stdin", text)
    elif text.startswith("@") and not exists:
        yield Source("list", text[1:])
    elif (url := _url(text)) is not None:
        if url[1].lower() not in STREAM_SCHEMES:
            raise UsageError(
                "unsupported URL scheme", where=masked(text), expected=" or ".join(STREAM_SCHEMES), got=url[1]
            )
        suffix = PurePosixPath(urlsplit(text).path).suffix.lower()
        yield Source("video" if suffix in CONTAINER_SUFFIXES else "stream", text)
    elif _CAMERA.fullmatch(text) or (re.fullmatch(r"[0-9]{1,4}", text) and not exists):
        yield Source("camera", text)
    elif not exists and glob.has_magic(text):
        paths = CompactSort[tuple[str]]()
        for path in glob.iglob(text, recursive=True):  # noqa: PTH207 (keeps the user's spelling)
            paths.add((path,))
        is_empty = True
        for (path,) in paths:
            is_empty = False
            yield source_of_path(path)
        if is_empty:
            yield source_of_path(text)
    else:
        yield source_of_path(text)


def source_of_path(path: str) -> Source:
    """The source at a path. A missing path counts as an image: its error appears in its place in the results."""
    if _url(path):
        return Source("refused", masked(path))
    # Not Path.is_dir(): a name that the system rejects must give an error of its own and not end the run.
    if os.path.isdir(path):  # noqa: PTH112
        return Source("folder", path)
    name = path.lower()
    if name.endswith(SHARD_SUFFIXES):
        return Source("shard", path)
    if os.path.splitext(name)[1] in VIDEO_SUFFIXES:  # noqa: PTH122
        return Source("video", path)
    return Source("images", path, (FoundImage(path),))


def with_images(source: Source, *, recursive: bool) -> Source:
    """A folder as the source of its images; other sources unchanged."""
    if source.kind != "folder":
        return source
    return Source("images", source.text, tuple(iter_images(source.text, recursive=recursive)))


def read_paths(stream: IO[bytes], *, comments: bool) -> Iterator[str]:
    """The paths of a list, one per line, read as they are needed; empty lines are skipped.

    Args:
        comments: skip lines that begin with `#`.

    Raises:
        ImageError: a line is too long to be a path.
    """
    is_first = True
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            raise ImageError(
                "not a list of paths", expected=f"lines of at most {MAX_LINE_BYTES} bytes", got="a longer line"
            )
        if is_first:
            line, is_first = line.removeprefix(codecs.BOM_UTF8), False
        line = line.rstrip(b"\r\n")
        if line and not (comments and line.startswith(b"#")):
            yield os.fsdecode(line)


def _url(text: str) -> re.Match[str] | None:
    return None if has_drive(text) else _URL.match(text)


def masked(text: str) -> str:
    """A URL without user name and password, for results and messages; other text unchanged."""
    if not _url(text):
        return text
    # Up to the last @ before the path: a password may contain one.
    return re.sub(r"(://)[^/?#]*@", r"\1***@", text, count=1)
