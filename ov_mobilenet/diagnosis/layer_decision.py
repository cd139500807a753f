"""The settings with which weights are converted, or the reason why they are not."""

from __future__ import annotations

from pathlib import Path

from ov_mobilenet.conversion.architectures import LayerSettings
from ov_mobilenet.diagnosis.layer_combinations import Combination
from ov_mobilenet.diagnosis.layer_diagnosis import AGREEMENT, LayerDiagnosis
from ov_mobilenet.errors import ConversionError


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
        "Use 100 to 200 images like those of the training, at the size of the training, or export the network to ONNX "
        f"and convert that. To insist, give all settings: --architecture {architecture} --activation {best.activation} "
        f"--padding {best.padding} --batch-norm-epsilon {best.batch_norm_epsilon:g}"
    )


def _words(combination: Combination) -> str:
    return f"{combination.activation}, padding {combination.padding}, epsilon {combination.batch_norm_epsilon:g}"
