"""`InferQueue`: submit images in one thread, take results in another, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING

from ov_mobilenet.errors import UsageError
from ov_mobilenet.runtime.items import as_item
from ov_mobilenet.runtime.results import DEFAULT_TOP_K, Failure, Result
from ov_mobilenet.runtime.scheduler import Pacing, Scheduler

if TYPE_CHECKING:
    from ov_mobilenet.runtime.items import Image, Item, Prepared
    from ov_mobilenet.runtime.loaded_model import LoadedModel


class InferQueue:
    """Classify many images at the speed of the device, in bounded memory.

    Safe for many threads on both sides. Every submitted image gives exactly one result: a `Classification`, or a
    `Failure` that says what went wrong with it. When the device fails for good, the results of all submitted images
    come first and then one `DeviceError`.

        with InferQueue(classifier) as queue:
            threading.Thread(target=feed, args=(queue,)).start()     # submits, and closes the queue at the end
            for key, result in queue:
                ...

    Attributes:
        requests: how many infer requests run at a time.
        batch_size: images per request.
        capacity: how many images may be submitted and not yet taken; `submit` waits at that number.
    """

    def __init__(
        self,
        classifier: LoadedModel,
        *,
        requests: int | None = None,
        batch_size: int | None = None,
        max_wait_ms: float = 5.0,
        top_k: int = DEFAULT_TOP_K,
        ordered: bool = True,
        capacity: int | None = None,
        timeout_s: float = 60.0,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Create a queue with infer requests of its own.

        Args:
            classifier: what `load_classifier` returned.
            requests: how many infer requests run at a time; None for twice the device's optimum.
            batch_size: images per request; None for the classifier's default.
            max_wait_ms: how long an image waits for others to fill its batch, in milliseconds.
            top_k: how many classes a result has, at least 1.
            ordered: give results in the order of submission; else as they are done.
            capacity: see the class; None for some batches more than the requests hold.
            timeout_s: after how many seconds without an answer the device is taken to be lost.
            clock: seconds, for all timings.

        Raises:
            UsageError: a number is out of range.
            DeviceError: the device cannot run batches of this size.
        """
        check_at_least_1(top_k=top_k, requests=requests, batch_size=batch_size)
        model = classifier.compiled(batch_size)
        self.batch_size = model.batch
        self.requests = requests or model.requests
        self.capacity = default_capacity(model.batch, self.requests) if capacity is None else capacity
        if self.capacity < self.batch_size:
            raise UsageError("bad capacity", expected=f"at least {self.batch_size}", got=self.capacity)
        self._classifier = classifier
        self._scheduler = Scheduler(
            classifier,
            model,
            self.requests,
            Pacing(self.capacity, self.batch_size, max_wait_ms / 1e3),
            top_k=top_k,
            ordered=ordered,
            timeout_s=timeout_s,
            clock=clock,
        )

    def submit(self, image: Image | Item, key: Hashable = None) -> None:
        """Classify an image; waits while `capacity` results are not yet taken.

        An image that cannot be read gives a `Failure` among the results, not an error here.

        Args:
            image: a path, the bytes of an image file, or a frame: uint8 (H, W, 3) BGR. A frame may be overwritten as
                soon as this returns.
            key: returned with the result.

        Raises:
            UsageError: the queue is closed.
            DeviceError: the device failed for good.
            MissingDependencyError: the library that reads images cannot be imported.
        """
        item = as_item(image, "a frame" if key is None else str(key))
        self.submit_prepared(self._classifier.prepare_or_fail(item), key)

    def submit_prepared(self, prepared: Prepared | Failure, key: Hashable = None) -> None:
        """As `submit`, for what `Classifier.prepare` returned, or for a failure to be returned in its place."""
        self._scheduler.fill(self._scheduler.reserve(), key, prepared)

    def close(self, *, cancel: bool = False) -> None:
        """Accept no more images; the remaining results can still be iterated over.

        Args:
            cancel: images that are not done become a `Failure` each. Otherwise they are finished.
        """
        self._scheduler.close(cancel=cancel)

    def __enter__(self) -> InferQueue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)

    def __iter__(self) -> Iterator[tuple[Hashable, Result]]:
        return self

    def __next__(self) -> tuple[Hashable, Result]:
        """The next key and result; waits for it. Ends when the queue is closed and all results are taken.

        Raises:
            DeviceError: the device failed for good; raised once, after the results of all submitted images.
        """
        return self._scheduler.take()


def default_capacity(batch_size: int, requests: int) -> int:
    """How many images a queue holds: two batches per request, and two batches that wait."""
    return batch_size * (2 * requests + 2)


def check_at_least_1(**numbers: int | None) -> None:
    """Check that numbers are None or at least 1. Raises: UsageError, names the first that is not."""
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise UsageError(f"bad {name}", expected="at least 1", got=number)
