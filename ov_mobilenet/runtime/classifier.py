"""`Classifier`: the most probable classes of image files and frames."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import DeviceError, ImageError, IrError, UsageError
from ov_mobilenet.images.frame_checks import check_frames
from ov_mobilenet.images.yuv_planes import to_planes
from ov_mobilenet.runtime.in_flight import make_result
from ov_mobilenet.runtime.infer_queue import check_at_least_1
from ov_mobilenet.runtime.items import Item, Prepared, as_item, with_path
from ov_mobilenet.runtime.loaded_model import LoadedModel
from ov_mobilenet.runtime.results import DEFAULT_TOP_K, NOT_FINITE, Classification, Failure, Result, top_predictions
from ov_mobilenet.runtime.scheduler import last_line
from ov_mobilenet.runtime.stream import count_of, stream

if TYPE_CHECKING:
    import numpy as np
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.async_queue import AsyncQueue
    from ov_mobilenet.runtime.items import Image

# Images that `classify_async` accepts at a time.
ASYNC_MAX_QUEUE = 1024


class Classifier(LoadedModel):
    """A model compiled for a device; create it with `load_classifier`.

    Thread-safe: each call takes an infer request from a pool.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._requests: queue.SimpleQueue[ov.InferRequest] = queue.SimpleQueue()
        self._async_queue: AsyncQueue | None = None
        self._making_queue = threading.Lock()

    @checked
    def classify(self, image: Image | Item, *, top_k: int = DEFAULT_TOP_K) -> Classification:
        """Classify one image.

        Args:
            image: a path, the bytes of an image file, or a frame: uint8 (H, W, 3) BGR.
            top_k: number of classes to return, at least 1.

        Raises:
            ImageError: the image cannot be read, or the array is not a frame.
            IrError: the network returned NaN or infinity.
            DeviceError: the device failed.
            UsageError: `top_k` is below 1.
        """
        check_at_least_1(top_k=top_k)
        result = self._infer(self.prepare(image), top_k)
        if isinstance(result, Failure):
            raise IrError(NOT_FINITE)
        return result

    @checked
    async def classify_async(
        self, image: Image | Item, *, top_k: int = DEFAULT_TOP_K, timeout_s: float | None = None
    ) -> Classification:
        """Classify one image without blocking the event loop.

        Images of concurrent calls are decoded in one thread per CPU, and run in batches; at most 1024 are accepted at a
        time. If the task is cancelled, its image is not classified any more, unless it runs already. Calls from several
        event loops are fine. The threads behind this end after a second without an image.

        Args:
            image: a path, the bytes of an image file, or a frame: uint8 (H, W, 3) BGR. A frame must not be overwritten
                before this returns.
            top_k: number of classes to return, at least 1.
            timeout_s: seconds until the image is given up; None for no limit.

        Raises:
            QueueFullError: 1024 images are waiting.
            DeadlineError: not classified within `timeout_s`.
            ImageError: the image cannot be read, or the array is not a frame.
            IrError: the network returned NaN or infinity.
            DeviceError: the device failed. After three failures in a row, or a request that takes longer than 60 s, it
                is lost: load the model again.
            UsageError: `top_k` is below 1, or `timeout_s` below 0.
        """
        check_at_least_1(top_k=top_k)
        if timeout_s is not None and timeout_s < 0:
            raise UsageError("invalid timeout_s", expected="at least 0", got=timeout_s)
        item = as_item(image, "image 0")
        try:
            inferred = await self._shared_queue().infer(item, timeout_s=timeout_s)
        except ImageError as error:
            raise with_path(error, image) from error.__cause__
        predictions = top_predictions(inferred.values, self.labels, top_k)
        return Classification(item.source, predictions, inferred.timings, item.frame, item.time_s)

    def _shared_queue(self) -> AsyncQueue:
        """The queue of `classify_async`, made at its first call."""
        from ov_mobilenet.runtime.async_queue import AsyncQueue

        with self._making_queue:
            if self._async_queue is None:
                # A proxy: the queue must not keep the classifier alive, which keeps the queue.
                self._async_queue = AsyncQueue(weakref.proxy(self), max_queue=ASYNC_MAX_QUEUE)
            return self._async_queue

    @checked
    def classify_batch(
        self, images: Iterable[Image | Item], *, top_k: int = DEFAULT_TOP_K, batch_size: int | None = None
    ) -> list[Result]:
        """Classify many images and return all results in input order: `list(self.stream(images))`.

        An image that cannot be classified gives a `Failure` in its place.

        Raises:
            Exception: see `stream`.
        """
        return list(self.stream(images, top_k=top_k, batch_size=batch_size))

    def probabilities(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The probabilities of all classes for frames of the network's input size.

        Args:
            frames: uint8 (N, height, width, 3) BGR; of any height and width if the graph resizes.

        Returns:
            float32 (N, classes), in [0, 1]; each row sums to 1, except for a multi-label network.

        Raises:
            ImageError: the array does not hold such frames, or they have another size.
            IrError: the network returned NaN or infinity.
            DeviceError: the device failed.
        """
        import numpy as np

        check_frames(frames, dimensions=4)
        if self.input_size is not None and frames.shape[1:3] != self.input_size:
            raise ImageError(
                "the frames do not have the network's input size",
                expected="{}x{}".format(*self.input_size), got="{}x{}".format(*frames.shape[1:3]),
            )  # fmt: skip
        if self._planes is not None:
            frames = np.stack([to_planes(frame, self._planes) for frame in frames])
        step = self._batch or len(frames)
        chunks = []
        for start in range(0, len(frames), step):
            chunk = np.ascontiguousarray(frames[start : start + step])
            chunks.append(self._run(chunk))
        probabilities = np.concatenate(chunks)
        if not np.isfinite(probabilities).all():
            raise IrError(NOT_FINITE)
        return probabilities

    @checked
    def stream(
        self,
        inputs: Iterable[Image | Item],
        *,
        top_k: int = DEFAULT_TOP_K,
        batch_size: int | None = None,
        requests: int | None = None,
        workers: int | None = None,
        live: bool | None = None,
    ) -> Iterator[Result]:
        """Classify any number of images at the speed of the device, in bounded memory. Results are in input order.

        Images are decoded in threads while the device infers. An image that fails gives a `Failure` in its place.

        Args:
            inputs: paths, bytes of image files, frames, or `Item`s of these. Inputs are read as they are needed, by
                one thread at a time. Do not overwrite a frame before its result is returned.
            top_k: number of classes to return, at least 1.
            batch_size: images per request; None for the fastest on this device.
            requests: number of infer requests; None for the `nireq` of `load_classifier`; if that is None, eight per
                stream on the CPU, where inference and decoding take turns, and twice the optimum on other devices.
            workers: number of decoding threads; None for one per CPU that this
                process may use.
            live: whether the inputs arrive in real time, as from a camera. An input is then taken only when a request
                is free, so that the newest frame is classified; `batch_size` is 1, and the defaults are one worker and
                one request per stream. None: True for a live source of `open_inputs`, otherwise False.

        Raises:
            UsageError: a number is out of range.
            DeviceError: the device is lost; raised after the results of all images that were read.
            MissingDependencyError: the library that reads images cannot be imported; raised in place of the
                result of the first image that needs it.
            Exception: an error of the iterator `inputs`, raised after the results of the inputs before it.
        """
        is_live = getattr(inputs, "live", False) if live is None else live
        if not is_live and count_of(inputs) == 1:
            check_at_least_1(top_k=top_k, batch_size=batch_size, requests=requests, workers=workers)
            self.check_batch_size(batch_size)
            return self._one_by_one(inputs, top_k)  # threads and a queue would take longer to start
        results = stream(
            self, inputs, top_k=top_k, batch_size=batch_size, requests=requests, workers=workers, live=is_live
        )
        return cast("Iterator[Result]", results)

    def _one_by_one(self, images: Iterable[Image | Item], top_k: int) -> Iterator[Result]:
        for index, image in enumerate(images):
            prepared = self.prepare_or_fail(as_item(image, f"image {index}"))
            if isinstance(prepared, Failure):
                yield prepared
                continue
            try:
                yield self._infer(prepared, top_k)
            except DeviceError as error:
                yield prepared.item.failure(error.what)

    def run_prepared(self, prepared: Prepared) -> NDArray[np.float32]:
        """The values of the output for the return value of `prepare`: float32 (values,). Raises: DeviceError."""
        row: NDArray[np.float32] = self._run(prepared.frame[None])[0]
        return row

    def _infer(self, prepared: Prepared, top_k: int) -> Result:
        started = perf_counter()
        row = self.run_prepared(prepared)
        result = make_result(
            prepared,
            row,
            self.labels,
            top_k,
            started=started,
            queue_ms=max(0.0, (started - prepared.started) * 1e3 - prepared.decode_ms - prepared.geometry_ms),
            inference_ms=(perf_counter() - started) * 1e3,
        )
        return cast("Result", result)

    def _run(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run one request; an incomplete batch is padded with black frames.

        Raises:
            DeviceError: the device failed.
        """
        import numpy as np

        self.check_process()
        count = len(frames)
        if self._batch is not None and count < self._batch:
            frames = np.concatenate([frames, np.zeros((self._batch - count, *frames.shape[1:]), np.uint8)])
        try:
            request = self._requests.get_nowait()
        except queue.Empty:
            request = self._compiled.model.create_infer_request()
        try:
            request.infer([frames], share_inputs=True)
            # Copied: the next run of the request overwrites the output tensor.
            rows: NDArray[np.float32] = request.get_output_tensor(0).data[:count].copy()
        except RuntimeError as error:
            raise DeviceError(
                f"the device failed ({last_line(error)})", where=self.device,
                fix="Run again, or select another device with -d",
            ) from error  # fmt: skip
        finally:
            self._requests.put(request)
        return rows
