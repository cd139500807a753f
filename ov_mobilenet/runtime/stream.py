"""From inputs to results in input order: images are decoded in threads while the device infers, in bounded memory."""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.runtime.defaults import MANY_IMAGES
from ov_mobilenet.runtime.infer_queue import check_at_least_1, default_capacity
from ov_mobilenet.runtime.items import Item, as_item
from ov_mobilenet.runtime.results import DEFAULT_TOP_K, AnyResult
from ov_mobilenet.runtime.scheduler import Pacing, Scheduler

if TYPE_CHECKING:
    from ov_mobilenet.runtime.items import Image, Prepared
    from ov_mobilenet.runtime.loaded_model import BatchModel, LoadedModel
    from ov_mobilenet.runtime.results import Failure

# An incomplete batch costs as much as a full one, so it waits while images are still being decoded.
MAX_WAIT_S = 0.2
# On the CPU, decoding and inference take turns, each for this number of requests per stream: if they run side by side
# on the same cores, each evicts the other's data from the caches. See tools/bench/README.md.
REQUESTS_PER_TURN = 8
DEVICE_TIMEOUT_S = 60.0
# The most results that are taken together. They are small, but count as taken before the caller has them.
GROUP = 16
# How long the end of a stream waits for its threads, and how long the end of the program waits for those that decode.
JOIN_TIMEOUT_S = 2.0
DECODE_TIMEOUT_S = 10.0


def stream(
    loaded: LoadedModel,
    inputs: Iterable[Image | Item],
    *,
    top_k: int | None = DEFAULT_TOP_K,
    batch_size: int | None = None,
    requests: int | None = None,
    workers: int | None = None,
    live: bool | None = None,
    clock: Callable[[], float] = perf_counter,
) -> ResultStream:
    """See `Classifier.stream`.

    Args:
        top_k: None for features.
        clock: seconds, for timings and ages.
    """
    check_at_least_1(top_k=top_k, batch_size=batch_size, requests=requests, workers=workers)
    is_live = getattr(inputs, "live", False) if live is None else live
    if is_live:
        # A frame is taken only when a request is free; otherwise it would wait while newer frames arrive.
        model, workers = loaded.compiled(1), workers or 1
        requests = requests or model.nireq or model.streams
        pacing = Pacing(requests, 1, MAX_WAIT_S)
    else:
        if batch_size is None and (count_of(inputs) or MANY_IMAGES) >= MANY_IMAGES:
            batch_size = loaded.stream_batch
        model, workers = loaded.compiled(batch_size), workers or usable_cpus()
        requests = requests or default_requests(loaded, model)
        pacing = _pacing(loaded, model, requests, workers)
    scheduler = Scheduler(
        loaded, model, requests, pacing, top_k=top_k, ordered=True, timeout_s=DEVICE_TIMEOUT_S, clock=clock
    )  # fmt: skip
    # A taken result makes room for a frame, which for a live source must not be read before the caller has the result.
    limit = 1 if is_live else GROUP
    groups = _groups(_Decoders(loaded, iter(inputs), scheduler, workers), scheduler, limit)
    return ResultStream(groups, loaded.check_process)


def count_of(inputs: Iterable[Image | Item]) -> int | None:
    """The number of inputs in a list or in the result of `open_inputs`; None if it is not known."""
    return len(inputs) if isinstance(inputs, Sized) else getattr(inputs, "count", None)


def default_requests(loaded: LoadedModel, model: BatchModel) -> int:
    """The number of infer requests of a stream when `requests` is not given."""
    if model.nireq is None and loaded.device == "CPU":
        return REQUESTS_PER_TURN * model.streams
    return model.requests


def _pacing(loaded: LoadedModel, model: BatchModel, requests: int, workers: int) -> Pacing:
    capacity = default_capacity(model.batch, requests) + workers
    if loaded.device == "CPU":  # decoding and inference take turns
        return Pacing(capacity, model.batch * requests, MAX_WAIT_S, max_running=model.streams)
    return Pacing(capacity, model.batch, MAX_WAIT_S)


class _Decoders:
    """The threads that take inputs, decode them and pass them to the scheduler.

    They are daemons: a thread that is blocked in a read (a pipe, an unreachable network drive) does not keep the
    process alive for more than `DECODE_TIMEOUT_S`.
    """

    def __init__(self, loaded: LoadedModel, inputs: Iterator[Image | Item], scheduler: Scheduler, workers: int) -> None:
        self._loaded = loaded
        self._inputs = inputs
        self._scheduler = scheduler
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._ended = False
        self._stopped = False
        self._working = workers
        self._decoding: set[threading.Thread] = set()
        self._threads = [
            threading.Thread(target=self._work, name=f"ov-mobilenet-decode_{number}", daemon=True)
            for number in range(workers)
        ]

    def start(self) -> None:
        # At interpreter exit daemon threads are frozen, possibly while they hold a lock that a generator needs when it
        # is finalised later. So they are stopped first.
        atexit.register(self._stop_at_exit)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take no more inputs, cancel unfinished images, and wait for the threads. Further calls do nothing."""
        if self._stopped or os.getpid() != self._process:  # a fork has none of the threads
            return
        self._stopped = self._ended = True
        atexit.unregister(self._stop_at_exit)
        self._scheduler.close(cancel=True)
        deadline = monotonic() + JOIN_TIMEOUT_S
        for thread in self._threads:
            if thread.ident is not None:  # not every thread was started if the system refused one
                thread.join(max(0.0, deadline - monotonic()))

    def _stop_at_exit(self) -> None:
        """Stop, and wait for threads in a decoder: one that returns to Python after its end aborts the process."""
        if os.getpid() != self._process:
            return
        self.stop()
        deadline = monotonic() + DECODE_TIMEOUT_S
        for thread in tuple(self._decoding):
            thread.join(max(0.0, deadline - monotonic()))

    def _work(self) -> None:
        thread = threading.current_thread()
        try:
            while (numbered := self._next()) is not None:
                number, item = numbered
                self._decoding.add(thread)
                image = self._prepare(item)
                self._decoding.discard(thread)
                self._scheduler.fill(number, None, image)
        finally:
            with self._lock:
                self._working -= 1
                is_last = self._working == 0
            if is_last:
                self._scheduler.close()

    def _next(self) -> tuple[int, Item] | None:
        """The next input and its number; one thread at a time calls the iterator."""
        with self._lock:
            if self._ended or not self._scheduler.wait_for_room():
                return None
            # The number is reserved only once the input has arrived: an input that never arrives then delays neither
            # a result nor the error of a lost device.
            try:
                image = next(self._inputs)
            except StopIteration:
                self._ended = True
                return None
            except BaseException as error:  # noqa: BLE001 (raised to the consumer)
                self._ended = True
                self._scheduler.fill(self._scheduler.reserve(), None, error)
                return None
            number = self._scheduler.reserve()
            return number, as_item(image, f"image {number}")

    def _prepare(self, item: Item) -> Prepared | Failure | BaseException:
        try:
            return self._loaded.prepare_or_fail(item)
        except BaseException as error:  # noqa: BLE001 (raised to the consumer; e.g. a missing library, for every image)
            self._ended = True
            return error


class ResultStream(Iterator[AnyResult]):
    """The results of a stream in input order, one by one or in groups.

    The threads behind it end with the last result, with `close`, or when this object is deleted.
    """

    def __init__(self, groups: Generator[list[AnyResult], None, None], check_process: Callable[[], None]) -> None:
        self._groups = groups
        self._check_process = check_process
        self._ready: deque[AnyResult] = deque()

    def __next__(self) -> AnyResult:
        """The next result; waits for it."""
        while True:
            if self._ready:
                self._check_process()
                return self._ready.popleft()
            self._ready.extend(next(self._groups))

    def groups(self) -> Iterator[list[AnyResult]]:
        """The results that are ready, in lists of at least one; waits for each first one."""
        while True:
            if self._ready:
                self._check_process()
                group = list(self._ready)
                self._ready.clear()
            else:
                try:
                    group = next(self._groups)
                except StopIteration:
                    return
            yield group

    def close(self) -> None:
        """Cancel the images that are not finished. Further calls do nothing."""
        self._ready.clear()
        self._groups.close()


def result_groups(results: Iterator[AnyResult]) -> Iterator[list[AnyResult]]:
    """The results of `Classifier.stream` in lists of those that are ready at the same time, at least one."""
    return results.groups() if isinstance(results, ResultStream) else ([result] for result in results)


def _groups(decoders: _Decoders, scheduler: Scheduler, limit: int) -> Generator[list[AnyResult], None, None]:
    try:
        decoders.start()
        while True:
            try:
                taken = scheduler.take_ready(limit)
            except StopIteration:
                return
            yield [result for _, result in taken]
    finally:
        decoders.stop()
