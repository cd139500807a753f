"""The scheduler of `AsyncQueue`: images arrive one by one from many callers, and any of them may be given up.

It differs from its base in three ways. Adding an image never waits for a request: while all requests run, images stay
pending, and the next full batch starts as soon as one ends. An incomplete batch waits only while more images are
expected, for example while others are being decoded. And the images that do not fill a batch may run alone, on the
model compiled for batch size 1: an incomplete batch costs as much as a full one.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Literal, cast

from ov_mobilenet.errors import DeviceError
from ov_mobilenet.runtime.in_flight import PendingImage, RequestOutput, RequestSlot, create_slots, leak
from ov_mobilenet.runtime.infer_queue import default_capacity
from ov_mobilenet.runtime.results import Failure
from ov_mobilenet.runtime.scheduler import WAIT_SLICE_S, Pacing, Scheduler, last_line

if TYPE_CHECKING:
    from ov_mobilenet.runtime.items import Prepared
    from ov_mobilenet.runtime.loaded_model import BatchModel, LoadedModel


class Ticket:
    """One image on its way. Its fields are changed with the lock of the scheduler held.

    Attributes:
        stage: expected, submitted, or done: its result is taken, or it was withdrawn.
        given_up: nobody waits for the result any more.
    """

    __slots__ = ("given_up", "stage")

    def __init__(self) -> None:
        self.stage: Literal["new", "expected", "submitted", "done"] = "new"
        self.given_up = False


class AsyncScheduler(Scheduler):
    """Runs single images through infer requests; see the module docstring. All methods are thread-safe.

    Order of the calls for one image: `expect`, then `submit` when it is prepared; `give_up` at any time.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        model: BatchModel,
        single: BatchModel | None,
        requests: int,
        *,
        max_wait_s: float,
        timeout_s: float,
        clock: Callable[[], float],
    ) -> None:
        """Create the infer requests.

        Args:
            single: the model for batch size 1, for images that do not fill a batch; None to run incomplete batches.
            requests: number of requests that run at the same time.
            max_wait_s: how long an image waits for others that are expected, in seconds.
            timeout_s, clock: see `Scheduler`.
        """
        pacing = Pacing(default_capacity(model.batch, requests), model.batch, max_wait_s)
        super().__init__(
            loaded, model, requests, pacing, top_k=None, ordered=False, timeout_s=timeout_s, clock=clock
        )  # fmt: skip
        self._requests = requests
        self._idle_single = [] if single is None else create_slots(single, requests)
        self._runs_single = single is not None
        self._expected = 0
        self._image_s = 0.0  # how long the last request took for each of its images

    @property
    def lost(self) -> DeviceError | None:
        """Why the device is not used any more, as a new error; None while it works."""
        return copy(self._lost)

    @property
    def is_open(self) -> bool:
        """Whether images are accepted: the scheduler is not closed, and the device works."""
        return self._is_open()

    @property
    def is_busy(self) -> bool:
        """Whether images are expected, or submitted and their results not taken."""
        with self._lock:
            return self._expected > 0 or self._reserved > self._taken

    def warm_up(self, image: Prepared) -> None:
        """Run every infer request once, with copies of this image; before the first `expect`. Waits for the device.

        Raises:
            DeviceError: the device failed.
        """
        for slots in (self._idle, self._idle_single):
            try:
                for slot in slots:
                    slot.images = [PendingImage(0, None, image, 0.0)] * slot.batch
                    self._set_input(slot)
                    slot.images = []
                    slot.request.start_async()
                late = [slot for slot in slots if not slot.request.wait_for(int(self._timeout * 1e3))]
            except Exception as error:
                raise DeviceError(f"the device failed ({last_line(error)})", where=self._loaded.device) from error
            for slot in late:
                leak(slot.request)
            if late:
                raise DeviceError(f"no answer within {self._timeout:g} s", where=self._loaded.device)

    def expect(self, ticket: Ticket) -> None:
        """Announce an image: incomplete batches wait for it."""
        with self._lock:
            ticket.stage = "expected"
            self._expected += 1

    def wait_to_submit(self, ticket: Ticket, image: Prepared) -> None:
        """As `submit`, but wait while many images are prepared already, so that decoding does not run far ahead."""
        with self._lock:
            while not self._has_room() and self._is_open() and ticket.stage == "expected":
                self._room.wait(WAIT_SLICE_S)
        self.submit(ticket, image)

    def submit(self, ticket: Ticket, image: Prepared) -> None:
        """Run an image that was announced. Does not wait. An image that was given up is dropped.

        Raises:
            DeviceError: the device is lost.
        """
        with self._lock:
            if ticket.stage != "expected":
                return
            if self._lost is not None:
                raise copy(self._lost)  # raised by many callers, each with a traceback of its own
            ticket.stage = "submitted"
            self._expected -= 1
            self._reserved += 1
            self._pending.append(PendingImage(self._reserved, ticket, image, self._clock()))
            self._start_ready()
            self._changed.notify()  # the thread in `take_done` waits for the request, or until the image is due

    def withdraw(self, ticket: Ticket) -> None:
        """Do not expect an image any more: it cannot be prepared."""
        with self._lock:
            self._withdraw(ticket)

    def give_up(self, ticket: Ticket) -> None:
        """Take an image out of the queue. If it runs already, its result is dropped."""
        with self._lock:
            ticket.given_up = True
            self._withdraw(ticket)
            if ticket.stage == "submitted":
                left = [image for image in self._pending if image.key is not ticket]
                self._taken += len(self._pending) - len(left)
                self._pending = left

    def hurry(self, timeout_s: float) -> None:
        """Count the device as lost when a request takes longer than this, in seconds, also one that runs already."""
        with self._lock:
            self._timeout = min(self._timeout, timeout_s)

    def take_done(self, idle_s: float) -> list[tuple[Ticket, RequestOutput | Failure, int]]:
        """All results that are ready; waits for the first one.

        Returns:
            Each with its ticket, and the place of the image in the output; nothing if no image was submitted for
            `idle_s` seconds, or if there will be no more.
        """
        with self._lock:
            while True:
                while (slot := self._finished_slot()) is not None:
                    self._wait_for(slot)
                self._start_ready()
                if self._done:
                    break
                if self._reserved == self._taken and not (self._is_open() and self._changed.wait(idle_s)):
                    return []
                self._advance()
            done = cast("list[tuple[Ticket, RequestOutput | Failure, int]]", list(self._done.values()))
            for ticket, _, _ in done:
                ticket.stage = "done"
            self._done.clear()
            self._taken += len(done)
            self._room.notify_all()
        return [entry for entry in done if not entry[0].given_up]

    # With the lock held:

    def _withdraw(self, ticket: Ticket) -> None:
        if ticket.stage == "expected":
            ticket.stage = "done"
            self._expected -= 1
            self._start_ready()  # the others may have waited for this image

    def _start_ready(self) -> None:
        """Start requests with pending images, while requests are idle and images are not better kept waiting."""
        while self._pending and self._lost is None and len(self._busy) < self._requests:
            if len(self._pending) >= self.batch_size:
                self._run(self._idle.pop())
            elif self._wait_left() == 0.0:
                self._run((self._idle_single if self._runs_single else self._idle).pop())
            else:
                return

    def _wait_left(self) -> float:
        """How long an incomplete batch still waits for images that are expected, in seconds."""
        if not self._expected or self._closed:
            return 0.0
        return max(0.0, self._pending[0].queued + self._pacing.max_wait_s - self._clock())

    def _advance(self) -> None:
        """Wait until a request ends, an incomplete batch is due, or another thread changes the state."""
        patience = None
        if self._pending and self._lost is None and len(self._busy) < self._requests:
            patience = self._wait_left()
        if self._busy:
            oldest = self._busy[0]
            if self._runs_single and oldest.batch > 1:  # a single image that is started later may end before it
                patience = self._image_s if patience is None else min(patience, self._image_s)
            self._wait_for(oldest, patience)
        elif self._pending:
            self._changed.wait(WAIT_SLICE_S if patience is None else patience)

    def _collect(self, slot: RequestSlot) -> None:
        super()._collect(slot)
        self._image_s = slot.request.latency / 1e3 / slot.batch

    def _release(self, slot: RequestSlot) -> None:
        (self._idle_single if slot.batch == 1 and self._runs_single else self._idle).append(slot)
