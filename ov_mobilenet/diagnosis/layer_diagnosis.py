"""Tell activation, padding and batch-norm epsilon of PyTorch weights from the statistics of all batch norms.

Under the right settings, what flows into every batch norm is what it recorded in training. Two kinds of evidence:

- Combinations are ranked by the mean divergence of the layers while the module normalises with the statistics of the
  images themselves, as in training. With the recorded statistics instead, a difference between the images and those of
  the training grows from layer to layer and can be larger than the effect of the settings: a real V1 for 2 classes
  with ReLU, on photographs of another data set, was taken for one with ReLU6, and random V2 networks with epsilon 1e-5
  for 1e-3, `sure` of it in 4 of 6.
- Whether the best combination agrees is told by the module as it would be converted, with the recorded statistics:
  there a wrong activation adds up. The median over the layers is robust; the mean also sees few, much disturbed layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.diagnosis.evidence import StoredStatistics, bootstrap_weights, equal_weights
from ov_mobilenet.diagnosis.layer_combinations import (
    Combination,
    activations_to_try,
    build_with,
    published_combination,
    variants_of,
)
from ov_mobilenet.diagnosis.layer_evidence import (
    LayerFlow,
    joined,
    layer_divergences,
    observe,
    relative_difference,
    sampling_noise,
    stored_statistics,
)
from ov_mobilenet.diagnosis.ranking import LIKELY, SURE, Verdict
from ov_mobilenet.diagnosis.torch_threads import one_module_per_thread
from ov_mobilenet.inputs.image_subset import OnProgress
from ov_mobilenet.zoo.layer_settings import LayerSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ov_mobilenet.conversion.sources.weight_matching import MatchedWeights

SCREENING_IMAGES = 10
MAX_ACTIVATIONS, MAX_FINALISTS = 4, 6
COMPARED_IMAGES = 20
RESAMPLES = 200
# Combinations whose outputs differ by less are one answer: epsilon 1e-3 and 1e-5 in V1 0.25 differ by 0.004, with the
# same top-1 on 99 % of the photographs; ReLU and LeakyReLU 0.01 in a V1 for 2 classes by 0.06, with 99 %.
SAME_OUTPUTS = 0.02
# Limit of the median and of the mean over the layers, each without the sampling noise of the number of images. The
# larger of the two, with 20 and with 100 images like those of the training: 0.009 and 0.006 for a published V1 0.25,
# 0.003 and 0.002 for a V2 0.35, 0.009 and 0.011 for the sample model. Other images: V1 0.25 on drawings 0.08, V2
# 0.35 at 128 instead of 224 pixels 0.03. Wrong networks: stride 1 in the first layer 0.016 to 0.03, LeakyReLU 0.2
# taken for 0.1 0.06 to 0.12, SiLU for hard-swish 0.1, ReLU for ReLU6 0.35 (V1).
# It was set between these figures, not checked on others. It does not see a slope that is nearly right (LeakyReLU 0.15
# taken for 0.1 in a random V3: 0.004); only the ranking, which tries such slopes, refuses that.
AGREEMENT = 0.0125


@dataclass(frozen=True)
class RankedCombination:
    """A combination of settings with its evidence.

    Attributes:
        divergence: mean over the layers, in nats, with the statistics of the images; smaller is better.
        images: number of images; fewer for a combination that was dropped early.
        share: share of the bootstrap resamples in which it is the best, alone or together with those that are the same.
        same_as_best: its outputs are practically those of the best one.
    """

    combination: Combination
    divergence: float
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
        divergence, mean_divergence: of `settings`, median and mean over the layers, in nats, with the recorded
            statistics.
        noise, mean_noise: the part of them that comes from the number of images.
        matched_by_order: whether the keys of the weights match the architecture only by shape and order, so that
            nothing but the images tells the settings.
    """

    settings: LayerSettings
    published: LayerSettings
    candidates: tuple[RankedCombination, ...]
    verdict: Verdict
    divergence: float
    mean_divergence: float
    noise: float
    mean_noise: float
    matched_by_order: bool = False

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
    def is_accepted(self) -> bool:
        """Whether weights may be converted with the settings; published ones of known keys may be only `likely`."""
        accepted = ("sure", "likely") if not self.matched_by_order and self.is_published else ("sure",)
        return self.agrees and self.verdict in accepted

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
        return msgspec.structs.asdict(self.settings if self.best.is_supported else self.best)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "verdict": self.verdict,
            "agrees": self.agrees,
            "median_divergence": self.divergence,
            "mean_divergence": self.mean_divergence,
            "sampling_noise": self.noise,
            "mean_sampling_noise": self.mean_noise,
            "limit": AGREEMENT,
            "candidates": [
                {
                    **msgspec.structs.asdict(row.combination),
                    "is_supported": row.combination.is_supported,
                    "divergence": row.divergence,
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
    few = _spread(len(values), SCREENING_IMAGES if len(values) >= 2 * SCREENING_IMAGES else len(values))
    first = activations_to_try(network)
    done = 0
    with one_module_per_thread() as pool:

        def observed(
            combinations: Sequence[Combination], part: NDArray[np.float32], *, batch_statistics: bool = True
        ) -> Iterator[LayerFlow]:
            nonlocal done
            for flow in pool.map(
                lambda one: observe(build_with(network, one, state), part, batch_statistics=batch_statistics),
                combinations,
            ):
                done += 1
                if on_progress is not None:
                    on_progress(done, max(done, len(first) + 3 * MAX_ACTIVATIONS + 2 * MAX_FINALISTS + 1))
                yield flow

        screened = dict(zip(first, observed(first, values[few]), strict=True))
        nearest = _nearest(screened, stored, MAX_ACTIVATIONS, 3.0)
        variants = [one for near in nearest for one in variants_of(network, near.activation) if one not in screened]
        screened |= zip(variants, observed(variants, values[few]), strict=True)
        finalists = _nearest(screened, stored, MAX_FINALISTS, 2.0)
        flows = {one: screened[one] for one in finalists}
        if not few.all():
            for one, flow in zip(finalists, observed(finalists, values[~few]), strict=True):
                flows[one] = joined(flows[one], flow)
        compared = values[_spread(len(values), COMPARED_IMAGES)]
        alone = observed(finalists, compared, batch_statistics=False)
        outputs = {one: flow.outputs for one, flow in zip(finalists, alone, strict=True)}
        ranked, verdict = _ranked(flows, outputs, stored, seed)
        chosen = _nearest_to(published_combination(network), [row.combination for row in ranked if row.same_as_best])
        (final,) = observed([chosen], values, batch_statistics=False)
    if on_progress is not None:
        on_progress(done, done)
    point = _point(final, stored)
    noise = sampling_noise(final, bootstrap_weights(len(values), seed, RESAMPLES))
    return LayerDiagnosis(
        settings=chosen.settings, published=published_combination(network).settings,
        candidates=(*ranked, *_dropped(screened, flows, stored)), verdict=verdict,
        divergence=float(np.median(point)), mean_divergence=float(point.mean()),
        noise=float(np.median(noise)), mean_noise=float(noise.mean()),
        matched_by_order=not matched.has_torchvision_keys,
    )  # fmt: skip


def _spread(images: int, count: int) -> NDArray[np.bool_]:
    """A choice of images from all parts of the sequence."""
    chosen = np.zeros(images, bool)
    chosen[np.linspace(0, images - 1, min(images, count)).round().astype(int)] = True
    return chosen


def _nearest(
    flows: Mapping[Combination, LayerFlow], stored: Sequence[StoredStatistics], count: int, factor: float
) -> list[Combination]:
    """The combinations whose divergence is at most `factor` times the smallest one, best first."""
    means = {one: float(_point(flow, stored).mean()) for one, flow in flows.items()}
    best = min(means.values())
    return sorted((one for one in means if means[one] <= factor * best), key=lambda one: means[one])[:count]


def _point(flow: LayerFlow, stored: Sequence[StoredStatistics]) -> NDArray[np.float64]:
    point: NDArray[np.float64] = layer_divergences(flow, stored, equal_weights(len(flow.outputs)))[0]
    return point


def _ranked(
    flows: Mapping[Combination, LayerFlow],
    outputs: Mapping[Combination, NDArray[np.float64]],
    stored: Sequence[StoredStatistics],
    seed: int,
) -> tuple[list[RankedCombination], Verdict]:
    order = list(flows)
    points = np.array([_point(flows[one], stored).mean() for one in order])
    best = order[int(points.argmin())]
    images, layers = len(flows[best].outputs), len(stored)
    same = np.array([relative_difference(outputs[one], outputs[best]) < SAME_OUTPUTS for one in order])
    # Images of another kind than those of the training shift all layers, which resamples of the images alone do not
    # show. So the layers are drawn as well.
    draws = np.random.default_rng(seed).integers(0, layers, (RESAMPLES, layers))
    weights = bootstrap_weights(images, seed, RESAMPLES)
    samples = np.stack(
        [np.take_along_axis(layer_divergences(flows[one], stored, weights), draws, 1).mean(1) for one in order]
    )
    wins = np.bincount(samples.argmin(0), minlength=len(order)) / RESAMPLES
    share = float(wins[same].sum())
    rows = [
        RankedCombination(one, float(points[i]), images, share if same[i] else float(wins[i]), bool(same[i]))
        for i, one in enumerate(order)
    ]
    rows.sort(key=lambda row: (not row.same_as_best, row.divergence))
    return rows, "sure" if share >= SURE else "likely" if share >= LIKELY else "undecided"


def _dropped(
    screened: Mapping[Combination, LayerFlow],
    flows: Mapping[Combination, LayerFlow],
    stored: Sequence[StoredStatistics],
) -> list[RankedCombination]:
    """The combinations that were tried on a few images only."""
    rows = [
        RankedCombination(one, float(_point(flow, stored).mean()), len(flow.outputs), 0.0, False)
        for one, flow in screened.items()
        if one not in flows
    ]
    return sorted(rows, key=lambda row: row.divergence)


def _nearest_to(published: Combination, same: Sequence[Combination]) -> Combination:
    """The combination with the most settings of the published one; of several, the first."""

    def in_common(one: Combination) -> int:
        return sum(getattr(one, name) == getattr(published, name) for name in one.__struct_fields__)

    return max((one for one in same if one.is_supported), key=in_common, default=same[0])
