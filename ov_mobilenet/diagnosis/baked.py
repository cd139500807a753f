"""The normalisation that is baked into an IR without a record, read from the graph."""

from __future__ import annotations

import numpy as np

from ov_mobilenet.diagnosis.candidates import Candidate, candidate_of, named_candidates
from ov_mobilenet.diagnosis.input_part import SplitNetwork
from ov_mobilenet.errors import UsageError
from ov_mobilenet.zoo.normalisation import Normalisation

_DIGITS = 6


def readings(split: SplitNetwork) -> tuple[Candidate, ...]:
    """The normalisations that the graph may contain: one, or several that it does not tell apart.

    Mean and scale after which a quantised source network quantises its input are its own. A scale that was moved into
    the weights of the first convolution is not visible any more: then each named normalisation with the mean of the
    graph is a reading.
    """
    seen = split.to_quantisation
    mean, scale = -seen.offset / seen.multiplier, 1 / seen.multiplier
    order = 1
    if split.weights_reversed:  # the weights take the channels in the order of the pixels, not of the source network
        order = -1
    try:
        visible = candidate_of(
            Normalisation(
                mean=_compact(mean[::order], 0.0), scale=_compact(scale[::order], 1.0),
                reverse_input_channels=seen.is_reversed != split.weights_reversed,
            ),
            "baked",
        )  # fmt: skip
    except UsageError:  # numbers that no normalisation has
        return ()
    if not split.weights_scaled:
        return (visible,)
    possible = [one for one in named_candidates() if _has_mean(one, visible)]
    return tuple(possible) or (visible,)


def _compact(values: np.ndarray[tuple[int], np.dtype[np.float64]], neutral: float) -> tuple[float, ...]:
    """Numbers without rounding errors: none if all are neutral, one if all are the same."""
    if np.allclose(values, neutral, rtol=0, atol=1e-3):
        return ()
    rounded = tuple(float(f"{value:.{_DIGITS}g}") for value in values)
    return rounded[:1] if np.allclose(values, values[0], rtol=1e-4, atol=1e-3) else rounded


def _has_mean(one: Candidate, other: Candidate) -> bool:
    return one.channel_order == other.channel_order and bool(
        np.allclose(one.mean or 0.0, other.mean or 0.0, rtol=0.01, atol=0.1)
    )
