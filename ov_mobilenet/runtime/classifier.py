"""A compiled classifier: frames or files in, most probable classes out."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ov_mobilenet.errors import IrError
from ov_mobilenet.images.pixels import check_pixels
from ov_mobilenet.images.planes import to_planes
from ov_mobilenet.runtime.in_flight import result_of
from ov_mobilenet.runtime.infer_queue import check_at_least_1
from ov_mobilenet.runtime.items import Item, Prepared, as_item
from ov_mobilenet.runtime.loaded_model import LoadedModel
from ov_mobilenet.runtime.results import DEFAULT_TOP_K, NOT_FINITE, Classification, Failure, Result
from ov_mobilenet.runtime.stream import count_of, stream

if TYPE_CHECKING:
    import numpy as np
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.items import Image


class Classifier(LoadedModel):
    """A model compiled for a device; made by `load_classifier`.

    Safe to share between threads: each call takes an infer request of its own from a pool. The attributes are those of
    `LoadedModel`.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._requests: queue.SimpleQueue[ov.InferRequest] = queue.SimpleQueue()

    def classify(self, image: Image | Item, *, top_k: int = DEFAULT_TOP_K) -> Classification:
        """Classify one image.

        Args:
            image: a path, the bytes of an image file, or a frame: uint8 (H, W, 3) in BGR.
            top_k: how many classes to return, at least 1.

        Raises:
            ImageError: the image cannot be read, or the array is not such a frame.
            IrError: the network's answer is not finite.
            UsageError: `top_k` is below 1.
        """
        check_at_least_1(top_k=top_k)
        result = self._infer(self.prepare(as_item(image, "image 0")), top_k)
        if isinstance(result, Failure):
            raise IrError(NOT_FINITE)
        return result

    def classify_batch(
        self, images: Iterable[Image | Item], *, top_k: int = DEFAULT_TOP_K, batch_size: int | None = None
    ) -> list[Result]:
        """Classify many images and return all results, in input order: `stream` as a list.

        An image that cannot be read, or for which the network's answer is not finite, gives a `Failure` in its place.

        Raises:
            Exception: as `stream`.
        """
        return list(self.stream(images, top_k=top_k, batch_size=batch_size))

    def probabilities(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's answer for frames of its own input size.

        Args:
            frames: uint8 (N, height, width, 3) in BGR; of any size if the model resizes itself.

        Returns:
            float32 (N, classes), in [0, 1], each row summing to 1.

        Raises:
            ImageError: the array does not hold such frames, or holds floats.
            IrError: an answer is not finite.
        """
        import numpy as np

        check_pixels(frames, dimensions=4)
        if self._planes is not None:
            frames = np.stack([to_planes(frame, self._planes) for frame in frames])
        step = self._batch or len(frames)
        rows = []
        for start in range(0, len(frames), step):
            chunk = np.ascontiguousarray(frames[start : start + step])
            rows.append(self._run(chunk))
        answers = np.concatenate(rows)
        if not np.isfinite(answers).all():
            raise IrError(NOT_FINITE)
        return answers

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
        """Classify any number of images, at the speed of the device and in bounded memory; results in input order.

        Images are decoded in threads while the device works. One that fails gives a `Failure` in its place.

        Args:
            inputs: paths, bytes of image files, frames, or `Item`s of these; taken as they are needed, one thread at a
                time. A frame must not be overwritten until its result is there.
            top_k: how many classes to return, at least 1.
            batch_size: images per request; None for what is fastest on this device.
            requests: infer requests at a time; None for what was asked for when the model was loaded, else for eight
                per stream on the CPU, where inference and decoding take turns, and for twice the device's optimum
                elsewhere.
            workers: threads that decode; None for one per core.
            live: whether the inputs arrive by themselves, as from a camera. Then an input is taken only when a request
                is free, so that the newest frame is classified; `batch_size` is 1, and by default there is one worker
                and one request per stream. None for what `open_inputs` found, else False.

        Raises:
            UsageError: a number is out of range.
            DeviceError: the device failed for good; raised after the results of all images that were taken.
            MissingDependencyError: the library that reads images cannot be imported; raised in the place of the first
                image that needs it.
            Exception: whatever the iterator of the inputs raises, in its place.
        """
        is_live = getattr(inputs, "live", False) if live is None else live
        if not is_live and count_of(inputs) == 1:
            check_at_least_1(top_k=top_k, batch_size=batch_size, requests=requests, workers=workers)
            return self._one_by_one(inputs, top_k)  # without threads and a queue, which take longer to start
        return stream(
            self, inputs, top_k=top_k, batch_size=batch_size, requests=requests, workers=workers, live=is_live
        )

    def _one_by_one(self, images: Iterable[Image | Item], top_k: int) -> Iterator[Result]:
        for index, image in enumerate(images):
            prepared = self.prepare_or_fail(as_item(image, f"image {index}"))
            yield prepared if isinstance(prepared, Failure) else self._infer(prepared, top_k)

    def _infer(self, prepared: Prepared, top_k: int) -> Result:
        started = perf_counter()
        rows = self._run(prepared.frame[None])
        return result_of(
            prepared,
            rows[0],
            self.labels,
            top_k,
            started=started,
            queue_ms=max(0.0, (started - prepared.started) * 1e3 - prepared.decode_ms - prepared.geometry_ms),
            inference_ms=(perf_counter() - started) * 1e3,
        )

    def _run(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run one request; a batch that is not full is padded with black frames."""
        import numpy as np

        count = len(frames)
        if self._batch is not None and count < self._batch:
            frames = np.concatenate([frames, np.zeros((self._batch - count, *frames.shape[1:]), np.uint8)])
        try:
            request = self._requests.get_nowait()
        except queue.Empty:
            request = self._own.model.create_infer_request()
        try:
            request.infer([frames], share_inputs=True)
            # Copied: the request's next run overwrites the output tensor.
            rows: NDArray[np.float32] = request.get_output_tensor(0).data[:count].copy()
        finally:
            self._requests.put(request)
        return rows
