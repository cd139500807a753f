"""The JSON form of the protocol's messages, with the binary tensor extension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ov_mobilenet.serving.messages import InferMessage, InputTensor, RequestedOutput
from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from ov_mobilenet.serving.messages import InferAnswer

HEADER_LENGTH = "inference-header-content-length"


def read_infer_message(model: str, version: str, body: bytes, header_length: int | None) -> InferMessage:
    """The request in a body.

    Args:
        header_length: bytes of JSON before the binary tensors; None if the body is JSON alone.

    Raises:
        RequestError: the body is invalid.
    """
    head, rest = (body, memoryview(b"")) if header_length is None else (
        body[:header_length], memoryview(body)[header_length:]
    )  # fmt: skip
    try:
        document: dict[str, Any] = msgspec.json.decode(head)
    except msgspec.DecodeError as error:
        raise RequestError("the body is not JSON", got=str(error)) from error
    inputs, at = [], 0
    for given in document["inputs"]:
        size = given.get("parameters", {}).get("binary_data_size")
        raw = None if size is None else rest[at : at + size]
        at += size or 0
        inputs.append(
            InputTensor(given["name"], given["datatype"], tuple(given["shape"]), raw, given.get("data"))
        )  # fmt: skip
    default = bool(document.get("parameters", {}).get("binary_data_output", False))
    outputs = tuple(
        RequestedOutput(
            one["name"], one.get("parameters", {}).get("classification", 0),
            one.get("parameters", {}).get("binary_data", default),
        )
        for one in document.get("outputs", ())
    )  # fmt: skip
    return InferMessage(model, tuple(inputs), version, document.get("id", ""), outputs or None)


def write_infer_answer(answer: InferAnswer) -> tuple[bytes, int | None]:
    """The body of a response, and the number of bytes of JSON before its binary tensors; None if it has none."""
    outputs, tail = [], []
    for one in answer.outputs:
        described: dict[str, Any] = {"name": one.name, "datatype": one.datatype, "shape": one.values.shape}
        if one.binary:
            tail.append(one.values.tobytes())
            described["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            described["data"] = one.values.reshape(-1).tolist()
        outputs.append(described)
    document: dict[str, Any] = {"model_name": answer.model, "model_version": answer.version, "outputs": outputs}
    if answer.id:
        document["id"] = answer.id
    head = msgspec.json.encode(document)
    return b"".join([head, *tail]), len(head) if tail else None
