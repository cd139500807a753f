"""The protobuf form of the protocol's messages, as generated for tritonclient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tritonclient.grpc import service_pb2

from ov_mobilenet.serving.messages import InferMessage, InputTensor

if TYPE_CHECKING:
    from ov_mobilenet.serving.messages import InferAnswer


def read_infer_request(request: Any) -> InferMessage:
    """The request in a `ModelInferRequest`. Raises: RequestError."""
    inputs = tuple(
        InputTensor(one.name, one.datatype, tuple(one.shape), raw)
        for one, raw in zip(request.inputs, request.raw_input_contents, strict=True)
    )
    return InferMessage(request.model_name, inputs, request.model_version, request.id)


def write_infer_response(answer: InferAnswer) -> Any:
    """The `ModelInferResponse` of an answer."""
    response = service_pb2.ModelInferResponse(model_name=answer.model, model_version=answer.version, id=answer.id)
    for one in answer.outputs:
        response.outputs.add(name=one.name, datatype=one.datatype, shape=one.values.shape)
        response.raw_output_contents.append(one.values.tobytes())
    return response
