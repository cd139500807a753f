"""`AsyncQueue`: one image after another from asyncio programs, in bounded memory."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.errors import (
    DeviceError,
    ImageError,
    IrError,
    OvMobilenetError,
    QueueFullError,
    UsageError,
    printable,
)
from ov_mobilenet.runtime.async_calls import AsyncCall, call_soon, deadline_error, finish_all, set_event
from ov_mobilenet.runtime.async_scheduler import AsyncScheduler, Ticket
from ov_mobilenet.runtime.in_flight import RequestOutput
from ov_mobilenet.runtime.infer_queue import check_at_least_1
from ov_mobilenet.runtime.items import as_item
from ov_mobilenet.runtime.results import NOT_FINITE, Failure, Timings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.items import Image, Item, Prepared
    from ov_mobilenet.runtime.loaded_model import LoadedModel

# The threads end when no image came for this time.
IDLE_S = 1.0
JOIN_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class InferredImage:
    """The output of the network for one image.

    Attributes:
        values: float32 (classes,): probabilities in [0, 1].
        timings: milliseconds per stage; `queue` is all the waiting, for a thread that decodes and for an infer request.
        batch: number of images that its infer request ran.
    """

    values: NDArray[np.float32]
    timings: Timings
    batch: int = 1


_Call = AsyncCall[InferredImage]
_Answer = InferredImage | OvMobilenetError


class AsyncQueue:
    """Runs the images of many asyncio tasks through one model.

    Images that arrive while all infer requests run share a batch; an image that arrives alone runs at once. One queue
    serves the event loops of any number of threads. Its own threads start with an image, and end after a second
    without one.

    Attributes:
        max_queue: maximum number of images that are accepted and not answered yet.
        batch_size: images per request.
        requests: number of infer requests that run at the same time.
    """

    def __init__(
        self,
        classifier: LoadedModel,
        *,
        batch_size: int | None = None,
        requests: int | None = None,
        max_wait_ms: float = 10.0,
        max_queue: int = 256,
        decode_workers: int | None = None,
        device_timeout_s: float = 60.0,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Create a queue with infer requests of its own.

        Args:
            classifier: a model loaded with `load_classifier`.
            batch_size: images per request; None for the fastest on this device. On the CPU, images that do not fill a
                batch run one by one; other devices run an incomplete batch.
            requests: number of infer requests; None for one per stream on the CPU, and for twice the optimum that the
                device reports on others.
            max_wait_ms: how long an image waits for images that are still being decoded, to fill its batch, in
                milliseconds. Without such images it does not wait.
            max_queue: see the class.
            decode_workers: number of threads that decode, crop and resize; None for one per CPU that this process may
                use.
            device_timeout_s: the device counts as lost when a request takes longer, in seconds.
            clock: seconds, for all timings.

        Raises:
            UsageError: a number is out of range.
            DeviceError: the device cannot run batches of this size.
        """
        check_at_least_1(batch_size=batch_size, requests=requests, max_queue=max_queue, workers=decode_workers)
        for name, number, least in (("max_wait_ms", max_wait_ms, 0.0), ("device_timeout_s", device_timeout_s, 1e-3)):
            if not least <= number <= threading.TIMEOUT_MAX:
                raise UsageError(f"invalid {name}", expected=f"at least {least:g}", got=number)
        model = classifier.compiled(batch_size or classifier.stream_batch)
        # `stream_batch` is set where the model may be compiled for any batch size, and the device is a CPU.
        runs_single = classifier.stream_batch is not None and model.batch > 1
        self.max_queue = max_queue
        self.batch_size = model.batch
        is_cpu = classifier.device == "CPU"
        self.requests = requests or model.nireq or (model.streams if is_cpu else model.requests)
        self._classifier = classifier
        self._device = classifier.device
        # Converting to planes takes longer than copying a frame, and so does copying a frame of any size.
        has_planes = classifier.record is not None and classifier.record.planes is not None
        self._copies_quickly = classifier.input_size is not None and not has_planes
        self._clock = clock
        self._workers = decode_workers or usable_cpus()
        self._scheduler = AsyncScheduler(
            classifier, model, classifier.compiled(1) if runs_single else None, self.requests,
            max_wait_s=max_wait_ms / 1e3, timeout_s=device_timeout_s, clock=clock,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._calls: set[_Call] = set()
        self._closed = False
        self._events: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []  # for which `close` waits
        # Both are started with an image, and end together.
        self._pool: ThreadPoolExecutor | None = None
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    @property
    def pending(self) -> int:
        """Number of images that are accepted and not answered yet."""
        return len(self._calls)

    @property
    def lost(self) -> DeviceError | None:
        """Why the device is not used any more; None while it works. A new queue is needed then."""
        return self._scheduler.lost

    def warm_up(self, frame: NDArray[np.uint8]) -> None:
        """Run every infer request once, before the first image; waits for the device.

        Args:
            frame: uint8 (H, W, 3) BGR.

        Raises:
            DeviceError: the device failed.
        """
        self._scheduler.warm_up(self._classifier.prepare(frame))

    async def infer(
        self, image: Image | Item, *, has_input_size: bool = False, timeout_s: float | None = None
    ) -> InferredImage:
        """Run one image through the network.

        If the task is cancelled, the image leaves the queue; what runs already is finished and dropped.

        Args:
            image: a path, the bytes of an image file, or a frame: uint8 (H, W, 3) BGR. A frame must not be overwritten
                before this returns.
            has_input_size: the frame has the network's input size already: do not crop or resize it.
            timeout_s: seconds until the image is given up; None for no limit.

        Raises:
            QueueFullError: `max_queue` images are waiting.
            DeadlineError: not answered within `timeout_s`; an image that waits is not run any more.
            ImageError: the image cannot be read, or is not a frame.
            IrError: the network returned NaN or infinity.
            DeviceError: the device failed, or is lost.
            UsageError: the queue is closed, or this process was forked after the model was loaded.
        """
        if timeout_s is not None and timeout_s <= 0.0:
            raise deadline_error(timeout_s)
        item = as_item(image, "image 0")
        prepare = partial(self._classifier.prepare_frame if has_input_size else self._classifier.prepare, item)
        is_quick = has_input_size and self._copies_quickly
        call, timer = _Call(self._clock(), prepare), None
        try:
            self._accept(call, use_pool=not is_quick)
            if timeout_s is not None:
                timer = call.loop.call_later(timeout_s, call.expire, timeout_s)
            if is_quick:
                self._scheduler.submit(call, prepare())
            return await call.answer
        finally:
            if timer is not None:
                timer.cancel()
            self._end(call)
            call.prepare = None  # an image that waits for a thread is freed now
            # The traceback of an error holds this frame, and that in which the image was decoded, which holds the call.
            del call.answer, call

    async def close(self, *, cancel: bool = False) -> None:
        """Accept no more images, wait for the others and end the threads. Further calls do the same.

        Args:
            cancel: give up the images that wait, instead: their calls of `infer` raise UsageError.
        """
        with self._lock:
            self._closed = True
            calls = tuple(self._calls)
        if cancel:
            self._scheduler.hurry(JOIN_TIMEOUT_S)  # a device that hangs must not hold up the end of the program
            for call in calls:
                call_soon(call.loop, call.finish, _closed("the queue was closed before the image was classified"))
        while (event := self._event(lambda: not self._calls)) is not None:
            await event
        self._scheduler.close()
        thread = self._thread
        while (event := self._event(lambda: self._thread is None)) is not None:
            await event
        if thread is not None:
            thread.join()  # it has nothing left to do

    def _event(self, has_happened: Callable[[], bool]) -> asyncio.Future[None] | None:
        """Set when all calls are answered, and when the threads have ended; None if that has happened."""
        with self._lock:
            if has_happened():
                return None
            loop = asyncio.get_running_loop()
            self._events.append((loop, loop.create_future()))
            return self._events[-1][1]

    def _set_events(self) -> None:
        with self._lock:
            events, self._events = self._events, []
        for loop, event in events:
            call_soon(loop, set_event, event)

    def _accept(self, call: _Call, *, use_pool: bool) -> None:
        """Count a call, and have its image prepared by a thread of the pool."""
        self._classifier.check_process()
        with self._lock:
            if self._closed:
                raise _closed("the queue is closed")
            if (lost := self._scheduler.lost) is not None:
                raise lost
            if len(self._calls) >= self.max_queue:
                raise QueueFullError("too many images are waiting", expected=f"at most {self.max_queue}")
            pool = self._pool or self._start_threads()
            self._calls.add(call)
            self._scheduler.expect(call)
            if use_pool:
                pool.submit(self._prepare, call)

    def _end(self, call: _Call) -> None:
        """The call returns: count it no longer, and take its image out of the queue."""
        self._scheduler.give_up(call)
        with self._lock:
            self._calls.discard(call)
            is_last = self._closed and not self._calls
        if is_last:
            self._set_events()

    def _prepare(self, call: _Call) -> None:
        """Decode, crop and resize an image and pass it on; in a thread of the pool."""
        prepare = call.prepare
        if prepare is None:
            return
        try:
            self._scheduler.wait_to_submit(call, prepare())
        except OvMobilenetError as error:
            self._fail(call, error)
        except Exception as error:  # noqa: BLE001 (whatever a library raises for this image)
            self._fail(call, ImageError(printable(f"cannot be read or resized ({type(error).__name__}: {error})")))

    def _fail(self, call: _Call, error: OvMobilenetError) -> None:
        self._scheduler.withdraw(call)
        self._answer(call.loop, [(call, error)])

    def _answer(self, loop: asyncio.AbstractEventLoop, answers: list[tuple[_Call, _Answer]]) -> None:
        """Answer calls of an event loop, which is woken once; from any thread."""
        if not call_soon(loop, finish_all, answers):
            for call, _ in answers:  # their tasks will never run again
                self._end(call)

    # The thread that waits for the device.

    def _start_threads(self) -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(self._workers, "ov-mobilenet-decode")
        thread = threading.Thread(target=self._work, args=(pool,), name="ov-mobilenet-results", daemon=True)
        thread.start()
        # As in `stream`: a daemon thread that is in OpenVINO while the interpreter ends would abort the process.
        atexit.register(self._stop_at_exit)
        self._pool, self._thread = pool, thread
        return pool

    def _stop_at_exit(self) -> None:
        thread = self._thread
        if thread is not None and os.getpid() == self._process:
            self._scheduler.close(cancel=True)
            thread.join(JOIN_TIMEOUT_S)

    def _work(self, pool: ThreadPoolExecutor) -> None:
        """Hand the results to their event loops, until there are no more images."""
        while True:
            done = self._scheduler.take_done(IDLE_S)
            if done:
                self._deliver(done)
                continue
            with self._lock:
                if not self._scheduler.is_busy or not self._scheduler.is_open:
                    self._pool = None
                    atexit.unregister(self._stop_at_exit)
                    break
        pool.shutdown()
        with self._lock:
            if self._thread is threading.current_thread():  # otherwise another one was started for a new image
                self._thread = None
        self._set_events()

    def _deliver(self, done: list[tuple[Ticket, RequestOutput | Failure, int]]) -> None:
        """Answer calls; each event loop is woken once."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Call, _Answer]]] = {}
        for call, found, place in done:
            assert isinstance(call, AsyncCall)
            by_loop.setdefault(call.loop, []).append((call, self._outcome(call, found, place)))
        for loop, answers in by_loop.items():
            self._answer(loop, answers)

    def _outcome(self, call: _Call, found: RequestOutput | Failure, place: int) -> _Answer:
        import numpy as np

        if isinstance(found, Failure):
            return self._scheduler.lost or DeviceError(
                found.error, where=self._device, fix="Run again, or select another device with -d"
            )
        row = found.rows[place]
        if not np.isfinite(row).all():
            return IrError(NOT_FINITE)
        prepared: Prepared = found.images[place].prepared
        total = (found.started - call.accepted) * 1e3 + found.inference_ms
        waited = total - found.inference_ms - prepared.decode_ms - prepared.geometry_ms
        return InferredImage(
            row,
            Timings(
                decode=prepared.decode_ms, geometry=prepared.geometry_ms, queue=max(0.0, waited),
                inference=found.inference_ms, total=total,
            ),
            len(found.images),
        )  # fmt: skip


def _closed(what: str) -> UsageError:
    return UsageError(what, fix="Submit images before closing the queue")
