"""Find the images of a folder, and everything in it that looks like an image or a folder but cannot be read.

Links to folders are followed. Each folder is read once, so that a link to a folder above it ends; folders that are no
links come first, so that links do not change the names of their images.
"""

from __future__ import annotations

import logging
import os
import stat
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from ov_mobilenet.errors import printable
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
    found: list[FoundImage] = []
    seen: set[tuple[int, int]] = set()
    folders, links = deque([str(Path(folder))]), deque[str]()
    while folders or links:
        is_link = not folders
        path = links.popleft() if is_link else folders.popleft()
        try:
            status = os.stat(path)  # noqa: PTH116 (many files: a Path for each takes longer than the call)
            identity = status.st_dev, status.st_ino
            if identity in seen:
                _log.warning("%s: the link is not followed: its folder is read already", printable(path))
                continue
            seen.add(identity)
            with os.scandir(path) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            found.append(FoundImage(path, f"the folder cannot be read ({error.strerror or error})"))
            continue
        for entry in entries:
            inside = str(Path(path, entry.name))
            if _is_folder(entry):
                if recursive:
                    (links if entry.is_symlink() else folders).append(inside)
            elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122 (as above)
                found.append(FoundImage(inside, _problem(entry)))
            elif entry.is_symlink() and not os.path.exists(inside):  # noqa: PTH110 (as above)
                _log.warning("%s: the link is broken, and ignored", printable(inside))
    return sorted(found)


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
