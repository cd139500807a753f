"""Each demo in a real window, looked at from outside: what is on the screen, keys, closing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import screens
from overlay import put_lines
from running import SAMPLES, frames_of, run
from running import start as begin
from screens import Screen, wait_for

reason = screens.missing()
pytestmark = [pytest.mark.full, pytest.mark.skipif(reason is not None, reason=str(reason))]
DEMO, TITLE = "classification_demo.py", "classification demo"
BENCHMARK, BENCHMARK_TITLE = "classification_benchmark_demo.py", "classification benchmark demo"
SIGN = SAMPLES / "stop_red_01.jpg"


@pytest.fixture(scope="module")
def screen() -> Iterator[Screen]:
    pytest.importorskip("Xlib")
    with screens.server() as found:
        yield found


_RUNNING: list[subprocess.Popen[str]] = []


def start(*words: object, display: str) -> subprocess.Popen[str]:
    """Begin to run a demo, which does not outlive its test."""
    _RUNNING.append(begin(*map(str, words), display=display))
    return _RUNNING[-1]


@pytest.fixture(autouse=True)
def no_window_stays() -> Iterator[None]:
    yield
    while _RUNNING:
        with _RUNNING.pop() as process:
            process.kill()


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    """What it said until its end."""
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "Metrics report: " in said
    return said


def shown(screen: Screen, title: str) -> np.ndarray:
    """The window's inside, once it is there and lit."""

    def look() -> np.ndarray | None:
        window = screen.window(title)
        if window is None:
            for process in _RUNNING:
                assert process.poll() is None, process.communicate()
            return None
        place = window.get_geometry()
        image = screen.image()[place.y : place.y + place.height, place.x : place.x + place.width]
        keep(title, image)
        return image if image.size and image.max() > 100 else None

    try:
        found: np.ndarray = wait_for(look)
    except AssertionError as error:
        for process in _RUNNING:
            process.send_signal(signal.SIGINT)
        raise AssertionError(
            f"no window {title!r} among {screen.titles()}, {[p.communicate() for p in _RUNNING]}"
        ) from error
    return found


def keep(title: str, image: np.ndarray) -> None:
    """For a person to look at: OV_MOBILENET_SCREENS names a folder."""
    if folder := os.environ.get("OV_MOBILENET_SCREENS"):
        cv2.imwrite(str(Path(folder) / f"{title.replace(' ', '_')}.png"), image)


def likeness(text: str, image: np.ndarray, height: int) -> float:
    """How well a line of text, drawn by itself, is found at the top of an image; 1 for the same pixels."""
    drawn = np.zeros((height, image.shape[1] * height // image.shape[0], 3), np.uint8)
    put_lines(drawn, [text])
    rows = np.flatnonzero((drawn.min(axis=2) > 200).any(axis=1))
    columns = np.flatnonzero((drawn.min(axis=2) > 200).any(axis=0))
    pattern = drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1, 1]
    scaled = cv2.resize(image, (round(image.shape[1] * height / image.shape[0]), height))
    return float(cv2.matchTemplate(scaled[: height // 3, :, 1], pattern, cv2.TM_CCOEFF_NORMED).max())


@pytest.mark.parametrize("size", [(160, 120), (640, 480), (3840, 2160)])
@pytest.mark.parametrize("light", [None, 0, 255])
def test_the_known_sign_is_named_on_the_screen(
    screen: Screen, tmp_path: Path, size: tuple[int, int], light: int | None
) -> None:
    image = cv2.resize(cv2.imread(str(SIGN)), size)
    if light is not None:  # behind the text
        image[: round(0.42 * size[1]), : size[0] // 3] = light
        image[-size[1] // 6 :, : size[0] // 2] = light
    cv2.imwrite(str(tmp_path / "sign.png"), image)
    arguments = ("-i", tmp_path / "sign.png", "-topk", 1)
    best = json.loads(run(DEMO, *arguments, "--no_show", "-r").stdout)["predictions"][0]
    if light is None:
        assert best["label"] == "stop red"
    process = start(DEMO, *arguments, display=screen.name)
    height = min(720, size[1])

    def named() -> bool:
        window = shown(screen, TITLE)
        if window.shape[:2] != (720, 960 if size[0] < 3840 else 1280):
            return False
        return likeness(f"{best['probability']:.1%}  {best['label']}", window, height) > 0.6

    wait_for(named)
    window = shown(screen, TITLE)
    text = f"{best['probability']:.1%}  "
    assert (
        likeness(text + best["label"], window, height) > likeness(text + "priority road yellow", window, height) + 0.1
    )
    screen.press(TITLE, "q")
    ended(process)


@pytest.mark.parametrize("key", ["q", "Q", "Escape"])
def test_keys_that_end_it(screen: Screen, key: str) -> None:
    process = start(DEMO, "--loop", display=screen.name)
    shown(screen, TITLE)
    screen.press(TITLE, key)
    ended(process)


def test_p_pauses_and_goes_on(screen: Screen) -> None:
    process = start(DEMO, "--loop", display=screen.name)
    shown(screen, TITLE)
    moving = screen.image()
    wait_for(lambda: bool((screen.image() != moving).any()))
    screen.press(TITLE, "p")

    def still() -> bool:
        """No frame comes in the time of eight."""
        before = screen.image()
        screens.sleep(0.7)
        return bool((screen.image() == before).all())

    wait_for(still)
    paused = screen.image()
    screen.press(TITLE, "p")
    wait_for(lambda: bool((screen.image() != paused).any()))
    screen.press(TITLE, "q")
    ended(process)


@pytest.mark.parametrize("demo", [DEMO, BENCHMARK])
def test_a_closed_window_ends_it_and_the_video_plays(screen: Screen, tmp_path: Path, demo: str) -> None:
    title = TITLE if demo == DEMO else BENCHMARK_TITLE
    more = ["--loop"] if demo == DEMO else []
    process = start(demo, *more, "-o", tmp_path / "o.mp4", display=screen.name)
    shown(screen, title)
    screens.sleep(0.5)
    screen.close(title)
    ended(process)
    assert len(frames_of(tmp_path / "o.mp4")) >= 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_it_is_shown(screen: Screen, number: int, code: int) -> None:
    process = start(DEMO, "--loop", display=screen.name)
    shown(screen, TITLE)
    process.send_signal(number)
    ended(process, code)


def test_the_grid_and_its_restart(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "truth.txt").write_text("stop_red_01.jpg 2\nstop_blue_01.jpg 2\n")  # one right, one wrong
    process = start(BENCHMARK, "-gt", tmp_path / "truth.txt", "-res", "1280x720", display=screen.name)
    wait_for(lambda: bool(cv2.inRange(shown(screen, BENCHMARK_TITLE), (110, 240, 110), (130, 255, 130)).any()))
    screens.sleep(1.5)
    image = shown(screen, BENCHMARK_TITLE)
    assert cv2.inRange(image, (110, 250, 110), (130, 255, 130)).any()  # a label that is right
    assert cv2.inRange(image, (90, 100, 250), (110, 120, 255)).any()  # and one that is wrong
    panel = image[round(image.shape[0] * 0.83) :]
    assert cv2.inRange(panel, (60, 190, 60), (110, 240, 110))[:, image.shape[1] // 2 :].any()  # the graph
    screen.press(BENCHMARK_TITLE, "space")
    screen.press(BENCHMARK_TITLE, "q")
    ended(process)
