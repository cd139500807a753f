"""From the probabilities of a request's images to the outputs that it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ov_mobilenet.runtime.results import top_predictions
from ov_mobilenet.serving.protocol.client_text import shown
from ov_mobilenet.serving.protocol.messages import OutputTensor, RequestedOutput
from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.serving.models.served_model import ServedModel
    from ov_mobilenet.serving.protocol.messages import InferMessage


def requested_outputs(message: InferMessage, model: ServedModel) -> tuple[RequestedOutput, ...]:
    """The outputs to send. Raises: RequestError: an output is unknown, or requested twice."""
    if not message.outputs:
        return (RequestedOutput(model.output_name, binary=message.binary_output),)
    seen = set()
    for output in message.outputs:
        names = {model.output_name}
        if output.name not in names:
            names |= model.classifier.compiled().model.outputs[0].get_names()
        if output.name not in names:
            raise RequestError("unknown output", where=shown(output.name), expected=shown(model.output_name))
        if output.name in seen:
            raise RequestError("the output is requested twice", where=f"output {shown(output.name)}")
        if output.classification < 0:
            raise RequestError(
                "invalid classification", where=f"output {shown(output.name)}",
                expected="a number of classes, 0 for the probabilities", got=shown(output.classification),
            )  # fmt: skip
        seen.add(output.name)
    return message.outputs


def binary_elements(output: OutputTensor) -> bytes:
    """The elements as the binary tensor extension and gRPC send them: little-endian, texts with a length of 4 bytes."""
    if output.datatype == "BYTES":
        return b"".join(len(text).to_bytes(4, "little") + text for text in output.values.reshape(-1).tolist())
    return output.values.astype("<f4", copy=False).tobytes()


def output_tensor(
    requested: RequestedOutput, probabilities: NDArray[np.float32], labels: tuple[str, ...] | None
) -> OutputTensor:
    """One output.

    Args:
        probabilities: float32 (N, classes).
        labels: class names, or None.
    """
    import numpy as np

    if requested.classification == 0:
        return OutputTensor(requested.name, "FP32", probabilities, requested.binary)
    top_k = min(requested.classification, probabilities.shape[1])
    texts = np.empty((len(probabilities), top_k), np.object_)
    for number, row in enumerate(probabilities):
        texts[number] = [
            # Shortest text that reads back as the same float32.
            f"{np.float32(one.probability)!s}:{one.class_id}" + ("" if labels is None else f":{one.label}")
            for one in top_predictions(row, labels, top_k)
        ]
    for index, text in np.ndenumerate(texts):
        texts[index] = text.encode()
    return OutputTensor(requested.name, "BYTES", texts, requested.binary)
