"""The gRPC service, through tritonclient and through raw bytes; expected answers are those of `Classifier`."""

from __future__ import annotations

import gc
import logging
import random
from collections.abc import Iterator
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from serving.running_grpc import (
    INFER,
    MODEL,
    HeldQueue,
    RunningGrpc,
    expected_probabilities,
    infer_request,
    refusal,
    running_grpc,
    triton_client,
)
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult, service_pb2
from tritonclient.utils import InferenceServerException, deserialize_bytes_tensor

from ov_mobilenet import Classifier
from ov_mobilenet.runtime.async_queue import InferredImage
from ov_mobilenet.runtime.results import Timings
from ov_mobilenet.serving.grpc_transport.grpc_messages import write_infer_response
from ov_mobilenet.serving.protocol.messages import InferAnswer, OutputTensor
from ov_mobilenet.serving.request_errors import RequestError

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture(scope="module")
def grpc_server(classifier: Classifier) -> Iterator[RunningGrpc]:
    with running_grpc(classifier, max_body_bytes=16 << 20) as server:
        yield server


@pytest.fixture(scope="module")
def channel(grpc_server: RunningGrpc) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(
        grpc_server.address, [("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)]
    ) as opened:
        yield opened


@pytest.fixture
def frame() -> Any:
    """One frame of another size than the network's."""
    return np.random.default_rng(7).integers(0, 256, (1, 96, 100, 3), np.uint8)


@pytest.fixture
def held(grpc_server: RunningGrpc, monkeypatch: pytest.MonkeyPatch) -> HeldQueue:
    queue = HeldQueue()
    monkeypatch.setattr(grpc_server.repository.find(MODEL).queue, "infer", queue.infer)
    return queue


def infer(channel: grpc.Channel) -> Any:
    """The call ModelInfer, with bytes as request and response."""
    return channel.unary_unary(INFER)


def test_raw_frame_gives_the_probabilities_of_the_classifier(
    grpc_server: RunningGrpc, classifier: Classifier, frame: Any
) -> None:
    own_size = np.random.default_rng(3).integers(0, 256, (1, 128, 128, 3), np.uint8)
    for sent, expected in (
        (frame, expected_probabilities(classifier, frame)), (own_size, classifier.probabilities(own_size)),
    ):  # fmt: skip
        given = InferInput("input", sent.shape, "UINT8")
        given.set_data_from_numpy(sent)
        with triton_client(grpc_server) as client:
            result = client.infer(MODEL, [given], request_id="abc")
        response = result.get_response()
        assert (response.id, response.model_name, response.model_version) == ("abc", MODEL, "1")
        assert len(response.raw_output_contents) == 1
        np.testing.assert_array_equal(result.as_numpy("logits"), expected)


def test_an_image_file_is_decoded(channel: grpc.Channel, classifier: Classifier, frame: Any) -> None:
    png = cv2.imencode(".png", frame[0])[1].tobytes()
    request = service_pb2.ModelInferRequest(model_name=MODEL)
    request.inputs.add(name="input", datatype="BYTES", shape=[1])
    request.raw_input_contents.append(len(png).to_bytes(4, "little") + png)
    response = service_pb2.ModelInferResponse.FromString(infer(channel)(request.SerializeToString()))
    best = classifier.classify(png).best
    values = InferResult(response).as_numpy(response.outputs[0].name)[0]
    assert (values.argmax(), float(values.max())) == (best.class_id, best.probability)


def test_text_outputs_have_their_length_before_them() -> None:
    texts = np.array([[b"0.5:1:stop", b""], [b"0.25:2:\xc3\xa9", b"x" * 300]], np.object_)
    answer = InferAnswer(MODEL, "1", "", (OutputTensor("classes", "BYTES", texts),))
    response = service_pb2.ModelInferResponse.FromString(write_infer_response(answer))
    assert list(response.outputs[0].shape) == [2, 2]
    read = deserialize_bytes_tensor(response.raw_output_contents[0])
    assert read.tolist() == texts.reshape(-1).tolist()


def mixed(request: Any) -> None:
    request.inputs[0].contents.uint_contents.append(3)


def second_raw_input(request: Any) -> None:
    request.raw_input_contents.append(b"abc")


def fewer_raw_inputs(request: Any) -> None:
    request.inputs.add().CopyFrom(request.inputs[0])


def no_data(request: Any) -> None:
    del request.raw_input_contents[:]


def wrong_contents(request: Any) -> None:
    del request.raw_input_contents[:]
    request.inputs[0].contents.int_contents.append(3)


def two_contents(request: Any) -> None:
    del request.raw_input_contents[:]
    request.inputs[0].contents.uint_contents.append(3)
    request.inputs[0].contents.fp32_contents.append(3)


def unknown_datatype(request: Any) -> None:
    del request.raw_input_contents[:]
    request.inputs[0].datatype = "INT7"


def shared_memory(request: Any) -> None:
    del request.raw_input_contents[:]
    request.inputs[0].parameters["shared_memory_region"].string_param = "frames"


def shared_memory_output(request: Any) -> None:
    request.outputs.add(name="logits").parameters["shared_memory_region"].string_param = "frames"


def negative_timeout(request: Any) -> None:
    request.parameters["timeout"].int64_param = -1


def text_timeout(request: Any) -> None:
    request.parameters["timeout"].string_param = "soon"


def negative_classes(request: Any) -> None:
    request.outputs.add(name="logits").parameters["classification"].int64_param = -1


def true_classes(request: Any) -> None:
    request.outputs.add(name="logits").parameters["classification"].bool_param = True


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (mixed, "both contents and raw_input_contents"), (second_raw_input, "expected 1, got 2"),
        (fewer_raw_inputs, "expected 2, got 1"), (no_data, "no data"), (wrong_contents, "uint_contents for UINT8"),
        (two_contents, "uint_contents for UINT8"), (unknown_datatype, "INT7"), (shared_memory, "shared memory"),
        (shared_memory_output, "shared memory"), (negative_timeout, "timeout"), (text_timeout, "timeout"),
        (negative_classes, "classification"), (true_classes, "classification"),
    ],
)  # fmt: skip
def test_invalid_requests_say_what_is_wrong(channel: grpc.Channel, frame: Any, change: Any, word: str) -> None:
    request = infer_request(frame)
    change(request)
    code, message = refusal(infer(channel), request.SerializeToString())
    assert code is INVALID
    assert word in message


@pytest.mark.parametrize("data", [b"\xff" * 20, b"\x0a\x7fshort", b"\x2a\x02\x0a\x05", b"\x00\x00", b"\x0b\x0c"])
def test_bytes_that_are_not_a_message_are_refused(channel: grpc.Channel, data: bytes) -> None:
    assert refusal(infer(channel), data) == (INVALID, "the request is not a valid protobuf message")


def test_a_call_without_a_message_is_refused(channel: grpc.Channel) -> None:
    code, message = refusal(channel.stream_unary(INFER), iter(()))
    assert code is INVALID
    assert "without a message" in message


def test_a_message_beyond_the_limit_is_refused(channel: grpc.Channel, grpc_server: RunningGrpc) -> None:
    code, message = refusal(infer(channel), bytes(grpc_server.settings.max_body_bytes + 1))
    assert code is EXHAUSTED
    assert "larger than max" in message


@pytest.mark.parametrize(
    "call",
    [
        "inference.GRPCInferenceService/ModelReady", "inference.GRPCInferenceService/RepositoryModelLoad",
        "inference.GRPCInferenceService/RepositoryModelUnload", "grpc.health.v1.Health/Check",
    ],
)  # fmt: skip
def test_a_message_without_tensors_has_a_limit_of_its_own(channel: grpc.Channel, call: str) -> None:
    """60 MB of empty parameters took seconds in the event loop and gigabytes."""
    ask = channel.unary_unary(f"/{call}", _registered_method=False)
    code, message = refusal(ask, b"\x1a\x00" * 40_000)
    assert code is EXHAUSTED
    assert "at most 65536 bytes" in message


def test_a_refused_message_is_freed_without_a_garbage_collection(channel: grpc.Channel, frame: Any) -> None:
    """Nine rounds of twelve refused messages of 60 MB took 3.3 GB."""
    gc.collect()
    gc.disable()
    try:
        refusal(infer(channel), infer_request(frame, model_version="4").SerializeToString())
        for _ in range(50):  # the server may still be leaving the call
            refusal(infer(channel), b"\xff")
            held = [one for one in gc.get_objects() if type(one) is RequestError and "version" in str(one)]
            if not held:
                break
        assert not held
    finally:
        gc.enable()


def test_mutated_messages_never_break_the_server(
    grpc_server: RunningGrpc, channel: grpc.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    """Each gets an answer or a refusal; none an internal error."""
    source = infer_request(np.zeros((1, 4, 4, 3), np.uint8), id="7")
    source.outputs.add(name="logits").parameters["classification"].int64_param = 3
    source.parameters["timeout"].int64_param = 10_000_000
    good = source.SerializeToString()
    randomness = random.Random(19)
    allowed = {INVALID, EXHAUSTED, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.DEADLINE_EXCEEDED}
    call = infer(channel)
    pending = []
    for _ in range(300):
        data = bytearray(good)
        for _ in range(randomness.randint(1, 4)):
            at = randomness.randrange(len(data))
            data[at : at + randomness.randint(0, 3)] = randomness.randbytes(randomness.randint(0, 3))
        pending.append(call.future(bytes(data)))
        if len(pending) == 50:
            codes = {one.code() for one in pending}
            assert codes <= {grpc.StatusCode.OK, *allowed}
            pending.clear()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    with triton_client(grpc_server) as client:
        assert client.is_server_ready()


def test_a_deadline_ends_the_work(channel: grpc.Channel, frame: Any, held: HeldQueue) -> None:
    data = infer_request(frame).SerializeToString()
    assert refusal(infer(channel), data, timeout=0.3)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert held.cancelled.wait(30)
    [limit] = held.timeouts
    assert limit == pytest.approx(0.3, rel=0.5)


@pytest.mark.parametrize(("timeout", "deadline_s", "expected"), [(250_000, None, 0.25), (0, None, None), (10**9, 8, 8)])
def test_the_shorter_of_both_limits_reaches_the_queue(
    channel: grpc.Channel, frame: Any, held: HeldQueue, timeout: int, deadline_s: float | None, expected: float | None
) -> None:
    request = infer_request(frame)
    request.parameters["timeout"].int64_param = timeout
    call = infer(channel).future(request.SerializeToString(), timeout=deadline_s)
    assert held.started.wait(30)
    call.cancel()
    [limit] = held.timeouts
    assert limit == (None if expected is None else pytest.approx(expected, rel=0.5))


def test_a_cancelled_call_takes_its_image_out_of_the_queue(
    grpc_server: RunningGrpc, channel: grpc.Channel, frame: Any, held: HeldQueue
) -> None:
    before = len(grpc_server.records)
    call = infer(channel).future(infer_request(frame).SerializeToString())
    assert held.started.wait(30)
    call.cancel()
    assert held.cancelled.wait(30)
    record = grpc_server.wait_for_record(before + 1)
    assert (record.code, record.model) == ("CANCELLED", MODEL)


def test_an_unexpected_error_does_not_show_its_details(
    grpc_server: RunningGrpc, channel: grpc.Channel, frame: Any, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    async def broken(*arguments: Any, **options: Any) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(grpc_server.repository.find(MODEL).queue, "infer", broken)
    code, message = refusal(infer(channel), infer_request(frame).SerializeToString())
    assert code is grpc.StatusCode.INTERNAL
    assert "secret" not in message
    assert "ZeroDivisionError: secret" in caplog.text


@pytest.mark.parametrize(
    ("name", "version", "code"),
    [
        ("no", "", grpc.StatusCode.NOT_FOUND), (MODEL, "2", grpc.StatusCode.NOT_FOUND),
        ("n" * 100_000, "", grpc.StatusCode.NOT_FOUND), ("\u2028" * 2000, "", grpc.StatusCode.NOT_FOUND),
    ],
    ids=["model", "version", "long-name", "control-characters"],
)  # fmt: skip
def test_unknown_models_and_versions_are_not_found(
    channel: grpc.Channel, frame: Any, name: str, version: str, code: grpc.StatusCode
) -> None:
    request = infer_request(frame)
    request.model_name, request.model_version = name, version
    found, message = refusal(infer(channel), request.SerializeToString())
    assert found is code
    assert message.isprintable()
    assert len(message) < 1100


def test_calls_that_are_not_supported_say_so(grpc_server: RunningGrpc) -> None:
    with triton_client(grpc_server) as client, pytest.raises(InferenceServerException) as caught:
        client.get_system_shared_memory_status()
    assert "UNIMPLEMENTED" in str(caught.value.status())
    assert caught.value.message() == "SystemSharedMemoryStatus is not supported"


def test_a_compressed_message_is_refused(channel: grpc.Channel, frame: Any) -> None:
    """Otherwise some kilobytes could become the 64 MiB of the limit."""
    data = infer_request(frame).SerializeToString()
    code, message = refusal(infer(channel), data, compression=grpc.Compression.Gzip)
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "gzip" in message


def test_requests_and_failures_are_recorded(grpc_server: RunningGrpc, channel: grpc.Channel, frame: Any) -> None:
    start = len(grpc_server.records)
    metadata = (
        ("x-request-id", "mine"), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    )  # fmt: skip
    _, call = infer(channel).with_call(infer_request(frame).SerializeToString(), metadata=metadata)
    assert dict(call.trailing_metadata())["x-request-id"] == "mine"
    good = grpc_server.wait_for_record(start + 1)
    assert (good.transport, good.operation, good.model, good.version) == ("grpc", "infer", MODEL, "1")
    assert (good.code, good.error, good.request_id) == ("OK", None, "mine")
    assert good.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert [one.values.shape for one in good.inferred] == [(16,)]
    refusal(infer(channel), infer_request(frame, model_version="4").SerializeToString())
    bad = grpc_server.wait_for_record(start + 2)
    assert (bad.model, bad.code) == (MODEL, "NOT_FOUND")
    assert bad.error is not None
    refusal(infer(channel), service_pb2.ModelInferRequest(model_name="x").SerializeToString())
    assert grpc_server.wait_for_record(start + 3).model == ""


def test_requested_outputs_reach_the_model(
    grpc_server: RunningGrpc, frame: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    async def answer(message: Any, *others: Any) -> InferAnswer:
        seen.append(message)
        image = InferredImage(np.zeros(16, np.float32), Timings())
        return InferAnswer(MODEL, "1", message.id, (OutputTensor("logits", "FP32", image.values[None]),), (image,))

    monkeypatch.setattr("ov_mobilenet.serving.grpc_transport.grpc_calls.answer_inference", answer)
    given = InferInput("input", frame.shape, "UINT8")
    given.set_data_from_numpy(frame)
    with triton_client(grpc_server) as client:
        client.infer(MODEL, [given], outputs=[InferRequestedOutput("logits", class_count=3)], model_version="1")
    [message] = seen
    assert [(one.name, one.classification) for one in message.outputs] == [("logits", 3)]
    assert (message.version, message.inputs[0].shape) == ("1", (1, 96, 100, 3))
    assert bytes(message.inputs[0].raw) == frame.tobytes()


def test_classification_gives_the_answers_of_classify(
    grpc_server: RunningGrpc, classifier: Classifier, frame: Any
) -> None:
    given = InferInput("input", frame.shape, "UINT8")
    given.set_data_from_numpy(frame)
    with triton_client(grpc_server) as client:
        result = client.infer(MODEL, [given], outputs=[InferRequestedOutput("logits", class_count=3)])
    found = [text.decode().split(":", 2) for text in result.as_numpy("logits")[0]]
    expected = classifier.classify(frame[0], top_k=3).top_k
    assert [(int(number), label) for _, number, label in found] == [(one.class_id, one.label) for one in expected]
    assert [np.float32(probability) for probability, _, _ in found] == [np.float32(one.probability) for one in expected]
