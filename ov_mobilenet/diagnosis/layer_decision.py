"""The settings with which weights are converted, or the reason why they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from ov_mobilenet.conversion.architectures import LayerSettings
from ov_mobilenet.conversion.input_choice import Guess
from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.conversion.own_network import UserChoices
from ov_mobilenet.diagnosis.layer_combinations import Combination
from ov_mobilenet.diagnosis.layer_diagnosis import AGREEMENT, LayerDiagnosis
from ov_mobilenet.errors import ConversionError

_OPTIONS = {
    "activation": "--activation", "padding": "--padding", "batch_norm_epsilon": "--batch-norm-epsilon",
}  # fmt: skip


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
                "--activation NAME, with --padding and "
                "--batch-norm-epsilon, or export the network to ONNX and convert that",
            )  # fmt: skip
        return choices, ()
    found = decide_settings(
        diagnosis, facts.architecture, has_torchvision_keys=not facts.matched_by_order, where=where
    )  # fmt: skip
    decided = msgspec.structs.asdict(diagnosis.settings if facts.matched_by_order else found)
    decided = {name: value for name, value in decided.items() if given[name] is None and value is not None}
    guesses = tuple(
        Guess(name.replace("_", " "), f"{value}, {_against(diagnosis, name)}", _OPTIONS[name], changes_answers=True)
        for name, value in decided.items()
    )
    return replace(choices, **decided), guesses


def _against(diagnosis: LayerDiagnosis, name: str) -> str:
    """The evidence for one setting, such as `batch-norm statistics 0.002 against 0.108 of relu6`."""
    best = diagnosis.candidates[0]
    text = f"batch-norm statistics {best.divergence:.3f}"
    chosen = getattr(diagnosis.settings, name)
    rival = next((row for row in diagnosis.candidates if getattr(row.combination, name) != chosen), None)
    if rival is None:
        return text
    return f"{text} against {rival.divergence:.3f} of {getattr(rival.combination, name)}"


def decide_settings(
    diagnosis: LayerDiagnosis, architecture: str, *, has_torchvision_keys: bool, where: Path
) -> LayerSettings:
    """The settings to convert weights with; only those that differ from the published ones are set.

    They have to agree with the recorded statistics, and no other combination may be right as well. For weights with
    torchvision's keys, which nearly always have the published settings, those may be only `likely`.

    Args:
        architecture: for the message.
        where: the checkpoint.

    Raises:
        ConversionError: the images do not tell the settings.
    """
    accepted = ("sure", "likely") if has_torchvision_keys and diagnosis.is_published else ("sure",)
    if diagnosis.agrees and diagnosis.verdict in accepted:
        return diagnosis.changes
    raise ConversionError(
        "the batch-norm statistics do not tell activation, padding and batch-norm epsilon", where=where,
        expected=f"one combination that is surely the best, with a divergence below {AGREEMENT:g}",
        got=f"{_words(diagnosis.best)}: {_evidence(diagnosis)}", fix=_fix(diagnosis, architecture),
    )  # fmt: skip


def _evidence(diagnosis: LayerDiagnosis) -> str:
    facts = [
        f"divergence {diagnosis.excess:.3f} (median over the layers {diagnosis.divergence:.3f}, "
        f"mean {diagnosis.mean_divergence:.3f}, less sampling noise {diagnosis.mean_noise:.3f})"
    ]
    if not diagnosis.best.is_supported:
        facts.append("an activation that cannot be converted")
    elif diagnosis.verdict != "sure":
        other = next((row for row in diagnosis.candidates if not row.same_as_best), None)
        rival = f", or {_words(other.combination)}" if other is not None else ""
        facts.append(f"{diagnosis.verdict}, not sure{rival}")
    return ", ".join(facts)


def _fix(diagnosis: LayerDiagnosis, architecture: str) -> str:
    if not diagnosis.best.is_supported:
        return "Export the network to ONNX and convert that"
    best = diagnosis.settings
    return (
        "Use 100 images like those of the training, at the size of the training (--input-shape), or export the network "
        "to ONNX and convert that. To insist, give all settings: "
        f"--architecture {architecture} --activation {best.activation} --padding {best.padding} "
        f"--batch-norm-epsilon {best.batch_norm_epsilon:g}"
    )


def _words(combination: Combination) -> str:
    return f"{combination.activation}, padding {combination.padding}, epsilon {combination.batch_norm_epsilon:g}"
