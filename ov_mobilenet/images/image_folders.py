"""Find the images of a folder, and everything in it that looks like an image or a folder but cannot be read.

Links to folders are followed. Each folder is read once, so that a link to a folder above it ends; folders that are no
links come first, so that links do not change the names of their images.
"""

from __future__ import annotations

import logging
import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ov_mobilenet.errors import printable
from ov_mobilenet.images.compact_sort import CompactSort
from ov_mobilenet.images.image_files import IMAGE_SUFFIXES

_KINDS = {
    stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}  # fmt: skip

_log = logging.getLogger(__name__)


@dataclass(frozen=True, order=True)
class FoundImage:
    """An image file, or something in its place.

    Attributes:
        problem: why it cannot be read; None for a file that may be an image.
    """

    path: str
    problem: str | None = None


def find_images(folder: str | Path, *, recursive: bool = True) -> list[FoundImage]:
    """The images of a folder, sorted by path. A broken link or a folder that is not needed is a warning in the log.

    Args:
        recursive: include subfolders.
    """
    return list(iter_images(folder, recursive=recursive))


def iter_images(folder: str | Path, *, recursive: bool = True) -> Iterator[FoundImage]:
    """Like `find_images`; the images that were not taken yet need about 10 bytes each."""
    found = CompactSort[tuple[str, str | None]]()
    seen: set[tuple[int, int]] = set()
    folders, links = deque([str(Path(folder))]), deque[str]()
    while folders or links:
        is_link = not folders
        path = links.popleft() if is_link else folders.popleft()
        inner_folders: list[str] = []
        inner_links: list[str] = []
        try:
            status = os.stat(path)  # noqa: PTH116 (many files: a Path for each takes longer than the call)
            identity = status.st_dev, status.st_ino
            if identity in seen:
                _log.warning("%s: the link is not followed: its folder is read already", printable(path))
                continue
            seen.add(identity)
            before = "" if path == os.curdir else os.path.join(path, "")  # noqa: PTH118 (as above)
            # Not sorted here: the entries of a large folder need much memory.
            with os.scandir(path) as entries:
                for entry in entries:
                    if _is_folder(entry):
                        (inner_links if entry.is_symlink() else inner_folders).append(before + entry.name)
                    elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122 (as above)
                        found.add((before + entry.name, _problem(entry)))
                    elif entry.is_symlink() and not os.path.exists(before + entry.name):  # noqa: PTH110 (as above)
                        _log.warning("%s: the link is broken, and ignored", printable(before + entry.name))
        except OSError as error:
            found.add((path, f"the folder cannot be read ({error.strerror or error})"))
        if recursive:
            folders += sorted(inner_folders)
            links += sorted(inner_links)
    for image in found:
        yield FoundImage(*image)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # reported when it is read
        return False


def _problem(entry: os.DirEntry[str]) -> str | None:
    try:
        kind = stat.S_IFMT(entry.stat().st_mode)
    except FileNotFoundError:
        return "the link is broken" if entry.is_symlink() else None
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    return None if kind == stat.S_IFREG else f"not a file, but {_KINDS.get(kind, 'something else')}"
