"""Images against the names in a file: `test_deciding_images.py` has the whole way, with real names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import batch_norm_networks as networks
import pytest
import small_networks as small

from ov_mobilenet.conversion.inspection import inspect_source
from ov_mobilenet.conversion.naming_schemes import torchvision_scheme
from ov_mobilenet.conversion.own_network import UserChoices, draft_description
from ov_mobilenet.diagnosis.decision import decide_by_images
from ov_mobilenet.zoo.normalisation import Normalisation

pytest.importorskip("onnx")
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
BAKED = {
    "torchvision RGB": Normalisation(mean=MEAN, scale=STD, reverse_input_channels=True),
    "tensorflow RGB": Normalisation(mean=(127.5,), scale=(127.5,), reverse_input_channels=True),
    "torchvision BGR": Normalisation(mean=MEAN[::-1], scale=STD[::-1]),
}
FRAMES = networks.colour_images()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return networks.save_images(tmp_path_factory.mktemp("images") / "colour", FRAMES)


@pytest.mark.parametrize("trained", BAKED)
def test_images_confirm_names_or_win_over_them(trained: str, images: Path, tmp_path: Path) -> None:
    scheme = torchvision_scheme("mobilenet_v2")
    assert scheme is not None
    facts = replace(
        inspect_source(networks.write_network(tmp_path / "net.onnx", networks.TRAINED[trained], FRAMES)), scheme=scheme
    )
    decision = decide_by_images(facts, UserChoices(), images)
    draft = draft_description("x", facts, decision.choices, decision.findings)
    guess = next(str(guess) for guess in draft.guesses if guess.name == "normalisation")
    name = trained.split()[0]
    if trained == "torchvision RGB":
        assert decision.warnings == ()
        assert guess.startswith(f"normalisation: torchvision, {scheme.evidence}, batch-norm statistics 0.000 against ")
    else:
        (warning,) = decision.warnings
        assert f"{scheme.evidence} suggest torchvision RGB, but 20 images are sure of {trained}, which" in warning
        assert guess.startswith(f"normalisation: {name}, batch-norm statistics 0.000 against ")
    assert draft.description.normalisation == BAKED[trained]


def test_names_decide_if_the_images_do_not(images: Path, tmp_path: Path) -> None:
    facts = inspect_source(small.write_onnx(tmp_path / "net").with_name("small.onnx"))  # random weights
    facts = replace(facts, scheme=torchvision_scheme("mobilenet_v2"))
    decision = decide_by_images(facts, UserChoices(), images)
    (warning,) = decision.warnings
    assert warning.startswith("the images do not decide the normalisation and channel order: 20 images do not decide: ")
    draft = draft_description("x", facts, decision.choices, decision.findings)
    assert draft.description.normalisation == BAKED["torchvision RGB"]
