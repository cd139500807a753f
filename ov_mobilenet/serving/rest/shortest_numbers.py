"""float32 numbers as the float64 numbers whose text is short and reads back as the same float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# 6 decimal digits survive a float32, and 9 always tell it from its neighbours.
_DIGITS = (6, 7, 8, 9)
_MAX_POWER = 22  # 10**22 is the largest power of ten that float64 holds exactly


def shortest(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The float64 numbers with the fewest decimal digits that read back as these float32 numbers.

    A float32 as a float64 would be written with 17 digits: 0.10000000149011612 for 0.1.

    Args:
        values: finite.
    """
    import numpy as np

    exact = values.astype(np.float64)
    result: NDArray[np.float64] = exact.copy()
    with np.errstate(divide="ignore", over="ignore"):
        exponents = np.floor(np.log10(np.abs(exact)))
    is_common = (exponents >= _DIGITS[-1] - 1 - _MAX_POWER) & (exponents <= _MAX_POWER + _DIGITS[0] - 1)
    left = np.flatnonzero(is_common)
    for digits in _DIGITS:
        powers = digits - 1 - exponents[left]
        # Numerator and denominator are exact, so that the quotient is the float64 nearest to the decimal number.
        tens = 10.0 ** np.abs(powers)
        scaled = np.where(powers >= 0, exact[left] * tens, exact[left] / tens)
        rounded = np.rint(scaled)
        short = np.where(powers >= 0, rounded / tens, rounded * tens)
        fits = short.astype(np.float32) == values[left]
        result[left[fits]] = short[fits]
        left = left[~fits]
    others = np.flatnonzero(~is_common & (exact != 0.0))
    result[others] = values[others].astype("S").astype(np.float64)
    return result
