"""`classify` on lists, shards, videos and streams: output, messages and exit codes."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import small_networks as small
from inputs.media import image, shard, video

from ov_mobilenet.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write_onnx(tmp_path_factory.mktemp("inputs") / "small")


def classify(
    network: Path, capfd: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, list[dict[str, Any]], str]:
    capfd.readouterr()
    code = main(["classify", str(network), *map(str, arguments), "--geometry", "resize 32", "--format", "jsonl"])
    out, err = capfd.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def classify_in_process(network: Path, *arguments: str | Path) -> tuple[int, list[dict[str, Any]], str]:
    """`classify` in a process of its own, which loads OpenCV only after our settings."""
    words = ["classify", network, *arguments, "--geometry", "resize 32", "--format", "jsonl"]
    done = subprocess.run(
        [sys.executable, "-m", "ov_mobilenet", *map(str, words)], capture_output=True, text=True, cwd=ROOT, timeout=100
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_video_frames_have_a_number_and_a_time(
    network: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = video(tmp_path / "v.avi", 50)
    code, rows, _ = classify(network, capfd, path, "--every", "10")
    assert code == 0
    assert [(row["source"], row["frame"]) for row in rows] == [(str(path), n) for n in range(0, 50, 10)]
    assert [row["time_s"] for row in rows] == pytest.approx([0, 0.4, 0.8, 1.2, 1.6])
    assert all("age_ms" not in row for row in rows)


def test_results_before_a_damage_are_kept_and_each_failure_is_reported_once(network: Path, tmp_path: Path) -> None:
    early = video(tmp_path / "early.avi", 50)
    early.write_bytes(early.read_bytes()[: early.stat().st_size // 2])
    (tmp_path / "junk.mp4").write_bytes(b"junk" * 1000)
    members = {"a.jpg": image(), "bad.jpg": image()[:60], "c.jpg": image()}
    cut = shard(tmp_path / "cut.tar", members)
    cut.write_bytes(cut.read_bytes().rstrip(b"\0"))
    good = tmp_path / "good.jpg"
    good.write_bytes(image())
    code, rows, err = classify_in_process(network, early, tmp_path / "junk.mp4", cut, "gone.jpg", good)
    assert code == 1
    failures = [row["source"] for row in rows if "error" in row]
    assert failures == [str(early), str(tmp_path / "junk.mp4"), f"{cut}/bad.jpg", str(cut), "gone.jpg"]
    assert rows[-1]["source"] == str(good)
    assert "predictions" in rows[-1]
    assert sum("frame" in row for row in rows) > 10
    # The IR, one message per failure and a count: no messages of FFmpeg or OpenCV.
    chosen, *messages, summary = err.splitlines()
    assert chosen.startswith("using IR ")
    assert [line.split(": ")[1] for line in messages] == failures
    assert summary == f"5 of {len(rows)} images could not be classified"


@pytest.mark.parametrize("live", [True, False])
def test_failures_are_not_counted_as_classified(
    live: bool, network: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.png").write_bytes(b"x")
    code, rows, err = classify(network, capfd, "9797" if live else tmp_path / "bad.png", "--limit", "1")
    assert code == 1
    assert ["error" in row for row in rows] == [True]
    expected = "0 classified, 1 failed, 0 frames dropped" if live else "1 of 1 images could not be classified"
    assert err.splitlines()[-1] == expected


def test_limit_takes_the_first_images_of_lists_and_stdin(
    network: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        Path(f"{name}.jpg").write_bytes(image())
    Path("list.txt").write_text("# mine\na.jpg\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"b.jpg\nc.jpg\n")))
    code, rows, _ = classify(network, capfd, "@list.txt", "-", "--limit", "2")
    assert code == 0
    assert [row["source"] for row in rows] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["0", "{image}"], "a live source never ends"),
        (["-", "--loop"], "cannot be looped"),
        (["@{empty}"], "no images"),
        (["ftp://me:secret@host/x.jpg"], "ftp://***@host/x.jpg: unsupported URL scheme"),
        (["{image}", "--every", "0"], "--every"),
        (["{image}", "--max-fps", "0"], "--max-fps"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    network: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (tmp_path / "p.jpg").write_bytes(image())
    (tmp_path / "empty.txt").write_text("")
    names = {"image": tmp_path / "p.jpg", "empty": tmp_path / "empty.txt"}
    code, rows, err = classify(network, capfd, *[argument.format(**names) for argument in arguments])
    assert (code, rows) == (2, [])
    assert message in err
    assert "secret" not in err


def test_a_missing_stream_or_camera_is_one_message(network: Path) -> None:
    for text, shown in (("http://me:secret@127.0.0.1:9/x", "http://***@127.0.0.1:9/x"), ("9797", "9797")):
        code, rows, err = classify_in_process(network, text, "-q")
        assert code == 1
        assert [row["source"] for row in rows] == [shown]
        assert err.startswith(f"error: {shown}: ")
        assert err.count("\n") == 1
        assert "secret" not in err + str(rows)


class _Endless(BaseHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        data = image(100, 64)
        try:
            while True:
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data))
                self.wfile.write(data + b"\r\n")
        except OSError:
            pass


@pytest.fixture
def camera() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endless)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}/live"
    server.shutdown()
    server.server_close()


def test_results_of_a_stream_have_an_age(network: Path, camera: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, rows, err = classify(network, capfd, f"http://me:secret@{camera}", "--limit", "5")
    assert code == 0
    assert [row["source"] for row in rows] == [f"http://***@{camera}"] * 5
    assert all(row["age_ms"] > 0 for row in rows)
    frames = [row["frame"] for row in rows]
    assert frames == sorted(set(frames))
    assert err.splitlines()[-1].startswith("5 classified, ")
    assert "frames dropped" in err
    assert "secret" not in err


@pytest.mark.parametrize("form", ["table", "jsonl"])
def test_results_of_a_stream_are_there_after_ctrl_c(network: Path, camera: str, form: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ov_mobilenet", "classify", str(network), f"http://{camera}", "--format", form],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert camera in process.stdout.readline()  # at once, though stdout is a pipe
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "frames dropped" in err
    assert "Traceback" not in err
