"""The ranking against resampling by hand, and what must never be called sure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from observed_evidence import mutual_information

from ov_mobilenet.diagnosis.candidates import Candidate, named_candidates
from ov_mobilenet.diagnosis.doubts import MAX_DIVERGENCE, MIN_CLASSES, MIN_INFORMATION, variety
from ov_mobilenet.diagnosis.evidence import (
    Answers,
    Evidence,
    LayerStatistics,
    Moments,
    StoredStatistics,
)
from ov_mobilenet.diagnosis.ranking import Ranking, images_needed, rank

CLASSES = 20
RIGHT, OTHER, WORST = (
    next(one for one in named_candidates() if (one.name, one.channel_order) == wanted)
    for wanted in (("tensorflow", "RGB"), ("0..1", "BGR"), ("caffe", "RGB"))
)


def photographs(images: int) -> np.ndarray:
    """Uint8 frames of different colours, as photographs have."""
    rng = np.random.default_rng(8)
    colours = rng.integers(0, 256, (images, 8, 8, 3)).astype(np.uint8)
    return colours.repeat(4, 1).repeat(4, 2)


def answers(images: int, confidence: float, seed: int = 0, classes: int = CLASSES, multilabel: bool = False) -> Answers:
    """Softmax of noise with a class in turn made larger by `confidence`."""
    logits = np.random.default_rng(seed).normal(0, 1, (images, classes))
    logits[np.arange(images), np.arange(images) % classes] += confidence
    raised = np.exp(logits)
    return Answers(raised / raised.sum(1, keepdims=True), multilabel)


def clear(images: int, classes: int = CLASSES, multilabel: bool = False) -> Mapping[Candidate, Evidence]:
    """The right candidate is better than the others with every image."""
    return {
        one: answers(images, confidence, classes=classes, multilabel=multilabel)
        for one, confidence in ((WORST, 0.0), (RIGHT, 8.0), (OTHER, 5.0))
    }


def test_the_best_is_first_and_scores_are_of_all_images() -> None:
    evidence = clear(40)
    ranking = rank(evidence, photographs(40))
    assert [row.candidate for row in ranking.candidates] == [RIGHT, OTHER, WORST]
    assert (ranking.verdict, ranking.note, ranking.images_needed) == ("sure", None, None)
    assert [row.share for row in ranking.candidates] == [1.0, 0.0, 0.0]
    for row in ranking.candidates:
        found = evidence[row.candidate]
        assert isinstance(found, Answers)
        assert row.score == pytest.approx(mutual_information(found.probabilities))


def test_the_share_is_that_of_resampling_by_hand() -> None:
    close = {RIGHT: answers(30, 3.2, seed=1), OTHER: answers(30, 3.0, seed=2)}
    ranking = rank(close, photographs(30), seed=3)
    rng = np.random.default_rng(11)
    wins = 0
    for _ in range(1000):
        drawn = rng.integers(0, 30, 30)
        scores = {one: mutual_information(found.probabilities[drawn]) for one, found in close.items()}
        wins += max(scores, key=lambda one: scores[one]) == RIGHT
    shares = {row.candidate: row.share for row in ranking.candidates}
    assert 0.05 < wins / 1000 < 0.95, "the two must be close, or the test could pass by chance"
    assert shares[RIGHT] == pytest.approx(wins / 1000, abs=0.05)
    assert shares[RIGHT] + shares[OTHER] == pytest.approx(1)


def test_the_share_of_two_that_are_one_answer_counts_for_both() -> None:
    first, second = (
        next(one for one in named_candidates() if (one.name, one.channel_order) == (name, "RGB"))
        for name in ("torchvision", "caffe-0.017")
    )
    alike = {first: answers(40, 7.0, seed=1), second: answers(40, 7.0, seed=2), OTHER: answers(40, 1.0)}
    ranking = rank(alike, photographs(40), baked=second)
    assert [(row.candidate.name, row.same_as_best) for row in ranking.candidates[:2]] == [
        ("torchvision", True), ("caffe-0.017", True),
    ]  # fmt: skip
    assert ranking.candidates[0].share == ranking.candidates[1].share == 1.0
    assert ranking.verdict == "sure"
    assert ranking.better_than_baked is None
    assert not ranking.baked_is_wrong


def test_a_wrong_bake_is_wrong_and_a_right_one_is_not() -> None:
    assert rank(clear(40), photographs(40), baked=OTHER).baked_is_wrong
    assert not rank(clear(40), photographs(40), baked=RIGHT).baked_is_wrong
    assert not rank(clear(40), photographs(40)).baked_is_wrong


def test_candidates_that_cannot_be_ranked_are_undecided() -> None:
    noise = {one: answers(30, 4.0, seed=seed) for seed, one in enumerate((RIGHT, OTHER, WORST))}
    ranking = rank(noise, photographs(30), baked=WORST)
    assert ranking.verdict == "undecided"
    assert ranking.note is None
    assert not ranking.baked_is_wrong


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("classes", [2, MIN_CLASSES - 1])
def test_few_classes_are_undecided_however_clear_it_looks(classes: int, multilabel: bool) -> None:
    ranking = rank(clear(40, classes, multilabel), photographs(40), baked=OTHER)
    assert max(row.share for row in ranking.candidates) > 0.9
    assert_undecided(ranking, f"{classes} classes")


def test_the_least_number_of_classes_is_enough() -> None:
    assert rank(clear(40, MIN_CLASSES), photographs(40)).verdict == "sure"


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((40, 32, 32, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3)).astype(np.uint8),
        np.repeat(photographs(2)[:1], 40, 0),
        np.clip(
            photographs(2)[:1] + np.random.default_rng(1).normal(0, 12, (40, 32, 32, 3)) * 0.5, 0, 255
        ).astype(np.uint8),
        photographs(40) // 8,
    ],
    ids=["black", "noise", "one image", "near-duplicates", "too dark"],
)  # fmt: skip
def test_images_that_are_too_much_alike_are_undecided_by_either_evidence(frames: np.ndarray) -> None:
    assert_undecided(rank(clear(40), frames, baked=OTHER), "too much alike")
    assert_undecided(rank(statistics(40, 0.0), frames, baked=OTHER), "too much alike")


def test_answers_that_hardly_differ_are_undecided() -> None:
    """Mutual information far below what the number of images and classes allows."""
    weak = {RIGHT: answers(40, 1.5), OTHER: answers(40, 0.0), WORST: answers(40, 0.0, seed=2)}
    assert weak[RIGHT].scores(np.full((1, 40), 1 / 40))[0] < MIN_INFORMATION * np.log(CLASSES)
    assert_undecided(rank(weak, photographs(40), baked=OTHER), "tell the images apart")


@pytest.mark.parametrize("multilabel", [False, True])
def test_answers_that_are_all_the_same_are_undecided(multilabel: bool) -> None:
    same = Answers(np.full((40, CLASSES), 1 / CLASSES), multilabel)
    assert_undecided(rank({RIGHT: same, OTHER: same}, photographs(40), baked=OTHER), "under no candidate")


def test_a_candidate_without_numbers_is_the_last_one() -> None:
    nothing = Answers(np.full((40, CLASSES), np.nan))
    ranking = rank({WORST: nothing, **clear(40), OTHER: nothing}, photographs(40), baked=OTHER)
    assert ranking.candidates[0].candidate == RIGHT
    assert ranking.verdict == "sure"
    close = {OTHER: answers(40, 3.2, seed=1), RIGHT: answers(40, 3.0, seed=2)}
    assert rank({WORST: nothing, **close}, photographs(40)).images_needed == rank(close, photographs(40)).images_needed
    assert_undecided(rank({RIGHT: nothing, OTHER: nothing}, photographs(40), baked=OTHER), "finite numbers")


def statistics(images: int, shift: float) -> dict[Candidate, Evidence]:
    """Batch-norm evidence whose best candidate has the divergence shift^2 / 2."""
    stored = StoredStatistics(np.zeros(4), np.ones(4))
    jitter = np.random.default_rng(0).normal(0, 0.01, (images, 4))
    found: dict[Candidate, Evidence] = {}
    for one, more in ((RIGHT, 0.0), (OTHER, 1.0), (WORST, 2.0)):
        mean = shift + more + jitter
        found[one] = LayerStatistics(Moments(mean, mean**2 + 1), stored)
    return found


def test_statistics_are_sure_only_below_the_greatest_divergence() -> None:
    least = np.sqrt(2 * MAX_DIVERGENCE)
    assert rank(statistics(40, least * 0.9), photographs(40), baked=OTHER).baked_is_wrong
    assert_undecided(rank(statistics(40, least * 1.1), photographs(40), baked=OTHER), "divergence")


def assert_undecided(ranking: Ranking, why: str) -> None:
    assert ranking.verdict == "undecided"
    assert ranking.note is not None
    assert why in ranking.note
    assert ranking.images_needed is None
    assert not ranking.baked_is_wrong


def test_variety_by_hand() -> None:
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    frames[1] = 100  # every block of one image 0, of the other 100: standard deviation 50
    assert variety(frames) == pytest.approx(50)
    frames[1, :, 4:] = 0  # in half of the blocks no difference
    assert variety(frames) == pytest.approx(25)
    frames[1, :, :4, 1:] = 0  # in one of three channels
    assert variety(frames) == pytest.approx(25 / 3)


def test_images_needed_by_hand() -> None:
    """A difference of 0.1 with a spread of 0.1 at 20 images: 20 * 2.927^2 = 171, rounded up to 200."""
    spread = np.array([0.1, -0.1] * 500)
    samples = np.stack([np.ones(1000), 0.9 + spread, np.zeros(1000)])
    points, same = np.array([1.0, 0.9, 0.0]), np.array([True, False, False])
    assert images_needed(samples, points, same, 20) == 200
    # Not the runner-up decides, but the candidate that needs most: 0.2 behind, spread 0.4.
    samples[2], points[2] = 0.8 + 4 * spread, 0.8
    assert images_needed(samples, points, same, 20) == 700
    # More than there are, whatever the formula says.
    assert images_needed(np.stack([np.ones(10), np.full(10, 0.9)]), points[:2], same[:2], 20) == 30
    # Not behind at all, or beyond what anybody collects.
    assert images_needed(samples, np.ones(3), same, 20) is None
    assert images_needed(samples, np.array([1.0, 0.99, 0.0]), same, 20) is None
    assert images_needed(samples, points, np.array([True, True, True]), 20) is None


def test_more_images_are_asked_for_until_the_verdict_is_sure() -> None:
    close = {RIGHT: answers(30, 3.4, seed=1), OTHER: answers(30, 3.0, seed=2)}
    ranking = rank(close, photographs(30))
    assert ranking.verdict != "sure"
    assert ranking.images_needed is not None
    assert ranking.images_needed > 30
