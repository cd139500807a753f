"""Every error a user can meet, as one tree.

    OvMobilenetError               1   something failed
     ├─ UsageError                 2   the command line or a call is wrong
     │   └─ UnknownModelError      2
     ├─ ConfigError                1   model.yml, accuracy-check.yml, a labels file
     ├─ DownloadError              1   a source file could not be had
     │   ├─ OfflineError           1
     │   ├─ HashMismatchError      3   the bytes are not those the description names
     │   └─ ArchiveError           1   an archive is broken or hostile
     ├─ ConversionError            1   the network cannot be converted
     │   └─ AlreadyNormalisedError 1   mean, scale or channel order would be applied twice
     ├─ VerificationError          3   the IR and its source network differ
     ├─ AccuracyError              3   an accuracy is not what was asked for
     ├─ DatasetError               1   images with their classes, or a file about them, cannot be used
     ├─ MissingDependencyError     1   an optional package is not installed
     ├─ IrError                    1   an IR is broken or from a newer toolkit
     ├─ DeviceError                1   the device or a setting of it is not there
     ├─ ImageError                 1   one image cannot be read
     └─ OutputError                1   the results cannot be written

The number is the exit code of the command line.
"""

from __future__ import annotations

from typing import Any, ClassVar


class OvMobilenetError(Exception):
    """Base of all errors; says what, where, expected, got and what to do in one line."""

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

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep every field when the error crosses a process border."""
        return _rebuild, (type(self), self.what, self.where, self.expected, self.got, self.fix)


def printable(text: str) -> str:
    """The text with all that is no visible character escaped: one line, and nothing that a terminal obeys."""
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
    """The command line, or a call of the Python API, is wrong."""

    exit_code = 2


class UnknownModelError(UsageError):
    """No description of that name, nor a file of that path."""


class ConfigError(OvMobilenetError):
    """A description, or a file it needs, does not hold what it should."""


class DownloadError(OvMobilenetError):
    """A source file could not be had from any of its sources."""


class OfflineError(DownloadError):
    """A file is not here and the network may not be used."""


class HashMismatchError(DownloadError):
    """The bytes are not those that the description names."""

    exit_code = 3


class ArchiveError(DownloadError):
    """An archive is broken, hostile, or lacks what the description refers to."""


class ConversionError(OvMobilenetError):
    """The source network cannot be converted as its description says."""


class AlreadyNormalisedError(ConversionError):
    """Mean, scale or channel order are in the graph already and would be applied twice."""


class VerificationError(OvMobilenetError):
    """The IR and its source network differ by more than the tolerance."""

    exit_code = 3


class AccuracyError(OvMobilenetError):
    """An accuracy lies below the floor, or too far from its reference."""

    exit_code = 3


class DatasetError(OvMobilenetError):
    """Images with their classes, or a file about them, cannot be used."""


class MissingDependencyError(OvMobilenetError):
    """An optional package is needed and not installed."""


class IrError(OvMobilenetError):
    """An IR cannot be read, or was written by a newer toolkit."""


class DeviceError(OvMobilenetError):
    """A device, or a setting of it, is not available."""


class ImageError(OvMobilenetError):
    """One image cannot be read or has a form the network cannot take."""


class OutputError(OvMobilenetError):
    """The results cannot be written where they should go, or what is there is no such output."""
