"""Answer a request to infer: one function for both transports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ov_mobilenet.errors import OvMobilenetError
from ov_mobilenet.serving.input_images import images_of
from ov_mobilenet.serving.messages import InferAnswer, OutputTensor
from ov_mobilenet.serving.request_errors import as_request_error

if TYPE_CHECKING:
    from ov_mobilenet.serving.messages import InferMessage
    from ov_mobilenet.serving.model_repository import ModelRepository
    from ov_mobilenet.serving.settings import ServerSettings


async def answer_inference(message: InferMessage, repository: ModelRepository, settings: ServerSettings) -> InferAnswer:
    """The outputs for a request.

    Raises:
        RequestError: the request is invalid, or cannot be answered now.
    """
    import numpy as np

    model = repository.find(message.model, message.version)
    images = images_of(message.inputs[0], max_images=settings.max_images)
    try:
        inferred = await asyncio.gather(*(model.queue.infer(image, timeout_s=message.timeout_s) for image in images))
    except OvMobilenetError as error:
        raise as_request_error(error) from error
    values = np.stack([one.values for one in inferred])
    binary = any(output.binary for output in message.outputs or ())
    output = OutputTensor(model.output_name, "FP32", values, binary)
    return InferAnswer(model.name, model.version, message.id, (output,), tuple(inferred))
