"""What an inference queue keeps of each picture and of each request while they are under way."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ov_mobilenet.runtime.results import Classification, Failure, Result, Timings, top_predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.classifier import Prepared

NOT_FINITE = "the network gave values that are not finite (NaN or infinity)"


@dataclass
class Waiting:
    """One picture on its way."""

    number: int
    key: Hashable
    prepared: Prepared
    queued: float


@dataclass
class Slot:
    """One infer request, and the pictures that it is busy with."""

    request: Any
    items: list[Waiting] = field(default_factory=list)
    tensor: Any = None  # keeps the pixels alive while the request reads them
    started: float = 0.0
    waited_for: bool = False


@dataclass(frozen=True)
class Answered:
    """What a request gave for one picture; made into a result by whoever takes it."""

    item: Waiting
    row: NDArray[np.float32]
    started: float
    inference_ms: float

    def result(self, labels: tuple[str, ...] | None, top_k: int) -> Result:
        """The most probable classes; a failure if the network gave no numbers."""
        import numpy as np

        item, prepared = self.item, self.item.prepared
        if not np.isfinite(self.row).all():
            return Failure(prepared.source, NOT_FINITE)
        predictions = top_predictions(self.row, labels, top_k)
        timings = Timings(
            decode=prepared.decode_ms,
            geometry=prepared.geometry_ms,
            queue=(self.started - item.queued) * 1e3,
            inference=self.inference_ms,
            total=(self.started - prepared.started) * 1e3 + self.inference_ms,
        )
        return Classification(prepared.source, predictions, timings)
