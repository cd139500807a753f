"""From INPUT arguments to images, read lazily and in order."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import ImageError, UsageError
from ov_mobilenet.inputs.sources import Source, find_sources, masked, read_paths, source_of_path, with_images
from ov_mobilenet.operating_system.open_file import open_file
from ov_mobilenet.runtime.items import Item

# What reads shards, videos and cameras is imported when there is one: most inputs are image files.
if TYPE_CHECKING:
    from ov_mobilenet.inputs.capture import FrameSampler
    from ov_mobilenet.inputs.live_source import LiveSource


@checked
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
    """Open image sources of any kind, for `Classifier.stream`.

        with ovm.open_inputs(["images/", "shards/*.tar", "rtsp://camera/1"], max_fps=5) as inputs:
            for result in classifier.stream(inputs):
                ...

    Args:
        texts: sources, each one of: an image file; a folder; a wildcard; `@list.txt` with one path per line, relative
            to the working directory, where empty lines and lines that begin with `#` are skipped; `-` for paths on
            stdin; a tar shard (.tar, .tar.gz, .tgz); a video file; a camera, as /dev/video0 or by its number unless a
            file has that name; a network stream (rtsp, rtsps, http, https). A URL with the suffix of a video container
            is a video.
        every: take every n-th image, and every n-th frame of a video or live source.
        max_fps: take at most this number of frames per second of a video or live source.
        limit: end after this number of images.
        loop: start again at the end; ends after a round in which no image could be read.
        recursive: include the subfolders of a folder.
        stdin: the stream that `-` reads; None for `sys.stdin`.

    Raises:
        UsageError: no images; a number out of range; an unsupported URL; a live source that is not the last input or
            is looped; stdin is closed, given twice or looped.
    """
    for name, value in (("every", every), ("limit", limit)):
        if value is not None and value < 1:
            raise UsageError(f"invalid {name}", expected="at least 1", got=value)
    if max_fps is not None and not 0 < max_fps < float("inf"):
        raise UsageError("invalid max_fps", expected="above 0", got=max_fps)
    given = [str(text) for text in ([texts] if isinstance(texts, str | Path) else texts)]
    found = find_sources(given, recursive=recursive)
    for source in found[:-1]:
        if source.live:
            raise UsageError(
                "a live source never ends; inputs after it would not be read",
                where=masked(source.text),
                expected="a live source as the last INPUT",
            )
    if sum(source.kind == "stdin" for source in found) > 1:
        raise UsageError("stdin can only be read once", expected="a single -", got="several")
    if stdin is None and any(source.kind == "stdin" for source in found):
        stdin = open_stdin()
    unrepeatable = next((source for source in found if source.live or source.kind == "stdin"), None)
    if loop and unrepeatable is not None:
        raise UsageError("cannot be looped", where=masked(unrepeatable.text), expected="files and videos")
    if all(source.kind == "images" and not source.images for source in found):
        raise _no_images(given)
    return Inputs(found, given, every, max_fps, limit, loop, recursive, stdin)


def open_stdin() -> IO[bytes]:
    """The stdin of this process. Raises: UsageError, if it is closed."""
    if sys.stdin is None:
        raise UsageError("stdin is closed", expected="paths, one per line", fix="Give the images as INPUT or @LIST.txt")
    return sys.stdin.buffer


class Inputs:
    """The images of `open_inputs`: an iterable of `Item`s that are read as they are taken. Iterate over it once.

    Attributes:
        live: whether the last source is a camera or stream. Its frames are not queued: only the newest is kept.
        count: number of items; None if it is not known in advance.
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
        """Use `open_inputs` instead."""
        self.live: bool = bool(found) and found[-1].live
        self.count: int | None = _count(found, every, limit, loop=loop)
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
        self._live_source: LiveSource | None = None

    @property
    def dropped(self) -> int:
        """Number of frames of the live source that were replaced by a newer one before they were taken."""
        return 0 if self._live_source is None else self._live_source.dropped

    @property
    def reconnections(self) -> int:
        """Number of times a lost connection to the live source was restored."""
        return 0 if self._live_source is None else self._live_source.reconnections

    def __iter__(self) -> Iterator[Item]:
        """Yield the items. Raises: UsageError if there are none, for example in an empty list of paths."""
        for number, item in enumerate(self._rounds(), 1):
            yield item
            if number == self._limit:
                self.close()
                return

    def close(self) -> None:
        """End the iteration; a camera or stream is released within a second."""
        with self._lock:
            self._closed = True
            live_source = self._live_source
        if live_source is not None:
            live_source.close()

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
            for image in source.images:
                if self._takes_next():
                    yield Item(image.path if image.problem is None else ImageError(image.problem), image.path)
        elif source.kind == "shard":
            from ov_mobilenet.inputs.shards import read_shard

            yield from read_shard(source.text, self._takes_next)
        elif source.kind == "video":
            from ov_mobilenet.inputs.video import read_video

            yield from read_video(source.text, self._sampler())
        elif source.kind in ("list", "stdin"):
            yield from self._items_of_list(source)
        elif source.kind == "refused":
            yield Item(
                ImageError("a list can only contain paths", fix="Give a stream as an INPUT argument"), source.text
            )
        else:
            yield from self._live_items(source)

    def _items_of_list(self, source: Source) -> Iterator[Item]:
        name = "stdin" if source.kind == "stdin" else source.text
        try:
            if source.kind == "stdin":
                assert self._stdin is not None
                yield from self._items_of_paths(read_paths(self._stdin, comments=False))
            else:
                with open_file(Path(source.text)) as stream:
                    yield from self._items_of_paths(read_paths(stream, comments=True))
        except ImageError as error:
            yield Item(error, name)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            yield Item(ImageError(f"the list cannot be read ({reason})"), name)

    def _items_of_paths(self, paths: Iterable[str]) -> Iterator[Item]:
        for path in paths:
            yield from self._items(with_images(source_of_path(path), recursive=self._recursive))

    def _live_items(self, source: Source) -> Iterator[Item]:
        from ov_mobilenet.inputs.capture import open_live
        from ov_mobilenet.inputs.live_source import LiveSource

        with self._lock:
            if self._closed:
                return
            self._live_source = LiveSource(masked(source.text), lambda: open_live(source), self._sampler())
        yield from self._live_source

    def _takes_next(self) -> bool:
        """Whether to take the next image; `every` counts the images of all sources together."""
        self._images += 1
        return (self._images - 1) % self._every == 0

    def _sampler(self) -> FrameSampler:
        from ov_mobilenet.inputs.capture import FrameSampler

        return FrameSampler(self._every, self._max_fps)


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
        expected="image files, folders with images, shards, videos, cameras or streams",
        got=", ".join(masked(text) for text in texts) or "nothing",
    )
