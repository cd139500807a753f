"""What a step of the gate tells: a line with its time, or the expectation that did not hold."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic


class ExpectationError(Exception):
    """Something that README or a Dockerfile promises is not so; the text says what, and what was found."""


def expect(holds: bool, promise: str, found: object) -> None:
    """Raises: ExpectationError."""
    if not holds:
        raise ExpectationError(f"expected: {promise}; found: {found}")


def report(text: str) -> None:
    """Print one line at once, in order with the output of other programs."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print the name of a step and how long it took."""
    started = monotonic()
    yield
    report(f"ok  {monotonic() - started:5.0f} s  {name}")
