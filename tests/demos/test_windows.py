"""The demos in a real window on a virtual X server: screenshots, keys, closing the window."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import cv2
import numpy as np
import pytest
import x_server
from classification_demo import with_panel
from numpy.typing import NDArray
from running import SAMPLES, frames_of, run
from running import start as start_demo
from x_server import Screen, wait_for

reason = x_server.why_not_available()
pytestmark = [pytest.mark.full, pytest.mark.skipif(reason is not None, reason=str(reason))]
DEMO, TITLE = "classification_demo.py", "classification demo"
BENCHMARK, BENCHMARK_TITLE = "classification_benchmark_demo.py", "classification benchmark demo"
RETRY_S = 8.0
SIGN = SAMPLES / "stop_red_01.jpg"


@pytest.fixture(scope="module")
def screen() -> Iterator[Screen]:
    pytest.importorskip("Xlib")
    with x_server.server() as screen:
        yield screen


_RUNNING: list[subprocess.Popen[str]] = []


def start(*words: object, display: str) -> subprocess.Popen[str]:
    """Start a demo that is killed at the end of the test."""
    _RUNNING.append(start_demo(*map(str, words), display=display))
    return _RUNNING[-1]


@pytest.fixture(autouse=True)
def kill_running_demos() -> Iterator[None]:
    yield
    while _RUNNING:
        with _RUNNING.pop() as process:
            process.kill()


def assert_ended(process: subprocess.Popen[str], code: int = 0) -> None:
    """Wait for the end of a demo; check its exit code and that it printed the report."""
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert "Metrics report: " in stderr


def window_image(screen: Screen, title: str) -> NDArray[np.uint8]:
    """The content of a window, as soon as it is open and not black.

    Without a window manager, on a busy machine, Qt sometimes misses that the window was mapped, and then never draws.
    Such a window is mapped once more.
    """
    retry_at = [monotonic() + RETRY_S]

    def look() -> NDArray[np.uint8] | None:
        window = screen.window(title)
        if window is None:
            for process in _RUNNING:
                assert process.poll() is None, process.communicate()
            return None
        place = window.get_geometry()
        image = screen.screenshot()[place.y : place.y + place.height, place.x : place.x + place.width]
        save_screenshot(title, image)
        if image.size and image.max() > 100:
            return image
        if monotonic() > retry_at[0]:
            screen.remap(window)
            retry_at[0] = monotonic() + RETRY_S
        return None

    try:
        image: NDArray[np.uint8] = wait_for(look)
    except AssertionError as error:
        for process in _RUNNING:
            process.send_signal(signal.SIGINT)
        raise AssertionError(
            f"no window {title!r} among {screen.titles()}, {[p.communicate() for p in _RUNNING]}"
        ) from error
    return image


def save_screenshot(title: str, image: NDArray[np.uint8]) -> None:
    """Write the image to the folder OV_MOBILENET_SCREENS, if that is set, to be looked at by a person."""
    if folder := os.environ.get("OV_MOBILENET_SCREENS"):
        cv2.imwrite(str(Path(folder) / f"{title.replace(' ', '_')}.png"), image)


def similarity(text: str, image: NDArray[np.uint8], frame: NDArray[np.uint8]) -> float:
    """Correlation of a line of text in the panel below a frame with its best match in a window; 1 for equal pixels."""
    drawn = with_panel(frame, [text], "")
    text_rows = drawn.shape[0] - round(drawn.shape[1] * frame.shape[0] / frame.shape[1])
    panel = drawn[-text_rows:]
    rows = np.flatnonzero((panel.min(axis=2) > 200).any(axis=1))
    columns = np.flatnonzero((panel.min(axis=2) > 200).any(axis=0))
    pattern = panel[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1, 1]
    scaled = cv2.resize(image, drawn.shape[1::-1], interpolation=cv2.INTER_AREA)
    return float(cv2.matchTemplate(scaled[-text_rows:, :, 1], pattern, cv2.TM_CCOEFF_NORMED).max())


@pytest.mark.parametrize("size", [(160, 120), (640, 480), (3840, 2160)])
def test_the_window_shows_the_class_of_the_sign(screen: Screen, tmp_path: Path, size: tuple[int, int]) -> None:
    image = np.asarray(cv2.resize(cv2.imread(str(SIGN)), size), np.uint8)
    cv2.imwrite(str(tmp_path / "sign.png"), image)
    arguments = ("-i", tmp_path / "sign.png", "-topk", 1)
    best = json.loads(run(DEMO, *arguments, "--no_show", "-r").stdout)["predictions"][0]
    assert best["label"] == "stop red"
    process = start(DEMO, *arguments, display=screen.name)
    whole = with_panel(image, [""], "").shape
    scale = min(1280 / whole[1], 720 / whole[0])

    def shows_the_class() -> bool:
        window = window_image(screen, TITLE)
        if window.shape[:2] != (round(whole[0] * scale), round(whole[1] * scale)):
            return False
        return similarity(f"{best['probability']:.1%}  {best['label']}", window, image) > 0.6

    wait_for(shows_the_class)
    window = window_image(screen, TITLE)
    text = f"{best['probability']:.1%}  "
    assert (
        similarity(text + best["label"], window, image) > similarity(text + "priority road yellow", window, image) + 0.1
    )
    screen.press(TITLE, "q")
    assert_ended(process)


def test_an_image_of_another_size_keeps_its_aspect_ratio(screen: Screen, tmp_path: Path) -> None:
    wide, high = np.full((300, 900, 3), 40, np.uint8), np.full((800, 400, 3), 40, np.uint8)
    cv2.circle(wide, (450, 150), 100, (0, 255, 255), cv2.FILLED)
    cv2.circle(high, (200, 400), 150, (255, 255, 0), cv2.FILLED)
    for name, image in (("1.png", wide), ("2.png", high)):
        cv2.imwrite(str(tmp_path / name), image)
    process = start(DEMO, "-i", tmp_path, "-topk", 1, display=screen.name)

    def second_image() -> NDArray[np.bool_] | None:
        circle = cv2.inRange(window_image(screen, TITLE), (230, 230, 0), (255, 255, 40)) > 0
        return circle if circle.any() else None

    circle: NDArray[np.bool_] = wait_for(second_image)
    rows, columns = np.flatnonzero(circle.any(axis=1)), np.flatnonzero(circle.any(axis=0))
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(1, abs=0.05)
    screen.press(TITLE, "q")
    assert_ended(process)


@pytest.mark.parametrize("key", ["q", "Q", "Escape"])
def test_keys_that_quit(screen: Screen, key: str) -> None:
    process = start(DEMO, "--loop", display=screen.name)
    window_image(screen, TITLE)
    screen.press(TITLE, key)
    assert_ended(process)


def test_p_pauses_and_resumes(screen: Screen) -> None:
    process = start(DEMO, "--loop", display=screen.name)
    window_image(screen, TITLE)
    moving = screen.screenshot()
    wait_for(lambda: bool((screen.screenshot() != moving).any()))
    screen.press(TITLE, "p")

    def still() -> bool:
        """The window does not change in 0.7 s, the time of eight frames."""
        before = screen.screenshot()
        sleep(0.7)
        return bool((screen.screenshot() == before).all())

    wait_for(still)
    paused = screen.screenshot()
    screen.press(TITLE, "p")
    wait_for(lambda: bool((screen.screenshot() != paused).any()))
    screen.press(TITLE, "q")
    assert_ended(process)


@pytest.mark.parametrize("demo", [DEMO, BENCHMARK])
def test_closing_the_window_quits_and_the_video_is_playable(screen: Screen, tmp_path: Path, demo: str) -> None:
    title = TITLE if demo == DEMO else BENCHMARK_TITLE
    more = ["--loop"] if demo == DEMO else []
    process = start(demo, *more, "-o", tmp_path / "o.mp4", display=screen.name)
    window_image(screen, title)
    sleep(0.5)
    screen.close(title)
    assert_ended(process)
    assert len(frames_of(tmp_path / "o.mp4")) >= 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_quits_while_the_window_is_open(screen: Screen, number: int, code: int) -> None:
    process = start(DEMO, "--loop", display=screen.name)
    window_image(screen, TITLE)
    process.send_signal(number)
    assert_ended(process, code)


def test_the_grid_shows_correct_and_wrong_labels_and_restarts(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "truth.txt").write_text("stop_red_01.jpg 2\nstop_blue_01.jpg 2\n")  # one correct, one wrong
    process = start(BENCHMARK, "-gt", tmp_path / "truth.txt", "-res", "1280x720", display=screen.name)
    wait_for(lambda: bool(cv2.inRange(window_image(screen, BENCHMARK_TITLE), (110, 240, 110), (130, 255, 130)).any()))
    sleep(1.5)
    image = window_image(screen, BENCHMARK_TITLE)
    assert cv2.inRange(image, (110, 250, 110), (130, 255, 130)).any()  # the correct label
    assert cv2.inRange(image, (90, 100, 250), (110, 120, 255)).any()  # the wrong label
    panel = image[round(image.shape[0] * 0.83) :]
    assert cv2.inRange(panel, (60, 190, 60), (110, 240, 110))[:, image.shape[1] // 2 :].any()  # the graph
    screen.press(BENCHMARK_TITLE, "space")
    screen.press(BENCHMARK_TITLE, "q")
    assert_ended(process)
