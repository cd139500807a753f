"""The protobuf form of the protocol's messages, as generated for tritonclient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2

from ov_mobilenet.serving.grpc_transport.grpc_contents import FIELD_OF, large_contents, wrong_field
from ov_mobilenet.serving.grpc_transport.grpc_wire import SplitRequest, bad_protobuf
from ov_mobilenet.serving.protocol.messages import InferMessage, InputTensor, RequestedOutput
from ov_mobilenet.serving.protocol.output_tensors import binary_elements
from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from ov_mobilenet.serving.protocol.messages import InferAnswer

_SHARED_MEMORY = "shared_memory_region"
# Of a message without tensors; far more than any needs. Protobuf makes 50 bytes of the two of an empty parameter, and
# the event loop waits for it.
MAX_PLAIN_BYTES = 64 << 10


def parse(kind: Any, data: bytes, max_bytes: int = MAX_PLAIN_BYTES) -> Any:
    """A message of the given class. Raises: RequestError."""
    if len(data) > max_bytes:
        raise RequestError(
            "the message is too large for this call", reason="too-large", expected=f"at most {max_bytes} bytes",
            got=len(data),
        )  # fmt: skip
    try:
        return kind.FromString(data)
    except DecodeError:
        raise bad_protobuf() from None


def read_infer_request(request: Any, split: SplitRequest, time_left_s: float | None = None) -> InferMessage:
    """The request in a `ModelInferRequest`.

    Args:
        request: the message in `split.head`.
        time_left_s: until the deadline of the call; None for no deadline.

    Raises:
        RequestError: the message is invalid.
    """
    inputs, raw = request.inputs, split.raw
    if raw and len(raw) != len(inputs):
        raise RequestError(
            "the number of raw_input_contents does not match the number of inputs", expected=len(inputs), got=len(raw)
        )
    tensors = tuple(
        _read_raw(one, raw[index], split.contents.get(index)) if raw else _read_contents(one, split.contents.get(index))
        for index, one in enumerate(inputs)
    )
    outputs = tuple(_read_output(one) for one in request.outputs) or None
    limits = [limit for limit in (_read_timeout(request.parameters), time_left_s) if limit is not None]
    return InferMessage(
        request.model_name, tensors, request.model_version, request.id, outputs, min(limits, default=None)
    )


def write_infer_response(answer: InferAnswer) -> bytes:
    """The serialised `ModelInferResponse` of an answer."""
    response = service_pb2.ModelInferResponse(model_name=answer.model, model_version=answer.version, id=answer.id)
    for one in answer.outputs:
        response.outputs.add(name=one.name, datatype=one.datatype, shape=one.values.shape)
        response.raw_output_contents.append(binary_elements(one))
    serialised: bytes = response.SerializeToString()
    return serialised


def read_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `InferParameter` or `ModelRepositoryParameter` messages by name; None for one without a value."""
    return {name: _value(parameter) for name, parameter in parameters.items()}


def _value(parameter: Any) -> Any:
    chosen = parameter.WhichOneof("parameter_choice")
    return None if chosen is None else getattr(parameter, chosen)


def _read_raw(given: Any, raw: memoryview, large: memoryview | None) -> InputTensor:
    if large is not None or given.HasField("contents"):
        raise RequestError(
            "the request has both contents and raw_input_contents", where=_name(given), expected="one of them"
        )
    return _tensor(given, raw, None)


def _read_contents(given: Any, large: memoryview | None) -> InputTensor:
    field = FIELD_OF.get(given.datatype)
    if field is None:
        raise RequestError(
            "unsupported datatype", where=_name(given), expected=", ".join(FIELD_OF), got=given.datatype[:40] or "none"
        )
    if _SHARED_MEMORY in given.parameters:
        raise _no_shared_memory(given)
    if large is not None:
        parts = large_contents(large, given.datatype, _name(given))
        if given.datatype == "BYTES":
            return _tensor(given, None, [bytes(one) for one in parts])
        return _tensor(given, parts[0], None)
    if not given.HasField("contents"):
        raise RequestError("the input has no data", where=_name(given), expected="raw_input_contents or contents")
    found = [one.name for one, _ in given.contents.ListFields()]
    if found not in ([field], []):
        raise wrong_field(given.datatype, found, _name(given))
    return _tensor(given, None, getattr(given.contents, field))


def _tensor(given: Any, raw: memoryview | None, values: Any) -> InputTensor:
    return InputTensor(given.name, given.datatype, tuple(given.shape), raw, values)


def _read_output(given: Any) -> RequestedOutput:
    if not given.parameters:
        return RequestedOutput(given.name, binary=True)
    if _SHARED_MEMORY in given.parameters:
        raise _no_shared_memory(given)
    classes = 0
    if "classification" in given.parameters:
        classes = _value(given.parameters["classification"])
        if type(classes) is not int or classes < 0:
            raise RequestError(
                "invalid parameter classification", where=_name(given), expected="a number of classes",
                got=repr(classes)[:40],
            )  # fmt: skip
    return RequestedOutput(given.name, classes, binary=True)


def _read_timeout(parameters: Mapping[str, Any]) -> float | None:
    """The parameter `timeout`, which is in microseconds, in seconds; 0 is no limit, as for Triton."""
    if "timeout" not in parameters:
        return None
    given = _value(parameters["timeout"])
    if type(given) is not int or given < 0:
        raise RequestError(
            "invalid parameter timeout", expected="a number of microseconds, at least 0", got=repr(given)[:40]
        )
    return given / 1e6 if given else None


def _no_shared_memory(given: Any) -> RequestError:
    return RequestError(
        "shared memory is not supported", where=_name(given), fix="Send and receive tensors in the messages"
    )


def _name(given: Any) -> str:
    name: str = given.name[:100]
    return name or "an input without a name"
