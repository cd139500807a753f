"""`FeatureExtractor`: the vectors that a network without a classifier gives for image files and frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, cast

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import IrError
from ov_mobilenet.runtime.in_flight import make_result
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import NOT_FINITE, Features, FeaturesResult
from ov_mobilenet.runtime.stream import stream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.runtime.items import Image
    from ov_mobilenet.zoo.geometry import Geometry


class FeatureExtractor:
    """A network without a classifier, compiled for a device; create it with `load_feature_extractor`. Thread-safe.

    Attributes:
        dimension: number of values of a vector.
        device, inference_precision, geometry, input_size: as in `Classifier`.
    """

    def __init__(self, loaded: Classifier) -> None:
        self._loaded = loaded
        self.dimension: int = loaded.classes
        self.device: str = loaded.device
        self.inference_precision: str | None = loaded.inference_precision
        self.geometry: Geometry | None = loaded.geometry
        self.input_size: tuple[int, int] | None = loaded.input_size

    def result_settings(self) -> dict[str, str]:
        """What the vectors depend on, see `Classifier.result_settings`."""
        return self._loaded.result_settings()

    def extract(self, image: Image | Item) -> Features:
        """The vector of one image.

        Args:
            image: a path, the bytes of an image file, or a frame: uint8 (H, W, 3) BGR.

        Raises:
            ImageError: the image cannot be read, or the array is not a frame.
            IrError: the network returned NaN or infinity.
            DeviceError: the device failed.
        """
        prepared = self._loaded.prepare(image)
        started = perf_counter()
        row = self._loaded.run_prepared(prepared)
        result = make_result(
            prepared, row, None, None, started=started, queue_ms=0.0, inference_ms=(perf_counter() - started) * 1e3
        )
        if not isinstance(result, Features):
            raise IrError(NOT_FINITE)
        return result

    @checked
    def stream(
        self,
        inputs: Iterable[Image | Item],
        *,
        batch_size: int | None = None,
        requests: int | None = None,
        workers: int | None = None,
        live: bool | None = None,
    ) -> Iterator[FeaturesResult]:
        """The vectors of any number of images, in input order and bounded memory.

        An image that fails gives a `Failure` in its place. For arguments and errors see `Classifier.stream`.
        """
        results = stream(
            self._loaded, inputs, top_k=None, batch_size=batch_size, requests=requests, workers=workers, live=live
        )
        return cast("Iterator[FeaturesResult]", results)

    def vectors(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The vectors of frames of the network's input size.

        Args:
            frames: uint8 (N, height, width, 3) BGR; of any height and width if the graph resizes.

        Returns:
            float32 (N, dimension).

        Raises:
            ImageError, IrError, DeviceError: as `Classifier.probabilities`.
        """
        return self._loaded.probabilities(frames)
