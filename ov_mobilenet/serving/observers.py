"""Who is told about each request that has ended."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ov_mobilenet.serving.model_repository import ModelRepository
    from ov_mobilenet.serving.observation import Observe, RequestRecord
    from ov_mobilenet.serving.settings import ServerSettings

log = logging.getLogger(__name__)


@contextmanager
def observe_all(repository: ModelRepository, settings: ServerSettings) -> Iterator[Observe]:
    """A function that tells all observers; they run in the `with` block.

    An observer that fails is logged: it must not change the answer of a request.
    """
    observers: list[Observe] = []

    def observe(record: RequestRecord) -> None:
        for tell in observers:
            try:
                tell(record)
            except Exception:
                log.exception("a request was answered and cannot be recorded")

    yield observe
