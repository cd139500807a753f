"""Infer requests run asynchronously: images are admitted, gathered into requests and answered, in order.

There is no thread and no callback here: whoever adds images or takes results moves the scheduler along. Requests are
started in turn and the oldest one is waited for, which releases Python's lock; its latency is OpenVINO's own figure.
Measured against OpenVINO's AsyncInferQueue with a Python callback in `tools/bench/README.md`.

Each image has a number. `reserve` gives it out, in order, and is the only place that waits for room (`Pacing`). `fill`
brings what became of the image, in any order. `take` gives the results.
"""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ov_mobilenet.errors import DeviceError, UsageError, printable
from ov_mobilenet.runtime.in_flight import Answered, Slot, Waiting
from ov_mobilenet.runtime.items import Prepared
from ov_mobilenet.runtime.results import Failure, Result

if TYPE_CHECKING:
    from ov_mobilenet.runtime.loaded_model import BatchModel, LoadedModel

CANCELLED = "cancelled before it was classified"
# After so many failed requests in a row the device is taken to be lost.
FATAL_FAILURES = 3
# Waiting is cut into slices, so that Ctrl-C is noticed in between.
WAIT_SLICE_MS = 200
WAIT_SLICE_S = WAIT_SLICE_MS / 1e3


@dataclass(frozen=True)
class Pacing:
    """When an image is admitted and when a request is started.

    Attributes:
        capacity: how many images may be reserved and not yet taken.
        gather: how many prepared images are collected before requests are started; at least the batch size.
        max_wait_s: how long a prepared image waits for others.
        most_running: images are admitted only while no more requests than these run; None for any number.
    """

    capacity: int
    gather: int
    max_wait_s: float
    most_running: int | None = None


class Scheduler:
    """See the module. Safe for many threads on both sides."""

    def __init__(
        self,
        loaded: LoadedModel,
        model: BatchModel,
        requests: int,
        pacing: Pacing,
        *,
        top_k: int,
        ordered: bool,
        timeout_s: float,
        clock: Callable[[], float],
    ) -> None:
        """Create the infer requests.

        Args:
            requests: how many infer requests run at a time.
            top_k: how many classes a result has.
            ordered: give results in the order of their numbers; else as they are done.
            timeout_s: after how many seconds without an answer the device is taken to be lost.
            clock: seconds, for all timings.
        """
        self.batch_size = model.batch
        self._loaded = loaded
        self._pacing = pacing
        self._top_k = top_k
        self._ordered = ordered
        self._timeout = timeout_s
        self._clock = clock
        self._idle = [Slot(model.model.create_infer_request()) for _ in range(requests)]
        self._busy: deque[Slot] = deque()
        self._pending: list[Waiting] = []
        self._done: dict[int, tuple[Hashable, Result | Answered | BaseException]] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._admission = threading.Condition(self._lock)
        self._reserved = self._taken = self._failures = 0
        self._closed = False
        self._given_up: str | None = None
        self._lost: DeviceError | None = None
        self._lost_raised = False

    # Adding images

    def reserve(self) -> int:
        """The number of the next image; waits until there is room for it.

        Raises:
            UsageError: the scheduler is closed.
            DeviceError: the device failed for good.
        """
        with self._lock:
            while self._is_open() and not self._admits():
                self._admission.wait(WAIT_SLICE_S)
            if not self._is_open():
                raise self._lost or UsageError("the queue is closed", expected="submit before close")
            self._reserved += 1
            return self._reserved - 1

    def withdraw(self) -> None:
        """Give the last number back; the caller makes sure that no other thread has reserved since."""
        with self._lock:
            self._reserved -= 1
            self._changed.notify_all()

    def fill(self, number: int, key: Hashable, found: Prepared | Failure | BaseException) -> None:
        """Bring what became of a reserved image: a frame to classify, a failure, or an error that `take` raises."""
        with self._lock:
            if not isinstance(found, Prepared):
                self._finish(number, key, found)
            elif self._given_up is not None:
                self._finish(number, key, found.item.failure(self._given_up))
            else:
                self._pending.append(Waiting(number, key, found, self._clock()))
                if len(self._pending) >= self._pacing.gather or self._closed:
                    least = 1 if self._closed else self.batch_size
                    while len(self._pending) >= least and self._lost is None:
                        self._start()
                elif len(self._pending) == 1:
                    self._changed.notify_all()  # the time that a batch waits for more images begins

    def close(self, *, cancel: bool = False) -> None:
        """Admit no more images; `take` ends after the last result.

        Args:
            cancel: images that are not done become failures. Otherwise they are finished.
        """
        with self._lock:
            self._closed = True
            if cancel and self._given_up is None:
                self._give_up(CANCELLED)
            while self._pending and self._lost is None:
                self._start()
            self._changed.notify_all()
            self._admission.notify_all()

    # Results

    def take(self) -> tuple[Hashable, Result]:
        """The next key and result; waits for it.

        Raises:
            StopIteration: the scheduler is closed and all results are taken.
            DeviceError: the device failed for good; raised once, after all results.
            BaseException: what `fill` was given in the place of this image.
        """
        with self._lock:
            while (number := self._next_done()) is None:
                self._raise_at_end()
                self._advance()
            key, found = self._done.pop(number)
            self._taken += 1
            self._changed.notify_all()
            if self._admits():
                self._admission.notify()
        if isinstance(found, BaseException):
            raise found
        if isinstance(found, Answered):  # turned into a result here, without the lock
            return key, found.result(self._loaded.labels, self._top_k)
        return key, found

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

    # Everything below holds the lock, and releases it only to wait

    def _is_open(self) -> bool:
        return not self._closed and self._lost is None

    def _admits(self) -> bool:
        pacing = self._pacing
        return self._reserved - self._taken < pacing.capacity and (
            pacing.most_running is None or len(self._busy) <= pacing.most_running
        )

    def _finish(self, number: int, key: Hashable, result: Result | Answered | BaseException) -> None:
        self._done[number] = (key, result)
        self._changed.notify_all()

    def _fail(self, items: list[Waiting], reason: str) -> None:
        for item in items:
            self._finish(item.number, item.key, item.prepared.item.failure(reason))
        items.clear()

    def _start(self) -> None:
        """Start a request with the images that wait; if all requests run, after the oldest one is done."""
        while not self._idle and self._busy:
            self._wait_for(self._busy[0])
        if not self._pending or not self._idle:  # another thread was faster, or the device is lost
            return
        slot = self._idle.pop()
        slot.items, self._pending = self._pending[: self.batch_size], self._pending[self.batch_size :]
        try:
            self._feed(slot)
            slot.started = self._clock()
            slot.request.start_async()
        except Exception as error:  # noqa: BLE001 (any error of the device is the result of these images)
            self._failed(slot, error)
        else:
            self._busy.append(slot)
            self._changed.notify_all()  # a consumer may have had no request to wait for

    def _feed(self, slot: Slot) -> None:
        """Give the request its input: a single frame without a copy, several copied into one tensor."""
        import numpy as np
        import openvino as ov

        if self.batch_size == 1:
            slot.tensor = ov.Tensor(slot.items[0].prepared.frame[None], shared_memory=True)
            slot.request.set_input_tensor(slot.tensor)
            return
        if slot.tensor is None:
            slot.tensor = slot.request.get_input_tensor()
        pixels = slot.tensor.data
        for place, item in enumerate(slot.items):
            np.copyto(pixels[place], item.prepared.frame)

    def _advance(self) -> None:
        """Wait for whatever comes first: a request, the time at which a batch is started, another thread."""
        patience = None
        if self._pending and self._idle and self._lost is None:
            patience = max(0.0, self._pending[0].queued + self._pacing.max_wait_s - self._clock())
            if patience == 0.0 or self._closed:
                self._start()
                return
        if self._busy:
            self._wait_for(self._ready() or self._busy[0], patience)
        else:
            self._changed.wait(patience)

    def _ready(self) -> Slot | None:
        """A request that is done, be it that an older one is not."""
        for slot in self._busy:
            try:
                if not slot.waited_for and slot.request.wait_for(0):
                    return slot
            except RuntimeError:  # it ended with an error, which is raised again by the next wait
                return slot
        return None

    def _wait_for(self, slot: Slot, patience: float | None = None) -> None:
        """Wait for a request, at most `patience` seconds, and collect its results; one thread per request."""
        if slot.waited_for:
            self._changed.wait(WAIT_SLICE_S if patience is None else patience)
            return
        error, done = None, False
        slice_ms = WAIT_SLICE_MS if patience is None else min(WAIT_SLICE_MS, max(1, int(patience * 1e3)))
        slot.waited_for = True
        self._lock.release()
        try:
            done = slot.request.wait_for(slice_ms)
        except RuntimeError as problem:
            error = problem
        finally:
            self._lock.acquire()
            slot.waited_for = False
            self._changed.notify_all()
        if slot not in self._busy:  # given up meanwhile
            return
        if error is not None:
            self._busy.remove(slot)
            self._failed(slot, error)
        elif done:
            self._busy.remove(slot)
            try:
                self._collect(slot)
            except Exception as problem:  # noqa: BLE001 (as in _start)
                self._failed(slot, problem)
        elif self._clock() - slot.started > self._timeout:
            self._lose(f"no answer within {self._timeout:g} s")
        if self._admits():
            self._admission.notify_all()

    def _collect(self, slot: Slot) -> None:
        # Copied: the request's next run overwrites the output tensor.
        rows = slot.request.get_output_tensor(0).data[: len(slot.items)].copy()
        latency = slot.request.latency
        for item, row in zip(slot.items, rows, strict=True):
            self._finish(item.number, item.key, Answered(item, row, slot.started, latency))
        self._failures = 0
        slot.items = []
        self._idle.append(slot)

    def _failed(self, slot: Slot, error: Exception) -> None:
        reason = _last_line(error)
        self._fail(slot.items, f"the device failed ({reason})")
        self._idle.append(slot)
        self._failures += 1
        if self._failures >= FATAL_FAILURES:
            self._lose(reason)

    def _lose(self, reason: str) -> None:
        """The device does not work any more: every image that is not done becomes a failure."""
        self._lost = DeviceError(
            f"device {self._loaded.device} stopped working ({reason})",
            fix="Run again, or on another device with -d",
        )
        self._give_up(f"the device failed ({reason})", is_lost=True)
        self._admission.notify_all()

    def _give_up(self, reason: str, *, is_lost: bool = False) -> None:
        """Fail all images that wait or run, and those that are still being prepared when they come."""
        self._given_up = reason
        busy, self._busy = self._busy, deque()
        for slot in busy:
            try:
                if not slot.waited_for and slot.request.wait_for(0):  # done, but not yet collected
                    self._collect(slot)
                    continue
                slot.request.cancel()
            except RuntimeError as error:
                reason = f"{reason}; {_last_line(error)}"
            self._fail(slot.items, reason)
            if is_lost:
                _never_delete(slot.request)
            else:
                self._idle.append(slot)
        self._fail(self._pending, reason)


def _never_delete(request: object) -> None:
    """Leak an infer request on purpose: deleting one waits for its end, which never comes on a hung device."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(request))


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(lines[-1][:200]) if lines else type(error).__name__
