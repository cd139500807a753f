"""The files that an s3:// or gs:// URL stands for: one file, a folder, or a pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from ov_mobilenet.bulk_classification.remote_files import RemoteUrl, file_system, problem_of, reason_of
from ov_mobilenet.bulk_classification.remote_reading import in_order
from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.compact_sort import CompactSort

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

FOLDER = -1

_MAGIC = re.compile(r"[*?[]")
_PARTS = re.compile(r"\*\*/|\*\*|[*?]|\[!?\]?[^\]]*\]|.", re.DOTALL)
_ALL = re.compile(".*", re.DOTALL)

RemoteEntry = tuple[str, int]
"""A path in a file system, and the size of the file in bytes, or `FOLDER`."""


def is_pattern(url: RemoteUrl) -> bool:
    """Whether a key holds wildcards."""
    return _MAGIC.search(url.key) is not None


def kind_of(url: RemoteUrl) -> tuple[str, int | None]:
    """What is at a URL, `file`, `folder` or `nothing`, and the size of a file. Raises: ImageError."""
    from pyarrow.fs import FileType

    try:
        files, path = file_system(url)
        if not url.key:
            return "folder", None
        info = files.get_file_info(path.rstrip("/"))
    except (OSError, ValueError) as error:
        raise cannot_list(error, url) from error
    if info.type == FileType.File:
        return "file", info.size
    return ("folder" if info.type == FileType.Directory else "nothing"), None


def check_bucket(url: RemoteUrl) -> None:
    """Raises: ImageError, if the bucket does not exist or cannot be reached."""
    from pyarrow.fs import FileType

    try:
        files, _ = file_system(url)
        if files.get_file_info(url.bucket).type != FileType.NotFound:
            return
    except (OSError, ValueError) as error:
        if problem_of(error) == "denied":  # files in it may be readable nevertheless
            return
        raise cannot_list(error, url) from error
    raise _no_bucket(url)


def list_folder(url: RemoteUrl) -> Iterator[RemoteEntry]:
    """The files below a folder, sorted by path. Raises: ImageError."""
    return ((path, size) for path, size in _below(url, url.path.rstrip("/")) if size != FOLDER)


def match_pattern(url: RemoteUrl) -> Iterator[RemoteEntry]:
    """The files and folders that match a pattern, sorted by path.

    `*`, `?` and `[…]` match within one level, `**` any number of levels. A pattern that ends with `**` matches files
    only, and one that ends with a slash folders only.

    Raises:
        ImageError: the bucket cannot be listed.
    """
    begin = _MAGIC.search(url.key)
    assert begin is not None
    base = url.path[: len(url.bucket) + 1 + begin.start()].rpartition("/")[0]
    wanted = url.path[len(base) + 1 :].rstrip("/")
    kinds = (False,) if wanted.endswith("**") else (True,) if url.key.endswith("/") else (True, False)
    pattern = re.compile(_as_regex(wanted), re.DOTALL)
    first, *deeper = wanted.split("/")
    is_deep = bool(deeper) or "**" in first
    enters = re.compile(".*" if "**" in first else _as_regex(first), re.DOTALL) if is_deep else None
    for path, size in _below(url, base, enters):
        name = path.rstrip("/")[len(base) + 1 :]
        if pattern.fullmatch(name) is not None and (size == FOLDER) in kinds:
            yield path, size


def cannot_list(error: BaseException, url: RemoteUrl) -> ImageError:
    """The error for a URL that cannot be looked up now."""
    if problem_of(error) == "no bucket":
        return _no_bucket(url)
    return ImageError(f"cannot be listed: {reason_of(error)}", where=url.name)


def _no_bucket(url: RemoteUrl) -> ImageError:
    return ImageError("the bucket does not exist", where=f"{url.scheme}://{url.bucket}")


def _below(url: RemoteUrl, base: str, enters: re.Pattern[str] | None = _ALL) -> Iterator[RemoteEntry]:
    """The files and folders below a folder, sorted by path; the path of a folder ends with a slash.

    Subfolders are listed at the same time and one by one, because a listing takes about 300 bytes of memory per file.

    Args:
        enters: matches the names of the folders in `base` that are listed; None for none.
    """
    try:
        files, _ = file_system(url)
        try:
            top, has_empty_names = _listed(files, base, recursive=False)
            if has_empty_names:  # the folder of a key such as a//b cannot be listed alone
                top, _ = _listed(files, base, recursive=enters is not None)
                enters = None
        except FileNotFoundError:
            check_bucket(url)
            return

        def entered(entry: RemoteEntry) -> bool:
            name = entry[0][len(base) + 1 : -1]
            return entry[1] == FOLDER and enters is not None and enters.fullmatch(name) is not None

        def below(entry: RemoteEntry) -> Iterator[RemoteEntry]:
            inner = _listed(files, entry[0][:-1], recursive=True)[0] if entered(entry) else ()
            return chain((entry,), inner)

        for entries in in_order(top, below, entered):
            yield from entries
    except (OSError, ValueError) as error:
        raise cannot_list(error, url) from error


def _listed(files: FileSystem, folder: str, *, recursive: bool) -> tuple[CompactSort[RemoteEntry], bool]:
    """The files and folders below a folder, and whether a folder has an empty name."""
    from pyarrow.fs import FileSelector, FileType

    found = CompactSort[RemoteEntry]()
    has_empty_names = False
    infos = files.get_file_info(FileSelector(folder, recursive=recursive))
    while infos:  # each is released when it was copied
        info = infos.pop()
        if info.type == FileType.File:
            found.add((info.path, info.size))
        elif info.type == FileType.Directory:
            found.add((info.path + "/", FOLDER))
            has_empty_names |= info.path == folder or info.path.endswith("/")
    return found, has_empty_names


def _as_regex(pattern: str) -> str:
    parts: list[str] = []
    for part in _PARTS.findall(pattern):
        if part == "**/":
            parts.append("(?:[^/]+/)*")
        elif part == "**":
            parts.append(".*")
        elif part in ("*", "?"):
            parts.append("[^/]" + part.replace("?", ""))
        elif len(part) > 2 and part[0] == "[":
            inside = part[1:-1]
            negated = inside[0] == "!"
            inside = re.sub(r"([\\\[&~|^])", r"\\\1", inside[negated:])
            parts.append(f"(?!/)[{'^' * negated}{inside}]")
        else:
            parts.append(re.escape(part))
    return "".join(parts)
