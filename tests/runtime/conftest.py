"""A time limit for each test of this folder: its tests wait for threads."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def terminal(pytestconfig: pytest.Config) -> Iterator[int]:
    """The standard error of the run. In a test it is captured, and what is captured is lost if the process ends."""
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        descriptor = os.dup(2)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(autouse=True)
def watchdog(terminal: int) -> Iterator[None]:
    """End the run if a test hangs, and print the stack of every thread."""
    faulthandler.dump_traceback_later(120, exit=True, file=terminal)
    yield
    faulthandler.cancel_dump_traceback_later()
