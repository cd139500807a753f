"""`BucketStore`: a bulk output in S3 or Google Cloud Storage, through `pyarrow.fs`.

A file is one upload, which appears when it is complete. pyarrow has no way to abort an upload: a stream that is closed,
garbage-collected or left by an exception completes it with what was written so far. So a stream is
only opened when all bytes are there, and used in a thread of its own, which Ctrl-C and SIGTERM do not interrupt; the
size is checked after it. Of a process that is killed nothing appears; its unfinished upload takes space until a
lifecycle rule of the bucket (`AbortIncompleteMultipartUpload`) deletes it.

Buckets are not locked. Two runs into one bucket at the same time write equal parts, and the last manifest remains.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from mmap import mmap
from typing import IO, TYPE_CHECKING, cast

from ov_mobilenet.bulk_classification.output_advice import AGAIN, OTHER_OUTPUT
from ov_mobilenet.bulk_classification.remote_files import file_system, is_remote, parse_url, problem_of, reason_of
from ov_mobilenet.errors import OutputError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem


# Of an upload; memory holds about two of them.
CHUNK = 32 << 20
# Before an upload is tried again after a lost connection, beyond the attempts of each request.
PAUSES_S = (1.0, 5.0, 20.0)


class BucketStore:
    """A `Store` in a bucket.

    Raises:
        UsageError: the URL is invalid.
        OutputError: the region of the bucket cannot be found out.
        MissingDependencyError: pyarrow is not installed.
    """

    parallel = 16

    def __init__(self, text: str) -> None:
        url = parse_url(text)
        self.text = text
        self._name = url.name.rstrip("/")
        self._fs: FileSystem
        with self._reporting("", OTHER_OUTPUT):
            self._fs, root = file_system(url)
        self._root = root.rstrip("/")

    def begin(self) -> None:
        """See `Store`; a bucket has no folders, and is not locked."""

    def end(self) -> None:
        """See `Store`."""

    def sizes(self) -> dict[str, int]:
        """See `Store`."""
        from pyarrow import fs

        with self._reporting("", OTHER_OUTPUT):
            found = self._fs.get_file_info(fs.FileSelector(self._root, allow_not_found=True))
        return {one.base_name if one.is_file else f"{one.base_name}/": one.size or 0 for one in found}

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See `Store`."""
        with self._reporting(name, AGAIN), self._fs.open_input_file(self._path(name)) as file:
            data: bytes = file.read_at(file.size() - offset if length is None else length, offset)
            return data

    def open(self, name: str) -> IO[bytes]:
        """See `Store`."""
        with self._reporting(name, AGAIN):
            return cast("IO[bytes]", self._fs.open_input_file(self._path(name)))

    def write(self, name: str, data: bytes | mmap) -> None:
        """See `Store`."""
        with self._reporting(name, AGAIN), ThreadPoolExecutor(1) as thread:
            for pause in (*PAUSES_S, None):
                try:
                    thread.submit(self._upload, self._path(name), data).result()
                except OSError as error:
                    if pause is None or problem_of(error) != "lost":
                        raise
                    time.sleep(pause)
                else:
                    return

    def delete(self, name: str) -> None:
        """See `Store`."""
        with self._reporting(name, OTHER_OUTPUT), suppress(FileNotFoundError):
            self._fs.delete_file(self._path(name))

    def holds(self, path: str) -> bool:
        """See `Store`; another endpoint is not told apart."""
        return is_remote(path) and parse_url(path).name.rpartition("/")[0] == self._name

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _upload(self, path: str, data: bytes | mmap) -> None:
        stream = self._fs.open_output_stream(path)
        try:
            with memoryview(data) as view:
                for begin in range(0, len(data), CHUNK):
                    with view[begin : begin + CHUNK] as chunk:
                        stream.write(chunk)
                    stream.flush()  # otherwise all chunks wait in memory to be sent
        finally:
            stream.close()  # an error if a chunk could not be sent; then the upload is not completed
            size = self._fs.get_file_info(path).size
            if size != len(data):
                self._fs.delete_file(path)
                raise OSError(f"the file has {size} bytes after the upload of {len(data)} bytes")

    @contextmanager
    def _reporting(self, name: str, fix: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            if problem_of(error) not in ("lost", "missing"):
                fix = f"Correct the URL or the access to the bucket. {fix}"
            where = f"{self._name}/{name}" if name else self._name
            raise OutputError(
                f"the output cannot be read or written ({reason_of(error)})", where=where, fix=fix
            ) from error
