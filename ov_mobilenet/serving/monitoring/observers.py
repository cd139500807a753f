"""`Observers`: who is told about each request that has ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ov_mobilenet.serving.monitoring.live_status import LiveStatus
from ov_mobilenet.serving.monitoring.metrics import Metrics
from ov_mobilenet.serving.monitoring.statistics import Statistics

if TYPE_CHECKING:
    from ov_mobilenet.serving.models.model_repository import ModelRepository
    from ov_mobilenet.serving.monitoring.observation import RequestRecord
    from ov_mobilenet.serving.monitoring.request_log import RequestLog

log = logging.getLogger(__name__)


class Observers:
    """What a server counts and writes about requests.

    Attributes:
        statistics: for the statistics extension of the protocol.
        metrics: for Prometheus.
        status: for the live page.
    """

    def __init__(self, repository: ModelRepository, request_log: RequestLog | None = None) -> None:
        """Begin to count.

        Args:
            request_log: writes a line for each request; None for none.
        """
        self.statistics = Statistics(repository.names)
        self.metrics = Metrics(repository)
        self.status = LiveStatus(repository)
        self._observers = [self.statistics.observe, self.metrics.observe, self.status.observe]
        if request_log is not None:
            self._observers.append(request_log.observe)

    def observe(self, record: RequestRecord) -> None:
        """Tell all. One that fails is logged: it must not change the answer to a request."""
        for observe in self._observers:
            try:
                observe(record)
            except Exception:
                log.exception("a request that was answered cannot be recorded")
