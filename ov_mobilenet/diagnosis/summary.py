"""A diagnosis in words, for the table and for the HTML report."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from ov_mobilenet.diagnosis.candidates import NAMED, RAW_PIXELS, Candidate
from ov_mobilenet.diagnosis.conversion_command import conversion_options
from ov_mobilenet.diagnosis.diagnose import DEFAULT_IMAGES
from ov_mobilenet.diagnosis.diagnosis import Diagnosis
from ov_mobilenet.diagnosis.evidence import RESAMPLES, EvidenceKind
from ov_mobilenet.diagnosis.layer_summary import NOT_TOLD, WEIGHTS_AND_SIZE, layer_options
from ov_mobilenet.diagnosis.ranking import LIKELY, SURE, RankedCandidate, Verdict
from ov_mobilenet.html.formatting import NONE, figure


@dataclass(frozen=True)
class EvidenceWords:
    """How the figures of a kind of evidence are shown.

    Attributes:
        name: of the evidence.
        title: of the figures.
        sign: shown is the score times this number.
        better: which figures are better.
        explanation: what it is, as a sentence.
        source: where it was published.
    """

    name: str
    title: str
    sign: int
    better: str
    explanation: str
    source: str


EVIDENCE: dict[EvidenceKind, EvidenceWords] = {
    "batch_norm": EvidenceWords(
        "batch-norm statistics", "divergence", -1, "smaller is better",
        "The divergence (in nats, mean over the channels) between what flows into the first batch norm and what it "
        "recorded in training.",
        "The Kullback-Leibler divergence of two normal distributions; a shift of these statistics shows a shift of the "
        "data, as in Li et al., Revisiting Batch Normalization For Practical Domain Adaptation, 2016.",
    ),
    "mutual_information": EvidenceWords(
        "mutual information between image and class", "mutual information", 1, "larger is better",
        "The mutual information (in nats) between image and class: high if the network is confident about each image "
        "and gives different answers to different images.",
        "Bridle, Heading and MacKay, Unsupervised Classifiers, Mutual Information and 'Phantom Targets', NIPS 1991.",
    ),
}  # fmt: skip
_VERDICTS: dict[Verdict, str] = {
    "sure": f"sure (best in at least {SURE:.0%} of the resamples)",
    "likely": f"likely, not sure (best in at least {LIKELY:.0%} of the resamples)",
    "undecided": f"undecided (best in less than {LIKELY:.0%} of the resamples)",
}
POSSIBLE = 0.05  # a candidate that is the best in at least this share of the resamples is not excluded
SHARE_EXPLANATION = (
    f"Best in: the share of {RESAMPLES:,} random resamples of the images in which the candidate has the best figure."
)


@dataclass(frozen=True)
class Advice:
    """What to do.

    Attributes:
        text: a sentence; it ends in a colon if a command follows.
        command: the command to run; None if there is none.
    """

    text: str
    command: str | None = None


def candidate_name(candidate: Candidate) -> str:
    """Normalisation and channel order, such as `torchvision RGB`."""
    return f"{candidate.name} {candidate.channel_order}"


def candidate_in_words(candidate: Candidate) -> str:
    """`candidate_name`, with mean and scale of a normalisation without a name of its own."""
    name = candidate_name(candidate)
    if candidate.name in NAMED:
        return name
    return f"{name} (mean {number_list(candidate.mean)}; scale {number_list(candidate.scale)})"


def number_list(values: tuple[float, ...]) -> str:
    """Numbers as short as possible."""
    return ", ".join(f"{value:g}" for value in values) or NONE


def shown_value(row: RankedCandidate, evidence: EvidenceKind) -> float:
    """The score as people read it: a divergence is a positive number. Neither is below 0, except for rounding."""
    return max(EVIDENCE[evidence].sign * row.score, 0.0) + 0.0  # -0.0 becomes 0.0


def shown_score(row: RankedCandidate, evidence: EvidenceKind) -> str:
    """`shown_value` as text."""
    value = shown_value(row, evidence)
    return f"{value:.3f}" if evidence == "mutual_information" else figure(value)


def marks(row: RankedCandidate, found: Diagnosis) -> list[str]:
    """What is special about a candidate: `best`, `same as the best`, `baked`."""
    is_best = row.candidate == found.best
    named = (
        ("best", is_best),
        ("same as the best", row.same_as_best and not is_best),
        ("baked", row.candidate == found.baked),
    )
    return [name for name, holds in named if holds]


def best_in_words(found: Diagnosis) -> str:
    """The best candidate, and those that cannot be told apart from it."""
    others = ", ".join(map(candidate_name, found.same_as_best))
    return candidate_in_words(found.best) + (f"; cannot be told apart from {others}" if others else "")


def verdict_in_words(found: Diagnosis) -> str:
    """How sure it is, and which other candidates are possible if it is not."""
    if found.note is not None:
        return f"undecided: {found.note}"
    others = [row.candidate for row in found.candidates if row.share >= POSSIBLE and not row.same_as_best]
    text = _VERDICTS[found.verdict]
    if found.verdict == "sure" or not others:
        return text
    return f"{text}; also possible: {', '.join(map(candidate_name, others))}"


def baked_in_words(found: Diagnosis) -> str:
    """What is baked into an IR, and whether it is right."""
    if not found.is_ir:
        return "nothing: a source network"
    baked = found.baked or RAW_PIXELS
    name = candidate_in_words(baked) if found.baked is not None else f"not known, so {candidate_name(baked)}"
    if found.baked == RAW_PIXELS:
        name = f"nothing, so {candidate_name(baked)}"
    if found.is_wrong:
        return f"{name}: wrong"
    return f"{name}: {'the best' if baked in (found.best, *found.same_as_best) else 'nothing is significantly better'}"


def advice(found: Diagnosis) -> list[Advice]:
    """What to do after a diagnosis, at most two sentences."""
    lines = []
    if found.verdict != "sure" and found.note is None:
        needed = found.images_needed
        if needed is None:
            lines.append(Advice("More images, or more varied ones, may be needed to be sure."))
        else:
            limit = f", with --limit {needed}" if needed > DEFAULT_IMAGES else ""
            lines.append(Advice(f"About {needed:,} images like these would be enough to be sure{limit}."))
    if found.is_wrong:
        lines.append(Advice("What is baked is wrong. Convert the source network again:", _conversion(found)))
    elif found.layers is not None and not found.layers.agrees:
        lines.append(Advice(WEIGHTS_AND_SIZE))
    elif not found.is_ir and found.verdict != "undecided":
        is_told = found.layers is None or found.layers.is_accepted
        text = "To convert the network with the best candidate:" if is_told else NOT_TOLD
        lines.append(Advice(text, _conversion(found)))
    return lines


def _conversion(found: Diagnosis) -> str:
    """The command that converts the source network with the best candidate."""
    if found.command is not None:
        return found.command
    layers = layer_options(found.layers) if found.layers is not None else []
    words = ["ov-mobilenet convert --source", shlex.quote(found.model), "--name NAME", conversion_options(found.best)]
    said = [
        word for name, value in found.options.items() for word in (f"--{name.replace('_', '-')}", shlex.quote(value))
    ]
    return " ".join([*words, *layers, *said])
