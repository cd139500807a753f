"""Read files in S3 and Google Cloud Storage: whole ones many at a time, large ones in blocks that are read ahead.

Errors are ShardReadError where another attempt may help, and OSError where it does not.
"""

from __future__ import annotations

import errno
import io
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from ov_mobilenet.bulk_classification.remote_files import RemoteUrl, file_system, problem_of, reason_of
from ov_mobilenet.bulk_classification.shards import ShardReadError
from ov_mobilenet.errors import ImageError
from ov_mobilenet.images.image_files import MAX_FILE_BYTES

if TYPE_CHECKING:
    from typing_extensions import Buffer

# One request takes 20 to 200 ms, so many small files are read at a time.
FILES_AHEAD = 16
# A larger file is not read before it is needed, so that the files that wait need at most 16 x 16 MiB.
MAX_AHEAD_BYTES = 16 << 20
BLOCK_BYTES, BLOCKS_AHEAD, BLOCKS_KEPT = 4 << 20, 3, 8

Task = TypeVar("Task")
Done = TypeVar("Done")


def in_order(
    tasks: Iterable[Task], work: Callable[[Task], Done], needs_thread: Callable[[Task], bool]
) -> Generator[Done, None, None]:
    """The results of `work` for all tasks in their order; up to `FILES_AHEAD` of them run in threads at a time.

    Args:
        needs_thread: whether a task is done in a thread, or at once because it does not wait for a network.
    """
    waiting: deque[Future[Done] | Done] = deque()
    pool: ThreadPoolExecutor | None = None
    try:
        for task in tasks:
            if needs_thread(task):
                pool = pool or ThreadPoolExecutor(FILES_AHEAD, "remote-file")
                waiting.append(pool.submit(work, task))
            elif waiting:
                waiting.append(work(task))
            else:
                yield work(task)
            while waiting and (len(waiting) > FILES_AHEAD or not isinstance(waiting[0], Future)):
                yield _result(waiting.popleft())
        while waiting:
            yield _result(waiting.popleft())
    finally:
        if pool is not None:
            # Requests that no server answers end after their own time limit: they do not delay an interrupted run.
            pool.shutdown(wait=False, cancel_futures=True)


def _result(done: Future[Done] | Done) -> Done:
    return done.result() if isinstance(done, Future) else done


def read_image(url: RemoteUrl, max_bytes: int = MAX_FILE_BYTES) -> bytes | ImageError | None:
    """The bytes of an image file, the error in its place, or None if it is larger than `max_bytes`.

    Raises:
        AccessDeniedError: access is denied.
        ShardReadError: it cannot be read now.
    """
    try:
        with open_remote(url) as file:
            if file.size > MAX_FILE_BYTES:
                return ImageError("file too large", expected=f"at most {MAX_FILE_BYTES} bytes", got=file.size)
            return None if file.size > max_bytes else file.at(0, file.size)
    except OSError as error:
        return ImageError(f"cannot be read ({error.strerror or error})")


def is_readable(url: RemoteUrl) -> bool:
    """Whether a file can be read now."""
    try:
        with open_remote(url) as file:
            file.at(0, 1)
    except (ShardReadError, OSError):
        return False
    return True


def open_remote(url: RemoteUrl, *, read_ahead: bool = False) -> RemoteFile:
    """Open a file for reading in any order.

    Args:
        read_ahead: it is read from front to back; the next blocks are requested at the same time.

    Raises:
        AccessDeniedError: access is denied.
        ShardReadError: it cannot be read now.
        OSError: it does not exist, or cannot be read for another reason.
    """
    try:
        files, path = file_system(url)
        native = files.open_input_file(path)
    except (OSError, ValueError) as error:
        raise read_error(error, url) from error
    return ReadAheadFile(native, url) if read_ahead else RemoteFile(native, url)


def read_error(error: Exception, url: RemoteUrl) -> Exception:
    """The error to raise for an error of `pyarrow.fs`; see `open_remote`."""
    problem, reason = problem_of(error), reason_of(error)
    if problem == "missing":
        return FileNotFoundError(errno.ENOENT, reason)
    if problem == "invalid":
        return OSError(errno.EINVAL, reason)
    return (AccessDeniedError if problem == "denied" else ShardReadError)(f"{url.name}: {reason}")


class AccessDeniedError(ShardReadError):
    """Access to a file is denied: to this file alone, or to all because the credentials have expired."""


class RemoteFile(io.RawIOBase):
    """An open file.

    Attributes:
        size: in bytes.
    """

    def __init__(self, native: Any, url: RemoteUrl) -> None:
        """Use `open_remote` instead.

        Args:
            native: `pyarrow.NativeFile`.
        """
        self._native = native
        self._url = url
        self._position = 0
        self.size: int = native.size()

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def tell(self) -> int:
        """See `io.RawIOBase`."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.RawIOBase`."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        """See `io.RawIOBase`."""
        view = memoryview(buffer).cast("B")
        data = self._some(self._position, len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def at(self, offset: int, count: int) -> bytes:
        """Read `count` bytes, or fewer at the end. Thread-safe. Raises: see `open_remote`."""
        count = min(count, self.size - offset)
        if count <= 0:
            return b""
        try:
            data: bytes = self._native.read_at(count, offset)
        except (OSError, ValueError) as error:
            raise read_error(error, self._url) from error
        if len(data) != count:
            raise ShardReadError(f"{self._url.name}: the answer has {len(data)} of {count} bytes")
        return data

    def close(self) -> None:
        """See `io.RawIOBase`."""
        if not self.closed:
            self._native.close()
        super().close()

    def _some(self, offset: int, count: int) -> bytes:
        """At least one byte, except at the end."""
        return self.at(offset, count)


class ReadAheadFile(RemoteFile):
    """An open file that is read from front to back: the next blocks are requested at the same time."""

    def __init__(self, native: Any, url: RemoteUrl) -> None:
        super().__init__(native, url)
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._pool = ThreadPoolExecutor(1 + BLOCKS_AHEAD, "remote-block")

    def close(self) -> None:
        """See `io.RawIOBase`."""
        if not self.closed:
            self._pool.shutdown(cancel_futures=True)
        super().close()

    def _some(self, offset: int, count: int) -> bytes:
        number, begin = divmod(offset, BLOCK_BYTES)
        for wanted in range(number, number + 1 + BLOCKS_AHEAD):
            if wanted not in self._blocks and wanted * BLOCK_BYTES < self.size:
                self._blocks[wanted] = self._pool.submit(self.at, wanted * BLOCK_BYTES, BLOCK_BYTES)
        if number not in self._blocks:  # after the end
            return b""
        self._blocks.move_to_end(number)
        while len(self._blocks) > BLOCKS_KEPT:
            self._blocks.popitem(last=False)[1].cancel()
        return self._blocks[number].result()[begin : begin + count]
