"""A bounded queue over OpenVINO's asynchronous infer requests: frames in, answers out, errors as values.

No thread and no callback of ours: whoever submits or takes results moves the queue along. Requests are started in turn
and the oldest one is waited for, which releases Python's lock; what it took is OpenVINO's own figure. Measured against
OpenVINO's AsyncInferQueue with a Python callback in `tools/bench/README.md`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING

from ov_mobilenet.errors import DeviceError, UsageError, printable
from ov_mobilenet.runtime.in_flight import Answered, Slot, Waiting
from ov_mobilenet.runtime.items import Item, as_item
from ov_mobilenet.runtime.results import DEFAULT_TOP_K, Failure, Result

if TYPE_CHECKING:
    from ov_mobilenet.runtime.classifier import Classifier, Prepared
    from ov_mobilenet.runtime.items import Image

CANCELLED = "cancelled before it was classified"
# A device that fails so often without an answer in between will not come back.
FATAL_FAILURES = 3
# Waiting is cut into slices: Ctrl-C is seen in between.
WAIT_SLICE_MS = 200


_ABANDONED: list[Slot] = []


class InferQueue:
    """Classify many pictures at the speed of the device, in bounded memory.

    Safe for many threads on both sides. Every picture that is submitted gives exactly one result: a `Classification`,
    or a `Failure` that says what went wrong with it. When the device fails for good, the results of all that was
    submitted come first and then one `DeviceError`.

        with InferQueue(classifier) as queue:
            threading.Thread(target=feed, args=(queue,)).start()     # submits, and closes the queue at the end
            for key, result in queue:
                ...

    Attributes:
        requests: how many infer requests work at a time.
        batch_size: pictures a request.
        capacity: how many pictures may be submitted and not yet taken; `submit` waits at that number.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        requests: int | None = None,
        batch_size: int | None = None,
        gather: int = 0,
        max_wait_ms: float = 5.0,
        top_k: int = DEFAULT_TOP_K,
        ordered: bool = True,
        capacity: int | None = None,
        timeout_s: float = 60.0,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Make a queue; it has infer requests of its own.

        Args:
            requests: how many work at a time; None for what the model was compiled for.
            batch_size: pictures a request; None for the classifier's own.
            gather: how many pictures wait for each other before requests are started; at least a batch.
            max_wait_ms: how long a picture waits for others.
            top_k: how many classes a result has, at least 1.
            ordered: give results in the order of submission; else as they are done.
            capacity: see the class; None for some batches more than the requests hold.
            timeout_s: after how many seconds without an answer a request is given up, and with it the device.
            clock: seconds, for all timings.

        Raises:
            UsageError: a number is out of range.
            DeviceError: the device cannot run batches of this size.
        """
        for name, value in (("top_k", top_k), ("requests", requests), ("batch_size", batch_size)):
            if value is not None and value < 1:
                raise UsageError(f"bad {name}", expected="at least 1", got=value)
        compiled = classifier.compiled(batch_size)
        self.batch_size = compiled.batch
        self.requests = requests or compiled.requests
        self.capacity = self.batch_size * (2 * self.requests + 2) if capacity is None else capacity
        if self.capacity < max(gather, self.batch_size):
            raise UsageError("bad capacity", expected=f"at least {max(gather, self.batch_size)}", got=self.capacity)
        self._gather = max(gather, self.batch_size)
        self._classifier = classifier
        self._max_wait = max_wait_ms / 1e3
        self._top_k = top_k
        self._ordered = ordered
        self._timeout = timeout_s
        self._clock = clock
        self._idle = [Slot(compiled.model.create_infer_request()) for _ in range(self.requests)]
        self._busy: deque[Slot] = deque()
        self._pending: list[Waiting] = []
        self._done: dict[int, tuple[Hashable, Result | Answered]] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._calmer = threading.Condition(self._lock)  # fewer requests run, or the queue is closed
        self._submitted = self._taken = self._failures = 0
        self._closed = False
        self._lost: DeviceError | None = None
        self._lost_told = False

    # Submitting

    def submit(self, image: Image | Item, key: Hashable = None) -> None:
        """Classify a picture; waits while `capacity` results are not yet taken.

        A picture that cannot be read is its own result, not an error here.

        Args:
            image: a path, the bytes of a picture file, or a frame: uint8 (H, W, 3) BGR. A frame may be written over
                as soon as this returns.
            key: comes back with the result.

        Raises:
            UsageError: the queue is closed.
            DeviceError: the device failed for good.
            MissingDependencyError: what reads pictures cannot be imported.
        """
        item = as_item(image, "a frame" if key is None else str(key))
        self.submit_prepared(self._classifier.prepare_or_fail(item), key)

    def submit_prepared(self, prepared: Prepared | Failure, key: Hashable = None) -> None:
        """As `submit`, for what `Classifier.prepare` gave, or for a failure that is to come back in its place."""
        with self._lock:
            while self._submitted - self._taken >= self.capacity and self._is_open():
                self._changed.wait(WAIT_SLICE_MS / 1e3)
            if not self._is_open():
                raise self._lost or UsageError("the queue is closed", expected="submit before close")
            number = self._submitted
            self._submitted += 1
            if isinstance(prepared, Failure):
                self._finish(number, key, prepared)
                return
            self._pending.append(Waiting(number, key, prepared, self._clock()))
            if len(self._pending) >= self._gather:
                while len(self._pending) >= self.batch_size and self._lost is None:
                    self._start()
            elif len(self._pending) == 1:
                self._changed.notify_all()  # a batch has begun: its time to wait runs

    def wait_until_calm(self, most: int) -> None:
        """Wait until no more than `most` requests run, or the queue is closed."""
        with self._lock:
            while len(self._busy) > most and self._is_open():
                self._calmer.wait(WAIT_SLICE_MS / 1e3)

    def close(self, *, cancel: bool = False) -> None:
        """Take no more pictures; results can still be iterated over, and end.

        Args:
            cancel: give up what is not done yet; each picture then has a `Failure`. Otherwise it is finished.
        """
        with self._lock:
            self._closed = True
            if cancel:
                self._give_up(CANCELLED)
            while self._pending and self._lost is None:
                self._start()
            self._changed.notify_all()
            self._calmer.notify_all()

    def __enter__(self) -> InferQueue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)

    # Results

    def __iter__(self) -> Iterator[tuple[Hashable, Result]]:
        return self

    def __next__(self) -> tuple[Hashable, Result]:
        """The next key and result; waits for it. Ends when the queue is closed and all results are taken.

        Raises:
            DeviceError: the device failed for good; after the results of all that was submitted, once.
        """
        with self._lock:
            while True:
                number = self._next_done()
                if number is not None:
                    break
                self._raise_at_end()
                self._advance()
            key, found = self._done.pop(number)
            self._taken += 1
            self._changed.notify_all()
        if isinstance(found, Answered):  # made into a result here, without the lock
            return key, found.result(self._classifier.labels, self._top_k)
        return key, found

    def _next_done(self) -> int | None:
        if self._ordered:
            return self._taken if self._taken in self._done else None
        return next(iter(self._done), None)

    def _raise_at_end(self) -> None:
        if self._submitted > self._taken:
            return
        if self._lost is not None and not self._lost_told:
            self._lost_told = True
            raise self._lost
        if self._closed or self._lost is not None:
            raise StopIteration

    # Moving along; all of this holds the lock, and lets go of it only to wait

    def _is_open(self) -> bool:
        return not self._closed and self._lost is None

    def _finish(self, number: int, key: Hashable, result: Result | Answered) -> None:
        self._done[number] = (key, result)
        self._changed.notify_all()

    def _fail(self, items: list[Waiting], reason: str) -> None:
        for item in items:
            self._finish(item.number, item.key, item.prepared.item.failure(reason))
        items.clear()

    def _start(self) -> None:
        """Start a request with the pictures that wait, after the oldest one is done if all are busy."""
        while not self._idle and self._busy:
            self._wait_for(self._busy[0])
        if not self._pending or not self._idle:  # another thread was faster, or the device is gone
            return
        slot = self._idle.pop()
        slot.items, self._pending = self._pending[: self.batch_size], self._pending[self.batch_size :]
        try:
            self._feed(slot)
            slot.started = self._clock()
            slot.request.start_async()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is these pictures' result)
            self._failed(slot, error)
        else:
            self._busy.append(slot)
            self._changed.notify_all()  # somebody may wait for results and have had nothing to wait for

    def _feed(self, slot: Slot) -> None:
        """Hand the pixels to the request: one picture as it is, several beside each other."""
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
        """Wait for whatever comes first: an answer, a batch that has waited long enough, another thread."""
        patience = None
        if self._pending and self._idle and self._lost is None:
            patience = max(0.0, self._pending[0].queued + self._max_wait - self._clock())
            if patience == 0.0 or self._closed:
                self._start()
                return
        if self._busy:
            ready = None if self._ordered else self._ready()
            self._wait_for(ready or self._busy[0], patience)
        else:
            self._changed.wait(patience)

    def _ready(self) -> Slot | None:
        """A request that is done though an older one is not."""
        for slot in self._busy:
            try:
                if not slot.waited_for and slot.request.wait_for(0):
                    return slot
            except RuntimeError:  # done in its way; told when it is waited for
                return slot
        return None

    def _wait_for(self, slot: Slot, patience: float | None = None) -> None:
        """Wait for a request, or as long as the patience is, and take what it gave; one thread at a time for each."""
        if slot.waited_for:
            self._changed.wait(WAIT_SLICE_MS / 1e3 if patience is None else patience)
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
            self._calmer.notify_all()
        if slot not in self._busy:  # given up meanwhile
            return
        if error is not None:
            self._busy.remove(slot)
            self._failed(slot, error)
        elif done:
            self._busy.remove(slot)
            try:
                self._harvest(slot)
            except Exception as problem:  # noqa: BLE001 (as in _start)
                self._failed(slot, problem)
        elif self._clock() - slot.started > self._timeout:
            self._lose(f"no answer within {self._timeout:g} s")

    def _harvest(self, slot: Slot) -> None:
        # The tensor is written again by the request's next run.
        rows = slot.request.get_output_tensor(0).data[: len(slot.items)].copy()
        latency = slot.request.latency
        for item, row in zip(slot.items, rows, strict=True):
            self._finish(item.number, item.key, Answered(item, row, slot.started, latency))
        self._failures = 0
        slot.items = []
        self._idle.append(slot)

    def _failed(self, slot: Slot, error: Exception) -> None:
        reason = _short(error)
        self._fail(slot.items, f"the device failed ({reason})")
        self._idle.append(slot)
        self._failures += 1
        if self._failures >= FATAL_FAILURES:
            self._lose(reason)

    def _lose(self, reason: str) -> None:
        """The device is gone: everything that is under way is a failure."""
        self._lost = DeviceError(
            f"device {self._classifier.device} stopped working ({reason})",
            fix="Run again, or on another device with -d",
        )
        self._give_up(f"the device failed ({reason})", forget=True)

    def _give_up(self, reason: str, *, forget: bool = False) -> None:
        """Fail all that waits and all that runs; requests of a device that does not answer are never used again."""
        busy, self._busy = self._busy, deque()
        for slot in busy:
            try:
                if not slot.waited_for and slot.request.wait_for(0):  # done, and only not taken yet
                    self._harvest(slot)
                    continue
                slot.request.cancel()
            except RuntimeError as error:
                reason = f"{reason}; {_short(error)}"
            self._fail(slot.items, reason)
            # To let go of a request that runs waits for it, which a device that hangs never ends.
            (_ABANDONED if forget else self._idle).append(slot)
        self._fail(self._pending, reason)


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable(lines[-1][:200]) if lines else type(error).__name__
