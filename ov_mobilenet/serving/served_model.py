"""`ServedModel`: a model under the name that clients use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ov_mobilenet.runtime.async_queue import AsyncQueue
    from ov_mobilenet.runtime.classifier import Classifier

VERSION = "1"


@dataclass(frozen=True)
class ServedModel:
    """A model that is ready to answer.

    Attributes:
        name: as in `/v2/models/NAME`.
        queue: runs its images.
        input_name, output_name: the tensors of the IR.
        version: the only one of a model.
    """

    name: str
    classifier: Classifier
    queue: AsyncQueue
    input_name: str
    output_name: str
    version: str = VERSION
