"""Queues and classifiers that do what a test tells them, in place of a device."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

from ov_mobilenet.errors import DeviceError

CLASSES = 8


class FakeQueue:
    """A queue whose images wait until `release` is set.

    Attributes:
        made: all queues, in the order in which they were made; the test empties it.
        fails: raised for every image.
    """

    made: list[FakeQueue] = []  # noqa: RUF012
    fails: Exception | None = None

    def __init__(self, classifier: Any, **options: Any) -> None:
        self.classifier = classifier
        self.options = options
        self.lost: DeviceError | None = None
        self.release = asyncio.Event()
        self.release.set()
        self.images = 0
        self.is_closed = asyncio.Event()
        FakeQueue.made.append(self)

    def warm_up(self, frame: Any) -> None:
        """Done by real queues only."""

    async def infer(self, image: Any, **_: Any) -> str:
        """The name of the classifier that ran the image."""
        if self.fails is not None:
            raise self.fails
        assert not self.is_closed.is_set(), "an image was sent to a closed queue"
        self.images += 1
        await self.release.wait()
        return str(self.classifier.name)

    async def close(self, *, cancel: bool = False) -> None:
        """Remember the call."""
        self.is_closed.set()


def fake_classifier(name: str, batch: int = 1) -> Any:
    """What a repository uses of a classifier."""
    port = SimpleNamespace(get_any_name=lambda: "port")
    compiled = SimpleNamespace(model=SimpleNamespace(inputs=[port], outputs=[port]), batch=batch)
    return SimpleNamespace(
        prepare=lambda image: None,
        name=name,
        input_size=(4, 4),
        compiled=lambda: compiled,
        xml=None,
        device="CPU",
        classes=CLASSES,
    )


class Loads:
    """A loader that counts its calls, and fails or waits when told to.

    Attributes:
        errors: raised by the next calls, first one first.
        may_end: the calls wait for it.
        begun: set when a call has begun.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.errors: list[Exception] = []
        self.may_end = threading.Event()
        self.may_end.set()
        self.begun = threading.Event()

    def __call__(self) -> Any:
        """A classifier named after the model and the call."""
        self.begun.set()
        assert self.may_end.wait(60)
        if self.errors:
            raise self.errors.pop(0)
        self.count += 1
        return fake_classifier(f"{self.name} {self.count}")
