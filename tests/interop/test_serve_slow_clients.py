"""slowhttptest, of Debian, against `serve`: other clients are answered meanwhile, and its connections are ended."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from served_images import ServedImages, drawn_images
from served_process import ServedProcess, serving, wait_until

from ov_mobilenet.cli.demo import SAMPLE

pytestmark = pytest.mark.serve

CONNECTIONS = 200
LASTS_S = 8
LIMIT_S = 2
# One byte every second or so. For slow reading, the answer to two requests is read 8 bytes at a time.
ATTACKS = {
    "slow headers": ["-H", "-i", "1", "-x", "8"],
    "slow body": ["-B", "-i", "1", "-x", "8", "-s", "100000"],
    "slow reading": ["-X", "-n", "1", "-w", "1", "-y", "2", "-z", "8", "-k", "2"],
}
PATHS = {"slow headers": "/v2", "slow body": "/v2/models/signs/infer", "slow reading": "/v2/models/signs"}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ServedImages:
    return drawn_images(SAMPLE, tmp_path_factory.mktemp("images"), 2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedProcess]:
    limits = [
        word for name in ("--header-timeout", "--body-timeout", "--idle-timeout") for word in (name, str(LIMIT_S))
    ]  # fmt: skip
    with serving({"signs": SAMPLE}, tmp_path_factory.mktemp("server"), *limits) as process:
        yield process


@pytest.mark.parametrize("attack", ATTACKS)
def test_slow_connections(attack: str, server: ServedProcess, images: ServedImages, tmp_path: Path) -> None:
    program = shutil.which("slowhttptest")
    if program is None:
        pytest.skip("needs slowhttptest (Debian: apt-get install slowhttptest)")

    def classes() -> list[int]:
        answer = requests.post(f"{server.url}/v1/classify", data=images.files[0].read_bytes(), timeout=10)
        assert answer.status_code == 200, answer.text
        return [one["class_id"] for one in answer.json()["predictions"]]

    expected = [class_id for _, class_id, _ in images.classes_of(images.files[0], 5)]
    before = server.open_sockets
    assert classes() == expected
    command = [
        program, *ATTACKS[attack], "-c", str(CONNECTIONS), "-r", str(CONNECTIONS), "-l", str(LASTS_S), "-p", "3",
        "-u", server.url + PATHS[attack], "-g", "-o", str(tmp_path / "slow"),
    ]  # fmt: skip
    answered, most, last = 0, 0, 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        while running.poll() is None:
            assert classes() == expected
            answered, last = answered + 1, server.open_sockets
            most = max(most, last)
            with suppress(subprocess.TimeoutExpired):
                running.wait(0.1)
        assert running.stdout is not None
        told = running.stdout.read()
    assert running.returncode == 0, told[-2000:]
    assert answered > 10 and server.runs
    assert most > CONNECTIONS / 2, "the connections of slowhttptest were not open at the same time"
    # slowhttptest ends early if the server closed all of them. One that reads slowly does not notice it.
    assert "No open connections left" in told or last <= before + 1, (last, before, told[-2000:])
    wait_until(lambda: server.open_sockets <= before, f"{server.open_sockets} sockets are open, {before} before")
