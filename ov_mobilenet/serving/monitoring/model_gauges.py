"""`ModelGauges`: what metrics and the live page show of a model at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ov_mobilenet.serving.request_errors import RequestError

if TYPE_CHECKING:
    from ov_mobilenet.serving.models.model_repository import ModelRepository
    from ov_mobilenet.serving.models.served_model import ServedModel


@dataclass(frozen=True)
class ModelGauges:
    """A model at one moment.

    Attributes:
        reason: why the model is not ready; "" if it is.
        queue_length: images that are accepted and not answered yet.
        queue_limit: maximum of `queue_length`; 0 if the model is not ready.
        rebuilds: times that the model was compiled again after a failure.
        is_ready: whether the model answers requests.
    """

    name: str
    reason: str
    queue_length: int
    queue_limit: int
    rebuilds: int
    is_ready: bool


def model_gauges(repository: ModelRepository) -> list[ModelGauges]:
    """The states of all models of a server, in their order; to be called in the event loop."""
    return [_gauges(repository, name) for name in repository.names]


def served_model(repository: ModelRepository, name: str) -> ServedModel | None:
    """A model; None if it is not ready. Do not keep it: it ends when nothing holds it any more."""
    try:
        return repository.find(name)
    except RequestError:
        return None


def _gauges(repository: ModelRepository, name: str) -> ModelGauges:
    rebuilds = repository.rebuilds_of(name)
    try:
        served = repository.find(name)
    except RequestError as error:
        return ModelGauges(name, str(error.got or error.what), 0, 0, rebuilds, is_ready=False)
    return ModelGauges(name, "", served.queue.pending, served.queue.max_queue, rebuilds, is_ready=True)
