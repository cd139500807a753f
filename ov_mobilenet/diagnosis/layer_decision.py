"""The settings with which weights are converted, or the reason why they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from ov_mobilenet.conversion.input_choice import Guess
from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.conversion.own_network import UserChoices
from ov_mobilenet.conversion.unknown_layers import EXPORT
from ov_mobilenet.diagnosis.layer_diagnosis import AGREEMENT, LayerDiagnosis
from ov_mobilenet.diagnosis.layer_summary import SETTING_OPTIONS, combination_in_words
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.layer_settings import LayerSettings

_NAMES = {"activation": "activation", "padding": "padding", "batch_norm_epsilon": "batch-norm epsilon"}


def decide_layers(
    facts: SourceFacts, choices: UserChoices, diagnosis: LayerDiagnosis | None, *, is_normalisation_known: bool
) -> tuple[UserChoices, tuple[Guess, ...]]:
    """Decide on the settings of the layers that are not said.

    Args:
        diagnosis: None without recorded statistics.
        is_normalisation_known: whether the images decided the normalisation, or it is said: the settings are only told
            under the right one.

    Raises:
        ConversionError: as `decide_settings`; or nothing tells the settings of weights matched by shape and order.
    """
    given = msgspec.structs.asdict(choices.settings)
    if facts.architecture is None or None not in given.values():
        return choices, ()
    where = facts.folder / facts.network
    if diagnosis is None or not is_normalisation_known:
        if facts.matched_by_order and choices.activation is None:
            better = "Use 100 images like those of the training, at the size of the training (--input-shape). "
            raise ConversionError(
                "the images do not tell activation, padding and batch-norm epsilon of weights that were matched by "
                "shape and order", where=where,
                expected="recorded batch-norm statistics, and images that decide the normalisation",
                got="no recorded statistics" if diagnosis is None else "images that do not decide the normalisation",
                fix=f"{better if diagnosis is not None else ''}Insist with --architecture {facts.architecture} "
                f"--activation NAME, with --padding and --batch-norm-epsilon, {EXPORT}",
            )  # fmt: skip
        return choices, ()
    found = decide_settings(
        diagnosis, facts.architecture, has_torchvision_keys=not facts.matched_by_order, where=where
    )  # fmt: skip
    decided = msgspec.structs.asdict(diagnosis.settings if facts.matched_by_order else found)
    decided = {name: value for name, value in decided.items() if given[name] is None and value is not None}
    guesses = tuple(
        Guess(_NAMES[name], f"{value}, {_against(diagnosis, name)}", SETTING_OPTIONS[name], changes_answers=True)
        for name, value in decided.items()
    )
    return replace(choices, **decided), guesses


def _against(diagnosis: LayerDiagnosis, name: str) -> str:
    """The evidence for one setting, such as `batch-norm statistics 0.002 against 0.108 of relu6`."""
    chosen = next(row for row in diagnosis.candidates if row.combination.settings == diagnosis.settings)
    text = f"batch-norm statistics {chosen.divergence:.3f}"
    value = getattr(diagnosis.settings, name)
    others = (row for row in diagnosis.candidates if not row.same_as_best)
    rival = next((row for row in others if getattr(row.combination, name) != value), None)
    if rival is None:
        return text
    return f"{text} against {rival.divergence:.3f} of {getattr(rival.combination, name)}"


def decide_settings(
    diagnosis: LayerDiagnosis, architecture: str, *, has_torchvision_keys: bool, where: Path
) -> LayerSettings:
    """The settings to convert weights with; only those that differ from the published ones are set.

    They have to agree with the recorded statistics, and no other combination may be right as well. For weights with
    torchvision's keys, which nearly always have the published settings, it is enough if those are the best.

    Args:
        architecture: for the message.
        where: the checkpoint.

    Raises:
        ConversionError: the images do not tell the settings.
    """
    is_told = diagnosis.verdict == "sure" or (has_torchvision_keys and diagnosis.is_published)
    if diagnosis.agrees and is_told:
        return diagnosis.changes
    raise ConversionError(
        "the batch-norm statistics do not tell activation, padding and batch-norm epsilon", where=where,
        expected=f"one combination that is surely the best, with a divergence below {AGREEMENT:g}",
        got=f"{combination_in_words(diagnosis.best)}: {_evidence(diagnosis)}",
        fix=_fix(diagnosis, architecture, has_torchvision_keys),
    )  # fmt: skip


def _evidence(diagnosis: LayerDiagnosis) -> str:
    facts = [
        f"divergence {diagnosis.excess:.3f} without sampling noise (with it, median over the layers "
        f"{diagnosis.divergence:.3f}, mean {diagnosis.mean_divergence:.3f})"
    ]
    if not diagnosis.best.is_supported:
        facts.append("an activation that cannot be converted")
    elif diagnosis.verdict != "sure":
        other = next((row for row in diagnosis.candidates if not row.same_as_best), None)
        rival = f", or {combination_in_words(other.combination)}" if other is not None else ""
        facts.append(f"{diagnosis.verdict}, not sure{rival}")
    return ", ".join(facts)


def _fix(diagnosis: LayerDiagnosis, architecture: str, has_torchvision_keys: bool) -> str:
    names = (
        ". Without --diagnose-images the published settings are used, which the key names suggest"
        if has_torchvision_keys
        else ""
    )
    if not diagnosis.best.is_supported:
        return f"Export the network to ONNX and convert that{names}"
    best = diagnosis.settings
    return (
        f"Use 100 images like those of the training, at the size of the training (--input-shape), {EXPORT}. "
        f"To insist, give all settings: --architecture {architecture} --activation {best.activation} "
        f"--padding {best.padding} --batch-norm-epsilon {best.batch_norm_epsilon:g}{names}"
    )
