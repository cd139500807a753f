"""The settings of layers in the table, in the report and in the command that converts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from diagnosis.test_report import BY_STATISTICS
from parsed_page import Page

from ov_mobilenet.diagnosis import layer_summary, summary
from ov_mobilenet.diagnosis.html_report import diagnosis_page
from ov_mobilenet.diagnosis.layer_combinations import Combination
from ov_mobilenet.diagnosis.layer_diagnosis import LayerDiagnosis, RankedCombination
from ov_mobilenet.zoo.layer_settings import LayerSettings

LEAKY = Combination(activation="leaky-relu-0.1", padding="same", batch_norm_epsilon=1e-3)
RELU6 = Combination(activation="relu6", padding="torch", batch_norm_epsilon=1e-5)
LAYERS = LayerDiagnosis(
    settings=LEAKY.settings, published=RELU6.settings,
    candidates=(RankedCombination(LEAKY, 0.003, 100, 1.0, True),
                RankedCombination(RELU6, 0.2, 10, 0.0, False)),
    verdict="sure", divergence=0.002, mean_divergence=0.003, noise=0.0005, mean_noise=0.0006,
)  # fmt: skip


def test_settings_that_are_not_published_are_options_of_the_conversion() -> None:
    command = summary.advice(replace(BY_STATISTICS, layers=LAYERS))[1].command
    assert str(command).endswith(
        "--preset tensorflow --activation leaky-relu-0.1 --padding same --batch-norm-epsilon 0.001"
    )
    one = replace(LAYERS, settings=LayerSettings(activation="relu6", padding="same", batch_norm_epsilon=1e-5))
    assert layer_summary.layer_options(one) == ["--padding", "same"]
    required = replace(LAYERS, settings=RELU6.settings, matched_by_order=True)
    assert layer_summary.layer_options(required)[:2] == ["--activation", "relu6"]
    disagrees = replace(LAYERS, divergence=0.3)
    advice = summary.advice(replace(BY_STATISTICS, layers=disagrees))
    assert [line.command for line in advice] == [None, None]
    assert "--geometry" in advice[1].text


def test_settings_of_weights_that_match_by_shape_and_order_are_all_said() -> None:
    found = replace(LAYERS, published=LEAKY.settings, matched_by_order=True)
    assert layer_summary.layer_options(replace(found, matched_by_order=False)) == []
    assert layer_summary.layer_options(found) == [
        "--activation", "leaky-relu-0.1", "--padding", "same", "--batch-norm-epsilon", "0.001",
    ]  # fmt: skip
    advice = summary.advice(replace(BY_STATISTICS, layers=replace(found, verdict="likely")))[-1]
    assert advice.text.startswith("The settings of the layers are not sure")
    assert "--activation leaky-relu-0.1" in str(advice.command), "without it, convert refuses these weights"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "leaky-relu-0.1, padding same, epsilon 0.001: sure"),
        ({"divergence": 0.3}, "do not agree"),
        ({"candidates": (RankedCombination(
            Combination(activation="elu", padding="torch", batch_norm_epsilon=1e-5), 0.003, 100, 1.0, True
        ),)}, "elu, padding torch, epsilon 1e-05: an activation that cannot be converted"),
    ],
)  # fmt: skip
def test_what_is_found_is_said_in_words(changes: dict[str, object], words: str) -> None:
    assert words in layer_summary.layers_in_words(replace(LAYERS, **changes))  # type: ignore[arg-type]


def test_the_report_shows_the_combinations() -> None:
    page = Page(diagnosis_page(replace(BY_STATISTICS, layers=LAYERS)))
    assert ["leaky-relu-0.1", "same", "0.001", "0.0030", "100.0%", "100"] in page.rows
    assert "Activation, padding and batch-norm epsilon" in page.headings()
    assert "Activation, padding and batch-norm epsilon" not in Page(diagnosis_page(BY_STATISTICS)).headings()
