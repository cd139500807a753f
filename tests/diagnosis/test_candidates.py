"""Candidates against numpy by hand, and against every description that is shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import ov_mobilenet as ovm
from ov_mobilenet.diagnosis.candidates import (
    NAMED,
    Candidate,
    ChannelOrder,
    candidate_of,
    candidates_with,
    named_candidates,
)
from ov_mobilenet.diagnosis.ranking import is_same_input
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.normalisation import Normalisation

MODEL_CONFIGS = Path(__file__).resolve().parents[2] / "model_configs"
# One BGR pixel, and what a network gets of it in the order of its own channels.
BLUE, GREEN, RED = 10.0, 100.0, 200.0
BY_HAND = {
    ("torchvision", "RGB"): [(RED / 255 - 0.485) / 0.229, (GREEN / 255 - 0.456) / 0.224, (BLUE / 255 - 0.406) / 0.225],
    ("torchvision", "BGR"): [(BLUE / 255 - 0.406) / 0.225, (GREEN / 255 - 0.456) / 0.224, (RED / 255 - 0.485) / 0.229],
    ("tensorflow", "RGB"): [RED / 127.5 - 1, GREEN / 127.5 - 1, BLUE / 127.5 - 1],
    ("0..1", "BGR"): [BLUE / 255, GREEN / 255, RED / 255],
    ("0..255", "RGB"): [RED, GREEN, BLUE],
    ("half", "RGB"): [RED / 255 - 0.5, GREEN / 255 - 0.5, BLUE / 255 - 0.5],
    ("caffe", "BGR"): [BLUE - 103.939, GREEN - 116.779, RED - 123.68],
    ("caffe", "RGB"): [RED - 123.68, GREEN - 116.779, BLUE - 103.939],
    ("caffe-0.017", "BGR"): [(BLUE - 103.939) * 0.017, (GREEN - 116.779) * 0.017, (RED - 123.68) * 0.017],
}


def of(name: str, order: str) -> Candidate:
    return next(one for one in named_candidates() if (one.name, one.channel_order) == (name, order))


def photographs() -> np.ndarray:
    """Uint8 BGR with the mean and the spread of photographs."""
    noise = np.random.default_rng(0).normal([104, 117, 124], 60, (20, 32, 32, 3))
    return np.clip(noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("name", "order"), BY_HAND)
def test_what_a_network_gets_by_hand(name: str, order: str) -> None:
    pixel = np.array([[[[BLUE, GREEN, RED]]]], np.uint8)
    found = of(name, order).apply(pixel)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0, 0, 0], BY_HAND[name, order], rtol=1e-5, atol=1e-5)


def test_each_normalisation_is_there_in_both_orders() -> None:
    found = [(one.name, one.channel_order) for one in named_candidates()]
    assert sorted(found) == sorted((name, order) for name in NAMED for order in ("RGB", "BGR"))


@pytest.mark.parametrize("candidate", named_candidates(), ids=lambda one: f"{one.name}-{one.channel_order}")
def test_a_candidate_keeps_its_name_as_a_normalisation(candidate: Candidate) -> None:
    """`torchvision` and `caffe-0.017` are near each other, and keep their names."""
    assert candidate_of(candidate.normalisation, "given") == candidate


def described() -> list[tuple[str, Normalisation]]:
    found = []
    for yml in sorted(MODEL_CONFIGS.glob("*/model.yml")):
        found.append((yml.parent.name, plan_conversion(ovm.load_config(yml.parent)).normalisation))
    return found


@pytest.mark.parametrize(("name", "normalisation"), described())
def test_each_shipped_description_has_a_named_normalisation(name: str, normalisation: Normalisation) -> None:
    found = candidate_of(normalisation, "given")
    assert found.name in NAMED
    assert is_same_input(found, candidate_with_digits(normalisation), photographs())


def candidate_with_digits(normalisation: Normalisation) -> Candidate:
    order: ChannelOrder = "RGB" if normalisation.reverse_input_channels else "BGR"
    return Candidate(name="digits", channel_order=order, mean=normalisation.mean, scale=normalisation.scale)


@pytest.mark.shared
def test_each_model_of_the_facts_has_a_named_normalisation(shared: Path) -> None:
    """Also those of the Open Model Zoo that are not MobileNet V1 to V3: Caffe's with 1/0.017, in BGR."""
    facts = yaml.safe_load((shared / "omz_mobilenet_facts.yml").read_text("utf-8"))
    checked = 0
    for model in facts["models"]:
        found = numbers_of(model)
        if found is None:
            continue
        checked += 1
        digits = Candidate(name="digits", channel_order="RGB", mean=found[0], scale=found[1])
        swapped = Candidate(name="digits", channel_order="RGB", mean=found[0][::-1], scale=found[1][::-1])
        assert any(
            is_same_input(one, digits, photographs()) or is_same_input(one, swapped, photographs())
            for one in named_candidates()
        ), (model, found)
    assert checked >= 10


def numbers_of(node: object) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """`mean_values` and `scale_values` of the first mapping that has them."""
    if isinstance(node, dict):
        if "mean_values" in node and "scale_values" in node:
            return tuple(node["mean_values"] or ()), tuple(node["scale_values"] or ())
        for value in node.values():
            if (found := numbers_of(value)) is not None:
                return found
    return None


@pytest.mark.parametrize(
    ("mean", "scale", "same"),
    [
        ((127.5,), (128.0,), "tensorflow"),  # MXNet, FaceNet
        ((128.0,), (128.0,), "tensorflow"),
        ((), (256.0,), "0..1"),
        ((123.675, 116.28, 103.53), (58.624, 57.12, 57.375), "torchvision"),  # the Open Model Zoo's
        ((124.0, 117.0, 104.0), (1 / 0.0167,) * 3, "torchvision"),  # 0.0167 as in MobileNet-SSD
    ],
)
def test_other_constants_that_make_no_difference(mean: tuple[float, ...], scale: tuple[float, ...], same: str) -> None:
    other = Candidate(name="given", channel_order="RGB", mean=mean, scale=scale)
    assert [name for name in NAMED if is_same_input(of(name, "RGB"), other, photographs())][:1] == [same]


def test_two_named_candidates_differ_except_one_pair() -> None:
    frames = photographs()
    every = named_candidates()
    pairs = {
        frozenset((one.name, two.name))
        for one in every
        for two in every
        if one is not two and is_same_input(one, two, frames)
    }
    assert pairs == {frozenset(("torchvision", "caffe-0.017"))}


def test_grey_images_do_not_tell_the_channel_order() -> None:
    grey = np.repeat(photographs()[..., :1], 3, -1)
    assert is_same_input(of("tensorflow", "RGB"), of("tensorflow", "BGR"), grey)


def test_another_normalisation_is_added_and_a_named_one_replaced() -> None:
    given = candidate_of(Normalisation(mean=(1.0, 2.0, 3.0), scale=(4.0,)), "given")
    assert (given.name, given.channel_order) == ("given", "BGR")
    assert len(candidates_with(given)) == len(named_candidates()) + 1
    digits = Candidate(name="torchvision", channel_order="RGB", mean=(124.0, 116.0, 104.0), scale=(58.0,))
    found = candidates_with(digits, None)
    assert len(found) == len(named_candidates())
    assert digits in found
