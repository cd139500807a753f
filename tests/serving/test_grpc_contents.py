"""Tensors in `contents` and messages that are expensive to read, over gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from serving.running_grpc import (
    INFER,
    MODEL,
    expected_probabilities,
    infer_request,
    refusal,
    running_grpc,
)
from tritonclient.grpc import InferResult, service_pb2

from ov_mobilenet import Classifier

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture(scope="module")
def channel(classifier: Classifier) -> Iterator[grpc.Channel]:
    with running_grpc(classifier) as server, grpc.insecure_channel(server.address) as opened:
        yield opened


@pytest.fixture
def frame() -> Any:
    return np.random.default_rng(7).integers(0, 256, (1, 96, 100, 3), np.uint8)


def infer(channel: grpc.Channel) -> Any:
    """The call ModelInfer, with bytes as request and response."""
    return channel.unary_unary(INFER)


@pytest.mark.parametrize(("datatype", "field"), [("UINT8", "uint_contents"), ("FP32", "fp32_contents")])
def test_typed_contents_give_the_same_answer(
    channel: grpc.Channel, classifier: Classifier, frame: Any, datatype: str, field: str
) -> None:
    request = service_pb2.ModelInferRequest(model_name=MODEL)
    given = request.inputs.add(name="input", datatype=datatype, shape=frame.shape)
    getattr(given.contents, field).extend(frame.reshape(-1).tolist())
    response = service_pb2.ModelInferResponse.FromString(infer(channel)(request.SerializeToString()))
    result = InferResult(response)
    np.testing.assert_array_equal(result.as_numpy(response.outputs[0].name), expected_probabilities(classifier, frame))


def large_request(datatype: str, field: str, elements: Any, shape: tuple[int, ...]) -> bytes:
    """A request whose `contents` are not read by protobuf."""
    request = service_pb2.ModelInferRequest(model_name=MODEL, id="large")
    given = request.inputs.add(name="input", datatype=datatype, shape=shape)
    getattr(given.contents, field).extend(elements)
    data: bytes = request.SerializeToString()
    assert len(data) > 64 << 10
    return data


@pytest.mark.parametrize(("datatype", "field"), [("UINT8", "uint_contents"), ("FP32", "fp32_contents")])
def test_large_contents_give_the_same_answer(
    channel: grpc.Channel, classifier: Classifier, datatype: str, field: str
) -> None:
    frames = np.random.default_rng(11).integers(0, 256, (1, 150, 180, 3), np.uint8)
    data = large_request(datatype, field, frames.reshape(-1).tolist(), frames.shape)
    response = service_pb2.ModelInferResponse.FromString(infer(channel)(data))
    assert response.id == "large"
    np.testing.assert_array_equal(
        InferResult(response).as_numpy("logits"), expected_probabilities(classifier, frames)
    )  # fmt: skip


def test_large_image_files_in_contents(channel: grpc.Channel, classifier: Classifier) -> None:
    frames = np.random.default_rng(12).integers(0, 256, (2, 150, 180, 3), np.uint8)
    files = [cv2.imencode(".png", one)[1].tobytes() for one in frames]
    response = infer(channel)(large_request("BYTES", "bytes_contents", files, (2,)))
    values = InferResult(service_pb2.ModelInferResponse.FromString(response)).as_numpy("logits")
    for row, file in zip(values, files, strict=True):
        best = classifier.classify(file).best
        assert (row.argmax(), float(row.max())) == (best.class_id, best.probability)


@pytest.mark.parametrize(
    ("datatype", "field", "elements", "word"),
    [
        ("UINT8", "uint_contents", [7, 256] * 40_000, "0..255"), ("UINT8", "uint_contents", [300] * 40_000, "0..255"),
        ("UINT8", "uint_contents", [2**32 - 1] * 20_000, "0..255"),
        ("UINT8", "int_contents", [7] * 70_000, "uint_contents for UINT8, got int_contents"),
        ("FP32", "uint_contents", [7] * 70_000, "fp32_contents for FP32, got uint_contents"),
        ("BYTES", "bytes_contents", [b"ab"] * 20_000, "too many fields"),
        ("UINT8", "uint_contents", [7] * 70_000, "wrong size for UINT8"),
        ("FP32", "fp32_contents", [7] * 70_000, "wrong size for FP32"),
    ],
)  # fmt: skip
def test_invalid_large_contents(channel: grpc.Channel, datatype: str, field: str, elements: Any, word: str) -> None:
    shape = (1,) if datatype == "BYTES" else (1, 8, 8, 3)
    code, message = refusal(infer(channel), large_request(datatype, field, elements, shape))
    assert code is INVALID
    assert word in message


def test_large_contents_beside_raw_contents_are_refused(channel: grpc.Channel) -> None:
    data = large_request("UINT8", "uint_contents", [7] * 70_000, (1, 8, 8, 3)) + b"\x3a\x02ab"
    code, message = refusal(infer(channel), data)
    assert code is INVALID
    assert "both contents and raw_input_contents" in message


@pytest.mark.parametrize(
    "data", [b"\x2a\x00" * 1_000_000, b"\x2a\x80\x89\x7a" + b"\x2a\x00" * 1_000_000, b"\x3a\x00" * 5000],
    ids=["inputs", "inside-an-input", "raw-inputs"],
)  # fmt: skip
def test_messages_that_grow_in_memory_are_refused_before_they_are_read(channel: grpc.Channel, data: bytes) -> None:
    """A million submessages of two bytes take 44 MB."""
    code, message = refusal(infer(channel), data)
    assert code is INVALID
    assert "too many fields" in message


def test_a_message_has_a_limit_without_its_tensors(channel: grpc.Channel, frame: Any) -> None:
    code, message = refusal(infer(channel), infer_request(frame, id="i" * 1_100_000).SerializeToString())
    assert code is EXHAUSTED
    assert "too large without its tensors" in message
