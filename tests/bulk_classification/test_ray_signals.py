"""Signals while Ray starts, without Ray: its handlers are replaced by those of this program, and none is lost."""

from __future__ import annotations

import signal
import sys

import pytest

from ov_mobilenet.bulk_classification.ray_cluster import _own_signal_handlers
from ov_mobilenet.cli.signals import Terminated, unwinding_signals


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_sigterm_while_ray_starts_is_sigterm_of_the_command() -> None:
    """Ray's own handler raises SystemExit, which the command took for a closed stdout (exit code 141)."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), unwinding_signals(), _own_signal_handlers():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as `ray.init` does
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_handlers_are_restored_after_ray_has_started() -> None:
    with unwinding_signals():
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        with _own_signal_handlers():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
