"""A served model without a network: its queue records images and answers with values that depend on them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ov_mobilenet.runtime.async_queue import InferredImage
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.runtime.results import Timings
from ov_mobilenet.serving.models.model_repository import ModelRepository
from ov_mobilenet.serving.models.served_model import ServedModel
from ov_mobilenet.serving.request_errors import RequestError

MODEL, INPUT, OUTPUT = "signs", "input", "probabilities"
ALIASES = {INPUT: "input:0", OUTPUT: "probabilities:0"}
SIDE, CLASSES = 4, 5
LABELS = ("stop", "stop: red", "Überholverbot", "end", "give way")

# Called before an image is answered.
Before = Callable[[int, Item], Awaitable[None]]


async def at_once(number: int, item: Item) -> None:
    """Answer at once."""


def values_of(image: bytes | NDArray[np.uint8]) -> NDArray[np.float32]:
    """Probabilities that depend on the order of all pixels, or on all bytes of a file."""
    pixels = np.frombuffer(image, np.uint8) if isinstance(image, bytes) else image.reshape(-1)
    seed = int(pixels.astype(np.int64) @ np.arange(1, pixels.size + 1) % 2**32)
    values = np.random.default_rng(seed).random(CLASSES)
    probabilities: NDArray[np.float32] = (values / values.sum()).astype(np.float32)
    return probabilities


class RecordingQueue:
    """In the place of `AsyncQueue`.

    Attributes:
        items: what was to be inferred, with `has_input_size` and `timeout_s`.
        cancelled: numbers of the images whose task was cancelled.
    """

    def __init__(self, before: Before = at_once, max_queue: int = 64) -> None:
        self.max_queue = max_queue
        self.pending = 0
        self.items: list[tuple[Item, bool, float | None]] = []
        self.cancelled: list[int] = []
        self._before = before

    async def infer(
        self, image: Item, *, has_input_size: bool = False, timeout_s: float | None = None
    ) -> InferredImage:
        number = len(self.items)
        self.items.append((image, has_input_size, timeout_s))
        self.pending += 1
        try:
            await self._before(number, image)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        finally:
            self.pending -= 1
        pixels = image.image
        assert isinstance(pixels, bytes | np.ndarray)
        if isinstance(pixels, np.ndarray):
            assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.flags.c_contiguous
        assert has_input_size == (isinstance(pixels, np.ndarray) and pixels.shape[:2] == (SIDE, SIDE))
        return InferredImage(values_of(pixels), Timings(total=1.0))


def repository(queue: RecordingQueue, labels: tuple[str, ...] | None = LABELS) -> ModelRepository:
    """A repository with the model `MODEL`."""

    def port(name: str) -> Any:
        return SimpleNamespace(get_names=lambda: {name, ALIASES[name]})

    compiled = SimpleNamespace(model=SimpleNamespace(inputs=[port(INPUT)], outputs=[port(OUTPUT)]))
    classifier = SimpleNamespace(input_size=(SIDE, SIDE), labels=labels, classes=CLASSES, compiled=lambda: compiled)
    model = ServedModel(MODEL, cast("Any", classifier), cast("Any", queue), INPUT, OUTPUT)

    def find(name: str, version: str = "") -> ServedModel:
        if name != MODEL or version not in ("", "1"):
            raise RequestError("unknown model", reason="not-found", where=name)
        return model

    return cast("ModelRepository", SimpleNamespace(find=find))
