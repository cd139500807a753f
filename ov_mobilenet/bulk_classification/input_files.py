"""The files that INPUT arguments stand for, one after the other: images, tar shards and Parquet files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import IO, Literal, NamedTuple

from ov_mobilenet.bulk_classification.remote_files import RemoteUrl, is_remote, parse_url
from ov_mobilenet.bulk_classification.remote_inputs import (
    FOLDER,
    check_bucket,
    is_pattern,
    kind_of,
    list_folder,
    match_pattern,
)
from ov_mobilenet.bulk_classification.remote_reading import open_remote
from ov_mobilenet.bulk_classification.shards import ShardReadError
from ov_mobilenet.errors import ImageError, UsageError
from ov_mobilenet.images.image_files import IMAGE_SUFFIXES
from ov_mobilenet.images.image_folders import iter_images
from ov_mobilenet.inputs.sources import (
    SHARD_SUFFIXES,
    STREAM_SCHEMES,
    Source,
    masked,
    read_paths,
    source_of_path,
    sources_of,
)
from ov_mobilenet.operating_system.open_file import open_file
from ov_mobilenet.operating_system.path_texts import has_drive

PARQUET_SUFFIX = ".parquet"

_NAMES = {"video": "a video", "camera": "a camera", "stream": "a network stream", "stdin": "paths on stdin"}


class InputFile(NamedTuple):
    """A file with one image or many.

    Attributes:
        path: a path, or an s3:// or gs:// URL with its options.
        size: in bytes; None if it was not looked up.
        problem: why it cannot be read; None if it may be readable.
    """

    kind: Literal["image", "tar", "parquet"]
    path: str
    size: int | None = None
    problem: str | None = None


def find_files(inputs: Iterable[str]) -> Iterator[InputFile]:
    """The files of all inputs in order. A missing file counts as an image, unless its name is that of a shard.

    Raises:
        UsageError: an input is a video, a camera, a stream or stdin; nothing matches a pattern; a folder is missing, or
            has shards and no images.
        ImageError: a list cannot be read; a bucket cannot be listed.
    """
    for text in inputs:
        if is_remote(text):
            yield from _remote(parse_url(text))
            continue
        scheme = text.partition("://")[0]
        if "://" in text and not has_drive(text) and scheme.isalnum() and scheme.lower() not in STREAM_SCHEMES:
            raise UsageError("unsupported URL scheme", where=masked(text), expected="s3 or gs", got=scheme)
        for source in sources_of(text):
            is_path = source.text == text and (has_drive(text) or "://" not in text)
            if is_path and glob.has_magic(text) and not os.path.lexists(text):
                raise UsageError("no file matches the pattern", where=text)
            if is_path and source.kind == "images" and not os.path.lexists(text) and not _has_known_suffix(text):
                # As a failure in the results it would be part of the inputs, and the corrected command be refused.
                raise UsageError("no such file or folder", where=text)
            yield from _list(source.text) if source.kind == "list" else _local(source)


def _local(source: Source) -> Iterator[InputFile]:
    if source.kind == "shard":
        yield InputFile("tar", source.text)
    elif source.kind == "folder":
        yield from _folder(source.text)
    elif source.kind != "images":
        raise UsageError(
            "not supported by bulk", where=masked(source.text),
            expected="images, folders, lists, .tar or .parquet files", got=_NAMES.get(source.kind, source.kind),
            fix="Use ov-mobilenet classify for it",
        )  # fmt: skip
    elif source.text.lower().endswith(PARQUET_SUFFIX):
        yield InputFile("parquet", source.text)
    else:
        yield InputFile("image", source.text)


def _folder(path: str) -> Iterator[InputFile]:
    is_empty = True
    for image in iter_images(path):
        is_empty = False
        yield InputFile("image", image.path, problem=image.problem)
    if is_empty:
        for _, _, names in os.walk(path):
            for name in names:
                if (suffix := _shard_suffix(name)) is not None:
                    raise _only_shards(os.path.join(path, ""), suffix)  # noqa: PTH118 (keeps the user's spelling)


def _remote_folder(url: RemoteUrl) -> Iterator[InputFile]:
    is_empty, suffix = True, None
    for path, size in list_folder(url):
        if _is_image(path):
            is_empty = False
            yield InputFile("image", url.sibling(path).text, size)
        suffix = suffix or _shard_suffix(path)
    if is_empty and suffix is not None:
        raise _only_shards(url.name.rstrip("/") + "/", suffix)


def _remote(url: RemoteUrl, *, patterns: bool = True) -> Iterator[InputFile]:
    kind, size = ("folder", None) if url.key.endswith("/") and not is_pattern(url) else kind_of(url)
    if kind == "folder":
        yield from _remote_folder(url)
    elif kind == "nothing" and patterns and is_pattern(url):
        is_empty = True
        for path, matched in match_pattern(url):
            is_empty = False
            inner = url.sibling(path)
            yield from _remote_folder(inner) if matched == FOLDER else (_remote_file(inner, matched),)
        if is_empty:
            raise UsageError("no file matches the pattern", where=url.name)
    else:
        if kind == "nothing":
            check_bucket(url)
        yield _remote_file(url, size)


def _remote_file(url: RemoteUrl, size: int | None) -> InputFile:
    suffix = _shard_suffix(url.key)
    return InputFile("image" if suffix is None else "parquet" if suffix == PARQUET_SUFFIX else "tar", url.text, size)


def _list(text: str) -> Iterator[InputFile]:
    """The entries of a list. One that cannot be read ends the run: a failure in its place would look complete."""
    try:
        with _opened_list(text) as stream:
            for path in read_paths(stream, comments=True):
                if is_remote(path):
                    url = parse_url(path)
                    # Not looked up one by one, which would take 20 to 200 ms each.
                    yield from (
                        (_remote_file(url, None),) if _has_known_suffix(url.key) else _remote(url, patterns=False)
                    )
                elif (source := source_of_path(path)).kind == "refused":
                    problem = "a list can only contain paths, and URLs that begin with s3:// or gs://"
                    yield InputFile("image", source.text, problem=problem)
                else:
                    yield from _local(source)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"the list cannot be read ({reason})", where=text) from error
    except ShardReadError as error:
        raise ImageError(f"the list cannot be read ({error})") from error


def _opened_list(text: str) -> IO[bytes]:
    if is_remote(text):
        return BufferedReader(open_remote(parse_url(text), read_ahead=True))
    return open_file(Path(text))


def _is_image(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 (many files)


def _shard_suffix(path: str) -> str | None:
    lower = path.lower()
    return next((suffix for suffix in (*SHARD_SUFFIXES, PARQUET_SUFFIX) if lower.endswith(suffix)), None)


def _has_known_suffix(path: str) -> bool:
    return _is_image(path) or _shard_suffix(path) is not None


def _only_shards(folder: str, suffix: str) -> UsageError:
    return UsageError(
        "a folder stands for the images in it, and there are none",
        where=folder,
        expected="image files",
        got=f"{suffix} files",
        fix=f"Give these files: '{folder}**/*{suffix}'",
    )
