"""`AsyncQueue`: one image after another from asyncio programs, in bounded memory."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.errors import IrError, QueueFullError
from ov_mobilenet.runtime.items import as_item
from ov_mobilenet.runtime.results import NOT_FINITE, Timings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.runtime.items import Image, Item, Prepared


@dataclass(frozen=True)
class InferredImage:
    """The output of the network for one image.

    Attributes:
        values: float32 (classes,): probabilities in [0, 1].
        timings: milliseconds per stage.
        batch: number of images that its infer request ran.
    """

    values: NDArray[np.float32]
    timings: Timings
    batch: int = 1


class AsyncQueue:
    """Runs the images of many asyncio tasks through one model.

    Attributes:
        max_queue: maximum number of images that are accepted and not answered yet.
        pending: number of these images.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        batch_size: int | None = None,
        requests: int | None = None,
        max_wait_ms: float = 2.0,
        max_queue: int = 256,
        decode_workers: int | None = None,
    ) -> None:
        self.max_queue = max_queue
        self.pending = 0
        self._classifier = classifier
        self._pool = ThreadPoolExecutor(decode_workers or usable_cpus(), "ov-mobilenet-decode")

    async def infer(
        self, image: Image | Item, *, has_input_size: bool = False, timeout_s: float | None = None
    ) -> InferredImage:
        """Run one image through the network.

        Args:
            image: a path, the bytes of an image file, or a frame: uint8 (H, W, 3) BGR.
            has_input_size: the frame has the network's input size already: do not crop or resize it.
            timeout_s: seconds until the image is given up; None for no limit.

        Raises:
            QueueFullError: `max_queue` images are waiting.
            DeadlineError: not answered within `timeout_s`; an image that waits is not run any more.
            ImageError: the image cannot be read, or is not a frame.
            IrError: the network returned NaN or infinity.
            DeviceError: the device failed.
        """
        if self.pending >= self.max_queue:
            raise QueueFullError("too many images are waiting", expected=f"at most {self.max_queue}")
        self.pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, image)
        finally:
            self.pending -= 1

    def _run(self, image: Image | Item) -> InferredImage:
        import numpy as np

        prepared: Prepared = self._classifier.prepare(as_item(image, "image"))
        started = perf_counter()
        values = self._classifier.run_prepared(prepared)
        if not np.isfinite(values).all():
            raise IrError(NOT_FINITE)
        inference = (perf_counter() - started) * 1e3
        return InferredImage(
            values,
            Timings(
                decode=prepared.decode_ms, geometry=prepared.geometry_ms, inference=inference,
                total=(perf_counter() - prepared.started) * 1e3,
            ),
        )  # fmt: skip

    async def close(self, *, cancel: bool = False) -> None:
        """Accept no more images, wait for the others and end the threads.

        Args:
            cancel: give up the images that wait, instead.
        """
        self._pool.shutdown(wait=False, cancel_futures=cancel)
