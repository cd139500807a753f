"""From inputs to ordered results: pictures are decoded in threads while the device works, in bounded memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from ov_mobilenet.errors import DeviceError, OvMobilenetError, UsageError
from ov_mobilenet.runtime.infer_queue import InferQueue
from ov_mobilenet.runtime.items import Item, as_item
from ov_mobilenet.runtime.results import DEFAULT_TOP_K, Result

if TYPE_CHECKING:
    from ov_mobilenet.runtime.classifier import Classifier, QueueModel
    from ov_mobilenet.runtime.items import Image


# A batch that is not full costs as much as a full one: it is not given up while pictures are still being decoded.
MAX_WAIT_MS = 200.0
# On the CPU decoding and inference take turns, so many requests a stream at a time: side by side on the same cores
# each takes the caches from the other. See tools/bench/README.md.
TURN = 8
GOODBYE_S = 2.0


def stream(
    classifier: Classifier,
    inputs: Iterable[Image | Item],
    *,
    top_k: int = DEFAULT_TOP_K,
    batch_size: int | None = None,
    requests: int | None = None,
    workers: int | None = None,
    live: bool | None = None,
    clock: Callable[[], float] = perf_counter,
) -> Iterator[Result]:
    """See `Classifier.stream`.

    Args:
        clock: seconds, for timings and ages.
    """
    if workers is not None and workers < 1:
        raise UsageError("bad workers", expected="at least 1", got=workers)
    if getattr(inputs, "live", False) if live is None else live:
        return _run(_live_feed(classifier, inputs, top_k, requests, workers, clock))
    workers = workers or os.cpu_count() or 1
    model = classifier.compiled(batch_size)
    takes_turns = classifier.device == "CPU"
    requests = default_requests(classifier, model) if requests is None else requests
    queue = InferQueue(
        classifier,
        top_k=top_k,
        batch_size=batch_size,
        requests=requests,
        gather=model.batch * (requests or 0) if takes_turns else 0,
        ordered=False,
        max_wait_ms=MAX_WAIT_MS,
        clock=clock,
    )
    calm, room = model.streams if takes_turns else None, queue.capacity + workers
    return _run(_Feed(classifier, iter(inputs), queue, workers, calm, room))


def _live_feed(
    classifier: Classifier,
    inputs: Iterable[Image | Item],
    top_k: int,
    requests: int | None,
    workers: int | None,
    clock: Callable[[], float],
) -> _Feed:
    """Frames that must not wait: none is taken before the device can start on it at once.

    One thread takes and prepares, or else one more frame would be on its way for each; one result may wait.
    """
    model = classifier.compiled(1)
    requests = requests or model.nireq or model.streams
    queue = InferQueue(classifier, top_k=top_k, batch_size=1, requests=requests, ordered=False, clock=clock)
    return _Feed(classifier, iter(inputs), queue, workers or 1, queue.requests - 1, queue.requests + 1)


def default_requests(classifier: Classifier, model: QueueModel) -> int | None:
    """How many infer requests a stream has at a time if nobody says; None for the queue's own choice."""
    return model.nireq or TURN * model.streams if classifier.device == "CPU" else None


class _Feed:
    """The threads that take inputs, decode them and submit them.

    Args:
        calm: decode only while no more requests than these run; None on a device with cores of its own.
        room: how many may be on their way: decoded, in the queue, or done and waiting for an earlier one.

    Attributes:
        error: what the inputs themselves raised, or what keeps all of them from being read; no more are taken then.
    """

    def __init__(
        self,
        classifier: Classifier,
        inputs: Iterator[Image | Item],
        queue: InferQueue,
        workers: int,
        calm: int | None,
        room: int,
    ) -> None:
        self.queue = queue
        self.error: BaseException | None = None
        self._classifier = classifier
        self._inputs = inputs
        self._calm = calm
        self._taken = 0
        self._lock = threading.Lock()
        self._stop = False
        self._room = threading.Semaphore(room)
        self._working = workers
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def delivered(self) -> None:
        """A result has gone out: there is room for one more input."""
        self._room.release()

    def stop(self) -> None:
        """Take no more inputs, give up what is under way, and wait for the threads."""
        self._stop = True
        self.queue.close(cancel=True)
        for _ in self._threads:
            self._room.release()
        # One that hangs in a read (a pipe, a dead network drive) is left behind: it is a daemon and submits no more.
        deadline = monotonic() + GOODBYE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))

    def _work(self) -> None:
        try:
            while (found := self._next()) is not None:
                number, image = found
                item = as_item(image, f"image {number}")
                self.queue.submit_prepared(self._classifier.prepare_or_fail(item), number)
        except (DeviceError, UsageError):
            pass  # the queue tells whoever takes its results
        except OvMobilenetError as error:
            with self._lock:
                self.error = self.error or error
            # The picture has no result, so those after it do not go out: nobody else makes room for the other threads.
            for _ in self._threads:
                self._room.release()
        finally:
            with self._lock:
                self._working -= 1
                last = self._working == 0
            if last:
                self.queue.close()

    def _next(self) -> tuple[int, Image | Item] | None:
        """The next input and its number; one thread at a time asks the iterator."""
        self._room.acquire()
        if self._calm is not None:
            self.queue.wait_until_calm(self._calm)
        with self._lock:
            if self._stop or self.error is not None:
                return None
            try:
                image = next(self._inputs)
            except StopIteration:
                self._stop = True
                return None
            except BaseException as error:  # noqa: BLE001 (raised again where the results are taken)
                self.error = error
                return None
            self._taken += 1
            return self._taken - 1, image


def _run(feed: _Feed) -> Iterator[Result]:
    """Results in the order of the inputs."""
    early: dict[Hashable, Result] = {}
    wanted = 0
    feed.start()
    try:
        for key, result in feed.queue:
            early[key] = result
            while wanted in early:
                yield early.pop(wanted)
                wanted += 1
                feed.delivered()
        if feed.error is not None:
            raise feed.error
    finally:
        feed.stop()
