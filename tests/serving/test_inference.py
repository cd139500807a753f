"""`answer_inference` with a queue that records what it is given, and with the sample model."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import cv2
import numpy as np
import pytest
from serving.recording_queue import (
    ALIASES,
    CLASSES,
    INPUT,
    LABELS,
    MODEL,
    OUTPUT,
    SIDE,
    RecordingQueue,
    repository,
    values_of,
)

from ov_mobilenet import Classifier
from ov_mobilenet.errors import DeadlineError, DeviceError, ImageError, OvMobilenetError, QueueFullError
from ov_mobilenet.images.decode import read_image
from ov_mobilenet.runtime.async_queue import AsyncQueue
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.serving.models.served_model import ServedModel
from ov_mobilenet.serving.protocol.inference import answer_inference
from ov_mobilenet.serving.protocol.messages import InferAnswer, InferMessage, InputTensor, RequestedOutput
from ov_mobilenet.serving.request_errors import RequestError
from ov_mobilenet.serving.settings import ServerSettings

T = TypeVar("T")
SETTINGS = ServerSettings()
FILES = (b"first", b"second", b"third")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end; nothing may be left in the loop, and no exception unseen."""
    complaints: list[dict[str, Any]] = []

    async def supervised() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        try:
            return await main
        finally:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left

    result = asyncio.run(supervised())
    assert not complaints
    return result


def message(*files: bytes, outputs: tuple[RequestedOutput, ...] | None = None, **keys: Any) -> InferMessage:
    tensor = InputTensor(INPUT, "BYTES", (len(files),), values=files)
    return InferMessage(MODEL, (tensor,), outputs=outputs, **keys)


def frames_message(frames: np.ndarray[Any, Any], datatype: str = "UINT8") -> InferMessage:
    return InferMessage(MODEL, (InputTensor(INPUT, datatype, frames.shape, frames.tobytes()),))


def answer(asked: InferMessage, queue: RecordingQueue | None = None, **settings: Any) -> InferAnswer:
    return run(answer_inference(asked, repository(queue or RecordingQueue()), replace(SETTINGS, **settings)))


def test_the_probabilities_of_all_images_in_order() -> None:
    queue = RecordingQueue()
    found = answer(message(*FILES, id="7"), queue, max_pixels=123)
    assert (found.model, found.version, found.id) == (MODEL, "1", "7")
    (output,) = found.outputs
    assert (output.name, output.datatype, output.binary) == (OUTPUT, "FP32", False)
    np.testing.assert_array_equal(output.values, [values_of(file) for file in FILES])
    assert len(found.inferred) == 3
    assert [(item.image, item.max_pixels) for item, _, _ in queue.items] == [(file, 123) for file in FILES]


@pytest.mark.parametrize("shape", [(2, SIDE, SIDE, 3), (2, 3, SIDE, SIDE), (1, SIDE, 5, 3), (1, 7, SIDE, 3)])
def test_frames_of_the_input_size_are_not_resized(shape: tuple[int, ...]) -> None:
    """The queue checks that it is told so for these, and only for these."""
    frames = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    expected = frames if shape[3] == 3 else np.moveaxis(frames, 1, 3)
    for asked in (frames_message(frames), frames_message(frames.astype("<f4"), "FP32")):
        np.testing.assert_array_equal(answer(asked).outputs[0].values, [values_of(frame.copy()) for frame in expected])


def test_large_tensors_are_converted_in_a_thread() -> None:
    frames = np.random.default_rng(1).integers(0, 256, (1, 3, 300, 400), dtype=np.uint8)
    expected = values_of(np.ascontiguousarray(frames[0].transpose(1, 2, 0)))
    np.testing.assert_array_equal(answer(frames_message(frames.astype("<f4"), "FP32")).outputs[0].values, [expected])


@pytest.mark.parametrize("top_k", [1, 2, CLASSES, CLASSES + 1, 2**62])
def test_classification(top_k: int) -> None:
    """As text, the most probable first; more than all classes are all."""
    (output,) = answer(message(*FILES, outputs=(RequestedOutput(OUTPUT, top_k, True),))).outputs
    assert (output.name, output.datatype, output.binary) == (OUTPUT, "BYTES", True)
    for file, texts in zip(FILES, output.values.tolist(), strict=True):
        values = values_of(file)
        order = sorted(range(CLASSES), key=lambda index: -values[index])[:top_k]
        assert texts == [f"{values[index]!s}:{index}:{LABELS[index]}".encode() for index in order]


def test_classification_without_labels() -> None:
    asked = message(b"a", outputs=(RequestedOutput(OUTPUT, 1),))
    (output,) = run(answer_inference(asked, repository(RecordingQueue(), None), SETTINGS)).outputs
    values = values_of(b"a")
    assert output.values.tolist() == [[f"{values.max()!s}:{values.argmax()}".encode()]]


def test_only_the_requested_outputs_under_the_requested_names() -> None:
    names = (RequestedOutput(ALIASES[OUTPUT], 2, True), RequestedOutput(OUTPUT))
    found = answer(
        replace(message(b"a", outputs=names), inputs=(InputTensor(ALIASES[INPUT], "BYTES", (1,), values=(b"a",)),))
    )
    assert [(one.name, one.datatype, one.binary) for one in found.outputs] == [
        (ALIASES[OUTPUT], "BYTES", True), (OUTPUT, "FP32", False),
    ]  # fmt: skip


def test_all_outputs_are_binary_if_the_request_says_so() -> None:
    assert answer(message(b"a", binary_output=True)).outputs[0].binary


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        (replace(message(b"a"), model="other"), 404, ("unknown model",)),
        (replace(message(b"a"), version="2"), 404, ("unknown model",)),
        (replace(message(b"a"), inputs=()), 400, ("expected 1, got 0",)),
        (replace(message(b"a"), inputs=message(b"a").inputs * 2), 400, ("expected 1, got 2",)),
        (replace(message(), inputs=(InputTensor("y", "BYTES", (1,), values=(b"a",)),)), 400, ('"y"', f'"{INPUT}"')),
        (replace(message(), inputs=(InputTensor("", "BYTES", (1,), values=(b"a",)),)), 400, ("input", f'"{INPUT}"')),
        (message(b"a", outputs=(RequestedOutput("y"),)), 400, ('"y"', f'"{OUTPUT}"')),
        (message(b"a", outputs=(RequestedOutput(OUTPUT), RequestedOutput(OUTPUT, 3))), 400, (f'"{OUTPUT}"', "twice")),
        (message(b"a", outputs=(RequestedOutput(OUTPUT, -1),)), 400, (f'"{OUTPUT}"', "classification", "-1")),
        (message(*[b"a"] * 65), 400, ("too many images", "at most 64, got 65")),
        (frames_message(np.zeros((1, 4, 4, 4), np.uint8)), 400, ("shape",)),
    ],
)
def test_invalid_requests_do_not_reach_the_queue(asked: InferMessage, status: int, words: tuple[str, ...]) -> None:
    queue = RecordingQueue()
    with pytest.raises(RequestError) as raised:
        answer(asked, queue)
    assert raised.value.http_status == status and all(word in str(raised.value) for word in words), raised.value
    assert not queue.items


def test_more_images_than_the_queue_can_ever_hold_are_refused() -> None:
    with pytest.raises(RequestError, match="too many images: expected at most 2, got 3") as raised:
        answer(message(*FILES), RecordingQueue(max_queue=2))
    assert raised.value.http_status == 400


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ImageError("broken image (x)", expected="a", got="b"), 422, "image 1: broken image (x): expected a, got b"),
        (QueueFullError("too many images are waiting"), 503, "too many images are waiting"),
        (DeadlineError("not answered in time"), 504, "not answered in time"),
        (DeviceError("the device failed", where="CPU"), 503, "CPU: the device failed. Try again later"),
    ],
)
def test_one_image_that_fails_takes_the_others_out_of_the_queue(
    error: OvMobilenetError, status: int, text: str
) -> None:
    async def fail_the_second(number: int, item: Item) -> None:
        if number == 1:
            raise error
        await asyncio.Event().wait()  # for ever

    queue = RecordingQueue(fail_the_second)
    with pytest.raises(RequestError) as raised:
        answer(message(*FILES), queue)
    assert (raised.value.http_status, str(raised.value)) == (status, text)
    assert queue.cancelled == [0, 2] and queue.pending == 0


def test_the_error_is_that_of_the_first_image_that_fails() -> None:
    async def fail(number: int, item: Item) -> None:
        raise ImageError(f"broken {number}")

    with pytest.raises(RequestError, match=r"^image 0: broken 0$"):
        answer(message(*FILES), RecordingQueue(fail))


@pytest.mark.parametrize("count", [1, 3])
def test_a_cancelled_request_leaves_the_queue(count: int) -> None:
    async def main() -> RecordingQueue:
        all_wait = asyncio.Event()

        async def wait(number: int, item: Item) -> None:
            if number == count - 1:
                all_wait.set()
            await asyncio.Event().wait()

        queue = RecordingQueue(wait)
        task = asyncio.ensure_future(answer_inference(message(*FILES[:count]), repository(queue), SETTINGS))
        await all_wait.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return queue

    queue = run(main())
    assert sorted(queue.cancelled) == [*range(count)] and queue.pending == 0


def test_the_time_limit_reaches_the_queue() -> None:
    queue = RecordingQueue()
    answer(message(*FILES, timeout_s=60.0), queue)
    assert all(timeout_s is not None and 50 < timeout_s <= 60 for _, _, timeout_s in queue.items)
    answer(message(b"a"), queue)
    assert queue.items[-1][2] is None
    with pytest.raises(RequestError, match="time") as raised:
        answer(message(b"a", timeout_s=1e-9), queue)
    assert raised.value.http_status == 504 and len(queue.items) == 4


# With the sample model and the real queue: the answers of `classify` and `probabilities`, bit for bit.


def with_model(classifier: Classifier, tensor: InputTensor, *outputs: RequestedOutput, **settings: Any) -> InferAnswer:
    """The answer; the name of the tensor is replaced by that of the input."""

    async def main() -> InferAnswer:
        compiled = classifier.compiled().model
        queue = AsyncQueue(classifier)
        model = ServedModel(
            MODEL, classifier, queue, compiled.inputs[0].get_any_name(), compiled.outputs[0].get_any_name()
        )
        asked = InferMessage(MODEL, (replace(tensor, name=model.input_name),), outputs=outputs or None)
        found: Any = SimpleNamespace(find=lambda name, version: model)
        try:
            return await answer_inference(asked, found, replace(SETTINGS, **settings))
        finally:
            await queue.close()

    return asyncio.run(main())


def output_name(classifier: Classifier) -> str:
    name: str = classifier.compiled().model.outputs[0].get_any_name()
    return name


def files_tensor(*files: bytes) -> InputTensor:
    raw = b"".join(struct.pack("<I", len(file)) + file for file in files)
    return InputTensor(INPUT, "BYTES", (len(files),), raw)


def test_files_give_the_answers_of_classify(signs_classifier: Classifier, sign_files: list[Path]) -> None:
    files = [file.read_bytes() for file in sign_files]
    asked = RequestedOutput(output_name(signs_classifier), 3)
    (output,) = with_model(signs_classifier, files_tensor(*files), asked).outputs
    assert output.values.tolist() == [
        [f"{np.float32(one.probability)!s}:{one.class_id}:{one.label}".encode() for one in found.top_k]
        for found in (signs_classifier.classify(file, top_k=3) for file in files)
    ]


@pytest.mark.parametrize("datatype", ["UINT8", "FP32"])
@pytest.mark.parametrize("channels_first", [False, True])
def test_frames_give_the_answers_of_the_classifier(
    signs_classifier: Classifier, sign_files: list[Path], datatype: str, channels_first: bool
) -> None:
    assert signs_classifier.input_size is not None
    height, width = signs_classifier.input_size
    frame = read_image(sign_files[0])
    for size in ((width, height), (width + 40, height + 9)):
        resized = cv2.resize(frame, size)
        sent = resized[None].transpose(0, 3, 1, 2) if channels_first else resized[None]
        raw = sent.astype({"UINT8": "u1", "FP32": "<f4"}[datatype]).tobytes()
        (output,) = with_model(signs_classifier, InputTensor(INPUT, datatype, sent.shape, raw)).outputs
        if size == (width, height):
            expected = signs_classifier.probabilities(resized[None])[0].tolist()
        else:
            found = signs_classifier.classify(resized, top_k=signs_classifier.classes).top_k
            expected = [one.probability for one in sorted(found, key=lambda one: one.class_id)]
        assert output.values[0].tolist() == expected


def test_broken_files_give_the_message_of_classify(signs_classifier: Classifier, sign_files: list[Path]) -> None:
    good = sign_files[0].read_bytes()
    for broken in (good[:100], b"text", b""):
        with pytest.raises(ImageError) as expected:
            signs_classifier.classify(broken)
        with pytest.raises(RequestError) as raised:
            with_model(signs_classifier, files_tensor(good, broken))
        assert (raised.value.http_status, str(raised.value)) == (422, f"image 1: {expected.value}")


def test_files_with_too_many_pixels_are_refused(signs_classifier: Classifier, sign_files: list[Path]) -> None:
    tensor = files_tensor(sign_files[0].read_bytes())
    height, width = read_image(sign_files[0]).shape[:2]
    with pytest.raises(RequestError, match=f"at most {height * width - 1} pixels, got {width}x{height}") as raised:
        with_model(signs_classifier, tensor, max_pixels=height * width - 1)
    assert raised.value.http_status == 422
    assert with_model(signs_classifier, tensor, max_pixels=height * width).inferred
