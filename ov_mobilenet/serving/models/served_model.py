"""`ServedModel`: a model under the name that clients use; compiled, warmed up and ready to answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Literal, TypeVar

from ov_mobilenet.runtime.async_queue import AsyncQueue

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.serving.settings import ServerSettings

VERSION = "1"
# Side of the frames that warm up a model with dynamic input size, in pixels.
_WARM_UP_SIDE = 224
T = TypeVar("T")
Loader = Callable[[], "Classifier"]


# Compared by identity: a request keeps the one that it found, while the next request gets its successor.
@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model that is ready to answer.

    Attributes:
        name: as in `/v2/models/NAME`.
        queue: runs its images.
        input_name, output_name: the tensors of the IR.
        version: the only one of a model.
    """

    name: str
    classifier: Classifier
    queue: AsyncQueue
    input_name: str
    output_name: str
    version: str = VERSION


@dataclass(frozen=True)
class ModelState:
    """The state of a model.

    Attributes:
        reason: why it is UNAVAILABLE; otherwise empty.
    """

    name: str
    version: str
    state: Literal["LOADING", "READY", "UNAVAILABLE"]
    reason: str = ""


async def start_model(name: str, load: Loader, settings: ServerSettings, batch_size: int | None = None) -> ServedModel:
    """Load and compile a model in a thread, and run all its infer requests: no client waits for a first inference.

    Args:
        batch_size: images per request; None for the default of the model and its device.

    Raises:
        OvMobilenetError: the model cannot be loaded, or its device fails.
    """

    def load_and_warm_up() -> tuple[Classifier, AsyncQueue, NDArray[np.uint8]]:
        import numpy as np

        classifier = load()
        # The queue compiles for its batch size.
        queue = AsyncQueue(
            classifier, batch_size=batch_size, max_wait_ms=settings.max_wait_ms, max_queue=settings.max_queue,
            decode_workers=settings.decode_workers,
        )  # fmt: skip
        frame = np.zeros((*(classifier.input_size or (_WARM_UP_SIDE, _WARM_UP_SIDE)), 3), np.uint8)
        queue.warm_up(frame)
        classifier.prepare(_small_jpeg())  # the first one imports the libraries that decode
        classifier.compiled()  # requests ask it for the names of its tensors
        return classifier, queue, frame

    classifier, queue, frame = await in_daemon_thread(load_and_warm_up, name=f"ov-mobilenet-load-{name}")
    try:
        await queue.infer(frame)
    except BaseException:
        await queue.close(cancel=True)
        raise
    model = classifier.compiled().model
    return ServedModel(name, classifier, queue, *(port.get_any_name() for port in (model.inputs[0], model.outputs[0])))


def _small_jpeg() -> bytes:
    from PIL import Image

    encoded = BytesIO()
    Image.new("RGB", (_WARM_UP_SIDE, _WARM_UP_SIDE)).save(encoded, "JPEG")
    return encoded.getvalue()


async def in_daemon_thread(function: Callable[[], T], *, name: str) -> T:
    """The result of a function that runs in a thread of its own.

    A download or a compilation cannot be interrupted. Unlike a thread of asyncio's executor, a daemon thread does not
    keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if future.done():  # cancelled
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as caught:  # noqa: BLE001 (raised again by the task that waits)
            error = caught
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(finish, result, error)
            except RuntimeError:  # closed at this moment: nobody waits
                return

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future
