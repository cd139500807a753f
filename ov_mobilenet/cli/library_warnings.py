"""Python warnings of the libraries, such as those of torch: one line in the log instead of two with source code."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

log = logging.getLogger("ov_mobilenet.libraries")

# Meant for the developers of programs: the user of a command can do nothing about them.
FOR_DEVELOPERS = (FutureWarning, DeprecationWarning, PendingDeprecationWarning)


@contextmanager
def warnings_in_log() -> Iterator[None]:
    """Log Python warnings: at level INFO those for developers, which only `-v` shows, otherwise at WARNING."""
    shown_before = warnings.showwarning

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
        line: str | None = None,
    ) -> None:  # fmt: skip
        level = logging.INFO if issubclass(category, FOR_DEVELOPERS) else logging.WARNING
        log.log(level, "%s", " ".join(str(message).split()))
        log.debug("%s at %s:%d", category.__name__, filename, lineno)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown_before
