"""The result of a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.diagnosis.evidence import EvidenceKind
from ov_mobilenet.diagnosis.layer_diagnosis import LayerDiagnosis
from ov_mobilenet.diagnosis.ranking import RankedCandidate, Verdict
from ov_mobilenet.runtime.results import Failure

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Diagnosis:
    """What the images tell about a network's normalisation.

    Attributes:
        model: as it was given to `diagnose`.
        is_ir: whether the model is an IR, which may have a normalisation baked in; otherwise it is a source network.
        geometry: crop and resize of the images, in words.
        images: number of images that were used.
        failures: the images that could not be read.
        evidence: what the scores are: `mutual_information`, or `batch_norm`, the negative divergence from the recorded
            statistics. Both are in nats, and more is better.
        candidates: best first.
        verdict: how sure it is that the best candidate is the right one.
        images_needed: number of images with which the verdict would probably be `sure`; None if it is, or if no number
            would be enough.
        baked: the normalisation that is baked into an IR, as far as it is known; None for a source network.
        is_wrong: whether the best candidate is better than what is baked, beyond doubt. For an IR without a known
            normalisation, raw BGR pixels count as baked.
        note: why the verdict is `undecided` whatever the shares are, such as too few classes or images too much alike;
            None without such a reason.
        command: the command that converts the source network again, with the best candidate, if `is_wrong`. Where the
            IR does not tell them, it has NETWORK and NAME for the source network and the name.
        layers: activation, padding and epsilon of PyTorch weights; None for other networks and for weights without
            recorded batch-norm statistics.
        options: what was said of the network, by the names of the options of `convert --source`.
    """

    model: str
    is_ir: bool
    geometry: str
    images: int
    failures: tuple[Failure, ...]
    evidence: EvidenceKind
    candidates: tuple[RankedCandidate, ...]
    verdict: Verdict
    images_needed: int | None
    baked: Candidate | None
    is_wrong: bool
    note: str | None = None
    command: str | None = None
    layers: LayerDiagnosis | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def best(self) -> Candidate:
        """The best candidate."""
        return self.candidates[0].candidate

    @property
    def same_as_best(self) -> tuple[Candidate, ...]:
        """The candidates that cannot be told apart from the best one, without it."""
        return tuple(row.candidate for row in self.candidates[1:] if row.same_as_best)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; a higher `score` is better, so a divergence is negative."""
        return {
            "schema_version": SCHEMA_VERSION,
            "model": self.model,
            "is_ir": self.is_ir,
            "geometry": self.geometry,
            "images": self.images,
            "failures": [failure.to_dict() for failure in self.failures],
            "evidence": self.evidence,
            "candidates": [
                {**_as_dict(row.candidate), "score": row.score, "share": row.share, "same_as_best": row.same_as_best}
                for row in self.candidates
            ],
            "best": _as_dict(self.best) | (self.layers.best_as_dict() if self.layers is not None else {}),
            "baked": _as_dict(self.baked) if self.baked is not None else None,
            "verdict": self.verdict,
            "images_needed": self.images_needed,
            "is_wrong": self.is_wrong,
            "note": self.note,
            "command": self.command,
            "layers": self.layers.to_dict() if self.layers is not None else None,
        }


def _as_dict(candidate: Candidate) -> dict[str, Any]:
    return {
        "normalisation": candidate.name, "channel_order": candidate.channel_order,
        "mean_values": list(candidate.mean), "scale_values": list(candidate.scale),
    }  # fmt: skip
