"""`Store`: the folder or bucket that a bulk run writes; every file appears in it whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mmap import mmap
from pathlib import Path
from typing import IO, NoReturn, Protocol

from ov_mobilenet.bulk_classification.output_advice import AGAIN, OTHER_OUTPUT
from ov_mobilenet.bulk_classification.remote_files import is_remote
from ov_mobilenet.errors import OutputError, UsageError
from ov_mobilenet.operating_system.path_texts import has_drive
from ov_mobilenet.operating_system.replacing import delete_file, replace_file, sync_folder
from ov_mobilenet.outputs.output_files import raise_write_error
from ov_mobilenet.outputs.writer_lock import WriterLock

LOCK = ".ov-mobilenet.lock"
PARTIAL_SUFFIX = ".ov-partial"
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{16}" + re.escape(PARTIAL_SUFFIX))


class Store(Protocol):
    """A folder of files.

    All methods raise OutputError if the folder cannot be read or written.

    Attributes:
        text: the folder or URL as given.
        parallel: number of requests that are worth sending at the same time.
    """

    text: str
    parallel: int

    def begin(self) -> None:
        """Prepare to write: create the folder if it is missing, and lock it until `end` if that is possible."""

    def end(self) -> None:
        """Unlock the folder. Further calls do nothing."""

    def sizes(self) -> dict[str, int]:
        """The size of each file in bytes, by name, and `NAME/` for each subfolder; empty if there is no such folder."""

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes of a file, or a range of them."""

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading at any position."""

    def write(self, name: str, data: bytes | mmap) -> None:
        """Write a file; an existing one is replaced when the new one is complete. A `mmap` is not copied to memory."""

    def delete(self, name: str) -> None:
        """Delete a file; a missing one is no error."""

    def holds(self, path: str) -> bool:
        """Whether a path or URL is that of a file in this folder, which need not exist."""


class LocalFolder:
    """A `Store` on a disk of this machine, or a network drive.

    A file is written under a hidden temporary name, forced to the disk and renamed. `begin` locks the folder: the lock
    of a process that was killed is gone, and the next run deletes its temporary files.
    """

    parallel = 1

    def __init__(self, text: str) -> None:
        self.text = text
        self._folder = Path(text)
        self._lock: WriterLock | None = None

    def begin(self) -> None:
        """See `Store`."""
        lock = self._folder / LOCK
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = WriterLock(lock)
            self._delete_partial()
        except OutputError as error:
            raise OutputError(
                "another run is writing to this folder", where=self.text, fix=f"Wait until it ends. {OTHER_OUTPUT}"
            ) from error
        except (FileExistsError, NotADirectoryError) as error:
            self._raise_not_a_folder(error)
        except OSError as error:
            self.end()
            raise_write_error(self.text, error, fix=OTHER_OUTPUT)

    def end(self) -> None:
        """See `Store`."""
        if self._lock is not None:
            with suppress(OSError):  # of worker processes that were killed
                self._delete_partial()
            # Deleted while it is locked: a process that has opened it notices that it is not the current one.
            with suppress(OSError):
                self._lock.path.unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    def _delete_partial(self) -> None:
        for path in self._folder.iterdir():
            if _PARTIAL.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def sizes(self) -> dict[str, int]:
        """See `Store`."""
        found: dict[str, int] = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.is_dir():
                        found[f"{entry.name}/"] = 0
                        continue
                    with suppress(FileNotFoundError):  # deleted or renamed now
                        found[entry.name] = entry.stat().st_size
        except FileNotFoundError:
            return {}
        except NotADirectoryError as error:
            self._raise_not_a_folder(error)
        except OSError as error:
            self._raise_unreadable(self.text, error)
        return found

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See `Store`."""
        with self._reading(name), self.open(name) as file:
            file.seek(offset)
            return file.read(-1 if length is None else length)

    def open(self, name: str) -> IO[bytes]:
        """See `Store`."""
        with self._reading(name):
            return (self._folder / name).open("rb")

    def write(self, name: str, data: bytes | mmap) -> None:
        """See `Store`."""
        path = self._folder / name
        temporary = self._folder / f".{name}.{secrets.token_hex(8)}{PARTIAL_SUFFIX}"
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # a power cut must not leave the name without the content
            replace_file(temporary, path)
            sync_folder(self._folder)
        except BaseException as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if isinstance(error, FileNotFoundError):
                raise OutputError(
                    "the folder does not exist on this machine, or was deleted", where=self.text,
                    fix="On a cluster, use a folder that all machines share, or s3:// or gs://",
                ) from error  # fmt: skip
            if isinstance(error, OSError):
                raise_write_error(path, error, fix=AGAIN, fix_full=f"Free disk space. {AGAIN}")
            raise

    def delete(self, name: str) -> None:
        """See `Store`."""
        try:
            delete_file(self._folder / name)
        except OSError as error:
            raise_write_error(self._folder / name, error, fix=OTHER_OUTPUT)

    def holds(self, path: str) -> bool:
        """See `Store`."""
        return not is_remote(path) and Path(path).parent.resolve() == self._folder.resolve()

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._raise_unreadable(self._folder / name, error)

    def _raise_unreadable(self, where: object, error: OSError) -> NoReturn:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OutputError(f"the output cannot be read ({reason})", where=where, fix=OTHER_OUTPUT) from error

    def _raise_not_a_folder(self, error: OSError) -> NoReturn:
        raise OutputError(
            "the output is not a folder", where=self.text, expected="a folder, which is created if it is missing",
            got="a file", fix=OTHER_OUTPUT,
        ) from error  # fmt: skip


def open_store(text: str) -> Store:
    """The store at a path or an s3:// or gs:// URL. Nothing is created.

    Raises:
        UsageError: `text` is empty, or an invalid URL.
        OutputError: the bucket cannot be reached.
        MissingDependencyError: pyarrow is not installed.
    """
    if not text:  # as of a variable of a shell that is not set; `Path` would take it for the current folder
        raise UsageError("the output has no name", expected="a folder, s3:// or gs://", got="an empty text")
    if is_remote(text):
        from ov_mobilenet.bulk_classification.bucket_store import BucketStore

        return BucketStore(text)
    if "://" in text and not has_drive(text):
        raise UsageError("the output is a URL that bulk cannot write", expected="a folder, s3:// or gs://", got=text)
    return LocalFolder(text)
