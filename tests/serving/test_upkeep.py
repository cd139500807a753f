"""`Upkeep`: what a server does beside answering requests."""

from __future__ import annotations

import asyncio

import pytest
from serving.fake_queues import FakeQueue, Loads

from ov_mobilenet.serving.models import served_model
from ov_mobilenet.serving.models.model_repository import ModelRepository
from ov_mobilenet.serving.settings import ServerSettings
from ov_mobilenet.serving.upkeep import Upkeep


@pytest.mark.parametrize("turns", range(6))
def test_a_stop_right_after_the_request_to_reload_ends_it(turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_model, "AsyncQueue", FakeQueue)
    load = Loads("m")

    async def test() -> None:
        models = ModelRepository({"m": load}, ServerSettings())
        upkeep = Upkeep(models, {}, watches_files=False)
        loading = asyncio.ensure_future(models.load_all())
        running = asyncio.ensure_future(upkeep.run(loading))
        await loading
        for _ in range(9):
            await asyncio.sleep(0)
        load.may_end.clear()  # a reload that has begun waits, and is cancelled too
        upkeep.request_reload()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        ended, _ = await asyncio.wait([running], timeout=30)
        load.may_end.set()
        assert ended
        assert running.cancelled()
        await models.close()

    asyncio.run(test())
