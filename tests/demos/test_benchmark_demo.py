"""`classification_benchmark_demo.py` without a display."""

from __future__ import annotations

import re
from pathlib import Path
from time import sleep
from typing import cast

import classification_benchmark_demo
import numpy as np
import pytest
from display import Metrics, VideoFile, Window
from running import SAMPLES, frames_of, json_lines, run

DEMO = "classification_benchmark_demo.py"


def test_output_video_shows_the_grid_and_accuracy_is_reported(tmp_path: Path) -> None:
    labels = (SAMPLES.parent / "labels.txt").read_text().split("\n")
    names = sorted(path.name for path in SAMPLES.glob("*.jpg"))
    classes = [labels.index(name[:-7].replace("_", " ")) for name in names]
    classes[0] = (classes[0] + 1) % 16  # one wrong label in twelve
    (tmp_path / "truth.txt").write_text("".join(f"{n} {c}\n" for n, c in zip(names, classes, strict=True)))
    video = tmp_path / "out.mp4"
    done = run(DEMO, "--no_show", "-o", video, "-time", 3, "-gt", tmp_path / "truth.txt")
    assert done.returncode == 0, done.stderr
    accuracy, labelled = re.findall(r"^accuracy ([\d.]+)% of (\d+)$", done.stderr, re.MULTILINE)[0]
    assert abs(float(accuracy) - 100 * 11 / 12) < 2
    assert int(labelled) > 50
    assert "Metrics report: " in done.stderr
    frames = frames_of(video)
    assert frames[0].shape == (720, 1280, 3)
    assert np.abs(frames[-1].astype(int) - frames[0]).max() > 60


def test_runs_without_arguments_and_without_a_display() -> None:
    done = run(DEMO, "-time", 0.5)
    assert done.returncode == 0
    assert done.stderr.startswith("no display")
    assert "0 failed" in done.stderr


def test_unreadable_images_are_reported_and_skipped(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"not an image")
    done = run(DEMO, "--no_show", "-time", 0.2, "-i", tmp_path)
    assert done.returncode == 1
    assert "bad.jpg: cannot be read as an image" in done.stderr
    (tmp_path / "good.jpg").write_bytes((SAMPLES / "stop_red_01.jpg").read_bytes())
    done = run(DEMO, "--no_show", "-time", 0.2, "-i", tmp_path)
    assert done.returncode == 1
    assert " classified, 1 failed" in done.stderr


def test_a_video_that_cannot_be_written_does_not_replace_the_reason_of_the_end(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "out.mp4"
    with pytest.raises(KeyboardInterrupt), VideoFile(path, limit=0) as video:
        video.write(np.zeros((16, 16, 3), np.uint8), None, default_fps=1.0)
        raise KeyboardInterrupt
    with pytest.raises(OSError, match="the folder does not exist"), VideoFile(path, limit=0) as video:
        video.write(np.zeros((16, 16, 3), np.uint8), None, default_fps=1.0)


def test_invalid_ground_truth_is_one_error_message(tmp_path: Path) -> None:
    (tmp_path / "truth.txt").write_text("stop_red_01.jpg stop\n")
    done = run(DEMO, "--no_show", "-time", 0.2, "-gt", tmp_path / "truth.txt")
    assert done.returncode == 1
    assert "truth.txt: expected `NAME CLASS_ID` on each line" in done.stderr
    assert "Traceback" not in done.stderr


def test_nt_counts_a_label_among_the_first_classes_as_correct(tmp_path: Path) -> None:
    labels = (SAMPLES.parent / "labels.txt").read_text().split("\n")
    second = json_lines(run("classification_demo.py", "-i", SAMPLES, "-nt", 2, "--no_show", "-r").stdout)
    truth = "".join(f"{Path(r['source']).name} {labels.index(r['predictions'][1]['label'])}\n" for r in second)
    (tmp_path / "truth.txt").write_text(truth)
    for nt, expected in ((1, 0.0), (4, 100.0)):  # 4: batches and bf16 may swap classes of equal probability
        done = run(DEMO, "--no_show", "-time", 0.7, "-gt", tmp_path / "truth.txt", "--nt", nt, "-d", "CPU")
        accuracy = re.findall(r"^accuracy ([\d.]+)% of", done.stderr, re.MULTILINE)[0]
        assert abs(float(accuracy) - expected) < 10


def test_a_slow_screen_does_not_take_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, counts = Metrics(), list[int]()

    class SlowWindow:
        def show(self, _: object) -> int | None:
            sleep(0.06)  # longer than the time between two frames
            counts.append(metrics.classified)
            return None if len(counts) == 8 else -1

    monkeypatch.setattr("sys.argv", [DEMO, "--no_show", "-d", "CPU"])
    options = classification_benchmark_demo.parse_options()
    window = cast("Window", SlowWindow())
    assert classification_benchmark_demo.run(options, metrics, window, VideoFile(None, limit=0)) == 0
    assert np.median(np.diff(counts)) > 3  # images between two frames
