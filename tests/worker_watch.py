"""Makes it visible if a worker of pytest-xdist hangs or ends: otherwise the run waits for ever, or looks complete."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Generator

import pytest

# Longer than any test takes, also on a machine that is slow or busy.
HANGS_AFTER_S = 600.0


class WorkerWatch:
    """In a worker: ends the process and prints the stack of each thread if no test begins or ends for a long time.

    This includes a worker that waits for its next test. The run then fails with the name of the test that hung.
    """

    def __init__(self) -> None:
        self._stderr = os.dup(2)  # while a test runs, file descriptor 2 is a temporary file

    def _restart(self) -> None:
        faulthandler.dump_traceback_later(HANGS_AFTER_S, exit=True, file=self._stderr)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        self._restart()
        try:
            return (yield)
        finally:
            self._restart()  # tests with a time limit of their own have ended it

    def pytest_unconfigure(self) -> None:
        """A worker without tests waits for the end of the run, which may be far away."""
        faulthandler.cancel_dump_traceback_later()


class RunWatch:
    """In the process that starts the workers: a run that did not run all tests fails.

    xdist reports a worker that ends while it runs a test as a failure, but not one that ends between two tests.
    """

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self._missing = 0

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._begun.add(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._missing = session.testscollected - len(self._begun)
        if self._missing and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._missing:
            terminalreporter.write_line(f"{self._missing} tests were not run", red=True)


def watch(config: pytest.Config) -> None:
    """Watch this run, if it is one with workers."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        config.pluginmanager.register(WorkerWatch())
    elif config.getoption("numprocesses", default=None):
        config.pluginmanager.register(RunWatch())
