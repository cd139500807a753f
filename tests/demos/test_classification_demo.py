"""`classification_demo.py` without a display."""

from __future__ import annotations

import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
from running import DEMOS, SAMPLES, frames_of, lines, run, start, truth

DEMO = "classification_demo.py"
VIDEO = DEMOS / "data" / "sample_drive.mp4"


def test_without_arguments_and_without_a_display() -> None:
    done = run(DEMO)
    assert done.returncode == 0
    assert done.stdout == ""
    first, second, *_ = done.stderr.splitlines()
    assert first == "no display (DISPLAY is not set): going on as with --no_show"
    assert second.startswith("Metrics report: 384 classified, 0 failed")
    for stage in ("decode", "geometry", "queue", "inference", "latency"):
        assert f"\n{stage}" in done.stderr


def test_signs_of_the_sample_video_are_named_right() -> None:
    done = run(DEMO, "--no_show", "-r", "-topk", 2)
    results, labels = lines(done.stdout), truth()
    assert [result["frame"] for result in results] == list(range(len(labels)))
    assert {len(result["predictions"]) for result in results} == {2}
    named = [r["predictions"][0]["label"] == label for r, label in zip(results, labels, strict=True) if label]
    assert len(named) > 100
    assert sum(named) / len(named) >= 0.9


def test_probabilities_are_over_all_classes_not_the_shown_ones() -> None:
    for topk in (1, 16):
        results = lines(run(DEMO, "--no_show", "-r", "-topk", topk).stdout)
        sums = np.array([sum(best["probability"] for best in result["predictions"]) for result in results])
        assert np.allclose(sums, 1, atol=1e-3) == (topk == 16)


def test_a_display_that_is_not_there_does_not_end_it() -> None:
    process = start(DEMO, "-i", SAMPLES / "stop_red_01.jpg", display=":31999")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said.startswith("the display cannot be opened (DISPLAY=:31999): going on as with --no_show\n")
    assert "1 classified" in said


@pytest.mark.parametrize(("name", "arguments", "count"), [
    ("o.mp4", ["-limit", 30], 30), ("o.avi", ["-limit", 30], 30), ("o.mp4", [], 384),
])  # fmt: skip
def test_the_output_is_a_video_of_what_is_shown(tmp_path: Path, name: str, arguments: list, count: int) -> None:
    done = run(DEMO, "--no_show", "-o", tmp_path / name, "--output_resolution", "641x480", *arguments)
    assert done.returncode == 0, done.stderr
    frames = frames_of(tmp_path / name)
    assert len(frames) == count
    assert frames[0].shape == (480, 640, 3)
    capture = cv2.VideoCapture(str(tmp_path / name))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)  # plays as fast as it was taken
    plain = cv2.resize(frames_of(VIDEO)[20], (640, 480))
    changed = np.abs(frames[20].astype(int) - plain).max(axis=2) > 60
    assert changed[:150, :300].any()  # the classes
    assert changed[-60:, :200].any()  # figures
    assert not changed[:, 450:].any()


def test_images_of_all_sizes_become_one_video(tmp_path: Path) -> None:
    for number, size in enumerate([(64, 48), (320, 240), (101, 333), (2, 2)]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((size[1], size[0], 3), 90, np.uint8))
    done = run(DEMO, "--no_show", "-i", tmp_path, "-o", tmp_path / "o.avi")
    assert done.returncode == 0, done.stderr
    assert [frame.shape for frame in frames_of(tmp_path / "o.avi")] == [(48, 64, 3)] * 4


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_report_and_a_video_that_plays(tmp_path: Path, number: int, code: int) -> None:
    video = tmp_path / "o.mp4"
    process = start(DEMO, "--no_show", "--loop", "-r", "-o", video, "-limit", 0)
    assert process.stdout is not None
    for _ in range(60):
        process.stdout.readline()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert said.splitlines()[1].startswith("ms ")
    assert said.startswith("Metrics report: ")
    assert len(frames_of(video)) >= 50


@pytest.mark.parametrize("options", [
    ["--mean_values", "127.5 127.5 127.5"], ["--scale_values", "127.5"], ["--reverse_input_channels"],
])  # fmt: skip
def test_a_second_normalisation_is_an_error(options: list[str]) -> None:
    done = run(DEMO, "--no_show", *options)
    assert done.returncode == 1
    assert "already normalised; the given normalisation would be applied a second time" in done.stderr
    assert "Metrics report: 0 classified" in done.stderr


def test_an_ir_without_normalisation_gets_what_is_given(tmp_path: Path) -> None:
    import openvino as ov

    bare = ov.convert_model(SAMPLES.parent / "road-signs.onnx")
    ov.save_model(bare, tmp_path / "bare.xml", compress_to_fp16=False)
    given = ["--mean_values", "127.5 127.5 127.5", "--scale_values", "127.5", "--reverse_input_channels"]
    common = ["-m", tmp_path / "bare.xml", "-i", SAMPLES, "--labels", SAMPLES.parent / "labels.txt", "--no_show", "-r"]
    done = run(DEMO, *common, *given, "--layout", "NCHW")
    assert done.returncode == 0, done.stderr
    for result in lines(done.stdout):
        assert Path(result["source"]).name.startswith(result["predictions"][0]["label"].replace(" ", "_"))


FAULTS = {
    "no camera": (["-i", "77"], "there is no such camera"),
    "no image": (["-i", "nothing.jpg"], "nothing.jpg"),
    "no model": (["-m", "mobilenet-v9"], "mobilenet-v9"),
    "no device": (["-d", "GPU.7"], "GPU.7"),
    "no encoder": (["-o", "{tmp}/out.xyz"], "out.xyz cannot be written"),
    "no folder": (["-o", "{tmp}/nowhere/out.mp4"], "there is no such folder"),
    "no labels": (["--labels", "{tmp}/labels.txt"], "labels file cannot be read"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_message_and_the_report(fault: str, tmp_path: Path) -> None:
    arguments, message = FAULTS[fault]
    done = run(DEMO, "--no_show", *[word.format(tmp=tmp_path) for word in arguments])
    assert done.returncode in (1, 2)
    first, report, *_ = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert report.startswith("Metrics report: ")


def test_a_video_that_ends_early(tmp_path: Path) -> None:
    whole = tmp_path / "whole.avi"
    writer = cv2.VideoWriter(str(whole), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 240))
    for frame in frames_of(VIDEO)[:100]:
        writer.write(frame)
    writer.release()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    done = run(DEMO, "--no_show", "-i", cut, "-o", tmp_path / "o.mp4")
    assert done.returncode == 1
    first, report, *_ = done.stderr.splitlines()
    assert "the video ends early" in first
    assert "1 failed" in report
    assert 30 < len(frames_of(tmp_path / "o.mp4")) < 90


@pytest.mark.parametrize("words", [["-topk", "0"], ["--output_resolution", "wide"], ["--mean_values", "a b c"]])
def test_a_wrong_option_is_wrong_usage(words: list[str]) -> None:
    done = run(DEMO, *words)
    assert done.returncode == 2
    assert words[0] in done.stderr
    assert "Traceback" not in done.stderr
