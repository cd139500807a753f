"""A server, a model it serves, and a watchdog that ends a test which hangs."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks.fuzz import Hung
from attacks.fuzz_summary import write_summary
from attacks.loopback_server import PROXY_VARIABLES, WATCHDOG_S, Server, serving
from attacks.served_model import ServedModel


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    write_summary(terminalreporter)


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    def raise_hung(signum: int, frame: object) -> None:
        raise Hung(f"not finished after {WATCHDOG_S} s")

    before = signal.signal(signal.SIGALRM, raise_hung)
    signal.alarm(WATCHDOG_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1 in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    key, made, both = folder / "key.pem", folder / "made.pem", folder / "both.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=loopback -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [openssl, *words.split(), "-keyout", key, "-out", made], check=True, capture_output=True, timeout=WATCHDOG_S
    )
    both.write_bytes(key.read_bytes() + made.read_bytes())
    return both


@pytest.fixture
def served(tmp_path: Path, server: Server) -> ServedModel:
    return ServedModel(tmp_path, server)
