"""`edge_api_demo.py`, its systemd unit and its Dockerfile."""

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
import edge_api_demo
import pytest
from running import DEMOS, ROOT, environment, frames_of, json_lines, run, start, true_labels

DEMO = "edge_api_demo.py"
EDGE = DEMOS / "edge"


def test_without_arguments_it_prints_one_line_per_frame() -> None:
    done = run(DEMO)
    assert done.returncode == 0, done.stderr
    results, labels = json_lines(done.stdout), true_labels()
    assert [result["frame"] for result in results] == list(range(len(labels)))
    correct = [r["predictions"][0]["label"] == label for r, label in zip(results, labels, strict=True) if label]
    assert sum(correct) / len(correct) >= 0.9
    assert "Metrics report: 384 classified" in done.stderr


class Camera(BaseHTTPRequestHandler):
    """An endless MJPEG stream, as a network camera sends it."""

    image = b""
    stop = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            while not self.stop.wait(0.01):
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + self.image + b"\r\n")
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def camera() -> Iterator[str]:
    Camera.image = cv2.imencode(".jpg", frames_of(DEMOS / "data" / "sample_drive.mp4")[19])[1].tobytes()
    Camera.stop.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/video"
    Camera.stop.set()
    server.shutdown()
    server.server_close()


def opencv_reads_streams() -> bool:
    return cv2.CAP_FFMPEG in cv2.videoio_registry.getStreamBackends()


@pytest.mark.skipif(not opencv_reads_streams(), reason="this OpenCV has no FFmpeg")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_it_after_the_current_results_are_written(camera: str, number: int, code: int) -> None:
    process = start(DEMO, "-i", camera)
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(10)]
    process.send_signal(number)
    rest, stderr = process.communicate(timeout=30)
    assert process.returncode == code, stderr
    results = json_lines("".join(first) + rest)  # no line is cut off
    assert all(result["age_ms"] > 0 for result in results)
    assert [result["frame"] for result in results] == sorted({result["frame"] for result in results})
    assert f"Metrics report: {len(results)} classified" in stderr


@pytest.mark.skipif(not opencv_reads_streams(), reason="this OpenCV has no FFmpeg")
def test_systemd_is_notified_of_start_results_and_stop(
    camera: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_the_watchdog_exits_a_process_that_hangs() -> None:
    done = run_script("edge_api_demo.Watchdog(0.1); threading.Event().wait()")
    assert done.returncode == 1
    assert done.stderr == "error: no result for 0.1 s; exiting\n"


def test_a_watchdog_that_is_reset_in_time_does_not_exit_the_process() -> None:
    done = run_script(
        "watchdog = edge_api_demo.Watchdog(2)\n"
        "for _ in range(30):\n    time.sleep(0.1); watchdog.reset()\n"
        "watchdog.stop(); print('still running')"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "still running\n", "")


def test_a_stopped_watchdog_does_not_exit_the_process() -> None:
    script = "watchdog = edge_api_demo.Watchdog(0.1); {}; time.sleep(0.5); print('still running')"
    assert run_script(script.format("pass")).returncode == 1  # what the stop prevents
    done = run_script(script.format("watchdog.stop()"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "still running\n", "")


def run_script(script: str) -> subprocess.CompletedProcess[str]:
    """Run Python code that uses `edge_api_demo` in its own process."""
    env = environment() | {"PYTHONPATH": os.pathsep.join([str(DEMOS), str(ROOT)])}
    code = f"import edge_api_demo, threading, time\n{script}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=env)


def test_a_missing_camera_is_one_message() -> None:
    done = run(DEMO, "-i", 77)
    assert done.returncode == 1
    (line,) = json_lines(done.stdout)
    assert "no such camera" in line["error"]
    assert "Metrics report: 0 classified, 1 failed" in done.stderr


def test_the_systemd_unit_runs_the_demo_with_valid_options(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = configparser.ConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(EDGE / "ov-mobilenet-edge.service")
    _, script, *words = unit["Service"]["ExecStart"].split()
    assert script.removeprefix("/opt/ov-mobilenet/") == "demos/edge_api_demo.py"
    assert (ROOT / "demos/edge_api_demo.py").is_file()
    monkeypatch.setattr(sys, "argv", [DEMO, *words])
    parsed = edge_api_demo.parse_options()
    assert parsed.input == "0"
    assert float(unit["Service"]["WatchdogSec"]) > parsed.watchdog
    assert unit["Service"]["SuccessExitStatus"] == "143"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    text = (EDGE / "ov-mobilenet-edge.service").read_text()
    unit = tmp_path / "trial.service"
    unit.write_text(text.replace("/opt/ov-mobilenet/.venv/bin/python", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert str(unit.name) not in done.stderr, done.stderr


def test_hadolint_reports_nothing_for_the_dockerfile() -> None:
    linter = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if linter is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([linter, str(EDGE / "Dockerfile")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_container_is_slim_unprivileged_and_headless() -> None:
    text = (EDGE / "Dockerfile").read_text()
    assert "\nARG BASE=python:3.12-slim\n" in text
    assert text.count("\nFROM ${BASE}") == text.count("\nFROM ") == 2
    assert "opencv-python-headless" in text
    assert "\nUSER 10001\n" in text
    for line in text.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
