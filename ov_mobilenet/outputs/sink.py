"""What every output is: something that takes results one by one."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

import msgspec

from ov_mobilenet.runtime.results import Result


class Sink(ABC):
    """Takes results one by one; `close` ends the document."""

    @abstractmethod
    def put(self, result: Result) -> None:
        """Write one result, or keep it for `close`.

        Raises:
            OutputError: it cannot be written; what was written before is kept.
        """

    def close(self) -> None:  # noqa: B027 (most have nothing to end)
        """End the output. Raises: OutputError."""


def encodable_source(source: str) -> str:
    """The name as UTF-8 can hold it: bytes of a file name that are none appear as `\\xff`."""
    return os.fsencode(source).decode("utf-8", "backslashreplace")


def encodable(result: Result) -> Result:
    """The result with a source that UTF-8 can hold."""
    source = encodable_source(result.source)
    return result if source == result.source else msgspec.structs.replace(result, source=source)
