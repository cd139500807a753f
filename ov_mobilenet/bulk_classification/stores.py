"""`Store`: the folder or bucket that a bulk run writes; every file appears in it whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Protocol

from ov_mobilenet.errors import OutputError


class Store(Protocol):
    """A folder of files, without subfolders.

    All methods raise OutputError if the folder cannot be read or written.
    """

    text: str

    def sizes(self) -> dict[str, int]:
        """The size of each file in bytes, by name; empty if the folder does not exist."""

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes of a file, or a range of them."""

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading at any position."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file; an existing one is replaced when the new one is complete."""

    def write_file(self, name: str, source: Path) -> None:
        """Like `write`, with the content of a local file, in bounded memory."""

    def delete(self, name: str) -> None:
        """Delete a file; a missing one is no error."""


class LocalFolder:
    """A `Store` on a disk of this machine, or a network drive."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._folder = Path(text)

    def sizes(self) -> dict[str, int]:
        """See `Store`."""
        try:
            with os.scandir(self._folder) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except FileNotFoundError:
            return {}

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See `Store`."""
        with self.open(name) as file:
            file.seek(offset)
            return file.read(-1 if length is None else length)

    def open(self, name: str) -> IO[bytes]:
        """See `Store`."""
        return (self._folder / name).open("rb")

    def write(self, name: str, data: bytes) -> None:
        """See `Store`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{name}.{os.getpid()}.ov-partial"
        temporary.write_bytes(data)
        temporary.replace(self._folder / name)

    def write_file(self, name: str, source: Path) -> None:
        """See `Store`."""
        self.write(name, source.read_bytes())

    def delete(self, name: str) -> None:
        """See `Store`."""
        (self._folder / name).unlink(missing_ok=True)


def open_store(text: str) -> Store:
    """The store at a path or an s3:// or gs:// URL. Nothing is created. Raises: OutputError."""
    if "://" in text:
        raise OutputError("not supported yet", where=text)
    return LocalFolder(text)
