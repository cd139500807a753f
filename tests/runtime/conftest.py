"""A time limit for each test of this folder: its tests wait for threads."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """End the run if a test hangs, and print the stack of every thread."""
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
