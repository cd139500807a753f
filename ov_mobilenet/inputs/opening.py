"""From INPUT arguments to images, lazily and in order."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from ov_mobilenet.errors import ImageError, UsageError
from ov_mobilenet.inputs.capture import open_live
from ov_mobilenet.inputs.kinds import Source, masked, of_path, sources
from ov_mobilenet.inputs.lists import read_paths
from ov_mobilenet.inputs.live import LiveSource
from ov_mobilenet.inputs.sampling import Sampling
from ov_mobilenet.inputs.shards import read_shard
from ov_mobilenet.inputs.video import read_video
from ov_mobilenet.runtime.items import Item


def open_inputs(
    texts: str | Path | Iterable[str | Path],
    *,
    every: int = 1,
    max_fps: float | None = None,
    limit: int | None = None,
    loop: bool = False,
    recursive: bool = True,
    stdin: IO[bytes] | None = None,
) -> Inputs:
    """Images of all kinds of sources, for `Classifier.stream`.

        with ovm.open_inputs(["images/", "shards/*.tar", "rtsp://camera/1"], max_fps=5) as inputs:
            for result in classifier.stream(inputs):
                ...

    Args:
        texts: in order, each an image file; a folder; a wildcard; `@list.txt` with a path a line, taken from the
            working directory, where empty lines and those that begin with `#` are left out; `-` for paths on stdin;
            a tar shard (.tar, .tar.gz, .tgz); a video file; a camera, by its number, where no file is called that, or
            as /dev/video0; a stream (rtsp, rtsps, http, https). A video at a URL is a video if its name says so.
        every: take each Nth image, and of a video or live source each Nth frame.
        max_fps: of a video or live source take no more frames a second.
        limit: end after so many.
        loop: begin again at the end. A round in which nothing could be read is the last.
        recursive: take the images of all folders below a folder.
        stdin: what `-` reads; None for the process's own.

    Raises:
        UsageError: no images; a number out of range; a URL that is no stream; a live source that is not the last
            input, or is to be looped; stdin named twice or to be looped.
    """
    for name, value in (("every", every), ("limit", limit)):
        if value is not None and value < 1:
            raise UsageError(f"bad {name}", expected="at least 1", got=value)
    if max_fps is not None and not 0 < max_fps < float("inf"):
        raise UsageError("bad max_fps", expected="above 0", got=max_fps)
    given = [str(text) for text in ([texts] if isinstance(texts, str | Path) else texts)]
    found = sources(given, recursive=recursive)
    for source in found[:-1]:
        if source.live:
            raise UsageError(
                "a live source goes on for ever", where=masked(source.text), expected="it as the last INPUT"
            )
    if sum(source.kind == "stdin" for source in found) > 1:
        raise UsageError("stdin can be read once", expected="one `-`")
    once = next((source for source in found if source.live or source.kind == "stdin"), None)
    if loop and once is not None:
        raise UsageError("cannot be looped", where=masked(once.text), expected="files and videos")
    if all(source.kind == "images" and not source.images for source in found):
        raise _no_images(given)
    return Inputs(found, given, every, max_fps, limit, loop, recursive, stdin)


class Inputs:
    """What `open_inputs` found: an iterable of `Item`s, read as they are taken. Iterate over it once.

    Attributes:
        live: whether it ends in a camera or stream. Frames of it must not wait: only the newest is kept.
        count: how many items there are; None if that shows only at the end.
    """

    def __init__(
        self,
        found: list[Source],
        texts: list[str],
        every: int,
        max_fps: float | None,
        limit: int | None,
        loop: bool,
        recursive: bool,
        stdin: IO[bytes] | None,
    ) -> None:
        """Made by `open_inputs`."""
        self.live = bool(found) and found[-1].live
        self.count = _count(found, every, limit, loop=loop)
        self._sources = found
        self._texts = texts
        self._every = every
        self._max_fps = max_fps
        self._limit = limit
        self._loop = loop
        self._recursive = recursive
        self._stdin = stdin
        self._images = 0
        self._lock = threading.Lock()
        self._closed = False
        self._following: LiveSource | None = None

    @property
    def dropped(self) -> int:
        """Frames of the live source that were left for a newer one."""
        return 0 if self._following is None else self._following.dropped

    @property
    def reconnections(self) -> int:
        """How often the live source was lost and came back."""
        return 0 if self._following is None else self._following.reconnections

    def __iter__(self) -> Iterator[Item]:
        """The items. Raises: UsageError, if there are none, as in an empty list."""
        for number, item in enumerate(self._rounds(), 1):
            yield item
            if number == self._limit:
                self.close()
                return

    def close(self) -> None:
        """End the iteration, wherever it is, and let go of a camera or stream within a second."""
        with self._lock:
            self._closed = True
            following = self._following
        if following is not None:
            following.close()

    def __enter__(self) -> Inputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rounds(self) -> Iterator[Item]:
        while True:
            self._images = taken = readable = 0
            for source in self._sources:
                for item in self._items(source):
                    if self._closed:
                        return
                    taken += 1
                    readable += not isinstance(item.image, ImageError)
                    yield item
            if self._closed:
                return
            if not taken:
                raise _no_images(self._texts)
            if not (self._loop and readable):
                return

    def _items(self, source: Source) -> Iterator[Item]:
        if source.kind == "images":
            for path in source.images:
                if self._wanted():
                    yield Item(path, path)
        elif source.kind == "shard":
            yield from read_shard(source.text, self._wanted)
        elif source.kind == "video":
            yield from read_video(source.text, self._sampling())
        elif source.kind in ("list", "stdin"):
            yield from self._listed(source)
        elif source.kind == "refused":
            yield Item(ImageError("a list holds paths", expected="streams on the command line"), source.text)
        else:
            yield from self._live(source)

    def _listed(self, source: Source) -> Iterator[Item]:
        name = "stdin" if source.kind == "stdin" else source.text
        try:
            if source.kind == "stdin":
                stream = sys.stdin.buffer if self._stdin is None else self._stdin
                yield from self._of_paths(read_paths(stream, comments=False))
            else:
                with Path(source.text).open("rb") as stream:
                    yield from self._of_paths(read_paths(stream, comments=True))
        except ImageError as error:
            yield Item(error, name)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            yield Item(ImageError(f"the list cannot be read ({reason})"), name)

    def _of_paths(self, paths: Iterable[str]) -> Iterator[Item]:
        for path in paths:
            yield from self._items(of_path(path, recursive=self._recursive))

    def _live(self, source: Source) -> Iterator[Item]:
        with self._lock:
            if self._closed:
                return
            self._following = LiveSource(masked(source.text), lambda: open_live(source), self._sampling())
        yield from self._following

    def _wanted(self) -> bool:
        """Whether to take the next image; all images of all inputs are counted together."""
        self._images += 1
        return (self._images - 1) % self._every == 0

    def _sampling(self) -> Sampling:
        return Sampling(self._every, self._max_fps)


def _count(found: list[Source], every: int, limit: int | None, *, loop: bool) -> int | None:
    if loop:
        return limit
    if any(source.kind != "images" for source in found):
        return None
    count = -(-sum(len(source.images) for source in found) // every)
    return count if limit is None else min(count, limit)


def _no_images(texts: list[str]) -> UsageError:
    return UsageError(
        "no images",
        expected="files, folders with images, shards, videos, cameras or streams",
        got=", ".join(masked(text) for text in texts) or "nothing",
    )
