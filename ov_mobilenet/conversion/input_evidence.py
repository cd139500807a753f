"""What the files of a network tell of its normalisation, and where two of them, or the user, say different things."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ov_mobilenet.conversion.inner_normalisation import NO_NORMALISATION
from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.conversion.integer_input import LEAST_OVERLAP, overlap
from ov_mobilenet.conversion.presets import PRESETS
from ov_mobilenet.errors import UsageError
from ov_mobilenet.zoo.normalisation import Normalisation

# The normalisations that a range of values tells apart; it does not tell the channel order.
_BY_RANGE = (
    Normalisation(),
    Normalisation(scale=(255.0,)),
    *(
        msgspec.structs.replace(PRESETS[name].normalisation, reverse_input_channels=False)
        for name in ("tensorflow", "torchvision")
    ),
)
# The largest difference, as a share of the range.
_TOLERANCE = 0.02
_ASSUME_NONE = "--assume none if the network takes pixels 0..255 as they are"


def normalisation_of_range(facts: SourceFacts) -> tuple[Normalisation, str] | None:
    """The normalisation that the quantisation behind a float input tells, and how; None if it does not."""
    if facts.inner.real_range is None:
        return None
    low, high = facts.inner.real_range
    for normalisation in _BY_RANGE:
        least, greatest = NO_NORMALISATION.values_of(normalisation)
        if max(abs(low - least), abs(high - greatest)) <= _TOLERANCE * (greatest - least):
            return normalisation, f"the quantisation of the input holds {low:.4g}..{high:.4g}"
    return None


def check_declared(facts: SourceFacts, where: Path) -> None:
    """Refuse a declared normalisation that contradicts the graph.

    Raises:
        UsageError: the message names both.
    """
    declared = facts.declared
    if declared is None or declared.normalisation is None:
        return
    normalisation = declared.normalisation
    low, high = NO_NORMALISATION.values_of(normalisation)
    has_numbers = bool(normalisation.mean or normalisation.scale)
    integers, inner = facts.integer_input, facts.inner
    if integers is not None:
        if has_numbers and (integers.real_range is None or overlap((low, high), integers.real_range) < LEAST_OVERLAP):
            raise _contradiction(declared.by, "the integers of the input", f"{integers}", (low, high), where)
    elif inner.real_range is not None:
        if overlap((low, high), inner.real_range) < LEAST_OVERLAP:
            expected = "0..255 become {:.4g}..{:.4g}".format(*inner.real_range)
            raise _contradiction(declared.by, "the quantisation of the input", expected, (low, high), where)
    elif inner and not inner.suits(normalisation):
        expected = f"values such as 0..1 or -1..1 behind {inner}"
        ends = inner.values_of(normalisation)
        raise _contradiction(declared.by, "the normalisation inside the graph", expected, ends, where)


def _contradiction(by: str, other: str, expected: str, got: tuple[float, float], where: Path) -> UsageError:
    return UsageError(
        f"{by} contradicts {other}", where=where, expected=f"as in the graph: {expected}",
        got="{}: 0..255 become {:.4g}..{:.4g}".format(by, *got),
        fix=f"Choose {_ASSUME_NONE}, or the right --mean-values and --scale-values",
    )  # fmt: skip


def against_declared(facts: SourceFacts, chosen: Normalisation) -> str | None:
    """Where what the user chose differs from what the files declare, as a sentence; None if it does not."""
    declared = facts.declared
    if declared is None or declared.normalisation is None:
        return None
    theirs, different = declared.normalisation, []
    # An integer input takes pixels: no mean and no scale are right for it.
    is_omitted = facts.integer_input is not None and not (chosen.mean or chosen.scale)
    if not is_omitted and not is_same_input(chosen, theirs):
        different.append("normalisation")
    if declared.is_order_declared and chosen.reverse_input_channels != theirs.reverse_input_channels:
        different.append("channel order")
    if not different:
        return None
    return f"the given {' and '.join(different)} ({chosen}) is used, which differs from {declared.by}: {theirs}"


def is_same_input(one: Normalisation, other: Normalisation) -> bool:
    """Whether pixels 0..255 become the same values, apart from the channel order."""
    return all(
        abs(a - b) <= _TOLERANCE * (high - low)
        for channel in range(3)
        for (low, high) in (sorted(_ends(other, channel)),)
        for a, b in zip(_ends(one, channel), _ends(other, channel), strict=True)
    )


def _ends(normalisation: Normalisation, channel: int) -> tuple[float, float]:
    """The values of 0 and 255 in one channel."""
    mean, scale = normalisation.mean or (0.0,), normalisation.scale or (1.0,)
    m, s = mean[channel % len(mean)], scale[channel % len(scale)]
    return (0.0 - m) / s, (255.0 - m) / s
