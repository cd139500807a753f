"""Asynchronous infer requests: images are admitted, grouped into batches, inferred, and returned in order.

The scheduler has no thread and no callback of its own: the threads that add images or take results do its work. They
start requests in turn and wait for the oldest one with the GIL released; the latency of a request is the figure that
OpenVINO reports. `tools/bench/README.md` compares this with OpenVINO's AsyncInferQueue and a Python callback.

A prepared image is passed with `add`, which waits for room (see `Pacing`). If the order is decided before images are
prepared: `wait_for_room` and `reserve` return the number of the next image, and `fill` passes it, in any order of
numbers. `take_ready` returns the results. An image costs one lock when it is added, and one for all that are taken
together.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ov_mobilenet.errors import DeviceError, UsageError, printable
from ov_mobilenet.runtime.in_flight import PendingImage, RequestOutput, RequestSlot, create_slots, has_ended, leak
from ov_mobilenet.runtime.items import Prepared
from ov_mobilenet.runtime.results import AnyResult, Failure, NotRun

if TYPE_CHECKING:
    from ov_mobilenet.runtime.loaded_model import BatchModel, LoadedModel

CANCELLED = "cancelled before it was classified"
# The device counts as lost after this number of failed requests in a row.
MAX_CONSECUTIVE_FAILURES = 3
# A long wait is split into slices, so that Ctrl-C is handled in between.
WAIT_SLICE_MS = 200
WAIT_SLICE_S = WAIT_SLICE_MS / 1e3


@dataclass(frozen=True)
class Pacing:
    """When an image is admitted and when a request is started.

    Attributes:
        capacity: maximum number of images that are reserved and not yet taken.
        gather: number of prepared images that are collected before requests are started; at least the batch size.
        max_wait_s: how long a prepared image waits for others, in seconds.
        max_running: images are admitted only while at most this number of requests run; None for no limit.
    """

    capacity: int
    gather: int
    max_wait_s: float
    max_running: int | None = None


# Key; a result, the output that it is made from, or an error to raise; place in the output.
Done = tuple[Hashable, "AnyResult | RequestOutput | BaseException", int]


class Scheduler:
    """Runs images through infer requests; see the module docstring. All methods but `reserve` are thread-safe."""

    def __init__(
        self,
        loaded: LoadedModel,
        model: BatchModel,
        requests: int,
        pacing: Pacing,
        *,
        top_k: int | None,
        ordered: bool,
        timeout_s: float,
        clock: Callable[[], float],
    ) -> None:
        """Create the infer requests.

        Args:
            requests: number of infer requests.
            top_k: number of classes per result; None for features.
            ordered: return results in the order of their numbers; otherwise in the order of completion.
            timeout_s: the device counts as lost when a request takes longer, in seconds.
            clock: seconds, for all timings.
        """
        self.batch_size = model.batch
        self._loaded = loaded
        self._pacing = pacing
        self._top_k = top_k
        self._ordered = ordered
        self._timeout = timeout_s
        self._clock = clock
        self._idle = create_slots(model, requests)
        self._busy: deque[RequestSlot] = deque()  # in the order of their start
        self._pending: list[PendingImage] = []
        self._done: dict[int, Done] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._reserved = self._taken = self._failures_in_row = 0
        self._closed = False
        self._cancel_reason: str | None = None
        self._lost: DeviceError | None = None
        self._lost_raised = False

    # Adding images

    def wait_for_room(self) -> bool:
        """Wait until an image can be admitted. Returns False if the scheduler is closed or the device is lost."""
        if self._is_open() and self._has_room():  # other threads can only make more room
            return True
        with self._lock:
            return self._wait_for_room()

    def reserve(self) -> int:
        """The number of the next image, without waiting; for one thread at a time, which has waited for room.

        `fill` must be called for each number.
        """
        self._reserved += 1
        return self._reserved - 1

    def add(self, key: Hashable, image: Prepared | Failure) -> None:
        """Wait for room and add an image; for any number of threads, but not together with `reserve`.

        Raises:
            UsageError: the scheduler is closed, or this process was forked after its creation.
            DeviceError: the device is lost.
        """
        self._loaded.check_process()
        with self._lock:
            if not self._wait_for_room():
                raise self._lost or UsageError("the queue is closed", fix="Submit images before closing it")
            self._reserved += 1
            self._fill(self._reserved - 1, key, image)

    def fill(self, number: int, key: Hashable, image: Prepared | Failure | BaseException) -> None:
        """Provide the image for a number: a frame to classify, a failure to return, or an error for `take_ready`."""
        with self._lock:
            self._fill(number, key, image)

    def close(self, *, cancel: bool = False) -> None:
        """Admit no more images; `take_ready` raises StopIteration after the last result.

        Args:
            cancel: turn images that are not finished into failures; otherwise they are finished.
        """
        with self._lock:
            self._closed = True
            if cancel and self._cancel_reason is None:
                self._cancel_all(CANCELLED)
            while self._pending and self._lost is None:
                self._start()
            self._changed.notify_all()
            self._room.notify_all()

    # Taking results

    def take_ready(self, limit: int) -> list[tuple[Hashable, AnyResult]]:
        """The keys and the results of the next images that are done, at most `limit`; waits for the first one.

        Raises:
            StopIteration: the scheduler is closed and all results are taken.
            DeviceError: the device is lost; raised once, after all results.
            BaseException: the error that was passed to `fill` for the next image.
            UsageError: this process was forked after the creation of the scheduler.
        """
        self._loaded.check_process()
        with self._lock:
            while (number := self._next_done()) is None:
                self._raise_at_end()
                self._advance()
            taken = [self._done.pop(number)]
            self._taken += 1
            while len(taken) < limit and (number := self._next_done()) is not None:
                if isinstance(taken[0][1], BaseException) or isinstance(self._done[number][1], BaseException):
                    break  # an error is taken, and raised, alone
                taken.append(self._done.pop(number))
                self._taken += 1
            self._changed.notify_all()
            if self._has_room():
                self._room.notify(len(taken))
        if isinstance(taken[0][1], BaseException):
            raise taken[0][1]
        return [(key, self._result(found, place)) for key, found, place in taken]  # made here, outside the lock

    def _result(self, found: AnyResult | RequestOutput | BaseException, place: int) -> AnyResult:
        if isinstance(found, RequestOutput):
            return found.result(place, self._loaded.labels, self._top_k)
        assert not isinstance(found, BaseException)
        return found

    def _next_done(self) -> int | None:
        if self._ordered:
            return self._taken if self._taken in self._done else None
        return next(iter(self._done), None)

    def _raise_at_end(self) -> None:
        if self._reserved > self._taken:
            return
        if self._lost is not None and not self._lost_raised:
            self._lost_raised = True
            raise self._lost
        if self._closed or self._lost is not None:
            raise StopIteration

    # All methods below are called with the lock held, and release it only to wait.

    def _fill(self, number: int, key: Hashable, image: Prepared | Failure | BaseException) -> None:
        if not isinstance(image, Prepared):
            self._finish(number, key, image)
        elif self._cancel_reason is not None:
            self._finish(number, key, _not_run(image, self._cancel_reason))
        else:
            self._pending.append(PendingImage(number, key, image, self._clock()))
            if len(self._pending) >= self._pacing.gather or self._closed:
                min_images = 1 if self._closed else self.batch_size
                while len(self._pending) >= min_images and self._lost is None:
                    self._start()
            elif len(self._pending) == 1:
                self._changed.notify_all()  # a thread in `take_ready` now has to respect `max_wait_s`

    def _is_open(self) -> bool:
        return not self._closed and self._lost is None

    def _wait_for_room(self) -> bool:
        while self._is_open() and not self._has_room():
            if not self._room.wait(WAIT_SLICE_S):
                # No result was taken for a whole slice: collect the finished requests, since a slow consumer does not.
                while (slot := self._finished_slot()) is not None:
                    self._wait_for(slot)
        return self._is_open()

    def _has_room(self) -> bool:
        pacing = self._pacing
        return self._reserved - self._taken < pacing.capacity and (
            pacing.max_running is None or len(self._busy) <= pacing.max_running
        )

    def _finish(self, number: int, key: Hashable, result: AnyResult | BaseException) -> None:
        self._done[number] = (key, result, 0)
        self._changed.notify_all()

    def _fail(self, images: list[PendingImage], reason: str) -> None:
        for image in images:
            self._finish(image.number, image.key, _not_run(image.prepared, reason))
        images.clear()

    def _start(self) -> None:
        """Start a request with the next pending images; if all requests are running, wait for the oldest one first."""
        while not self._idle and self._busy:
            self._wait_for(self._busy[0])
        if self._pending and self._idle:  # otherwise another thread started them, or the device is lost
            self._run(self._idle.pop())

    def _run(self, slot: RequestSlot) -> None:
        """Start this request with the next pending images."""
        slot.images, self._pending = self._pending[: slot.batch], self._pending[slot.batch :]
        try:
            self._set_input(slot)
            slot.started = self._clock()
            slot.request.start_async()
        except Exception as error:  # noqa: BLE001 (any error of the device becomes the result of these images)
            self._request_failed(slot, error)
        else:
            self._busy.append(slot)
            self._changed.notify_all()  # a consumer may have had no request to wait for

    def _set_input(self, slot: RequestSlot) -> None:
        """Set the input tensor: a single frame is shared without a copy, a batch is copied into one tensor."""
        if slot.batch == 1:
            import openvino as ov

            slot.tensor = ov.Tensor(slot.images[0].prepared.frame[None], shared_memory=True)
            slot.request.set_input_tensor(slot.tensor)
            return
        if slot.frames is None:
            slot.tensor = slot.request.get_input_tensor()
            slot.frames = slot.tensor.data
        for place, image in enumerate(slot.images):
            slot.frames[place] = image.prepared.frame

    def _advance(self) -> None:
        """Wait until a request ends, an incomplete batch is due, or another thread changes the state."""
        patience = None
        if self._pending and self._idle and self._lost is None:
            patience = max(0.0, self._pending[0].queued + self._pacing.max_wait_s - self._clock())
            if patience == 0.0 or self._closed:
                self._start()
                return
        if self._busy:
            self._wait_for(self._finished_slot() or self._busy[0], patience)
        else:
            self._changed.wait(patience)

    def _finished_slot(self) -> RequestSlot | None:
        """A request that has ended and whose results are not collected yet; not necessarily the oldest."""
        for slot in self._busy:
            try:
                if not slot.waited_for and slot.request.wait_for(0):
                    return slot
            except RuntimeError:  # it ended with an error, which the next wait raises again
                return slot
        return None

    def _wait_for(self, slot: RequestSlot, patience: float | None = None) -> None:
        """Wait for a request, at most `patience` seconds, and collect its results; one thread per request."""
        if slot.waited_for:
            self._changed.wait(WAIT_SLICE_S if patience is None else patience)
            return
        error, ended = None, False
        slice_ms = WAIT_SLICE_MS if patience is None else min(WAIT_SLICE_MS, max(1, int(patience * 1e3)))
        slot.waited_for = True
        self._lock.release()
        try:
            ended = slot.request.wait_for(slice_ms)
        except RuntimeError as problem:
            error = problem
        finally:
            self._lock.acquire()
            slot.waited_for = False
            self._changed.notify_all()
        if slot not in self._busy:  # cancelled in the meantime
            return
        if error is not None:
            self._busy.remove(slot)
            self._request_failed(slot, error)
        elif ended:
            self._busy.remove(slot)
            try:
                self._collect(slot)
            except Exception as problem:  # noqa: BLE001 (as in _start)
                self._request_failed(slot, problem)
        elif self._clock() - slot.started > self._timeout:
            self._lose_device(f"no answer within {self._timeout:g} s")
        if self._has_room():
            self._room.notify_all()

    def _collect(self, slot: RequestSlot) -> None:
        # Copied: the next run of the request overwrites the output tensor.
        rows = slot.request.get_output_tensor(0).data[: len(slot.images)].copy()
        output = RequestOutput(slot.images, rows, slot.started, slot.request.latency)
        for place, image in enumerate(slot.images):
            self._done[image.number] = (image.key, output, place)
        self._changed.notify_all()
        self._failures_in_row = 0
        slot.images = []
        self._release(slot)

    def _release(self, slot: RequestSlot) -> None:
        self._idle.append(slot)

    def _request_failed(self, slot: RequestSlot, error: Exception) -> None:
        reason = last_line(error)
        self._fail(slot.images, f"the device failed ({reason})")
        self._release(slot)
        self._failures_in_row += 1
        if self._failures_in_row >= MAX_CONSECUTIVE_FAILURES:
            self._lose_device(reason)

    def _lose_device(self, reason: str) -> None:
        """Stop using the device: every image that is not finished becomes a failure."""
        self._lost = DeviceError(
            f"device {self._loaded.device} stopped working ({reason})",
            fix="Run again, or select another device with -d",
        )
        self._cancel_all(f"the device failed ({reason})", is_lost=True)
        self._room.notify_all()

    def _cancel_all(self, reason: str, *, is_lost: bool = False) -> None:
        """Fail all images that are pending or running now, and those that `fill` passes later."""
        self._cancel_reason = reason
        busy, self._busy = self._busy, deque()
        for slot in busy:
            slot_reason = reason
            try:
                if not slot.waited_for and slot.request.wait_for(0):  # ended, but not collected yet
                    self._collect(slot)
                    continue
                slot.request.cancel()
            except Exception as error:  # noqa: BLE001 (as in _start)
                slot_reason = f"{reason}; {last_line(error)}"
            self._fail(slot.images, slot_reason)
            if not is_lost:
                self._release(slot)
            elif not has_ended(slot):
                leak(slot.request)
        self._fail(self._pending, reason)


def _not_run(image: Prepared, reason: str) -> NotRun:
    return NotRun(image.item.source, reason, image.item.frame, image.item.time_s)


def last_line(error: Exception) -> str:
    """The last line of an OpenVINO message, which holds the reason, at most 200 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(lines[-1][:200]) if lines else type(error).__name__
