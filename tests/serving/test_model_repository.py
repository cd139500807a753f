"""Loading, replacing and rebuilding models; with fake queues, so that every order of events can be chosen."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from serving.fake_queues import FakeQueue, Loads

from ov_mobilenet.errors import DeviceError, IrError
from ov_mobilenet.serving.models import served_model
from ov_mobilenet.serving.models.model_repository import ModelRepository, rebuild_delay_s
from ov_mobilenet.serving.request_errors import RequestError
from ov_mobilenet.serving.settings import ServerSettings

LOST = DeviceError("the device failed (reset)", where="GPU")


@pytest.fixture(autouse=True)
def fake_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeQueue.made = []
    monkeypatch.setattr(FakeQueue, "fails", None)
    monkeypatch.setattr(served_model, "AsyncQueue", FakeQueue)


class Sleeps:
    """Waits of the repository: each ends when the test says so."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.delays.append(seconds)
        self.began.set()
        await self.may_end.wait()
        self.may_end.clear()

    async def end(self) -> None:
        """End the wait that is going on, after it has begun."""
        await asyncio.wait_for(self.began.wait(), 60)
        self.began.clear()
        self.may_end.set()


def repository(*loads: Loads, sleeps: Sleeps | None = None, **options: Any) -> ModelRepository:
    return ModelRepository(
        {one.name: one for one in loads}, ServerSettings(), sleep=sleeps or Sleeps(), jitter=lambda: 1.0, **options
    )  # fmt: skip


def states(models: ModelRepository) -> dict[str, str]:
    return {one.name: one.state for one in models.index()}


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def within_a_minute() -> None:
        await asyncio.wait_for(test(), 60)

    asyncio.run(within_a_minute())


async def answer(model: Any) -> str:
    """The name of the classifier that runs an image for this model."""
    return str(await model.queue.infer("image"))


@pytest.fixture(scope="module", autouse=True)
def objects_of_other_tests_are_not_searched() -> Iterator[None]:
    """`until` collects garbage again and again: with tensorflow in the process that took half a second each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)
        gc.collect()


def test_states_from_loading_to_ready() -> None:
    async def test() -> None:
        first, second = Loads("first"), Loads("second")
        second.may_end.clear()
        models = repository(first, second)
        assert models.names == ("first", "second")
        with pytest.raises(RequestError, match="first: the model is not ready: got it is being loaded") as raised:
            models.find("first")
        assert (raised.value.http_status, raised.value.grpc_code) == (503, "UNAVAILABLE")
        loading = asyncio.ensure_future(models.load_all())
        await until(second.begun.is_set)
        assert states(models) == {"first": "READY", "second": "LOADING"}
        assert not models.is_ready
        second.may_end.set()
        await loading
        assert models.is_ready
        assert await answer(models.find("second")) == "second 1"
        models.draining = True
        assert not models.is_ready
        await models.close()
        assert all(queue.is_closed.is_set() for queue in FakeQueue.made)

    run(test)


@pytest.mark.parametrize(("name", "version"), [("other", ""), ("", ""), ("first", "2"), ("first", "x" * 500)])
def test_unknown_names_and_versions_are_not_found(name: str, version: str) -> None:
    with pytest.raises(RequestError, match="unknown") as raised:
        repository(Loads("first")).find(name, version)
    assert raised.value.http_status == 404
    assert len(str(raised.value)) < 300


def test_a_repository_that_was_closed_loads_again_in_another_event_loop() -> None:
    load = Loads("m")
    models = repository(load)

    async def test() -> None:
        load.may_end.clear()
        loading = asyncio.ensure_future(models.load_all())
        await asyncio.sleep(0)
        assert states(models) == {"m": "LOADING"}
        load.may_end.set()
        await loading
        await asyncio.gather(models.load("m"), models.reload("m"))
        await models.close()

    run(test)
    run(test)


def test_an_error_of_the_first_inference_is_an_error_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(FakeQueue, "fails", LOST)
        models = repository(Loads("first"))
        with pytest.raises(DeviceError):
            await models.load_all()
        assert FakeQueue.made[0].is_closed.is_set()

    run(test)


def test_a_request_keeps_the_model_that_it_found_and_the_old_one_is_closed_after_it() -> None:
    async def test() -> None:
        load = Loads("m")
        models = repository(load)
        await models.load_all()
        load.may_end.clear()
        held = models.find("m")
        reloading = asyncio.ensure_future(models.reload("m"))
        await until(load.begun.is_set)
        assert models.find("m") is held, "the old one answers until the new one is warmed up"
        load.may_end.set()
        assert await reloading
        new = models.find("m")
        assert await answer(new) == "m 2"
        await asyncio.sleep(0)
        old_queue = FakeQueue.made[0]
        assert not old_queue.is_closed.is_set()
        assert await answer(held) == "m 1"
        del held
        await until(old_queue.is_closed.is_set)
        assert not FakeQueue.made[1].is_closed.is_set()
        await models.close()
        assert FakeQueue.made[1].is_closed.is_set()

    run(test)


@pytest.mark.parametrize("error", [IrError("not a readable IR", where="m.xml"), OSError("disk"), RuntimeError("[CPU]")])
def test_a_broken_new_model_is_logged_and_the_old_one_stays(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        load = Loads("m")
        models = repository(load)
        await models.load_all()
        old = models.find("m")
        load.errors = [error, error]
        assert not await models.reload("m")
        with pytest.raises(RequestError, match="m: the model cannot be loaded") as raised:
            await models.load("m")
        assert raised.value.http_status == 503
        assert models.find("m") is old
        assert models.is_ready
        assert not FakeQueue.made[0].is_closed.is_set()
        assert await models.reload("m")
        assert models.find("m") is not old
        await models.close()

    run(test)
    assert "m: cannot be loaded again, the one that was loaded before stays" in caplog.text


def test_unload_and_load() -> None:
    async def test() -> None:
        load = Loads("m")
        models = repository(load)
        await models.load_all()
        running = asyncio.ensure_future(answer(models.find("m")))
        await models.unload("m")
        with pytest.raises(RequestError, match="unloaded"):
            models.find("m")
        assert models.index()[0].reason == "unloaded"
        assert models.is_ready, "a model that was unloaded on purpose does not make the server fail"
        assert not await models.reload("m")
        assert states(models) == {"m": "UNAVAILABLE"}
        assert await running == "m 1"
        await until(FakeQueue.made[0].is_closed.is_set)
        await models.load("m")
        assert states(models) == {"m": "READY"}
        for call in (models.load, models.unload, models.reload):
            with pytest.raises(RequestError, match="unknown model"):
                await call("other")
        await models.close()

    run(test)


def test_a_lost_device_is_rebuilt_with_growing_delays_and_the_other_models_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ov_mobilenet")

    async def test() -> None:
        load, other, sleeps = Loads("m"), Loads("other"), Sleeps()
        models = repository(load, other, sleeps=sleeps)
        await models.load_all()
        FakeQueue.made[0].lost = LOST
        load.errors = [DeviceError("no device"), RuntimeError("driver")]
        with pytest.raises(RequestError, match=r"m: the model is not ready: got the device failed \(reset\)") as raised:
            models.find("m")
        assert raised.value.grpc_code == "UNAVAILABLE"
        assert states(models) == {"m": "UNAVAILABLE", "other": "READY"}
        assert not models.is_ready
        for _ in range(3):
            await sleeps.end()
        await until(lambda: "m: ready again after 3 attempts" in caplog.text)
        assert models.is_ready
        assert sleeps.delays == [0.5, 1.0, 2.0]
        assert await answer(models.find("m")) == "m 2"
        assert await answer(models.find("other")) == "other 1"
        await until(FakeQueue.made[0].is_closed.is_set)
        await models.close()

    run(test)
    assert "m: not ready, it is rebuilt" in caplog.text
    assert "m: attempt 2 to rebuild it failed: driver" in caplog.text


@pytest.mark.full
def test_a_device_that_is_lost_again_is_rebuilt_again() -> None:
    async def test() -> None:
        sleeps = Sleeps()
        models = repository(Loads("m"), sleeps=sleeps)
        await models.load_all()
        for lost in range(3):
            FakeQueue.made[lost].lost = LOST
            assert not models.is_ready
            await sleeps.end()
            await until(lambda: models.is_ready)
        assert sleeps.delays == [0.5] * 3
        await models.close()

    run(test)


@pytest.mark.parametrize("call", ["close", "unload", "load"])
def test_rebuilding_ends_when_it_is_not_needed_any_more(call: str) -> None:
    async def test() -> None:
        load, sleeps = Loads("m"), Sleeps()
        models = repository(load, sleeps=sleeps)
        await models.load_all()
        FakeQueue.made[0].lost = LOST
        models.check_devices()
        await asyncio.wait_for(sleeps.began.wait(), 60)
        before = asyncio.all_tasks()
        await (models.close() if call == "close" else getattr(models, call)("m"))
        sleeps.may_end.set()
        await until(lambda: len(asyncio.all_tasks()) < len(before))
        assert load.count == (2 if call == "load" else 1)
        await models.close()

    run(test)


def test_delays_double_up_to_a_minute_and_differ_between_servers() -> None:
    assert [rebuild_delay_s(attempt, 1.0) for attempt in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 32, 60]
    assert rebuild_delay_s(10_000, 1.0) == 60
    assert rebuild_delay_s(8, 0.0) == 30
