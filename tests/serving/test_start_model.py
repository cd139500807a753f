"""`start_model`: what has happened before a model is ready, with a real queue on a simulated device."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest
from fake_classifier import CLASSES, classifier, fake, frame
from fake_requests import Behaviour, marked
from numpy.typing import NDArray

from ov_mobilenet.errors import DeviceError
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.serving.models.served_model import ServedModel, start_model
from ov_mobilenet.serving.settings import ServerSettings
from ov_mobilenet.zoo.geometry import parse_geometry


def started(load: Any, check: Any, batch_size: int | None = None) -> None:
    async def test() -> None:
        model = await start_model("m", load, ServerSettings(), batch_size)
        try:
            await check(model)
        finally:
            await model.queue.close()

    asyncio.run(asyncio.wait_for(test(), 60))


@pytest.mark.parametrize(("batch_size", "largest"), [(None, 4), (3, 3)])
def test_all_is_compiled_and_run_before_the_model_is_ready_and_not_in_the_event_loop(
    batch_size: int | None, largest: int
) -> None:
    batches: list[int] = []
    compiled_in: list[threading.Thread] = []

    def answer(frames: NDArray[np.uint8], classes: int) -> NDArray[np.float32]:
        batches.append(len(frames))
        return marked(frames, classes)

    behaviour = Behaviour(answer=answer)

    def compile_batch(size: int) -> Any:
        compiled_in.append(threading.current_thread())
        return fake(size, behaviour)

    def load() -> Classifier:
        return Classifier(
            fake(1, behaviour), geometry=parse_geometry("resize 4"), labels=None, record=None,
            compile_batch=compile_batch, stream_batch=4, share_with_queues=False,
        )  # fmt: skip

    async def check(model: ServedModel) -> None:
        # The device has two requests of each batch size. The last single image went through the whole queue.
        assert batches == [largest, largest, 1, 1, 1]
        assert model.queue.batch_size == largest
        await model.queue.infer(frame(1))
        model.classifier.compiled()
        assert len(compiled_in) == 2
        assert threading.main_thread() not in compiled_in

    started(load, check, batch_size)


@pytest.mark.parametrize("behaviour", [Behaviour(fails=[1]), Behaviour(dies_after=0, dies_at_start=True)])
def test_a_device_that_fails_at_the_start_is_an_error_of_the_start(behaviour: Behaviour) -> None:
    async def check(model: ServedModel) -> None:
        raise AssertionError

    with pytest.raises(DeviceError, match="CPU: the device failed"):
        started(lambda: classifier(behaviour), check)


def test_the_answers_after_the_warm_up_are_those_of_the_images() -> None:
    async def check(model: ServedModel) -> None:
        answers = await asyncio.gather(*(model.queue.infer(frame(mark)) for mark in range(20)))
        assert [int(one.values.argmax()) for one in answers] == [mark % CLASSES for mark in range(20)]

    started(lambda: classifier(batch=4), check)
