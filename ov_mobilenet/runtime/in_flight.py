"""What an inference queue keeps of each picture and of each request while they are under way."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ov_mobilenet.runtime.results import Result, result_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.classifier import Prepared


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
        return result_of(
            self.item.prepared,
            self.row,
            labels,
            top_k,
            started=self.started,
            queue_ms=(self.started - self.item.queued) * 1e3,
            inference_ms=self.inference_ms,
        )
