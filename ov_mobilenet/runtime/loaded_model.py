"""A compiled model and its preprocessing: images are brought to the input size; each batch size is compiled once.

`Classifier`, `InferQueue` and `stream` use this class and do not depend on each other's internals.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ov_mobilenet.errors import ImageError, MissingDependencyError, UsageError, printable
from ov_mobilenet.images.frame_checks import check_frames
from ov_mobilenet.images.load_image import DecodeMode, load_image
from ov_mobilenet.images.yuv_planes import frame_height, to_planes
from ov_mobilenet.runtime.items import Item, Prepared, as_item, with_path
from ov_mobilenet.runtime.result_settings import result_settings
from ov_mobilenet.zoo.geometry import Geometry, Library

if TYPE_CHECKING:
    from pathlib import Path

    from ov_mobilenet.devices.compile import Compiled
    from ov_mobilenet.ir.identity import NetworkIdentity
    from ov_mobilenet.ir.record import IrRecord
    from ov_mobilenet.runtime.items import Image
    from ov_mobilenet.runtime.results import Failure
    from ov_mobilenet.zoo.output_kind import OutputKind

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchModel:
    """A model compiled for one batch size.

    Attributes:
        batch: images per request.
        streams: number of requests that the device executes in parallel.
        optimal_nireq: number of infer requests that keep the device busy, as it reports.
        nireq: number of infer requests that the user set, or None.
    """

    model: Any
    batch: int
    streams: int
    optimal_nireq: int
    nireq: int | None

    @property
    def requests(self) -> int:
        """Number of infer requests to use. The default is twice the optimum, so that the device never waits."""
        return self.nireq or 2 * self.optimal_nireq


class LoadedModel:
    """A model compiled for a device.

    Attributes:
        record: the record of ov-mobilenet in the IR; None if another tool wrote the IR.
        labels: class names, or None.
        geometry: how images are cropped and resized on the host; None if that is part of the graph.
        device: the devices that run the model, as OpenVINO names them.
        inference_precision: f32, bf16 or f16; None if the device does not report it.
        input_size: height and width of the input frames, in pixels; None for any size.
        classes: number of classes of the network, including a background class; or of values of a vector of features.
        output_kind: classes, multilabel or features.
        reader: the library that decodes image files.
        stream_batch: the batch size for streams of many images; None for the model's own.
        model_info: the section `model_info` of the IR, as text by name; empty if it has none.
        xml: the file that it was loaded from; None if it was not loaded by `load_classifier`.
    """

    model_info: Mapping[str, str] = MappingProxyType({})
    xml: Path | None = None

    def __init__(
        self,
        compiled: Compiled,
        *,
        geometry: Geometry | None,
        labels: tuple[str, ...] | None,
        record: IrRecord | None,
        compile_batch: Callable[[int], Compiled],
        stream_batch: int | None = None,
        share_with_queues: bool = True,
        decode: DecodeMode = "auto",
        exif_orientation: bool = True,
        output_kind: OutputKind = "classes",
        identity: Callable[[], NetworkIdentity] | None = None,
    ) -> None:
        """Wrap a compiled model.

        Args:
            compiled: the model that `classify` and `probabilities` run.
            compile_batch: compiles the model that queues and streams run, for a given batch size.
            geometry, labels, record, stream_batch, output_kind: see the class.
            share_with_queues: run queues and streams on `compiled` too, if they use its batch size.
            decode: see `images.load_image`.
            exif_orientation: rotate image files by their EXIF orientation.
            identity: returns the identity of the network; see `result_settings`.
        """
        self.record = record
        self._identity = identity
        self._process = os.getpid()
        self.labels = labels
        self.output_kind = output_kind
        self.geometry = geometry
        baked = record.geometry if record is not None else None
        chosen = geometry or baked
        self.reader: Library = chosen.reader if chosen is not None else "opencv"
        self._exif_orientation = exif_orientation
        self.device: str = compiled.device
        self.inference_precision: str | None = compiled.inference_precision
        self._compiled = compiled
        self._compile = compile_batch
        self.stream_batch = stream_batch
        self._share_with_queues = share_with_queues
        self._decode: DecodeMode = decode
        self._compiling = threading.Lock()
        self._by_batch: dict[int, BatchModel] = {}
        shape = compiled.model.inputs[0].get_partial_shape()
        self.classes: int = compiled.model.outputs[0].get_partial_shape()[1].get_length()
        self._batch = None if shape[0].is_dynamic else shape[0].get_length()
        self.input_size: tuple[int, int] | None = None
        if geometry is not None:
            self.input_size = (shape[1].get_length(), shape[2].get_length())
        self._planes = record.planes if record is not None else None
        if self._planes is not None and self.input_size is not None:
            self.input_size = (frame_height(self.input_size[0]), self.input_size[1])

    def check_process(self) -> None:
        """Check that this is the process that loaded the model. Raises: UsageError.

        A fork has none of the device's threads: a request that is started in it never ends.
        """
        if os.getpid() != self._process:
            raise UsageError(
                "the model was loaded before this process was forked",
                expected=f"process {self._process}", got=f"process {os.getpid()}",
                fix="Load the model in the new process, or start it with multiprocessing's spawn method",
            )  # fmt: skip

    def result_settings(self) -> dict[str, str]:
        """What the results depend on, as text by name: the network and how images get into it; not the device."""
        return result_settings(
            None if self._identity is None else self._identity(), self.output_kind, self.geometry, self.labels,
            inference_precision=self.inference_precision or "unknown", decode=self._decode,
            exif_orientation=self._exif_orientation,
        )  # fmt: skip

    def check_batch_size(self, batch_size: int | None) -> None:
        """Check that the model can run requests of this batch size.

        Raises:
            UsageError: a batch size above 1 for a model with dynamic input size: frames of different sizes cannot share
                a request.
        """
        if self.input_size is None and batch_size not in (None, 1):
            raise UsageError(
                "a model with dynamic input size runs one image per request",
                expected="batch size 1",
                got=batch_size,
            )

    def compiled(self, batch_size: int | None = None) -> BatchModel:
        """The model that queues and streams run, compiled for a batch size; each batch size is compiled once.

        Args:
            batch_size: None for the model's own.

        Raises:
            UsageError: as `check_batch_size`.
            DeviceError: the device cannot run the model.
        """
        self.check_process()
        self.check_batch_size(batch_size)
        batch = batch_size or self._batch or 1
        with self._compiling:
            if batch not in self._by_batch:
                is_shared = self._share_with_queues and batch == self._batch
                compiled = self._compiled if is_shared else self._compile(batch)
                self._by_batch[batch] = BatchModel(
                    compiled.model, batch, compiled.num_streams or 1, compiled.optimal_nireq, compiled.nireq
                )
            return self._by_batch[batch]

    def prepare(self, image: Image | Item) -> Prepared:
        """Read an image and bring it to the model's input size, for `InferQueue.submit_prepared`.

        Thread-safe: decode in threads of your own and submit what they return.

        Args:
            image: a path, the bytes of an image file, or a frame: uint8 (H, W, 3) BGR.

        Raises:
            ImageError: the image cannot be read, or is not a frame.
        """
        try:
            return self._prepare(as_item(image, "image 0"))
        except ImageError as error:
            raise with_path(error, image) from error.__cause__

    def _prepare(self, item: Item) -> Prepared:
        started = perf_counter()
        if isinstance(item.image, ImageError):
            raise item.image
        loaded = load_image(
            item.image, self.geometry, self._decode, reader=self.reader, exif_orientation=self._exif_orientation,
            max_pixels=item.max_pixels,
        )  # fmt: skip
        for flaw in loaded.flaws:
            log.warning("%s: %s", printable(item.source), flaw)
        frame = loaded.frame
        if self.geometry is not None and frame.shape[:2] != self.input_size:
            raise ImageError(
                "the geometry does not match the network's input size",
                expected=self.input_size and "{}x{}".format(*self.input_size),
                got=f"{frame.shape[0]}x{frame.shape[1]} after {self.geometry}",
            )
        if self._planes is not None:
            frame = to_planes(frame, self._planes)
        return Prepared(item, frame, started, loaded.decode_ms, loaded.geometry_ms)

    def prepare_frame(self, item: Item) -> Prepared:
        """Copy a frame of the network's input size, as `prepare` without crops and resizes.

        Raises:
            ImageError: the image is not such a frame.
        """
        import numpy as np

        started = perf_counter()
        frame = item.image
        check_frames(frame, dimensions=3)  # type: ignore[arg-type]  # it refuses what is not an array
        assert isinstance(frame, np.ndarray)
        if self.input_size is not None and frame.shape[:2] != self.input_size:
            raise ImageError(
                "the frame does not have the network's input size", where=item.source,
                expected="{}x{}".format(*self.input_size), got=f"{frame.shape[0]}x{frame.shape[1]}",
            )  # fmt: skip
        frame = np.array(frame, order="C") if self._planes is None else to_planes(frame, self._planes)
        return Prepared(item, frame, started, 0.0, (perf_counter() - started) * 1e3)

    def prepare_or_fail(self, item: Item) -> Prepared | Failure:
        """Like `prepare`, but return a `Failure` if the image cannot be read, whichever exception a library raises.

        Raises:
            MissingDependencyError: the library that reads images cannot be imported.
        """
        try:
            return self.prepare(item)
        except ImageError as error:
            return item.failure(str(error))
        except MissingDependencyError:
            raise
        except Exception as error:  # noqa: BLE001
            return item.failure(printable(f"cannot be read or resized ({type(error).__name__}: {error})"))
