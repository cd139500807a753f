"""Which frames are taken of those that come."""

from __future__ import annotations

# Times of frames are rounded to milliseconds by many containers.
ROUNDING_S = 1e-3


class Sampling:
    """Each Nth frame, and no more than so many a second; one for each video or camera.

    Args:
        every: 1 for each frame.
        max_fps: frames a second; None for no limit.
    """

    def __init__(self, every: int = 1, max_fps: float | None = None) -> None:
        self._every = every
        self._period = None if max_fps is None else 1 / max_fps
        self._due: float | None = None

    def takes(self, number: int, time_s: float) -> bool:
        """Whether to take this frame; asked once for each, in their order."""
        if number % self._every:
            return False
        if self._period is None:
            return True
        if self._due is None:
            self._due = time_s
        if time_s < self._due - ROUNDING_S:
            return False
        # On a grid, so that the mean is met; after a gap the grid begins anew.
        self._due = max(self._due + self._period, time_s)
        return True
