"""Cameras and streams: the newest frame, dropped frames, and connections that stall, end and come back."""

from __future__ import annotations

import faulthandler
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice, takewhile

import numpy as np
import pytest
from fake_classifier import classifier, is_right
from fake_device import Behaviour
from inputs.cameras import Camera, CameraClock
from inputs.media import image

from ov_mobilenet.errors import ImageError
from ov_mobilenet.inputs import capture, live_source
from ov_mobilenet.inputs.capture import FrameSampler
from ov_mobilenet.inputs.live_source import MAX_RETRY_DELAY_S, LiveSource, read_with_reconnect
from ov_mobilenet.inputs.open_inputs import open_inputs
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import Classification
from ov_mobilenet.runtime.stream import stream


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def no_close_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated cameras block in their read when they are closed; do not wait for that."""
    monkeypatch.setattr(live_source, "CLOSE_TIMEOUT_S", 0.0)


# Five simulated minutes of a server that fails in every way

PERIOD_S = 0.04
# Begin and end in seconds, and the state of the server: down (refuses connections), silent (accepts a connection and
# sends nothing), stalled (stops sending on an open connection), flaky (ends each connection after one frame).
OUTAGES = ((30, 31, "down"), (60, 90, "down"), (120, 150, "stalled"), (180, 200, "silent"), (220, 230, "flaky"))


class Server:
    """A network stream in simulated time, and its captures."""

    def __init__(self) -> None:
        self.now = 0.0
        self.opened = self.released = self.attempts = self.grabs = 0
        self.frames: list[float] = []

    def state(self) -> str:
        return next((what for begin, end, what in OUTAGES if begin <= self.now < end), "up")

    def open(self) -> Server:
        self.attempts += 1
        self.now += 0.01
        if self.state() in ("down", "silent", "stalled"):
            self.now += 0.0 if self.state() == "down" else capture.OPEN_TIMEOUT_S
            raise ImageError("no connection")
        self.opened += 1
        self.is_first_frame = True
        return self

    def grab(self) -> bool:
        self.grabs += 1
        state = self.state()
        if state in ("stalled", "silent"):
            self.now += capture.READ_TIMEOUT_S
            return False
        if state == "down" or (state == "flaky" and not self.is_first_frame):
            return False
        self.now += PERIOD_S
        self.is_first_frame = False
        return True

    def retrieve(self) -> np.ndarray:
        raise AssertionError("not called in this test")

    def release(self) -> None:
        self.released += 1

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_server_that_stalls_and_fails_is_read_again_after_each_outage() -> None:
    server, losses = Server(), list[float]()
    read_with_reconnect(
        server.open, lambda _: server.frames.append(server.now), is_stopped=lambda: server.now >= 300,
        sleep=server.sleep, on_lost=lambda: losses.append(server.now),
    )  # fmt: skip
    assert server.opened == server.released  # every capture is closed
    # It is connected again soon after each outage, and read to the end.
    for _, end, what in OUTAGES:
        back = next(moment for moment in server.frames if moment >= end)
        assert back - end <= MAX_RETRY_DELAY_S + capture.OPEN_TIMEOUT_S + 1, what
    assert server.frames[-1] > 299.9
    outage = sum(end - begin for begin, end, _ in OUTAGES)
    assert len(server.frames) * PERIOD_S > 300 - outage - 5 * (MAX_RETRY_DELAY_S + capture.OPEN_TIMEOUT_S)
    assert sum(220 <= moment < 230 for moment in server.frames) >= 15  # the delay is reset by frames
    # Every attempt waits: about 7 attempts in half a minute without a server, 2 per second while it is flaky.
    assert server.attempts <= 1 + 2 + 8 + 6 + 5 + 20
    assert len(losses) == server.opened - 1


# The newest frame


def source(camera: Camera, sampler: FrameSampler | None = None) -> LiveSource:
    return LiveSource("cam", camera.open, sampler or FrameSampler())


def test_only_the_newest_frame_is_kept_and_the_others_count_as_dropped() -> None:
    camera = Camera()
    frames = source(camera)
    items = iter(frames)
    found: list[Item] = []
    thread = threading.Thread(target=lambda: found.extend(islice(items, 1)))
    thread.start()
    camera.send()
    thread.join()
    camera.send(5)
    found += [next(items)]
    camera.send(3)
    found += [next(items)]
    frames.close()
    camera.disconnect()
    assert [item.frame for item in found] == [0, 5, 8]
    assert [item.image[0, 0, 0] for item in found if isinstance(item.image, np.ndarray)] == [0, 5, 8]
    assert frames.dropped == 6
    assert {item.source for item in found} == {"cam"}


def test_frames_skipped_by_the_sampler_do_not_count_as_dropped() -> None:
    camera = Camera()
    frames = source(camera, FrameSampler(every=4))
    items = iter(frames)
    starting = threading.Thread(target=lambda: camera.send(3))
    starting.start()
    assert next(items).frame == 0
    starting.join()
    camera.send(3)
    assert next(items).frame == 4
    frames.close()
    camera.disconnect()
    assert frames.dropped == 0


def test_a_lost_camera_is_opened_again_and_released_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_source, "MIN_RETRY_DELAY_S", 0.0)
    camera = Camera()
    frames = source(camera)
    items = iter(frames)

    def drive() -> None:
        camera.send()
        camera.disconnect()
        camera.send()

    driving = threading.Thread(target=drive)
    driving.start()
    numbers = [item.frame for item in takewhile(lambda item: item.frame != 1, items)]
    driving.join()
    frames.close()
    camera.disconnect()  # the blocked read returns
    camera.wait_until_released(2)
    assert numbers in ([0], [])  # the first may have been dropped for the second
    assert (camera.opened, frames.reconnections) == (2, 1)
    assert [record.message.partition(" after")[0] for record in caplog.records] == [
        "cam: the connection is lost; reconnecting", "cam: connected again",
    ]  # fmt: skip
    assert list(items) == []
    frames._thread.join(60)
    assert not frames._thread.is_alive()


def test_a_missing_camera_is_one_failure(caplog: pytest.LogCaptureFixture) -> None:
    camera = Camera()
    camera.exists = False
    (item,) = source(camera)
    assert str(item.image) == "no such camera"
    assert not caplog.records


def test_a_camera_without_frames_is_one_failure_and_released() -> None:
    camera = Camera()
    disconnecting = threading.Thread(target=camera.disconnect)
    disconnecting.start()
    (item,) = source(camera)
    disconnecting.join()
    assert "delivers no frames" in str(item.image)
    assert camera.released == 1


def test_an_unexpected_error_of_a_camera_is_one_failure() -> None:
    def broken() -> Camera:
        raise RuntimeError("driver\nfault")

    (item,) = LiveSource("cam", broken, FrameSampler())
    assert "cannot be read (RuntimeError: driver" in str(item.image)


@pytest.mark.parametrize(("fps", "max_fps", "expected_fps"), [(25, 10, 10), (30, 30, 30), (30, 7.5, 7.5), (10, 25, 10)])
def test_max_fps_limits_the_mean_rate(fps: float, max_fps: float, expected_fps: float) -> None:
    sampler = FrameSampler(max_fps=max_fps)
    times = [round(number / fps, 3) for number in range(int(fps * 20)) if sampler.takes(number, round(number / fps, 3))]
    assert len(times) == pytest.approx(expected_fps * 20, abs=1)


def test_a_camera_that_does_not_exist_names_its_device() -> None:
    (item,) = open_inputs("/dev/video9797")
    assert "there is no such camera" in str(item.image)
    (item,) = open_inputs("9797")
    assert "no file with that name" in str(item.image)


def test_a_stream_that_cannot_be_opened_is_one_failure_without_its_password() -> None:
    (item,) = open_inputs("http://me:secret@127.0.0.1:9/x")
    assert item.source == "http://***@127.0.0.1:9/x"
    assert "the stream cannot be opened" in str(item.image)
    assert "secret" not in str(item.image)


# A device that is slower than the camera


@pytest.mark.parametrize("every", [1, 2])
def test_a_device_with_10_fps_classifies_the_newest_frames_of_a_camera_with_25(every: int) -> None:
    camera = Camera()
    clock = CameraClock(camera, 25)
    started: list[float] = []

    def service(number: int) -> float:
        started.append(clock())
        return 0.1

    live = LiveSource("cam", camera.open, FrameSampler(every), clock=clock)

    def inputs() -> Iterator[Item]:
        """The camera's frames; if there is no new one, time advances to the next."""
        last = -1
        items = iter(live)
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
    live.close()
    camera.disconnect()
    assert all(is_right(result.frame, result) for result in results)
    assert len(results) >= 8 * 20
    for begun, result in zip(started, results, strict=True):
        assert isinstance(result, Classification)
        newest = int(begun * 25 + 1e-6)
        assert 0 <= newest - (result.frame or 0) <= 2
        assert result.age_ms == pytest.approx((begun - (result.frame or 0) / 25) * 1e3 + 100)
    assert live.dropped > 0
    assert -(-camera.sent // every) - len(results) - live.dropped in (0, 1)  # the last one may not be taken


def test_a_stream_detects_live_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It then uses one request per device stream and one image per request."""
    camera = Camera()
    monkeypatch.setattr(capture, "open_live", lambda _: camera.open())
    model = classifier(batch=4)
    driving = threading.Thread(target=lambda: camera.send(1))
    driving.start()
    with open_inputs("0", limit=1) as inputs:
        (result,) = model.stream(inputs)
    driving.join()
    camera.disconnect()
    assert is_right(0, result)
    assert model.compiled(1).model.tally.started == 1
    assert model.compiled(1).model.tally.created == 2  # streams of the fake


# OpenCV and a real connection


class Mjpeg(BaseHTTPRequestHandler):
    """The first connection ends after some frames, the second stalls, the third lasts. The grey level is its number."""

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
        Mjpeg.connections += 100 if number >= 3 else 0  # the client has disconnected


def test_an_mjpeg_server_on_loopback_is_read_across_lost_connections(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_source, "MIN_RETRY_DELAY_S", 0.01)
    monkeypatch.setattr(capture, "READ_TIMEOUT_S", 0.5)
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(Mjpeg, "connections", 0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mjpeg)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    before = set(threading.enumerate())
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
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
    assert set(threading.enumerate()) <= before
    assert "secret" not in caplog.text
    assert len(caplog.records) == 4  # lost and connected again, twice
