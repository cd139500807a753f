"""`ov-mobilenet serve` as a process, and what it prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = "mobilenet-v1-0.25-128-signs"
TIMEOUT_S = 60


@dataclass(frozen=True)
class ServerProcess:
    """A server that is ready.

    Attributes:
        announced: the line of JSON on its stdout.
    """

    process: subprocess.Popen[str]
    announced: dict[str, Any]

    @property
    def port(self) -> int:
        """The port of HTTP."""
        return int(self.announced["url"].rpartition(":")[2])

    def end(self, signum: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; returns the exit code and the rest of stderr."""
        self.process.send_signal(signum)
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        assert out == "", "one line is all that a server prints on stdout"
        return self.process.returncode, err


@contextmanager
def served(*arguments: str | Path, environment: dict[str, str] | None = None) -> Iterator[ServerProcess]:
    """Start the command on free ports, with the CPU at f32, and wait until it is ready."""
    process = start(
        *arguments, "--port", "0", "--grpc-port", "0", "-d", "CPU", "--inference-precision", "f32",
        environment=environment,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate(timeout=TIMEOUT_S)[1]
        yield ServerProcess(process, json.loads(line))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=TIMEOUT_S)


def start(*arguments: str | Path, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `ov-mobilenet serve` with these arguments."""
    return subprocess.Popen(
        [sys.executable, "-m", "ov_mobilenet", "serve", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
    )  # fmt: skip
