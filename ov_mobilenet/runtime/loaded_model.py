"""A compiled model and what feeds it: images are brought to its input size, and it is compiled for a batch size once.

`Classifier`, `InferQueue` and `stream` all work on this value; none of them knows of the others' insides.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ov_mobilenet.errors import ImageError, MissingDependencyError, UsageError, printable
from ov_mobilenet.images.load_image import Decode, load_image
from ov_mobilenet.images.planes import frame_height, to_planes
from ov_mobilenet.runtime.items import Item, Prepared
from ov_mobilenet.zoo.geometry import Geometry, Library

if TYPE_CHECKING:
    from ov_mobilenet.devices.compile import Compiled
    from ov_mobilenet.ir.record import IrRecord
    from ov_mobilenet.runtime.results import Failure


@dataclass(frozen=True)
class BatchModel:
    """A model compiled for one batch size.

    Attributes:
        batch: images per request.
        streams: how many requests the device works on at a time.
        optimal_nireq: how many infer requests keep the device busy, as it reports.
        nireq: how many infer requests were asked for, or None.
    """

    model: Any
    batch: int
    streams: int
    optimal_nireq: int
    nireq: int | None

    @property
    def requests(self) -> int:
        """How many infer requests to use: a second one follows each that runs, so the device never waits."""
        return self.nireq or 2 * self.optimal_nireq


class LoadedModel:
    """A model compiled for a device.

    Attributes:
        record: the record of ov-mobilenet in the IR; None for an IR of other tools.
        labels: class names, or None.
        geometry: how an image is cropped and resized before it is fed; None if the model does that itself.
        device: the devices that execute, as OpenVINO names them.
        inference_precision: f32, bf16 or f16; None where the device does not report it.
        input_size: height and width of the frames that the model takes, in pixels; None for any size.
        classes: number of classes of the network, background included.
        reader: the library that decodes image files.
        stream_batch: the batch size for streams of many images; None for the model's own.
    """

    def __init__(
        self,
        compiled: Compiled,
        *,
        geometry: Geometry | None,
        labels: tuple[str, ...] | None,
        record: IrRecord | None,
        compile_batch: Callable[[int], Compiled],
        stream_batch: int | None = None,
        queues_use_own: bool = True,
        decode: Decode = "auto",
        exif_orientation: bool = True,
    ) -> None:
        """Wrap a compiled model.

        Args:
            compiled: what runs single images.
            compile_batch: compiles the model for queues, for requests of so many images.
            stream_batch: see the class.
            queues_use_own: whether queues of the model's own batch size run on `compiled` too.
        """
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
        self.stream_batch = stream_batch
        self._queues_use_own = queues_use_own
        self._decode: Decode = decode
        self._compiling = threading.Lock()
        self._by_batch: dict[int, BatchModel] = {}
        shape = compiled.model.inputs[0].get_partial_shape()
        self.classes: int = compiled.model.outputs[0].get_partial_shape()[1].get_length()
        self._batch = None if shape[0].is_dynamic else shape[0].get_length()
        self.input_size = None if geometry is None else (shape[1].get_length(), shape[2].get_length())
        self._planes = record.planes if record is not None else None
        if self._planes is not None and self.input_size is not None:
            self.input_size = (frame_height(self.input_size[0]), self.input_size[1])

    def compiled(self, batch_size: int | None = None) -> BatchModel:
        """The model compiled for queues, for requests of `batch_size` images; each size is compiled once.

        Args:
            batch_size: None for the model's own.

        Raises:
            UsageError: the model takes frames of any size, which cannot share a request.
            DeviceError: the device cannot run it.
        """
        if self.input_size is None and batch_size not in (None, 1):
            raise UsageError(
                "a model that takes frames of any size runs one image a request", got=f"batch {batch_size}"
            )
        wanted = batch_size or self._batch or 1
        with self._compiling:
            if wanted not in self._by_batch:
                made = self._own if self._queues_use_own and wanted == self._batch else self._compile(wanted)
                self._by_batch[wanted] = BatchModel(
                    made.model, wanted, made.num_streams or 1, made.optimal_nireq, made.nireq
                )
            return self._by_batch[wanted]

    def prepare(self, item: Item) -> Prepared:
        """Read an image and bring it to the model's input size.

        Raises:
            ImageError: it cannot be read, or is not a frame.
        """
        started = perf_counter()
        if isinstance(item.image, ImageError):
            raise item.image
        loaded = load_image(
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
        """As `prepare`, but an image that cannot be read gives a `Failure`, whatever error a library raises for it.

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
            return item.failure(printable(f"cannot be prepared ({type(error).__name__}: {error})"))
