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
        served: None if the model is not ready.
    """

    name: str
    reason: str
    queue_length: int
    queue_limit: int
    rebuilds: int
    served: ServedModel | None

    @property
    def is_ready(self) -> bool:
        """Whether the model answers requests."""
        return self.served is not None


def model_gauges(repository: ModelRepository) -> list[ModelGauges]:
    """The states of all models of a server, in their order; to be called in the event loop."""
    return [_gauges(repository, name) for name in repository.names]


def _gauges(repository: ModelRepository, name: str) -> ModelGauges:
    rebuilds = repository.rebuilds_of(name)
    try:
        served = repository.find(name)
    except RequestError as error:
        return ModelGauges(name, str(error.got or error.what), 0, 0, rebuilds, None)
    return ModelGauges(name, "", served.queue.pending, served.queue.max_queue, rebuilds, served)
