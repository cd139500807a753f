"""Requests and responses of the Open Inference Protocol, independent of their transport.

https://github.com/kserve/open-inference-protocol and, for binary tensors and classification, the extensions of
https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.async_queue import InferredImage


@dataclass(frozen=True)
class InputTensor:
    """An input as its client sent it; nothing in it is checked yet, `input_images.images_of` does that.

    Attributes:
        name: None for the only input of the model.
        datatype: UINT8, FP32 or BYTES; as sent.
        raw: the elements as little-endian bytes, for BYTES each with its length in 4 bytes before it; None if the
            elements are in `values`.
        values: the elements as numbers or, for BYTES, as bytes; flat, in row-major order.
    """

    name: str | None
    datatype: str
    shape: tuple[int, ...]
    raw: bytes | memoryview | None = None
    values: Sequence[Any] | None = None


@dataclass(frozen=True)
class RequestedOutput:
    """An output that a client asks for.

    Attributes:
        classification: number of classes to return as text `probability:class_id:label`; 0 for the probabilities; more
            than there are for all.
        binary: whether to send it as bytes instead of JSON.
    """

    name: str
    classification: int = 0
    binary: bool = False


@dataclass(frozen=True)
class InferMessage:
    """A request to infer.

    Attributes:
        version: "" for the current one.
        id: echoed in the response; "" for none.
        outputs: None for all.
        timeout_s: time limit, in seconds; None for none.
        binary_output: whether to send outputs as bytes, where `outputs` does not tell.
    """

    model: str
    inputs: tuple[InputTensor, ...]
    version: str = ""
    id: str = ""
    outputs: tuple[RequestedOutput, ...] | None = None
    timeout_s: float | None = None
    binary_output: bool = False


@dataclass(frozen=True)
class OutputTensor:
    """An output of the network: FP32 `[N, classes]`, or BYTES `[N, k]` for classification.

    Attributes:
        values: float32 (N, classes); or an object array of bytes.
    """

    name: str
    datatype: str
    values: NDArray[np.float32] | NDArray[np.object_]
    binary: bool = False


@dataclass(frozen=True)
class InferAnswer:
    """The response to `InferMessage`.

    Attributes:
        inferred: the images, for metrics and the log.
    """

    model: str
    version: str
    id: str
    outputs: tuple[OutputTensor, ...]
    inferred: tuple[InferredImage, ...] = ()
