"""What the images tell about activation, padding and batch-norm epsilon, in words."""

from __future__ import annotations

from ov_mobilenet.diagnosis.layer_combinations import Combination
from ov_mobilenet.diagnosis.layer_diagnosis import AGREEMENT, RESAMPLES, LayerDiagnosis, RankedCombination
from ov_mobilenet.html.formatting import figure
from ov_mobilenet.zoo.layer_settings import LayerSettings

SETTING_OPTIONS = {
    "activation": "--activation", "padding": "--padding", "batch_norm_epsilon": "--batch-norm-epsilon",
}  # fmt: skip
LAYER_HEADS = ("activation", "padding", "epsilon", "divergence", "best in", "images")
NUMBERS_FROM = 2
SHOWN = 8
LAYERS_EXPLANATION = (
    "Divergence: mean over all batch norms, in nats, of what flows into them from what they recorded in training; "
    f"smaller is better. Best in: the share of {RESAMPLES} random resamples of images and layers in which it is the "
    "smallest. Combinations that are far behind on a few images are not tried on all."
)
NOT_TOLD = "The settings of the layers are not sure; --limit 200 may tell them. To convert with the best ones:"
WEIGHTS_AND_SIZE = (
    "The statistics of the layers do not agree. Weights do not hold the size of the images in training: if it is not "
    "the one above, give it, such as --geometry 'resize 128'."
)


def layer_rows(found: LayerDiagnosis) -> list[tuple[str, ...]]:
    """The best combinations, best first, as texts for `LAYER_HEADS`."""
    return [_cells(row) for row in found.candidates[:SHOWN]]


def layers_in_words(found: LayerDiagnosis) -> str:
    """The best combination, how sure it is, and whether the statistics are those of such a network."""
    settings = combination_in_words(found.best)
    if not found.best.is_supported:
        return f"{settings}: an activation that cannot be converted"
    if not found.agrees:
        reached = f"divergence of the converted network {figure(found.excess)}, at most {AGREEMENT:g}"
        return f"{settings}: the statistics do not agree ({reached})"
    same = [row.combination for row in found.candidates[1:SHOWN] if row.same_as_best]
    alike = f"; the answers are nearly the same with {', '.join(map(combination_in_words, same))}" if same else ""
    return f"{settings}: {found.verdict}{alike}"


def layer_options(found: LayerDiagnosis) -> list[str]:
    """The options of `convert --source` for the settings: those that are not published, or all that are needed."""
    return [
        word
        for name, option in SETTING_OPTIONS.items()
        if (value := _value(found.settings, name)) is not None
        and (found.matched_by_order or value != _value(found.published, name))
        for word in (option, value)
    ]


def combination_in_words(one: Combination) -> str:
    """All settings, such as `relu6, padding same, epsilon 0.001`."""
    return f"{one.activation}, padding {one.padding}, epsilon {one.batch_norm_epsilon:g}"


def _cells(row: RankedCombination) -> tuple[str, ...]:
    one = row.combination
    return (
        one.activation,
        one.padding,
        f"{one.batch_norm_epsilon:g}",
        figure(row.divergence),
        f"{row.share:.1%}",
        str(row.images),
    )


def _value(settings: LayerSettings, name: str) -> str | None:
    value = getattr(settings, name)
    return f"{value:g}" if isinstance(value, float) else value
