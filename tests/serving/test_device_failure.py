"""A device that is lost under a running queue: its model is rebuilt, the other one answers all the time."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from fake_classifier import CLASSES, classifier, frame
from fake_requests import Behaviour
from prometheus_client.parser import text_string_to_metric_families

from ov_mobilenet.errors import DeviceError
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.serving.models.model_repository import ModelRepository
from ov_mobilenet.serving.monitoring.metrics import Metrics
from ov_mobilenet.serving.request_errors import RequestError
from ov_mobilenet.serving.settings import ServerSettings


async def class_of(models: ModelRepository, name: str, mark: int) -> int:
    """The class of a marked frame."""
    inferred = await models.find(name).queue.infer(frame(mark), has_input_size=True)
    return int(inferred.values.argmax())


def rebuilds(models: ModelRepository) -> dict[str, float]:
    """What Prometheus reads."""
    metrics = Metrics(models)
    metrics.read_gauges()
    samples = [
        sample
        for family in text_string_to_metric_families(metrics.text("")[0].decode())
        for sample in family.samples
        if sample.name == "ov_mobilenet_model_rebuilds_total"
    ]
    return {sample.labels["model"]: sample.value for sample in samples}


def test_a_lost_device_is_found_by_its_requests_and_the_model_is_rebuilt() -> None:
    devices = [Behaviour(dies_after=5), Behaviour()]
    may_rebuild = asyncio.Event()

    def load() -> Classifier:
        return classifier(devices.pop(0))

    async def wait(seconds: float) -> None:
        await may_rebuild.wait()

    async def test() -> None:
        models = ModelRepository({"frail": load, "sound": classifier}, ServerSettings(), sleep=wait)
        await models.load_all()
        assert await class_of(models, "frail", 3) == 3
        # One failed request is the client's bad luck; after several in a row the device counts as lost.
        for mark in range(20):
            with suppress(DeviceError, RequestError):
                await class_of(models, "frail", mark)
        assert not models.is_ready
        with pytest.raises(RequestError, match="not ready") as raised:
            models.find("frail")
        assert raised.value.http_status == 503
        assert await class_of(models, "sound", 5) == 5
        assert rebuilds(models) == {"frail": 0, "sound": 0}
        may_rebuild.set()
        while not models.is_ready:
            await asyncio.sleep(0.001)
        assert [await class_of(models, "frail", mark) for mark in range(CLASSES)] == list(range(CLASSES))
        assert rebuilds(models) == {"frail": 1, "sound": 0}
        await models.close()

    asyncio.run(asyncio.wait_for(test(), 60))
