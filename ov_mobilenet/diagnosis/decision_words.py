"""What the images decided, in words."""

from __future__ import annotations

from collections.abc import Callable

from ov_mobilenet.conversion.naming_schemes import NamingScheme
from ov_mobilenet.diagnosis.candidates import Candidate
from ov_mobilenet.diagnosis.conversion_command import conversion_options
from ov_mobilenet.diagnosis.diagnose import DEFAULT_IMAGES
from ov_mobilenet.diagnosis.diagnosis import Diagnosis
from ov_mobilenet.diagnosis.evidence import EvidenceKind
from ov_mobilenet.diagnosis.ranking import RankedCandidate
from ov_mobilenet.diagnosis.summary import candidate_name, shown_value

_EVIDENCE: dict[EvidenceKind, str] = {
    "batch_norm": "batch-norm statistics",
    "mutual_information": "mutual information",
}


def for_normalisation(diagnosis: Diagnosis, chosen: Candidate) -> str:
    """Why this normalisation, such as `mutual information 4.301 against 4.164 of tensorflow, sure with 100 images`."""
    rival = _rival(diagnosis, lambda one: one.name != chosen.name)
    against = f" against {_score(diagnosis, rival)} of {rival.candidate.name}" if rival is not None else ""
    return f"{_evidence(diagnosis, chosen)}{against}, sure with {diagnosis.images} images"


def for_order(diagnosis: Diagnosis, chosen: Candidate) -> str:
    """Why this channel order, such as `batch-norm statistics 0.003 against 0.031`."""
    rival = _rival(diagnosis, lambda one: one.channel_order != chosen.channel_order)
    if rival is None:
        return _evidence(diagnosis, chosen)
    of = f" of {candidate_name(rival.candidate)}" if rival.candidate.name != chosen.name else ""
    return f"{_evidence(diagnosis, chosen)} against {_score(diagnosis, rival)}{of}"


def undecided(diagnosis: Diagnosis) -> tuple[str, str]:
    """What images that are not sure showed, as a part of a sentence, and what to do, as a sentence."""
    if diagnosis.note is not None:
        return f"{diagnosis.images} images do not decide: {diagnosis.note}", ""
    share = diagnosis.candidates[0].share
    verdict = {"likely": "likely, not sure"}.get(diagnosis.verdict, diagnosis.verdict)
    best = candidate_name(diagnosis.best)
    shown = f"{diagnosis.images} images show {best}, best in {share:.0%} of the resamples: {verdict}"
    needed = diagnosis.images_needed
    advice = []
    if needed is not None and needed <= DEFAULT_IMAGES:
        advice.append(f"About {needed} images would be enough")
    elif needed is not None:  # more than a conversion looks at
        advice.append(f"About {needed:,} images would be enough: see `ov-mobilenet diagnose` with --limit {needed}")
    if diagnosis.verdict == "likely":
        advice.append(f"To insist on what the images show: {conversion_options(diagnosis.best)}")
    return shown, ". ".join(advice)


def contradiction(diagnosis: Diagnosis, possible: RankedCandidate, in_file: str | None) -> str:
    """The images are sure of another candidate than what is certain.

    Args:
        possible: the best candidate that agrees with what is certain.
        in_file: what the network takes and why, if its files tell it; None if the user says it.
    """
    best = diagnosis.best
    shown = (
        f"{diagnosis.images} images are sure of {candidate_name(best)}: {_evidence(diagnosis, best)} against "
        f"{_score(diagnosis, possible)} of {candidate_name(possible.candidate)}"
    )
    if in_file is not None:
        return f"the images contradict the network, which takes {in_file}: {shown}"
    options = conversion_options(best)
    if "reverse-input-channels" not in options:  # a preset says it too, but not that an option for the order is wrong
        options += " --reverse-input-channels"
    return f"the images contradict the given normalisation or channel order: {shown}. Try {options}"


def against_names(diagnosis: Diagnosis, chosen: Candidate, scheme: NamingScheme) -> str:
    """The images are sure of another candidate than the names suggest."""
    return (
        f"the images contradict the names: {scheme.evidence} suggest {scheme.preset} RGB, but {diagnosis.images} "
        f"images are sure of {candidate_name(chosen)}, which is used; --preset {scheme.preset} insists on the names"
    )


def _rival(diagnosis: Diagnosis, differs: Callable[[Candidate], bool]) -> RankedCandidate | None:
    """The best of the candidates that differ and can be told apart."""
    return next((row for row in diagnosis.candidates if not row.same_as_best and differs(row.candidate)), None)


def _evidence(diagnosis: Diagnosis, chosen: Candidate) -> str:
    row = next(row for row in diagnosis.candidates if row.candidate == chosen)
    return f"{_EVIDENCE[diagnosis.evidence]} {_score(diagnosis, row)}"


def _score(diagnosis: Diagnosis, row: RankedCandidate) -> str:
    return f"{shown_value(row, diagnosis.evidence):.3f}"
