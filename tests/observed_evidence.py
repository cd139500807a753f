"""Evidence that is observed once on many images, for rankings of many subsets of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ov_mobilenet.diagnosis.candidates import Candidate, named_candidates
from ov_mobilenet.diagnosis.evidence import Answers, Evidence, LayerStatistics, Moments
from ov_mobilenet.diagnosis.network import NetworkUnderTest
from ov_mobilenet.diagnosis.ranking import Ranking, rank


def mutual_information(probabilities: np.ndarray) -> float:
    """By the definition: the sum of p(image, class) log(p(image, class) / (p(image) p(class)))."""
    joint = np.asarray(probabilities, np.float64) / len(probabilities)
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    there = joint > 0
    return float((joint[there] * np.log(joint[there] / independent[there])).sum())


def observed_answers(network: NetworkUnderTest, frames: np.ndarray) -> dict[Candidate, Evidence]:
    return {one: Answers(network.answers(one.apply(frames)).astype(np.float64)) for one in named_candidates()}


def observed_statistics(network: NetworkUnderTest, frames: np.ndarray) -> dict[Candidate, Evidence]:
    norm = network.batch_norm
    assert norm is not None
    return {one: LayerStatistics(norm.moments(one.apply(frames)), norm.stored) for one in named_candidates()}


def rankings_of_draws(
    evidence: Mapping[Candidate, Evidence], frames: np.ndarray, size: int, seeds: range
) -> Iterator[Ranking]:
    """The ranking by `size` of the images, drawn at random, for each seed."""
    for seed in seeds:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(frames))[:size])
        yield rank({one: _part(found, drawn) for one, found in evidence.items()}, frames[drawn], seed=seed)


def told(ranking: Ranking) -> tuple[str, str, str]:
    """Name, channel order and verdict of the best candidate."""
    best = ranking.candidates[0].candidate
    return best.name, best.channel_order, ranking.verdict


def _part(evidence: Evidence, drawn: np.ndarray) -> Evidence:
    if isinstance(evidence, Answers):
        return Answers(evidence.probabilities[drawn], evidence.multilabel)
    assert isinstance(evidence, LayerStatistics)
    moments = evidence.moments
    return LayerStatistics(Moments(moments.mean[drawn], moments.mean_square[drawn]), evidence.stored)
