"""All errors that the toolkit raises on purpose, as one tree. The number is the exit code of the command line.

OvMobilenetError               1   base class
 ├─ UsageError                 2   invalid command line or function call
 │   └─ UnknownModelError      2   no model with this name or path
 ├─ ConfigError                1   invalid model.yml, accuracy-check.yml or labels file
 ├─ DownloadError              1   a source file cannot be downloaded
 │   ├─ OfflineError           1   a file is missing in offline mode
 │   ├─ HashMismatchError      3   size or digest differ from the description
 │   └─ ArchiveError           1   an archive is broken or unsafe
 ├─ ConversionError            1   the source network cannot be converted
 │   └─ AlreadyNormalisedError 1   the normalisation would be applied twice
 ├─ VerificationError          3   the IR and its source network give different results
 ├─ AccuracyError              3   accuracy below the floor, or too far from its reference
 ├─ DatasetError               1   invalid dataset, annotation file or predictions file
 ├─ MissingDependencyError     1   an optional package is not installed
 ├─ IrError                    1   an IR is broken or unsupported, or was written by a newer version
 ├─ DeviceError                1   a device or a device setting is not available
 ├─ ImageError                 1   an image cannot be read
 ├─ QueueFullError             1   a queue has no room for another image
 ├─ DeadlineError              1   an image was not classified in time
 ├─ ServerError                1   a server cannot listen
 └─ OutputError                1   results cannot be written
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self


class OvMobilenetError(Exception):
    """Base class of all errors. The message is one line: what happened, where, expected, got, what to do.

    Attributes:
        what: what happened, in lower case and without a full stop.
        where: the file, line, key, model or URL.
        expected: what was expected.
        got: what was found.
        fix: what to do, as a sentence without its full stop.
        exit_code: what the command line ends with.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        fix: str | None = None,
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.expected = None if expected is None else str(expected)
        self.got = None if got is None else str(got)
        self.fix = fix
        super().__init__(self._render())

    def _render(self) -> str:
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        facts = [f"expected {self.expected}"] if self.expected is not None else []
        if self.got is not None:
            facts.append(f"got {self.got}")
        if facts:
            text += ": " + ", ".join(facts)
        if self.fix:
            text += f". {self.fix}"
        return printable(text)

    def at(self, where: object) -> Self:
        """This error with a place; itself, if it has one."""
        if self.where is not None:
            return self
        return type(self)(self.what, where=where, expected=self.expected, got=self.got, fix=self.fix)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep all fields when the error is pickled."""
        return _rebuild, (type(self), self.what, self.where, self.expected, self.got, self.fix)


def install_extra(extra: str) -> str:
    """The command that installs an optional dependency of this package, for the field `fix` of an error.

    A checkout is installed from its folder, because no package index has to know it.
    """
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").is_file():
        return install_command("-e", f"{checkout}[{extra}]")
    return install_command(f"ov-mobilenet[{extra}]")


def install_command(*arguments: str) -> str:
    """The command that installs packages into the environment of this process, for the field `fix` of an error.

    `pip` if the shell finds that of this environment, otherwise `PYTHON -m pip`.
    """
    found = shutil.which("pip")
    is_ours = not sys.executable or (found is not None and Path(found).parent == Path(sys.executable).parent)
    return f"Run: {'pip' if is_ours else f'{shlex.quote(sys.executable)} -m pip'} install {shlex.join(arguments)}"


def printable(text: str) -> str:
    """Escape every character that is not printable: the result is one line without terminal control codes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _rebuild(
    kind: type[OvMobilenetError],
    what: str,
    where: str | None,
    expected: str | None,
    got: str | None,
    fix: str | None,
) -> OvMobilenetError:
    return kind(what, where=where, expected=expected, got=got, fix=fix)


class UsageError(OvMobilenetError):
    """The command line, or a call of the Python API, is invalid."""

    exit_code = 2


class UnknownModelError(UsageError):
    """There is no model with this name and no file at this path."""


class ConfigError(OvMobilenetError):
    """A model description, or a file it refers to, is invalid."""


class DownloadError(OvMobilenetError):
    """A source file cannot be downloaded from any of its sources."""


class OfflineError(DownloadError):
    """A file is not on disk and cannot be downloaded in offline mode."""


class HashMismatchError(DownloadError):
    """The size or the digest of a file differs from the description."""

    exit_code = 3


class ArchiveError(DownloadError):
    """An archive is broken, unsafe, or lacks a file that the description refers to."""


class ConversionError(OvMobilenetError):
    """The source network cannot be converted as described."""


class AlreadyNormalisedError(ConversionError):
    """The graph already holds a normalisation, which would be applied twice."""


class VerificationError(OvMobilenetError):
    """The results of the IR and of its source network differ by more than the tolerance."""

    exit_code = 3


class AccuracyError(OvMobilenetError):
    """A measured accuracy is below the floor, or too far from its reference."""

    exit_code = 3


class DatasetError(OvMobilenetError):
    """A dataset, its annotation file or a predictions file is invalid."""


class MissingDependencyError(OvMobilenetError):
    """An optional package is required and not installed."""


class IrError(OvMobilenetError):
    """An IR cannot be read, is not supported, or was written by a newer version of the toolkit."""


class DeviceError(OvMobilenetError):
    """A device, or a setting of a device, is not available."""


class ImageError(OvMobilenetError):
    """An image cannot be read, or its shape or type does not match the network's input."""


class QueueFullError(OvMobilenetError):
    """A queue has no room for another image; try again later."""


class DeadlineError(OvMobilenetError):
    """An image was not classified within its time limit."""


class ServerError(OvMobilenetError):
    """A server cannot listen on its address."""


class OutputError(OvMobilenetError):
    """Results cannot be written, or the existing output was not written by this command."""
