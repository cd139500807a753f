"""The JSON form of the protocol's messages, with the binary tensor extension.

A body is JSON, or, with the header `Inference-Header-Content-Length: N`, N bytes of JSON and behind it the elements of
tensors as bytes. With a length of 0 the whole body is the only element of the model's input: an image file.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import msgspec

from ov_mobilenet.serving.protocol.client_text import shown
from ov_mobilenet.serving.protocol.input_images import check_shape, place
from ov_mobilenet.serving.protocol.messages import InferMessage, InputTensor, RequestedOutput
from ov_mobilenet.serving.protocol.output_tensors import binary_elements
from ov_mobilenet.serving.request_errors import RequestError
from ov_mobilenet.serving.rest.json_documents import check_names, decode_as, split_data
from ov_mobilenet.serving.rest.json_elements import bytes_elements, fp32_elements, uint8_elements
from ov_mobilenet.serving.rest.shortest_numbers import shortest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.serving.protocol.messages import InferAnswer

HEADER_LENGTH = "inference-header-content-length"
# Parsers hold Python's global lock: for this size, as long as other requests may wait. Not for binary tensor data.
MAX_JSON_BYTES = 16 << 20
# Above, reading or writing takes about a millisecond.
SLOW_JSON_BYTES = 1 << 16
SLOW_NUMBERS = 1 << 13

_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Size = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class _InputParameters(msgspec.Struct):
    binary_data_size: _Count | None = None
    shared_memory_region: Any = None


class _Input(msgspec.Struct):
    name: str
    shape: list[_Size]
    datatype: str
    parameters: _InputParameters | None = None


class _OutputParameters(msgspec.Struct):
    binary_data: bool | None = None
    classification: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)] | None = None
    shared_memory_region: Any = None


class _Output(msgspec.Struct):
    name: str
    parameters: _OutputParameters | None = None


class _RequestParameters(msgspec.Struct):
    binary_data_output: bool | None = None
    timeout: _Count | None = None


class _Request(msgspec.Struct):
    inputs: tuple[_Input]
    id: str | None = None
    parameters: _RequestParameters | None = None
    outputs: list[_Output] | None = None


_REQUEST = msgspec.json.Decoder(_Request)


async def receive_infer_message(
    model: str, version: str, body: bytes, header_length: str | None, *, max_images: int
) -> InferMessage:
    """`read_infer_message`, in a thread if it takes long."""
    read = partial(read_infer_message, model, version, body, header_length, max_images=max_images)
    length = len(body) if header_length is None else _json_length(header_length, body)
    if length > SLOW_JSON_BYTES:
        return await asyncio.to_thread(read)
    return read()


def read_infer_message(
    model: str, version: str, body: bytes, header_length: str | None, *, max_images: int
) -> InferMessage:
    """The request in a body.

    Args:
        header_length: the header `Inference-Header-Content-Length`; None if the body is JSON alone.
        max_images: largest number of images.

    Raises:
        RequestError: the body is invalid.
    """
    length = len(body) if header_length is None else _json_length(header_length, body)
    if length == 0 and header_length is not None:
        file = InputTensor(None, "BYTES", (1,), values=(body,))
        return InferMessage(model, (file,), version, binary_output=True)
    if length > MAX_JSON_BYTES:
        raise RequestError(
            "the JSON is too long", reason="too-large", expected=f"at most {MAX_JSON_BYTES} bytes", got=length,
            fix="Send tensors as binary tensor data",
        )  # fmt: skip
    rest, data = split_data(body[:length])
    check_names(rest)
    request: _Request = decode_as(_REQUEST.decode, rest)
    parameters = request.parameters or _RequestParameters()
    binary = parameters.binary_data_output or False
    tensor = _input(request.inputs[0], data, memoryview(body)[length:], max_images)
    return InferMessage(
        model, (tensor,), version, request.id or "",
        tuple(_output(one, binary=binary) for one in request.outputs or ()) or None,
        timeout_s=parameters.timeout * 1e-6 if parameters.timeout else None,  # 0 is no limit, as in Triton
        binary_output=binary,
    )  # fmt: skip


def _json_length(header_length: str, body: bytes) -> int:
    is_number = header_length.isascii() and header_length.isdigit() and len(header_length) < 20
    if not is_number or int(header_length) > len(body):
        raise RequestError(
            "invalid header Inference-Header-Content-Length",
            expected=f"a number from 0 to {len(body)}, the bytes of the body", got=shown(header_length),
        )  # fmt: skip
    return int(header_length)


def _input(given: _Input, data: bytes | None, binary: memoryview, max_images: int) -> InputTensor:
    tensor = InputTensor(given.name, given.datatype, tuple(given.shape))
    where = place(tensor)
    parameters = given.parameters or _InputParameters()
    _refuse_shared_memory(parameters.shared_memory_region, where)
    size = parameters.binary_data_size
    if (data is None) == (size is None):
        raise RequestError(
            "the elements are missing" if data is None else "the elements are given twice", where=where,
            expected="either data or the parameter binary_data_size",
        )  # fmt: skip
    if (size or 0) != len(binary):
        raise RequestError(
            "wrong number of bytes behind the JSON", where=where, expected=f"binary_data_size, {size or 0}",
            got=len(binary),
            fix=None if binary else "Send the header Inference-Header-Content-Length, the number of bytes of JSON",
        )  # fmt: skip
    if data is None:
        return replace(tensor, raw=binary)
    check_shape(tensor, max_images)
    if given.datatype == "BYTES":
        return replace(tensor, values=bytes_elements(data, tensor))
    return replace(tensor, raw=(uint8_elements if given.datatype == "UINT8" else fp32_elements)(data, tensor))


def _output(given: _Output, *, binary: bool) -> RequestedOutput:
    parameters = given.parameters or _OutputParameters()
    _refuse_shared_memory(parameters.shared_memory_region, f"output {shown(given.name)}")
    chosen = binary if parameters.binary_data is None else parameters.binary_data
    return RequestedOutput(given.name, parameters.classification or 0, chosen)


def _refuse_shared_memory(region: object, where: str) -> None:
    if region is not None:
        raise RequestError(
            "shared memory is not supported", where=where, fix="Send the elements as JSON or binary tensor data"
        )


async def send_infer_answer(answer: InferAnswer) -> tuple[bytes, int | None]:
    """`write_infer_answer`, in a thread if it takes long."""
    if sum(one.values.size for one in answer.outputs if not one.binary) > SLOW_NUMBERS:
        return await asyncio.to_thread(write_infer_answer, answer)
    return write_infer_answer(answer)


def write_infer_answer(answer: InferAnswer) -> tuple[bytes, int | None]:
    """The body of a response, and the number of bytes of JSON before its binary tensors; None if it has none."""
    outputs, tail = [], []
    for one in answer.outputs:
        described: dict[str, Any] = {"name": one.name, "datatype": one.datatype, "shape": one.values.shape}
        if one.binary:
            tail.append(binary_elements(one))
            described["parameters"] = {"binary_data_size": len(tail[-1])}
        elif one.datatype == "BYTES":
            described["data"] = [text.decode() for text in one.values.reshape(-1).tolist()]
        else:
            described["data"] = shortest(cast("NDArray[np.float32]", one.values).reshape(-1)).tolist()
        outputs.append(described)
    document: dict[str, Any] = {"model_name": answer.model, "model_version": answer.version, "outputs": outputs}
    if answer.id:
        document["id"] = answer.id
    head = msgspec.json.encode(document)
    return b"".join([head, *tail]), len(head) if tail else None
