"""A float network is never fed by a guess: the matrix of frameworks and evidence, down to the decision itself.

Files of each framework are in `test_input_choice.py` and `test_tflite_metadata.py`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.conversion.declared_input import DeclaredInput
from ov_mobilenet.conversion.inner_normalisation import InnerNormalisation
from ov_mobilenet.conversion.input_choice import ImageFindings
from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.conversion.integer_input import IntegerInput
from ov_mobilenet.conversion.naming_schemes import keras_scheme, torchvision_scheme
from ov_mobilenet.conversion.own_network import DraftDescription, UserChoices, draft_description
from ov_mobilenet.errors import UsageError
from ov_mobilenet.zoo.geometry import parse_geometry
from ov_mobilenet.zoo.library_network import LibraryNetwork

SIGNED = ovm.Normalisation(mean=(127.5,), scale=(127.5,), reverse_input_channels=True)
PIXELS = ovm.Normalisation(reverse_input_channels=True)
LIBRARY = LibraryNetwork(library="timm", architecture="mobilenetv4_conv_small", classes=3)
LABELS = ("a", "b", "c")


def facts_of(framework: str, **more: Any) -> SourceFacts:
    return SourceFacts(
        framework, Path(__file__).parent, (), Path(__file__).name, "data", (1, 3, 224, 224), None, 3, "logits", **more
    )


def draft(facts: SourceFacts, choices: UserChoices | None = None, **more: Any) -> DraftDescription:
    return draft_description("x", facts, choices or UserChoices(), **more)


KINDS = {
    "onnx": facts_of("onnx"),
    "tflite": facts_of("tflite"),
    "tf": facts_of("tf"),
    "keras graph": facts_of("keras"),
    "keras v3 weights": facts_of(
        "keras", architecture="mobilenet_v3_small", width=1.0, scheme=keras_scheme("mobilenet_v3_small")
    ),
    "foreign keys": facts_of("pytorch", architecture="mobilenet_v2", width=1.0, other_keys=(("a", "b"),)),
    "own v1": facts_of(
        "pytorch", architecture="mobilenet_v1", width=1.0, scheme=torchvision_scheme("mobilenet_v1")
    ),
    "library": facts_of("pytorch", library_network=LIBRARY),
    # What declares something else only.
    "labels only": facts_of("tflite", declared=DeclaredInput("TFLite Metadata", labels=LABELS)),
    "geometry only": facts_of(
        "pytorch", library_network=LIBRARY,
        declared=DeclaredInput("config.json", geometry=parse_geometry("resize 256, crop 224")),
    ),
    "a range of nothing usual": facts_of("tflite", inner=InnerNormalisation(real_range=(-0.3, 0.7))),
    "an operation in between": facts_of("onnx", inner=InnerNormalisation(unknown="Gather")),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "choices",
    [
        UserChoices(),
        UserChoices(reverse_input_channels=True),
        UserChoices(geometry=parse_geometry("crop 0.875, resize 224"), labels="none"),
    ],
)
def test_without_evidence_it_stops_and_says_how_to_decide(kind: str, choices: UserChoices) -> None:
    given = KINDS[kind]
    if given.matched_by_order:
        choices = replace(choices, activation="relu6")
    for found in (None, ImageFindings(shown="20 images do not decide")):
        with pytest.raises(UsageError, match="the normalisation of the network is not known") as caught:
            draft(given, choices, found=found)
        words = ["--preset keras-v3, tensorflow, torchvision", "--mean-values", "--scale-values", "--assume none"]
        for word in [*words, "--diagnose-images" if found is None else "20 images do not decide"]:
            assert word in str(caught.value)
        assert caught.value.exit_code == 2
    if given.inner.real_range is not None:
        assert "got a quantisation of the input that holds -0.3..0.7" in str(caught.value)
        with pytest.raises(UsageError, match=r"contradicts the quantisation .* Try --mean-values 76\.5"):
            draft(given, replace(choices, assume="none"))
        return
    assert draft(given, replace(choices, assume="none")).description.normalisation == PIXELS
    assert draft(given, replace(choices, preset="tensorflow")).description.normalisation == SIGNED
    if choices.reverse_input_channels is None:
        guesses = {guess.name: guess for guess in draft(given, replace(choices, assume="none")).guesses}
        assert guesses["channel order"].changes_answers, "printed with -q as well"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (facts_of("tflite", declared=DeclaredInput("TFLite Metadata", SIGNED)), SIGNED),
        (facts_of("tflite", inner=InnerNormalisation(real_range=(-1.0, 1.0))), SIGNED),
        (facts_of("onnx", inner=InnerNormalisation((1 / 255,))), PIXELS),
        (facts_of("tflite", integer_input=IntegerInput(0, (0.0, 1.0))), PIXELS),
        (facts_of("onnx", integer_input=IntegerInput(0, None)), PIXELS),
        (facts_of("keras", scheme=keras_scheme("mobilenet_v2")), SIGNED),
        # The declaration of a library wins over names.
        (facts_of("onnx", scheme=torchvision_scheme("mobilenet_v2"), declared=DeclaredInput("config.json", SIGNED)),
         SIGNED),
        (facts_of("onnx", scheme=torchvision_scheme("mobilenet_v2"),
                  declared=DeclaredInput("config.json", ovm.Normalisation(reverse_input_channels=True))), PIXELS),
    ],
)  # fmt: skip
def test_each_kind_of_evidence_decides(facts: SourceFacts, expected: ovm.Normalisation) -> None:
    made = draft(facts)
    assert made.description.normalisation == expected
    assert "normalisation" in [guess.name for guess in made.guesses], "what it is fed with, and why, is said"


@pytest.mark.parametrize("option", ["mean", "scale"])
def test_empty_numbers_are_no_decision(option: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    network = small.write_onnx(tmp_path / "net").with_name("small.onnx")
    with pytest.raises(UsageError, match=f"invalid {option}: expected one number or three"):
        ovm.describe(network, name="x", **{option: ()})  # type: ignore[arg-type]
