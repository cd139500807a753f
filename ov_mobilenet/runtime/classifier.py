"""A compiled classifier: frames or files in, most probable classes out."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ov_mobilenet.conversion.ir import IrRecord
from ov_mobilenet.errors import ImageError, IrError, MissingDependencyError, UsageError, printable
from ov_mobilenet.runtime.items import Item, as_item
from ov_mobilenet.runtime.loading import Decode, load
from ov_mobilenet.runtime.pixels import check_pixels
from ov_mobilenet.runtime.planes import frame_height, to_planes
from ov_mobilenet.runtime.results import (
    DEFAULT_TOP_K,
    NOT_FINITE,
    Classification,
    Failure,
    Result,
    result_of,
)
from ov_mobilenet.zoo.geometry import Geometry, Library

if TYPE_CHECKING:
    import numpy as np
    import openvino as ov
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.device import Compiled
    from ov_mobilenet.runtime.images import Frame
    from ov_mobilenet.runtime.items import Image


@dataclass(frozen=True)
class Prepared:
    """A picture at the network's size, and what it cost.

    Attributes:
        frame: as the model takes it, uint8; nobody else writes to it.
        started: when reading began, in seconds of `perf_counter`.
    """

    item: Item
    frame: Frame
    started: float
    decode_ms: float
    geometry_ms: float


@dataclass(frozen=True)
class QueueModel:
    """A compiled model, and how to feed it.

    Attributes:
        batch: pictures a request.
        streams: how many requests are worked on at a time.
        optimal_nireq: how many requests keep the device busy.
        nireq: how many were asked for, or None.
    """

    model: Any
    batch: int
    streams: int
    optimal_nireq: int
    nireq: int | None

    @property
    def requests(self) -> int:
        """How many requests to use: one for each that is worked on to follow it at once."""
        return self.nireq or 2 * self.optimal_nireq


class Classifier:
    """A model compiled for a device; made by `load_classifier`.

    Safe to share between threads: each call takes an infer request of its own from a pool.

    Attributes:
        record: what the IR says of itself; None for an IR of other tools.
        labels: class names, or None.
        geometry: how a picture is cropped and resized before it is fed; None if the model does that itself.
        device: what executes, as OpenVINO names it.
        inference_precision: f32, bf16 or f16; None where the device does not say.
        input_size: height and width of the frames that the model takes, in pixels; None for any size.
        classes: how many classes the network tells apart, background included.
        reader: the library that decodes picture files.
    """

    def __init__(
        self,
        compiled: Compiled,
        *,
        geometry: Geometry | None,
        labels: tuple[str, ...] | None,
        record: IrRecord | None,
        compile_batch: Callable[[int], Compiled],
        decode: Decode = "auto",
        exif_orientation: bool = True,
    ) -> None:
        self.record = record
        self.labels = labels
        self.geometry = geometry
        baked = record.geometry if record is not None else None
        chosen = geometry or baked
        self.reader: Library = chosen.reader if chosen is not None else "opencv"
        self._exif_orientation = exif_orientation
        self.device = compiled.device
        self.inference_precision = compiled.inference_precision
        self._own = compiled
        self._compile = compile_batch
        self._decode: Decode = decode
        self._compiling = threading.Lock()
        self._by_batch: dict[int, QueueModel] = {}
        self._requests: queue.SimpleQueue[ov.InferRequest] = queue.SimpleQueue()
        shape = compiled.model.inputs[0].get_partial_shape()
        self.classes: int = compiled.model.outputs[0].get_partial_shape()[1].get_length()
        self._batch = None if shape[0].is_dynamic else shape[0].get_length()
        self.input_size = None if geometry is None else (shape[1].get_length(), shape[2].get_length())
        self._planes = record.planes if record is not None else None
        if self._planes is not None and self.input_size is not None:
            self.input_size = (frame_height(self.input_size[0]), self.input_size[1])

    def classify(self, image: Image | Item, *, top_k: int = DEFAULT_TOP_K) -> Classification:
        """Classify one picture.

        Args:
            image: a path, the bytes of a picture file, or a frame: uint8 (H, W, 3) in BGR.
            top_k: how many classes to give, at least 1.

        Raises:
            ImageError: the picture cannot be read, or the array is no such frame.
            IrError: the network's answer is not finite.
            UsageError: `top_k` is below 1.
        """
        _check_top_k(top_k)
        prepared = self.prepare(as_item(image, "image 0"))
        (result,) = self._infer([prepared], top_k)
        if isinstance(result, Failure):
            raise IrError(NOT_FINITE)
        return result

    def classify_batch(self, images: Iterable[Image | Item], *, top_k: int = DEFAULT_TOP_K) -> list[Result]:
        """Classify many pictures, as many at a time as the model's batch takes (32 for any batch).

        A picture that cannot be read, or to which the network's answer is not finite, gives a `Failure` in its place;
        the others are done.

        Raises:
            UsageError: `top_k` is below 1.
        """
        _check_top_k(top_k)
        results: list[Result | None] = []
        pending: list[tuple[int, Prepared]] = []

        def flush() -> None:
            found = self._infer([prepared for _, prepared in pending], top_k)
            for (index, _), result in zip(pending, found, strict=True):
                results[index] = result
            pending.clear()

        for index, image in enumerate(images):
            results.append(None)
            item = as_item(image, f"image {index}")
            try:
                prepared = self.prepare(item)
            except ImageError as error:
                results[index] = item.failure(str(error))
                continue
            if pending and pending[0][1].frame.shape != prepared.frame.shape:  # any size, but one size a batch
                flush()
            pending.append((index, prepared))
            if len(pending) == (self._batch or 32):
                flush()
        if pending:
            flush()
        return [result for result in results if result is not None]

    def classify_each(self, images: Iterable[Image | Item], *, top_k: int = DEFAULT_TOP_K) -> Iterator[Result]:
        """Classify pictures one after another; one that fails gives a `Failure` in its place, as in `classify_batch`.

        Raises:
            UsageError: `top_k` is below 1.
        """
        _check_top_k(top_k)
        for index, image in enumerate(images):
            item = as_item(image, f"image {index}")
            try:
                yield self._infer([self.prepare(item)], top_k)[0]
            except ImageError as error:
                yield item.failure(str(error))

    def probabilities(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's answer for frames of its own size.

        Args:
            frames: uint8 (N, height, width, 3) in BGR; of any size if the model resizes itself.

        Returns:
            float32 (N, classes), in [0, 1], each row summing to 1.

        Raises:
            ImageError: the array holds no such frames, or floats.
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
        """Classify any number of pictures, at the speed of the device and in bounded memory; results in input order.

        Pictures are decoded in threads while the device works. One that fails gives a `Failure` in its place.

        Args:
            inputs: paths, bytes of picture files, frames, or `Item`s of these; taken as they are needed, one thread at
                a time. A frame must not be written over until its result is there.
            top_k: how many classes to give, at least 1.
            batch_size: pictures a request; None for the model's own.
            requests: infer requests at a time; None for what was asked when the model was loaded, else for eight a
                stream on the CPU, which takes turns with decoding, and twice what the device finds best elsewhere.
            workers: threads that decode; None for one a core.
            live: whether the inputs go on by themselves, as a camera does: then each is taken only when the device can
                start on it at once, `batch_size` is 1, and there is one worker and one request a stream where nothing
                else is asked. None for what `open_inputs` found of them, else no.

        Raises:
            UsageError: a number is out of range.
            DeviceError: the device failed for good; after the results of all that was under way.
            MissingDependencyError: what reads pictures cannot be imported; after the results of what needed none.
            Exception: whatever the iterator of the inputs raises, after the results of what it gave before.
        """
        from ov_mobilenet.runtime.stream import stream

        return stream(self, inputs, top_k=top_k, batch_size=batch_size, requests=requests, workers=workers, live=live)

    def compiled(self, batch_size: int | None = None) -> QueueModel:
        """The model compiled for requests of so many pictures, once each; None for its own batch.

        Raises:
            UsageError: the model takes frames of any size, which do not fit beside each other.
            DeviceError: the device cannot run it.
        """
        if self.input_size is None and batch_size not in (None, 1):
            raise UsageError("this model takes frames of any size, one at a time", got=f"batch size {batch_size}")
        wanted = batch_size or self._batch or 1
        with self._compiling:
            if wanted not in self._by_batch:
                made = self._own if wanted == self._batch else self._compile(wanted)
                self._by_batch[wanted] = QueueModel(
                    made.model, wanted, made.num_streams or 1, made.optimal_nireq, made.nireq
                )
            return self._by_batch[wanted]

    def prepare(self, item: Item) -> Prepared:
        """Read a picture and bring it to what the model takes.

        Raises:
            ImageError: it cannot be read, or is no frame.
        """
        started = perf_counter()
        if isinstance(item.image, ImageError):
            raise item.image
        loaded = load(
            item.image, self.geometry, self._decode, reader=self.reader, exif_orientation=self._exif_orientation
        )
        frame = loaded.frame
        if self.geometry is not None and frame.shape[:2] != self.input_size:
            raise ImageError(
                "the geometry does not lead to the network's input size",
                expected=self.input_size and "{}x{}".format(*self.input_size),
                got=f"{frame.shape[0]}x{frame.shape[1]} by {self.geometry}",
            )
        if self._planes is not None:
            frame = to_planes(frame, self._planes)
        return Prepared(item, frame, started, loaded.decode_ms, loaded.geometry_ms)

    def prepare_or_fail(self, item: Item) -> Prepared | Failure:
        """As `prepare`, the error as a value: one bad input is its own result, whatever a library raises for it.

        Raises:
            MissingDependencyError: what reads pictures cannot be imported, which is no input's fault.
        """
        try:
            return self.prepare(item)
        except ImageError as error:
            return item.failure(str(error))
        except MissingDependencyError:
            raise
        except Exception as error:  # noqa: BLE001
            return item.failure(printable(f"cannot be prepared ({type(error).__name__}: {error})"))

    def _infer(self, prepared: list[Prepared], top_k: int) -> list[Result]:
        import numpy as np

        started = perf_counter()
        rows = self._run(np.stack([picture.frame for picture in prepared]))
        inference_ms = (perf_counter() - started) * 1e3
        return [
            result_of(
                picture,
                row,
                self.labels,
                top_k,
                started=started,
                queue_ms=max(0.0, (started - picture.started) * 1e3 - picture.decode_ms - picture.geometry_ms),
                inference_ms=inference_ms,
            )
            for picture, row in zip(prepared, rows, strict=True)
        ]

    def _run(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One request; a batch that is not full is filled up with black."""
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
            # The output tensor is written again by the request's next run.
            rows: NDArray[np.float32] = request.get_output_tensor(0).data[:count].copy()
        finally:
            self._requests.put(request)
        return rows


def _check_top_k(top_k: int) -> None:
    if top_k < 1:
        raise UsageError("bad top_k", expected="at least 1", got=top_k)
