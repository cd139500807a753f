"""`classification_demo.py` without a display."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable
from pathlib import Path

import classification_benchmark_demo
import classification_demo
import cv2
import edge_api_demo
import numpy as np
import pytest
from running import DEMOS, SAMPLES, frames_of, json_lines, run, start, true_labels

DEMO = "classification_demo.py"
VIDEO = DEMOS / "data" / "sample_drive.mp4"


def test_runs_without_arguments_and_without_a_display() -> None:
    done = run(DEMO)
    assert done.returncode == 0
    assert done.stdout == ""
    first, second, *_ = done.stderr.splitlines()
    assert first == "no display (DISPLAY is not set): continuing as with --no_show"
    assert second.startswith("Metrics report: 384 classified, 0 failed")
    for stage in ("decode", "geometry", "queue", "inference", "latency"):
        assert f"\n{stage}" in done.stderr


def test_signs_of_the_sample_video_are_classified_correctly() -> None:
    done = run(DEMO, "--no_show", "-r", "-topk", 2)
    results, labels = json_lines(done.stdout), true_labels()
    assert [result["frame"] for result in results] == list(range(len(labels)))
    assert {len(result["predictions"]) for result in results} == {2}
    correct = [r["predictions"][0]["label"] == label for r, label in zip(results, labels, strict=True) if label]
    assert len(correct) > 100
    assert sum(correct) / len(correct) >= 0.9


def test_probabilities_sum_to_one_over_all_classes_not_over_the_top_k() -> None:
    for topk in (1, 16):
        results = json_lines(run(DEMO, "--no_show", "-r", "-topk", topk).stdout)
        sums = np.array([sum(prediction["probability"] for prediction in result["predictions"]) for result in results])
        assert np.allclose(sums, 1, atol=1e-3) == (topk == 16)


def test_an_unreachable_display_does_not_stop_the_demo() -> None:
    process = start(DEMO, "-i", SAMPLES / "stop_red_01.jpg", display=":31999")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert stderr.startswith("the display cannot be opened (DISPLAY=:31999): continuing as with --no_show\n")
    assert "1 classified" in stderr


@pytest.mark.parametrize(("name", "arguments", "count"), [
    ("o.mp4", ["-limit", 30], 30), ("o.avi", ["-limit", 30], 30),
    pytest.param("o.mp4", [], 384, marks=pytest.mark.full),
])  # fmt: skip
def test_output_is_a_video_of_the_shown_frames(tmp_path: Path, name: str, arguments: list[object], count: int) -> None:
    done = run(DEMO, "--no_show", "-o", tmp_path / name, "--output_resolution", "641x480", *arguments)
    assert done.returncode == 0, done.stderr
    frames = frames_of(tmp_path / name)
    assert len(frames) == count
    height, width = frames[0].shape[:2]
    assert height == 480
    assert 480 < width <= 641
    capture = cv2.VideoCapture(str(tmp_path / name))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)  # the frame rate of the sample video
    # The frame keeps its aspect ratio and no text covers it; the panel below it holds the text.
    frame_height = round(width * 240 / 320)
    plain = cv2.resize(frames_of(VIDEO)[20], (width, frame_height)).astype(int)
    assert np.abs(frames[20][: frame_height - 2] - plain[:-2]).mean() < 6
    panel = frames[20][frame_height + 2 :]
    assert (panel[:, : width // 2] > 200).any()  # the classes
    assert (panel[:, width * 62 // 100 :] > 200).any()  # frame rate and latency
    assert np.median(panel) < 16


def test_images_of_different_sizes_become_one_video(tmp_path: Path) -> None:
    for number, size in enumerate([(64, 48), (320, 240), (101, 333), (2, 2)]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((size[1], size[0], 3), 90, np.uint8))
    done = run(DEMO, "--no_show", "-i", tmp_path, "-o", tmp_path / "o.avi")
    assert done.returncode == 0, done.stderr
    assert [frame.shape for frame in frames_of(tmp_path / "o.avi")] == [(316, 320, 3)] * 4


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_after_a_signal_the_report_is_printed_and_the_video_is_playable(tmp_path: Path, number: int, code: int) -> None:
    video = tmp_path / "o.mp4"
    process = start(DEMO, "--no_show", "--loop", "-r", "-o", video, "-limit", 0)
    assert process.stdout is not None
    for _ in range(60):
        process.stdout.readline()
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert stderr.splitlines()[1].startswith("ms ")
    assert stderr.startswith("Metrics report: ")
    assert len(frames_of(video)) >= 50


@pytest.mark.parametrize("words", [
    ["--mean_values", "127.5 127.5 127.5"], ["--scale_values", "127.5"], ["--reverse_input_channels"],
])  # fmt: skip
def test_normalisation_of_a_normalised_ir_is_an_error(words: list[str]) -> None:
    done = run(DEMO, "--no_show", *words)
    assert done.returncode == 1
    assert "already normalised; the given normalisation would be applied a second time" in done.stderr
    assert "Metrics report: 0 classified" in done.stderr


def test_normalisation_options_are_applied_to_an_ir_without_normalisation(tmp_path: Path) -> None:
    import openvino as ov

    bare = ov.convert_model(SAMPLES.parent / "road-signs.onnx")
    ov.save_model(bare, tmp_path / "bare.xml", compress_to_fp16=False)
    normalisation = ["--mean_values", "127.5 127.5 127.5", "--scale_values", "127.5", "--reverse_input_channels"]
    common = ["-m", tmp_path / "bare.xml", "-i", SAMPLES, "--labels", SAMPLES.parent / "labels.txt", "--no_show", "-r"]
    done = run(DEMO, *common, *normalisation, "--layout", "NCHW")
    assert done.returncode == 0, done.stderr
    for result in json_lines(done.stdout):
        assert Path(result["source"]).name.startswith(result["predictions"][0]["label"].replace(" ", "_"))


FAULTS = {
    "no camera": (["-i", "77"], "there is no such camera"),
    "no image": (["-i", "nothing.jpg"], "nothing.jpg"),
    "no model": (["-m", "mobilenet-v9"], "mobilenet-v9"),
    "no device": (["-d", "GPU.7"], "GPU.7"),
    "no encoder": (["-o", "{tmp}/out.xyz"], "out.xyz cannot be written"),
    "no folder": (["-o", "{tmp}/missing/out.mp4"], "the folder does not exist"),
    "no labels": (["--labels", "{tmp}/labels.txt"], "labels file cannot be read"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_is_one_message_followed_by_the_report(fault: str, tmp_path: Path) -> None:
    arguments, message = FAULTS[fault]
    done = run(DEMO, "--no_show", *[word.format(tmp=tmp_path) for word in arguments])
    assert done.returncode in (1, 2)
    first, report, *_ = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert report.startswith("Metrics report: ")


def test_a_truncated_video_is_reported_and_its_readable_frames_are_classified(tmp_path: Path) -> None:
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
def test_an_invalid_value_is_a_usage_error(words: list[str]) -> None:
    done = run(DEMO, *words)
    assert done.returncode == 2
    assert words[0] in done.stderr
    assert "Traceback" not in done.stderr


PARSERS: dict[str, Callable[[], argparse.Namespace]] = {
    "classification": classification_demo.parse_options,
    "benchmark": classification_benchmark_demo.parse_options,
    "edge": edge_api_demo.parse_options,
}


@pytest.mark.parametrize(("demo", "words"), [
    ("classification", ["-nth", "3"]), ("classification", ["-mean_values", "1"]), ("classification", ["--mod", "x"]),
    ("benchmark", ["-nth", "3"]), ("benchmark", ["-mod", "x"]), ("edge", ["-top", "3"]), ("edge", ["--watch", "3"]),
])  # fmt: skip
def test_options_are_accepted_only_by_their_full_names(
    demo: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [demo, *words])
    with pytest.raises(SystemExit) as stopped:
        PARSERS[demo]()
    assert stopped.value.code == 2
    assert words[0] in capsys.readouterr().err.splitlines()[-1]


def test_a_value_may_be_attached_to_a_short_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [DEMO, "-i0", "-dCPU", "-nthreads=3", "--mean_values=1 2 3"])
    parsed = classification_demo.parse_options()
    assert (parsed.input, parsed.device, parsed.num_threads, parsed.mean_values) == ("0", "CPU", 3, (1.0, 2.0, 3.0))


@pytest.mark.parametrize(("words", "name", "expected"), [
    (["--topk", "3"], "topk", 3), (["-nt", "3"], "topk", 3), (["-nstreams", "CPU:2"], "num_streams", 2),
    (["-nstreams", ""], "num_streams", None), (["-nireq", "0"], "num_infer_requests", None),
    (["--mean_values", "123.675", "116.28", "103.53"], "mean_values", (123.675, 116.28, 103.53)),
    (["--layout", "nchw"], "layout", "NCHW"), (["--adapter", "openvino"], "adapter", "openvino"),
])  # fmt: skip
def test_open_model_zoo_spellings(
    words: list[str], name: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [DEMO, *words])
    assert getattr(classification_demo.parse_options(), name) == expected


@pytest.mark.parametrize(("demo", "words", "message"), [
    ("classification", ["-u", "cdm"], "note: --utilization_monitors has no effect: the demo draws no monitors"),
    ("benchmark", ["-auto_resize"], "note: --auto_resize has no effect: images are always resized"),
])  # fmt: skip
def test_an_option_without_effect_is_accepted_and_a_note_says_so(
    demo: str, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [demo, *words])
    PARSERS[demo]()
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize(("words", "message"), [
    (["--adapter", "ovms"], "'ovms' is not supported; -m takes a model file"),
    (["-nstreams", "CPU:2,GPU:3"], "numbers for several devices are not supported"),
])  # fmt: skip
def test_what_the_demo_cannot_do_is_refused_with_the_reason(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [DEMO, *words])
    with pytest.raises(SystemExit):
        classification_demo.parse_options()
    assert message in capsys.readouterr().err


@pytest.mark.full
def test_the_streams_of_the_open_model_zoo_run() -> None:
    words = ["-i", SAMPLES, "-d", "CPU", "-nstreams", "CPU:2", "--adapter", "openvino", "-u", "", "--no_show", "-r"]
    done = run(DEMO, *words, "--topk", 1)
    assert done.returncode == 0, done.stderr
    for result in json_lines(done.stdout):
        assert Path(result["source"]).name.startswith(result["predictions"][0]["label"].replace(" ", "_"))
