"""Answer a request to infer: one function for both transports."""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from ov_mobilenet.errors import DeadlineError, ImageError, OvMobilenetError
from ov_mobilenet.runtime.items import Item
from ov_mobilenet.serving.protocol.client_text import shown
from ov_mobilenet.serving.protocol.input_images import images_of, is_slow
from ov_mobilenet.serving.protocol.messages import InferAnswer, OutputTensor
from ov_mobilenet.serving.protocol.output_tensors import output_tensor, requested_outputs
from ov_mobilenet.serving.request_errors import RequestError, as_request_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ov_mobilenet.images.decode import Frame
    from ov_mobilenet.runtime.async_queue import InferredImage
    from ov_mobilenet.serving.models.model_repository import ModelRepository
    from ov_mobilenet.serving.models.served_model import ServedModel
    from ov_mobilenet.serving.protocol.messages import InferMessage, InputTensor
    from ov_mobilenet.serving.settings import ServerSettings

# Classes to be written as text, above which that takes about a millisecond.
SLOW_TEXTS = 500


async def answer_inference(message: InferMessage, repository: ModelRepository, settings: ServerSettings) -> InferAnswer:
    """The outputs for a request.

    All its images are in the queue at once. If one fails, or the task is cancelled, the others are taken out.

    Raises:
        RequestError: the request is invalid, or cannot be answered now.
    """
    import numpy as np

    started = monotonic()
    model = repository.find(message.model, message.version)
    requested = requested_outputs(message, model)
    tensor = _only_input(message, model)
    convert = partial(
        images_of, tensor, max_images=min(settings.max_images, model.queue.max_queue), max_pixels=settings.max_pixels
    )
    images = await asyncio.to_thread(convert) if is_slow(tensor) else convert()
    left_s = None if message.timeout_s is None else message.timeout_s - (monotonic() - started)
    if left_s is not None and left_s <= 0:
        raise as_request_error(DeadlineError("the time limit of the request is over"))
    inferred = await _infer_all(images, model, max_pixels=settings.max_pixels, timeout_s=left_s)
    probabilities = np.stack([one.values for one in inferred])
    labels = model.classifier.labels

    def outputs() -> tuple[OutputTensor, ...]:
        return tuple(output_tensor(one, probabilities, labels) for one in requested)

    texts = sum(min(one.classification, probabilities.shape[1]) for one in requested) * len(images)
    written = await asyncio.to_thread(outputs) if texts > SLOW_TEXTS else outputs()
    return InferAnswer(model.name, model.version, message.id, written, tuple(inferred))


def _only_input(message: InferMessage, model: ServedModel) -> InputTensor:
    """The input. Raises: RequestError: there is none, more than one, or it has another name."""
    if len(message.inputs) != 1:
        raise RequestError("wrong number of inputs", expected=1, got=len(message.inputs))
    name = message.inputs[0].name
    if name not in (None, model.input_name) and name not in model.classifier.compiled().model.inputs[0].get_names():
        raise RequestError("unknown input", where=shown(name), expected=shown(model.input_name))
    return message.inputs[0]


async def _infer_all(
    images: Sequence[Frame | bytes], model: ServedModel, *, max_pixels: int, timeout_s: float | None
) -> list[InferredImage]:
    """Infer the images of a request together. Raises: RequestError: that of the first image that fails."""

    async def infer(number: int) -> InferredImage:
        image = images[number]
        has_input_size = not isinstance(image, bytes) and image.shape[:2] == model.classifier.input_size
        item = Item(image, f"image {number} of a request", max_pixels=max_pixels)
        try:
            return await model.queue.infer(item, has_input_size=has_input_size, timeout_s=timeout_s)
        except OvMobilenetError as error:
            # In a variable, the raised error would keep its frame, and the image, until the next garbage collection.
            if not isinstance(error, ImageError):
                raise as_request_error(error) from error
            refused = as_request_error(error)
            raise RequestError(
                refused.what, reason=refused.reason, where=f"image {number}", expected=refused.expected,
                got=refused.got, fix=refused.fix,
            ) from error  # fmt: skip

    if len(images) == 1:
        return [await infer(0)]
    tasks = [asyncio.ensure_future(infer(number)) for number in range(len(images))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        return [task.result() for task in tasks if task.done()]
    finally:
        for task in tasks:
            task.cancel()
        # Waits until all have left the queue, and retrieves their exceptions.
        await asyncio.gather(*tasks, return_exceptions=True)
