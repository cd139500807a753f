"""Tell activation, padding and batch-norm epsilon of PyTorch weights from the statistics of all batch norms.

Under the right settings, what flows into every batch norm is what it recorded in training. Two statistics of the
divergences of the layers are used. The median is robust: one layer that the images happen to suit badly does not change
it. The mean ranks: it has more power, because a padding or an epsilon changes few layers by much. Over random draws of
100 photographs, with settings that change the answers, the mean ranked the right combination first in 16 of 16 draws
for three published networks (V1 0.25, V2 0.35, the sample model), the median in 7 of 16 (V2: 0 of 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ov_mobilenet.conversion.architectures import LayerSettings
from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.diagnosis.evidence import StoredStatistics, equal_weights
from ov_mobilenet.diagnosis.layer_combinations import (
    Combination,
    activations_to_try,
    build_with,
    published_combination,
    variants,
)
from ov_mobilenet.diagnosis.layer_evidence import (
    RESAMPLES,
    LayerFlow,
    joined,
    layer_divergences,
    observe,
    relative_difference,
    sampling_noise,
    stored_statistics,
)
from ov_mobilenet.diagnosis.ranking import LIKELY, SURE, Verdict
from ov_mobilenet.inputs.image_subset import OnProgress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ov_mobilenet.conversion.sources.weight_matching import MatchedWeights
    from ov_mobilenet.diagnosis.network import Values

SCREENING_IMAGES = 10
MAX_ACTIVATIONS, MAX_FINALISTS = 4, 8
# Combinations whose outputs differ by less are one answer: epsilon 1e-3 and 1e-5 in V1 0.25 differ by 0.004, with the
# same top-1 on 99 % of the photographs; ReLU and LeakyReLU 0.01 in a V1 for 2 classes by 0.06, with 99 %.
SAME_OUTPUTS = 0.02
# Limit of the median and of the mean over the layers, each without the sampling noise of the number of images.
AGREEMENT = 0.015


@dataclass(frozen=True)
class RankedCombination:
    """A combination of settings with its evidence.

    Attributes:
        divergence: median over the layers, in nats; smaller is better.
        mean_divergence: mean over the layers, by which combinations are ranked.
        images: number of images; fewer for a combination that was dropped early.
        share: share of the bootstrap resamples in which it is the best, alone or together with those that are the same.
        same_as_best: its outputs are practically those of the best one.
    """

    combination: Combination
    divergence: float
    mean_divergence: float
    images: int
    share: float
    same_as_best: bool


@dataclass(frozen=True)
class LayerDiagnosis:
    """What the images tell about the settings of the layers.

    Attributes:
        settings: all settings of the best combination; of several that are the same, those nearest to the published.
        published: the settings that the architecture was published with, or that were given.
        candidates: best first.
        verdict: how sure it is that no other combination with other outputs is right.
        divergence, mean_divergence: of `settings`, over the layers, in nats.
        noise, mean_noise: the part of them that comes from the number of images.
    """

    settings: LayerSettings
    published: LayerSettings
    candidates: tuple[RankedCombination, ...]
    verdict: Verdict
    divergence: float
    mean_divergence: float
    noise: float
    mean_noise: float

    @property
    def best(self) -> Combination:
        """The best combination; its activation may be one that cannot be converted."""
        return self.candidates[0].combination

    @property
    def excess(self) -> float:
        """The larger of median and mean divergence without the sampling noise; compared with `AGREEMENT`."""
        return max(self.divergence - self.noise, self.mean_divergence - self.mean_noise)

    @property
    def agrees(self) -> bool:
        """Whether the statistics are those of a network with these settings."""
        return self.best.is_supported and self.excess < AGREEMENT

    @property
    def is_published(self) -> bool:
        """Whether the settings are the published ones."""
        return self.settings == self.published

    @property
    def changes(self) -> LayerSettings:
        """The settings that differ from the published ones; None for the others."""
        published = msgspec.structs.asdict(self.published)
        found = msgspec.structs.asdict(self.settings)
        return LayerSettings(**{name: value for name, value in found.items() if value != published[name]})

    def best_as_dict(self) -> dict[str, Any]:
        """The settings for the JSON form."""
        return msgspec.structs.asdict(self.best if not self.best.is_supported else self.settings)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "verdict": self.verdict,
            "agrees": self.agrees,
            "median_divergence": self.divergence,
            "mean_divergence": self.mean_divergence,
            "sampling_noise": self.noise,
            "limit": AGREEMENT,
            "candidates": [
                {
                    **msgspec.structs.asdict(row.combination),
                    "is_supported": row.combination.is_supported,
                    "median_divergence": row.divergence,
                    "mean_divergence": row.mean_divergence,
                    "images": row.images,
                    "share": row.share,
                    "same_as_best": row.same_as_best,
                }
                for row in self.candidates
            ],
        }


def diagnose_layers(
    matched: MatchedWeights,
    path: Path,
    frames: NDArray[np.uint8],
    normalisation: Candidate,
    *,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> LayerDiagnosis | None:
    """Find the settings of the layers; None if the weights have no recorded statistics.

    All activations are tried on a few images with the published padding and epsilon, the best of them with the others;
    combinations that are not far behind get all images. Settings that `matched` gives are kept.

    Args:
        frames: uint8 (N, H, W, 3) BGR.
        normalisation: the one of the network. The first batch norm tells it, and comes before any activation.
        seed: of the bootstrap.
        on_progress: called after each combination, with an estimated total.

    Raises:
        ConversionError: the weights do not fit the module.
    """
    from ov_mobilenet.conversion.sources.pytorch import load_module

    module = load_module(matched, path)
    stored = stored_statistics(module)
    if not stored:
        return None
    values, state, network = normalisation.apply(frames), module.state_dict(), matched.network
    done = 0

    def flow(combination: Combination, part: Values) -> LayerFlow:
        nonlocal done
        found = observe(build_with(network, combination, state), part)
        done += 1
        if on_progress is not None:
            on_progress(done, max(done, len(first) + 3 * MAX_ACTIVATIONS + MAX_FINALISTS))
        return found

    few, rest = values[_screening(len(values))], values[~_screening(len(values))]
    first = activations_to_try(network)
    screened = {one: flow(one, few) for one in first}
    for one in _nearest(screened, stored, MAX_ACTIVATIONS, 3.0):
        for variant in variants(network, one.activation):
            if variant not in screened:
                screened[variant] = flow(variant, few)
    finalists = _nearest(screened, stored, MAX_FINALISTS, 2.0)
    flows = {one: joined(screened[one], flow(one, rest)) if len(rest) else screened[one] for one in finalists}
    if on_progress is not None:
        on_progress(done, done)
    return _judge(flows, screened, stored, published_combination(network), seed)


def _screening(images: int) -> NDArray[np.bool_]:
    """A few images from all parts of the sequence."""
    chosen = np.zeros(images, bool)
    chosen[np.linspace(0, images - 1, min(images, SCREENING_IMAGES)).round().astype(int)] = True
    return chosen


def _nearest(
    flows: Mapping[Combination, LayerFlow], stored: Sequence[StoredStatistics], count: int, factor: float
) -> list[Combination]:
    """The combinations whose divergence is at most `factor` times the smallest one, best first."""
    means = {one: float(_point(flow, stored).mean()) for one, flow in flows.items()}
    best = min(means.values())
    return sorted((one for one in means if means[one] <= factor * best), key=lambda one: means[one])[:count]


def _point(flow: LayerFlow, stored: Sequence[StoredStatistics]) -> NDArray[np.float64]:
    return layer_divergences(flow, stored, equal_weights(len(flow.outputs)))[0]


def _judge(
    flows: Mapping[Combination, LayerFlow],
    screened: Mapping[Combination, LayerFlow],
    stored: Sequence[StoredStatistics],
    published: Combination,
    seed: int,
) -> LayerDiagnosis:
    order = list(flows)
    points = [_point(flows[one], stored) for one in order]
    best = int(np.argmin([point.mean() for point in points]))
    reference = flows[order[best]].outputs
    same = np.array([relative_difference(flows[one].outputs, reference) < SAME_OUTPUTS for one in order])
    # Images of another kind than those of the training shift all layers in one direction, which resamples of the images
    # alone do not show. So the layers are drawn as well.
    generator = np.random.default_rng(seed)
    images, layers = len(reference), len(stored)
    weights = generator.multinomial(images, np.full(images, 1 / images), RESAMPLES) / images
    draws = generator.integers(0, layers, (RESAMPLES, layers))
    samples = np.stack(
        [np.take_along_axis(layer_divergences(flows[one], stored, weights), draws, 1).mean(1) for one in order]
    )
    wins = np.bincount(samples.argmin(0), minlength=len(order)) / RESAMPLES
    share = float(wins[same].sum())

    rows = [
        RankedCombination(
            one, float(np.median(points[i])), float(points[i].mean()), images,
            share if same[i] else float(wins[i]), bool(same[i]),
        )
        for i, one in enumerate(order)
    ]  # fmt: skip
    rows.sort(key=lambda row: (not row.same_as_best, row.mean_divergence))
    dropped = [
        RankedCombination(one, float(np.median(point)), float(point.mean()), len(flow.outputs), 0.0, False)
        for one, flow in screened.items()
        if one not in flows
        for point in [_point(flow, stored)]
    ]
    dropped.sort(key=lambda row: row.mean_divergence)
    chosen = _nearest_to(published, [row.combination for row in rows if row.same_as_best])
    point, noise = points[order.index(chosen)], sampling_noise(flows[chosen], weights)
    return LayerDiagnosis(
        settings=chosen.settings, published=published.settings, candidates=(*rows, *dropped),
        verdict="sure" if share >= SURE else "likely" if share >= LIKELY else "undecided",
        divergence=float(np.median(point)), mean_divergence=float(point.mean()),
        noise=float(np.median(noise)), mean_noise=float(noise.mean()),
    )  # fmt: skip


def _nearest_to(published: Combination, same: Sequence[Combination]) -> Combination:
    """The combination with the most settings of the published one; of several, the first."""

    def in_common(one: Combination) -> int:
        return sum(getattr(one, name) == getattr(published, name) for name in one.__struct_fields__)

    return max((one for one in same if one.is_supported), key=in_common, default=same[0])
