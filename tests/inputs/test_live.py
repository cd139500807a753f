"""Cameras and streams: the newest frame, what is dropped, and sources that stall, drop and come back."""

from __future__ import annotations

import faulthandler
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice, takewhile

import numpy as np
import pytest
from fake_classifier import classifier, right
from fake_device import Behaviour
from inputs.cameras import Camera, CameraClock
from inputs.media import image

from ov_mobilenet.errors import ImageError
from ov_mobilenet.inputs import capture, live, opening
from ov_mobilenet.inputs.live import LONGEST_PAUSE_S, LiveSource, follow
from ov_mobilenet.inputs.opening import open_inputs
from ov_mobilenet.inputs.sampling import Sampling
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import Classification
from ov_mobilenet.runtime.stream import stream


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def no_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cameras that a test drives hang in their read when they are closed: nobody waits for that."""
    monkeypatch.setattr(live, "GOODBYE_S", 0.0)


# Five minutes of a server that fails in every way

PERIOD_S = 0.04
# From, to, and what the server does then: gone (refuses at once), mute (takes the connection and says nothing),
# stalled (keeps the connection and sends no more), cut (ends each connection after a frame).
TROUBLES = ((30, 31, "gone"), (60, 90, "gone"), (120, 150, "stalled"), (180, 200, "mute"), (220, 230, "cut"))


class Server:
    """Captures of a stream in simulated time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.opened = self.released = self.attempts = self.grabs = 0
        self.frames: list[float] = []

    def state(self) -> str:
        return next((what for begin, end, what in TROUBLES if begin <= self.now < end), "up")

    def open(self) -> Server:
        self.attempts += 1
        self.now += 0.01
        if self.state() in ("gone", "mute", "stalled"):
            self.now += 0.0 if self.state() == "gone" else capture.OPEN_TIMEOUT_S
            raise ImageError("nothing there")
        self.opened += 1
        self.fresh = True
        return self

    def grab(self) -> bool:
        self.grabs += 1
        state = self.state()
        if state in ("stalled", "mute"):
            self.now += capture.READ_TIMEOUT_S
            return False
        if state == "gone" or (state == "cut" and not self.fresh):
            return False
        self.now += PERIOD_S
        self.fresh = False
        return True

    def retrieve(self) -> np.ndarray:
        raise AssertionError("nobody asked")

    def release(self) -> None:
        self.released += 1

    def pause(self, seconds: float) -> None:
        self.now += seconds


def test_five_minutes_of_a_server_that_stalls_drops_and_comes_back() -> None:
    server, losses = Server(), []
    follow(
        server.open, lambda _: server.frames.append(server.now), stopped=lambda: server.now >= 300,
        pause=server.pause, lost=lambda: losses.append(server.now),
    )  # fmt: skip
    assert server.opened == server.released  # no capture is left behind
    # It is found again soon after each trouble, and followed to the end.
    for _, end, what in TROUBLES:
        back = next(moment for moment in server.frames if moment >= end)
        assert back - end <= LONGEST_PAUSE_S + capture.OPEN_TIMEOUT_S + 1, what
    assert server.frames[-1] > 299.9
    trouble = sum(end - begin for begin, end, _ in TROUBLES)
    assert len(server.frames) * PERIOD_S > 300 - trouble - 5 * (LONGEST_PAUSE_S + capture.OPEN_TIMEOUT_S)
    assert sum(220 <= moment < 230 for moment in server.frames) >= 15  # what gives frames is opened again soon
    # Nobody knocks without a pause: some 7 times in half a minute that it is gone, twice a second when it is cut.
    assert server.attempts <= 1 + 2 + 8 + 6 + 5 + 20
    assert len(losses) == server.opened - 1


# The newest frame


def source(camera: Camera, sampling: Sampling | None = None) -> LiveSource:
    return LiveSource("cam", camera.open, sampling or Sampling())


def test_only_the_newest_frame_is_kept_and_the_others_are_counted() -> None:
    camera = Camera()
    with_camera = source(camera)
    items = iter(with_camera)
    found: list[Item] = []
    thread = threading.Thread(target=lambda: found.extend(islice(items, 1)))
    thread.start()
    camera.send()
    thread.join()
    camera.send(5)
    found += [next(items)]
    camera.send(3)
    found += [next(items)]
    with_camera.close()
    camera.lose()
    assert [item.frame for item in found] == [0, 5, 8]
    assert [item.image[0, 0, 0] for item in found if isinstance(item.image, np.ndarray)] == [0, 5, 8]
    assert with_camera.dropped == 6
    assert {item.source for item in found} == {"cam"}


def test_frames_left_out_by_number_are_not_called_dropped() -> None:
    camera = Camera()
    with_camera = source(camera, Sampling(every=4))
    items = iter(with_camera)
    starting = threading.Thread(target=lambda: camera.send(3))
    starting.start()
    assert next(items).frame == 0
    starting.join()
    camera.send(3)
    assert next(items).frame == 4
    with_camera.close()
    camera.lose()
    assert with_camera.dropped == 0


def test_a_camera_that_is_lost_is_opened_again_and_let_go_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE_S", 0.0)
    camera = Camera()
    with_camera = source(camera)
    items = iter(with_camera)
    driving = threading.Thread(target=lambda: (camera.send(), camera.lose(), camera.send()))
    driving.start()
    frames = [item.frame for item in takewhile(lambda item: item.frame != 1, items)]
    driving.join()
    with_camera.close()
    camera.lose()  # the read that hung ends
    camera.wait_until_released(2)
    assert frames in ([0], [])  # the first may have been dropped for the second
    assert (camera.opened, with_camera.reconnections) == (2, 1)
    assert [record.message.partition(" after")[0] for record in caplog.records] == [
        "cam: no more frames come; trying again", "cam: back",
    ]  # fmt: skip
    assert list(items) == []
    with_camera._thread.join(60)
    assert not with_camera._thread.is_alive()


def test_a_camera_that_was_never_there_is_one_failure(caplog: pytest.LogCaptureFixture) -> None:
    camera = Camera()
    camera.there = False
    (item,) = source(camera)
    assert str(item.image) == "not there"
    assert not caplog.records


def test_a_camera_that_gives_nothing_is_one_failure_and_let_go() -> None:
    camera = Camera()
    losing = threading.Thread(target=camera.lose)
    losing.start()
    (item,) = source(camera)
    losing.join()
    assert "no frame comes" in str(item.image)
    assert camera.released == 1


def test_one_that_breaks_in_a_way_nobody_foresaw_is_one_failure() -> None:
    def broken() -> Camera:
        raise RuntimeError("driver\nfault")

    (item,) = LiveSource("cam", broken, Sampling())
    assert "cannot be read (RuntimeError: driver" in str(item.image)


@pytest.mark.parametrize(("fps", "limit", "taken"), [(25, 10, 10), (30, 30, 30), (30, 7.5, 7.5), (10, 25, 10)])
def test_max_fps_is_the_mean_over_time_and_never_surpassed(fps: float, limit: float, taken: float) -> None:
    sampling = Sampling(max_fps=limit)
    times = [
        round(number / fps, 3) for number in range(int(fps * 20)) if sampling.takes(number, round(number / fps, 3))
    ]
    assert len(times) == pytest.approx(taken * 20, abs=1)


def test_the_camera_is_not_there() -> None:
    (item,) = open_inputs("/dev/video9797")
    assert "there is no such camera" in str(item.image)
    (item,) = open_inputs("9797")
    assert "no file of that name" in str(item.image)


def test_a_stream_that_is_not_there_is_one_failure_without_its_password() -> None:
    (item,) = open_inputs("http://me:secret@127.0.0.1:9/x")
    assert item.source == "http://***@127.0.0.1:9/x"
    assert "the stream cannot be opened" in str(item.image)
    assert "secret" not in str(item.image)


# A device that is slower than the camera


@pytest.mark.parametrize("every", [1, 2])
def test_a_device_that_manages_ten_frames_of_twenty_five_works_on_new_ones(every: int) -> None:
    camera = Camera()
    clock = CameraClock(camera, 25)
    started: list[float] = []

    def service(number: int) -> float:
        started.append(clock())
        return 0.1

    following = LiveSource("cam", camera.open, Sampling(every), clock=clock)

    def inputs() -> Iterator[Item]:
        """The camera's frames; when there is none that is new, time goes on to the next."""
        last = -1
        items = iter(following)
        first = threading.Thread(target=clock.advance_to, args=(0.0,))
        first.start()
        while clock() < 20:
            first.join() if last >= 0 else None
            while last >= 0 and last >= (camera.sent - 1) // every * every:
                clock.advance_to(clock.next_frame)
            item = next(items)
            last = item.frame or 0
            yield item

    model = classifier(Behaviour(clock=clock, service_s=service, streams=1))
    results = list(stream(model, inputs(), live=True, requests=1, clock=clock))
    following.close()
    camera.lose()
    assert all(right(result.frame, result) for result in results)
    assert len(results) >= 8 * 20
    for begun, result in zip(started, results, strict=True):
        assert isinstance(result, Classification)
        newest = int(begun * 25 + 1e-6)
        assert 0 <= newest - (result.frame or 0) <= 2
        assert result.age_ms == pytest.approx((begun - (result.frame or 0) / 25) * 1e3 + 100)
    assert following.dropped > 0
    assert -(-camera.sent // every) - len(results) - following.dropped in (0, 1)  # the last is at hand


def test_a_stream_knows_by_itself_that_its_inputs_are_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request a stream, and one image a request."""
    camera = Camera()
    monkeypatch.setattr(opening, "open_live", lambda _: camera.open())
    model = classifier(batch=4)
    driving = threading.Thread(target=lambda: camera.send(1))
    driving.start()
    with open_inputs("0", limit=1) as inputs:
        (result,) = model.stream(inputs)
    driving.join()
    camera.lose()
    assert right(0, result)
    assert model.compiled(1).model.tally.started == 1
    assert model.compiled(1).model.tally.created == 2  # streams of the fake


# OpenCV and a real connection


class Mjpeg(BaseHTTPRequestHandler):
    """The first connection ends after some frames, the second stalls, the third goes on. Frames tell which it is."""

    connections = 0
    release = threading.Event()

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        Mjpeg.connections += 1
        number = Mjpeg.connections
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        data = image(60 * number, 64)
        part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data)
        try:
            for _ in range(20 if number < 3 else 100_000):
                self.wfile.write(part)
            if number == 2:
                Mjpeg.release.wait(60)
        except OSError:
            pass
        Mjpeg.connections += 100 if number >= 3 else 0  # whoever was there has gone


def test_an_mjpeg_server_on_loopback_is_followed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(capture, "READ_TIMEOUT_S", 0.5)
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(Mjpeg, "connections", 0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mjpeg)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    before = threading.active_count()
    serving.start()
    url = f"http://me:secret@127.0.0.1:{server.server_port}/live"
    seen: set[int] = set()
    with open_inputs(url) as inputs:
        assert inputs.live
        for item in inputs:
            assert isinstance(item.image, np.ndarray)
            assert item.image.shape == (64, 64, 3)
            assert item.source == f"http://***@127.0.0.1:{server.server_port}/live"
            seen.add(round(float(item.image.mean()) / 60))
            if 3 in seen:
                break
        assert inputs.reconnections == 2
    assert seen <= {1, 2, 3}
    Mjpeg.release.set()
    server.shutdown()
    server.server_close()
    serving.join(60)
    for thread in threading.enumerate():
        if thread.name.startswith("follow") or "process_request" in thread.name:
            thread.join(60)
    assert threading.active_count() <= before
    assert "secret" not in caplog.text
    assert len(caplog.records) == 4  # lost and back, twice
