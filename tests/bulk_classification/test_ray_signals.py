"""Signals while Ray starts, without Ray: its handlers are replaced by those of this program, and none is lost."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own: a signal that nobody takes ends it.
PROGRAM = """
import signal, sys
from ov_mobilenet.bulk_classification.ray_cluster import _own_signal_handlers
from ov_mobilenet.cli.signals import Terminated, unwinding_signals

def handlers():
    return signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

with unwinding_signals():
    before = handlers()
    with _own_signal_handlers():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as `ray.init` does
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("restored", handlers() == before)
try:
    with unwinding_signals(), _own_signal_handlers():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        signal.raise_signal(signal.SIGTERM)
except Terminated:
    print("terminated")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_handlers_are_restored_and_a_sigterm_while_ray_starts_is_one_of_the_command() -> None:
    """Ray's own handler raises SystemExit, which the command took for a closed stdout (exit code 141)."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout.split("\n")) == (0, ["restored True", "terminated", ""]), ended.stderr
