"""A live source that comes and goes: a simulated camera, and an MJPEG server read by OpenCV."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ov_mobilenet as ovm
from ov_mobilenet.errors import ImageError
from ov_mobilenet.inputs import live_source
from ov_mobilenet.inputs.capture import FrameSampler
from ov_mobilenet.inputs.live_source import LiveSource
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import Classification, Result
from soak.material import KnownImage, Material, read_material
from soak.rounds import Counts, Mismatch, Round, Workplace, check_result, count_results, expect_equal

RETRY_DELAYS_S = (0.002, 0.02)  # instead of half a second to eight: a round has many reconnections
FRAMES_PER_CONNECTION = 25
# OpenCV's stream decoder computes colours differently from its image decoder: only clear answers are compared.
CLEAR = 0.95


def start(place: Workplace) -> Round:
    """Load the model."""
    live_source.MIN_RETRY_DELAY_S, live_source.MAX_RETRY_DELAY_S = RETRY_DELAYS_S
    material = read_material(place.material)
    classifier = ovm.load_classifier(material.irs[0], device="CPU", inference_precision="f32")
    classifier.compiled(1)

    def run(rng: random.Random) -> Counts:
        counts = camera_once(classifier, material, rng)
        return counts + server_once(classifier, material, rng) if rng.random() < 0.3 else counts

    return run


class Camera:
    """A capture whose connections end after a random number of frames, and which sometimes cannot be opened.

    Frame n is image n of `images`, cyclically.

    Attributes:
        opened, released, delivering: connections; `delivering` those that gave at least one frame.
        sent: frames that were grabbed.
        damaged: frames that could not be decoded.
    """

    def __init__(self, images: tuple[KnownImage, ...], rng: random.Random) -> None:
        self.opened = self.released = self.delivering = self.sent = self.damaged = 0
        self._images, self._rng, self._left, self._is_new = images, rng, 0, False

    def open(self) -> Camera:
        """Raises: ImageError, sometimes, once it has delivered frames."""
        if self.sent and self._rng.random() < 0.3:
            raise ImageError("no such camera")
        self.opened += 1
        self._is_new, self._left = True, self._rng.randint(0 if self.sent else 1, 2 * FRAMES_PER_CONNECTION)
        return self

    def grab(self) -> bool:
        """See `Capture`."""
        time.sleep(self._rng.choice((0.0, 0.0005, 0.002)))
        if not self._left:
            return False
        self._left -= 1
        self.delivering += self._is_new
        self._is_new = False
        self.sent += 1
        return True

    def retrieve(self) -> NDArray[np.uint8] | None:
        """See `Capture`."""
        if self._rng.random() < 0.02:
            self.damaged += 1
            return None
        return self._images[(self.sent - 1) % len(self._images)].frame

    def release(self) -> None:
        """See `Capture`."""
        self.released += 1


def camera_once(classifier: ovm.Classifier, material: Material, rng: random.Random) -> Counts:
    """Classify frames of a camera that comes and goes; none is lost uncounted. Raises: Mismatch."""
    camera = Camera(material.images, random.Random(rng.random()))
    source = LiveSource("camera", camera.open, FrameSampler())
    wanted, passed = rng.randint(30, 150), 0

    def feed() -> Iterator[Item]:
        nonlocal passed
        for item in source:
            passed += 1
            yield item

    results = classifier.stream(feed(), live=True, requests=rng.choice((None, 1, 2)))
    taken = list(islice(results, wanted))
    closers = [source.close, results.close]  # type: ignore[attr-defined]  # a `ResultStream`
    rng.shuffle(closers)
    for close in closers:
        close()
    _check_order(taken, wanted)
    for result in taken:
        image = material.images[(result.frame or 0) % len(material.images)]
        check_result(result, image.answer, "camera")
    untaken = camera.sent - camera.damaged - source.dropped - passed
    if not 0 <= untaken <= 2:  # when it was closed, one frame was being taken and the newest one waited
        raise Mismatch(
            "the frames of the camera", expected="passed on + dropped + damaged, and at most 2 at the end",
            got=f"{camera.sent} sent = {passed} passed on + {source.dropped} dropped + {camera.damaged} damaged "
            f"+ {untaken}",
        )  # fmt: skip
    expect_equal("captures that were released", expected=camera.opened, got=camera.released)
    expect_equal("reconnections", expected=camera.delivering - 1, got=source.reconnections)
    return count_results(passed, taken)


class StreamServer(ThreadingHTTPServer):
    """Each connection gets one image, repeated, and ends; images of a camera that comes and goes.

    Attributes:
        connections: number of connections.
    """

    def __init__(self, images: list[KnownImage]) -> None:
        super().__init__(("127.0.0.1", 0), _StreamHandler)
        self.images, self.connections = images, 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients disconnect in the middle; that is not printed."""


class _StreamHandler(BaseHTTPRequestHandler):
    server: StreamServer

    def log_message(self, *arguments: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        image = self.server.images[self.server.connections % len(self.server.images)]
        self.server.connections += 1
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (
            len(image.data),
            image.data,
        )
        for _ in range(FRAMES_PER_CONNECTION):
            self.wfile.write(part)


@contextmanager
def serving(images: list[KnownImage]) -> Iterator[StreamServer]:
    """A server that runs; its threads have ended after the block."""
    server = StreamServer(images)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()  # waits for the threads of the connections
        thread.join()


def server_once(classifier: ovm.Classifier, material: Material, rng: random.Random) -> Counts:
    """Classify frames over connections that end. Raises: Mismatch."""
    clear = [image for image in material.images if image.path.suffix == ".jpg" and image.answer.max() > CLEAR]
    images, wanted = rng.sample(clear, 8), rng.randint(3, 60)
    with serving(images) as server:
        url = f"http://127.0.0.1:{server.server_port}/live"
        with ovm.open_inputs(url) as inputs:
            taken = list(islice(classifier.stream(inputs), wanted))
        reconnections = inputs.reconnections
        connections = server.connections
    _check_order(taken, wanted)
    place = 0
    for result in taken:
        if not isinstance(result, Classification):
            raise Mismatch("a frame of the stream", expected="classes", got=result.error)
        while place < connections and images[place % len(images)].answer.argmax() != result.best.class_id:
            place += 1
    if place >= connections:
        raise Mismatch(
            "the classes of the stream, in order",
            expected=[int(image.answer.argmax()) for image in images],
            got=[result.best.class_id for result in taken if isinstance(result, Classification)],
        )
    if not place <= reconnections < connections:
        raise Mismatch("reconnections", expected=f"at least {place}, below {connections}", got=reconnections)
    return count_results(len(taken), taken)


def _check_order(taken: list[Result], wanted: int) -> None:
    expect_equal("the number of results", expected=wanted, got=len(taken))
    numbers = [result.frame for result in taken]
    expect_equal("the numbers of the frames", expected=sorted({number or 0 for number in numbers}), got=numbers)
