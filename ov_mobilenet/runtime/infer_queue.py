"""`InferQueue`: one thread submits images, another takes the results, in bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Generic, cast, overload

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import UsageError
from ov_mobilenet.runtime.items import as_item
from ov_mobilenet.runtime.results import DEFAULT_TOP_K, Failure, Result
from ov_mobilenet.runtime.scheduler import Pacing, Scheduler

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from ov_mobilenet.runtime.items import Image, Item, Prepared
    from ov_mobilenet.runtime.loaded_model import LoadedModel

    K = TypeVar("K", bound=Hashable, default=Hashable)
else:
    from typing import TypeVar

    K = TypeVar("K")

# Larger numbers are mistakes that would take all memory or threads of the machine.
LIMITS = {"batch_size": 4096, "requests": 4096, "workers": 1024}


class InferQueue(Generic[K]):
    """Classifies many images at the speed of the device, in bounded memory.

    Thread-safe: any number of threads may submit images and take results. Every submitted image gives exactly one
    result: a `Classification`, or a `Failure` with the reason. When the device is lost, iteration returns the results
    of all submitted images and then raises `DeviceError` once.

        with InferQueue(classifier) as queue:
            threading.Thread(target=feed, args=(queue,)).start()     # submits images, then calls queue.close()
            for key, result in queue:
                ...

    For type checkers, `InferQueue[str](classifier)` takes and returns keys of type str. Without a type, any hashable
    value is a key, and an image may have none.

    Attributes:
        requests: number of infer requests.
        batch_size: images per request.
        capacity: maximum number of images that are submitted and whose results are not taken yet; `submit` waits when
            it is reached.
    """

    @checked
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
            classifier: a model loaded with `load_classifier`.
            requests: number of infer requests; None for twice the optimum that the device reports.
            batch_size: images per request; None for the model's own.
            max_wait_ms: how long an image waits for others to fill its batch, in milliseconds.
            top_k: number of classes per result, at least 1.
            ordered: return results in the order of submission; otherwise in the order of completion.
            capacity: see the class; None for two batches per request and two more.
            timeout_s: the device counts as lost when a request takes longer, in seconds.
            clock: seconds, for all timings.

        Raises:
            UsageError: a number is out of range.
            DeviceError: the device cannot run batches of this size.
        """
        check_at_least_1(top_k=top_k, requests=requests, batch_size=batch_size)
        model = classifier.compiled(batch_size)
        self.batch_size: int = model.batch
        self.requests: int = requests or model.requests
        self.capacity: int = default_capacity(model.batch, self.requests) if capacity is None else capacity
        if self.capacity < self.batch_size:
            raise UsageError(
                "invalid capacity", expected=f"at least {self.batch_size}, the batch size", got=self.capacity
            )
        for name, number, least in (("max_wait_ms", max_wait_ms, 0.0), ("timeout_s", timeout_s, 1e-3)):
            if not least <= number <= threading.TIMEOUT_MAX:
                raise UsageError(f"invalid {name}", expected=f"at least {least:g}", got=number)
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

    @overload
    def submit(self, image: Image | Item, key: K) -> None: ...
    @overload
    def submit(self: InferQueue[Hashable], image: Image | Item) -> None: ...
    def submit(self, image: Image | Item, key: Hashable = None) -> None:
        """Submit an image; waits while the queue is at its capacity.

        The wait ends when another thread takes a result: a program with one thread submits at most `capacity` images
        before it takes results.

        An image that cannot be read gives a `Failure` among the results and raises nothing here.

        Args:
            image: a path, the bytes of an image file, or a frame: uint8 (H, W, 3) BGR. A frame may be overwritten
                after this returns.
            key: returned with the result.

        Raises:
            UsageError: the queue is closed.
            DeviceError: the device is lost.
            MissingDependencyError: the library that reads images cannot be imported.
        """
        item = as_item(image, "frame" if key is None else str(key))
        self._submit(self._classifier.prepare_or_fail(item), key)

    @overload
    def submit_prepared(self, prepared: Prepared | Failure, key: K) -> None: ...
    @overload
    def submit_prepared(self: InferQueue[Hashable], prepared: Prepared | Failure) -> None: ...
    @checked
    def submit_prepared(self, prepared: Prepared | Failure, key: Hashable = None) -> None:
        """Submit the return value of `Classifier.prepare`, or a failure to return as the result of this image."""
        self._submit(prepared, key)

    def _submit(self, prepared: Prepared | Failure, key: Hashable) -> None:
        self._scheduler.add(key, prepared)

    @checked
    def close(self, *, cancel: bool = False) -> None:
        """Accept no more images; the remaining results can still be iterated over.

        Args:
            cancel: each image that is not finished becomes a `Failure`; otherwise they are finished.
        """
        self._scheduler.close(cancel=cancel)

    def __enter__(self) -> InferQueue[K]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)

    def __iter__(self) -> Iterator[tuple[K, Result]]:
        return self

    def __next__(self) -> tuple[K, Result]:
        """The next key and result; waits for it. Iteration ends when the queue is closed and all results are taken.

        Raises:
            DeviceError: the device is lost; raised once, after the results of all submitted images.
        """
        ((key, result),) = self._scheduler.take_ready(1)
        return cast(K, key), cast(Result, result)


def default_capacity(batch_size: int, requests: int) -> int:
    """The number of images that a queue holds: two batches per request, and two more that are being collected."""
    return batch_size * (2 * requests + 2)


def check_at_least_1(**numbers: int | None) -> None:
    """Check that each number is None, or at least 1 and below the limit of its kind. Raises: UsageError."""
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise UsageError(f"invalid {name}", expected="at least 1", got=number)
        if number is not None and number > (limit := LIMITS.get(name, number)):
            raise UsageError(f"invalid {name}", expected=f"at most {limit}", got=number)
