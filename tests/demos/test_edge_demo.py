"""`edge_api_demo.py`, its unit and its container."""

from __future__ import annotations

import configparser
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import pytest
from edge_api_demo import Watchdog
from running import DEMOS, ROOT, environment, frames_of, lines, run, start, truth

DEMO = "edge_api_demo.py"
EDGE = DEMOS / "edge"


def test_without_arguments_one_line_a_frame() -> None:
    done = run(DEMO)
    assert done.returncode == 0, done.stderr
    results, labels = lines(done.stdout), truth()
    assert [result["frame"] for result in results] == list(range(len(labels)))
    named = [r["predictions"][0]["label"] == label for r, label in zip(results, labels, strict=True) if label]
    assert sum(named) / len(named) >= 0.9
    assert "Metrics report: 384 classified" in done.stderr


class Camera(BaseHTTPRequestHandler):
    """An MJPEG stream without end, as network cameras have them."""

    image = b""
    fall_silent = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            while not self.fall_silent.wait(0.01):
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + self.image + b"\r\n")
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def camera() -> Iterator[str]:
    Camera.image = cv2.imencode(".jpg", frames_of(DEMOS / "data" / "sample_drive.mp4")[19])[1].tobytes()
    Camera.fall_silent.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/video"
    Camera.fall_silent.set()
    server.shutdown()
    server.server_close()


def streams_can_be_read() -> bool:
    return cv2.CAP_FFMPEG in cv2.videoio_registry.getStreamBackends()


@pytest.mark.skipif(not streams_can_be_read(), reason="this OpenCV has no FFmpeg")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_camera_until_a_signal(camera: str, number: int, code: int, tmp_path: Path) -> None:
    process = start(DEMO, "-i", camera)
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(10)]
    process.send_signal(number)
    rest, said = process.communicate(timeout=30)
    assert process.returncode == code, said
    results = lines("".join(first) + rest)  # every line is whole
    assert all(result["age_ms"] > 0 for result in results)
    assert [result["frame"] for result in results] == sorted({result["frame"] for result in results})
    assert f"Metrics report: {len(results)} classified" in said


@pytest.mark.skipif(not streams_can_be_read(), reason="this OpenCV has no FFmpeg")
def test_systemd_is_told(camera: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        process = start(DEMO, "-i", camera)
        assert [channel.recv(64) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        process.send_signal(signal.SIGTERM)
        while channel.recv(64) != b"STOPPING=1":
            pass
        process.communicate(timeout=30)


def test_the_watchdog_ends_a_process_that_hangs() -> None:
    script = "import edge_api_demo, threading; edge_api_demo.Watchdog(0.1); threading.Event().wait()"
    env = environment() | {"PYTHONPATH": os.pathsep.join([str(DEMOS), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 1
    assert done.stderr == "error: no answer for 0.1 s; giving up\n"


def test_a_watchdog_that_is_stopped_ends_nothing() -> None:
    watchdog = Watchdog(0.02)
    watchdog.stop()
    threading.Event().wait(0.1)


def test_a_camera_that_is_not_there_is_one_message() -> None:
    done = run(DEMO, "-i", 77)
    assert done.returncode == 1
    (line,) = lines(done.stdout)
    assert "no such camera" in line["error"]
    assert "Metrics report: 0 classified, 1 failed" in done.stderr


def test_the_unit_starts_what_is_there_with_options_it_knows() -> None:
    unit = configparser.ConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(EDGE / "ov-mobilenet-edge.service")
    _, script, *words = unit["Service"]["ExecStart"].split()
    assert script.removeprefix("/opt/ov-mobilenet/") == "demos/edge_api_demo.py"
    assert (ROOT / "demos/edge_api_demo.py").is_file()
    assert run(DEMO, *words, "--help").returncode == 0
    assert float(unit["Service"]["WatchdogSec"]) > float(words[words.index("--watchdog") + 1])
    assert unit["Service"]["SuccessExitStatus"] == "143"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = (EDGE / "ov-mobilenet-edge.service").read_text()
    unit = tmp_path / "trial.service"
    unit.write_text(text.replace("/opt/ov-mobilenet/.venv/bin/python", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert str(unit.name) not in done.stderr, done.stderr


def test_the_linter_finds_nothing_in_the_dockerfile() -> None:
    linter = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if linter is None:
        pytest.skip("hadolint is not here")
    done = subprocess.run([linter, str(EDGE / "Dockerfile")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_container_is_small_unprivileged_and_without_windows() -> None:
    text = (EDGE / "Dockerfile").read_text()
    assert text.count("FROM python:") == text.count("-slim")
    assert "opencv-python-headless" in text
    assert "\nUSER 10001\n" in text
    for line in text.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
