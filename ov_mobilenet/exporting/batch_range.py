"""The batch sizes that an exported model accepts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ov_mobilenet.errors import UsageError

LARGEST = 4096
_EXPECTED = f"a number such as 1, or a range such as 1:8, of 1 to {LARGEST}"


@dataclass(frozen=True)
class BatchRange:
    """The smallest and the largest number of images in a request."""

    low: int
    high: int

    @property
    def is_fixed(self) -> bool:
        """Whether every request has the same number of images."""
        return self.low == self.high

    def __str__(self) -> str:
        return str(self.low) if self.is_fixed else f"{self.low}:{self.high}"


ONE_IMAGE = BatchRange(1, 1)


def parse_batch(batch: int | str) -> BatchRange:
    """The range that a number, or a text such as `8` or `1:8`, stands for.

    Raises:
        UsageError: it is none, or it is unbounded: the server then does not resize images.
    """
    numbers = re.fullmatch(r"([0-9]{1,9})(?::([0-9]{1,9}))?", str(batch))
    if numbers is None or isinstance(batch, bool):
        unbounded = re.fullmatch(r"-1|\?|auto|[0-9]*:(-1|\?)?", str(batch)) is not None
        raise UsageError(
            "invalid batch", expected=_EXPECTED, got=repr(batch)[:60],
            fix="With an unbounded batch the server does not resize images; choose an upper limit, such as 1:32"
            if unbounded else None,
        )  # fmt: skip
    low = int(numbers[1])
    high = int(numbers[2] or low)
    if not 1 <= low <= high <= LARGEST:
        raise UsageError("invalid batch", expected=_EXPECTED, got=repr(batch)[:60])
    return BatchRange(low, high)
