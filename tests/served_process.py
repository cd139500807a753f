"""`ov-mobilenet serve` as a process, and programs of other environments that ask it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(__file__).with_name("interop")
ENDS_WITHIN_S = 60
# Environment variable, folder of the environment, and a module that must be there.
CLIENTS = ("SERVE_CLIENTS_PYTHON", ".venv-serve-clients", "tritonclient.grpc")
KSERVE = ("SERVE_KSERVE_PYTHON", ".venv-serve-kserve", "kserve")
MODEL_API = ("MODEL_API_PYTHON", ".venv-mapi", "tritonclient.http")


@dataclass(frozen=True)
class ServedProcess:
    """A server that is ready.

    Attributes:
        http, grpc: addresses, as HOST:PORT.
        log: its stderr.
    """

    process: subprocess.Popen[str]
    http: str
    grpc: str
    log: Path

    @property
    def url(self) -> str:
        return f"http://{self.http}"

    @property
    def port(self) -> int:
        return int(self.http.rpartition(":")[2])

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    @property
    def resident_mb(self) -> float:
        """Its resident memory, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    @property
    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    @property
    def open_sockets(self) -> int:
        """How many sockets it holds, the two that listen included."""
        count = 0
        for file in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                count += str(file.readlink()).startswith("socket:")
            except FileNotFoundError:  # closed meanwhile
                continue
        return count


@contextmanager
def serving(models: Mapping[str, str | Path], folder: Path, *options: object) -> Iterator[ServedProcess]:
    """A server of models by their names, on free ports, at f32.

    Args:
        folder: for its caches and its log.
        options: further options of `serve`.
    """
    named = [word for name, model in models.items() for word in ("--name", f"{name}={model}")]
    command = [
        sys.executable, "-m", "ov_mobilenet", "serve", *named, "--port", "0", "--grpc-port", "0",
        "--device", "CPU", "--inference-precision", "f32", *map(str, options),
    ]  # fmt: skip
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    log = folder / "server.log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment) as process,
    ):
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, f"the server did not start:\n{log.read_text()[-4000:]}"
            told = json.loads(line)
            yield ServedProcess(process, urlsplit(told["url"]).netloc, told["grpc"], log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert code == 0, f"the server ended with {code}:\n{log.read_text()[-4000:]}"


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something that another process does is done, at most a minute."""
    deadline = time.monotonic() + ENDS_WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def python_of(environment: tuple[str, str, str]) -> Path:
    """The Python of a client's environment; the test is skipped without it."""
    variable, folder, module = environment
    python = Path(os.environ.get(variable, ROOT / folder / "bin" / "python"))
    # Only the first name is looked for: the package itself would be imported otherwise.
    probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module.partition('.')[0]!r}) is None)"
    if not python.is_file() or subprocess.run([python, "-I", "-c", probe]).returncode:
        pytest.skip(f"needs {module} in an environment of its own, which make test-serve makes, or {variable}")
    return python


def answer_of(environment: tuple[str, str, str], program: str, *arguments: str, given: Any = None) -> Any:
    """The JSON that a program of tests/interop prints.

    Args:
        given: what it reads from stdin, as JSON.
    """
    done = subprocess.run(
        [python_of(environment), "-I", PROGRAMS / program, *arguments],
        input=None if given is None else json.dumps(given), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)
