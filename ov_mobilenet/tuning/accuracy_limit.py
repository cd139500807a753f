"""Which precisions of the search space are accurate enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ov_mobilenet.tuning.measurement_log import MeasurementLog
from ov_mobilenet.tuning.space import PrecisionOption, SearchSpace


@dataclass(frozen=True)
class AccuracyLimit:
    """How much top-1 accuracy a precision may lose.

    Attributes:
        measure: returns the top-1 accuracy of a precision, as a fraction.
        reference: the precision that the others are compared with.
        max_drop: how much top-1 may be lower, as a fraction.
    """

    measure: Callable[[PrecisionOption], float]
    reference: PrecisionOption
    max_drop: float


class AccuracyFilter:
    """Accepts or rejects precisions; measures each at most once, and only those that could be chosen.

    Attributes:
        top1: top-1 accuracy of each precision measured.
        rejected: precisions that lose too much accuracy, or could not be measured in time, with the reason.
        spent_s: seconds spent on measuring.
    """

    def __init__(self, limit: AccuracyLimit | None, space: SearchSpace, log: MeasurementLog) -> None:
        self.top1: dict[PrecisionOption, float] = {}
        self.rejected: dict[PrecisionOption, str] = {}
        self.spent_s = 0.0
        self._allowed = space.precisions
        self._limit = limit
        self._log = log
        self._cost_s = 0.0
        if limit is not None:
            self._measure(limit, limit.reference)

    @property
    def expected_s(self) -> float:
        """Estimated seconds for all precisions, including those measured."""
        return self.spent_s + self._cost_s * len(set(self._allowed) - set(self.top1))

    def accepts(self, precision: PrecisionOption) -> bool:
        """Whether the precision may be used."""
        if precision not in self._allowed or precision in self.rejected:
            return False
        if self._limit is None:
            return True
        if precision not in self.top1:
            if self._cost_s > self._log.remaining_s:
                self.rejected[precision] = "no time left to measure its accuracy"
                return False
            self._measure(self._limit, precision)
        lost = self.top1[self._limit.reference] - self.top1[precision]
        if lost > self._limit.max_drop:
            self.rejected[precision] = f"top-1 is lower by {lost:.4f}, more than {self._limit.max_drop:g}"
        return precision not in self.rejected

    def _measure(self, limit: AccuracyLimit, precision: PrecisionOption) -> None:
        before = self._log.elapsed_s
        self.top1[precision] = limit.measure(precision)
        taken = self._log.elapsed_s - before
        self.spent_s += taken
        self._cost_s = max(self._cost_s, taken)
