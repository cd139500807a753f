"""Turn a diagnosis into choices for a network of the user's own: images decide what is not said.

What the user says is never overridden. An integer input or a normalisation inside the graph is certain too. The names
of a library's tensors only suggest a normalisation: images that are sure win over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from ov_mobilenet.conversion.input_choice import (
    NORMALISATION_OPTIONS,
    Guess,
    ImageFindings,
    scheme_of_input,
    why_pixels,
)
from ov_mobilenet.conversion.input_evidence import normalisation_of_range
from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.conversion.own_network import UserChoices
from ov_mobilenet.conversion.presets import PRESETS
from ov_mobilenet.diagnosis import decision_words as words
from ov_mobilenet.diagnosis.candidates import CHANNEL_ORDERS, Candidate, ChannelOrder, candidate_of, candidates_with
from ov_mobilenet.diagnosis.diagnose import DEFAULT_IMAGES, diagnose_network
from ov_mobilenet.diagnosis.diagnosis import Diagnosis
from ov_mobilenet.diagnosis.layer_decision import decide_layers
from ov_mobilenet.diagnosis.source_network import network_of_facts
from ov_mobilenet.diagnosis.stages import OnStage, steps_of
from ov_mobilenet.inputs.image_subset import read_subset
from ov_mobilenet.zoo.normalisation import Normalisation

DiagnoseAmong = Callable[[tuple[Candidate, ...]], Diagnosis]
"""A diagnosis in which only these candidates compete."""


@dataclass(frozen=True)
class ImageDecision:
    """Choices, with what the images decided.

    Attributes:
        warnings: contradictions between the images and what is said or known, and what they do not decide.
        diagnosis: of all candidates.
    """

    choices: UserChoices
    findings: ImageFindings
    warnings: tuple[str, ...]
    diagnosis: Diagnosis


@dataclass(frozen=True)
class _Certain:
    """What is certain without images.

    Attributes:
        candidates: the certain normalisation in each order that is possible; None if the normalisation is open.
        order: None if it is open.
        in_file: what the network takes and why, if its files tell it; None if the user says it.
    """

    candidates: tuple[Candidate, ...] | None
    order: ChannelOrder | None
    in_file: str | None

    @property
    def is_complete(self) -> bool:
        return self.candidates is not None and self.order is not None

    def allows(self, candidate: Candidate) -> bool:
        if self.candidates is not None:
            return candidate in self.candidates
        return self.order in (None, candidate.channel_order)


def decide_by_images(
    facts: SourceFacts,
    choices: UserChoices,
    images: str | Path | Iterable[str | Path],
    on_progress: OnStage | None = None,
) -> ImageDecision:
    """Diagnose a network that was inspected, and decide on what is not chosen.

    Args:
        choices: their geometry is used for the images; without one the whole image is resized.
        images: as for `diagnose`; at most `DEFAULT_IMAGES` of them are used.

    Raises:
        UsageError: a choice contradicts the network, there are no images, or nothing tells the normalisation.
        ImageError: fewer than 10 images can be read.
        ConversionError: the network cannot be read, or the images do not tell the settings of its layers.
    """
    network = network_of_facts(facts, choices)
    prepared = read_subset(images, network.geometry, DEFAULT_IMAGES, 0, steps_of(on_progress, "images"))

    def diagnose_among(candidates: tuple[Candidate, ...]) -> Diagnosis:
        return diagnose_network(str(network.path), network, prepared, candidates=candidates, on_progress=on_progress)

    return decide(facts, choices, diagnose_among)


def decide(facts: SourceFacts, choices: UserChoices, diagnose_among: DiagnoseAmong) -> ImageDecision:
    """Decide on the normalisation and the channel order that are not said, if the images are sure.

    Args:
        diagnose_among: called once, and again if what is certain excludes candidates that the images do not.

    Raises:
        UsageError: nothing tells the normalisation.
        ConversionError: the images do not tell the settings of the layers, see `decide_layers`.
    """
    certain = _what_is_certain(facts, choices)
    everything = candidates_with(*(certain.candidates or ()))
    overall = deciding = diagnose_among(everything)
    warnings: list[str] = []
    findings = ImageFindings()
    is_contradiction = overall.verdict == "sure" and not any(map(certain.allows, _winners(overall)))
    if is_contradiction:
        allowed = next(row for row in overall.candidates if certain.allows(row.candidate))
        warnings.append(words.contradiction(overall, allowed, certain.in_file))
    if not certain.is_complete:
        if is_contradiction or overall.verdict != "sure":
            possible = tuple(filter(certain.allows, everything))
            deciding = overall if len(possible) == len(everything) else diagnose_among(possible)
        if deciding.verdict == "sure":
            choices, findings, more = _decided(facts, choices, certain, deciding)
        else:
            findings, more = _undecided(facts, certain, deciding)
        warnings += more
    elif overall.layers is not None and overall.verdict != "sure" and not any(map(certain.allows, _winners(overall))):
        deciding = diagnose_among(tuple(filter(certain.allows, everything)))  # the layers under what is certain
    choices, guesses = decide_layers(
        facts, choices, deciding.layers, is_normalisation_known=certain.is_complete or deciding.verdict == "sure"
    )
    findings = replace(findings, guesses=(*findings.guesses, *guesses))
    return ImageDecision(choices, findings, tuple(warnings), overall)


def _winners(diagnosis: Diagnosis) -> tuple[Candidate, ...]:
    """The best candidate, and those that cannot be told apart from it."""
    return (diagnosis.best, *diagnosis.same_as_best)


def _what_is_certain(facts: SourceFacts, choices: UserChoices) -> _Certain:
    preset = PRESETS[choices.preset].normalisation if choices.preset is not None else None
    reverse = choices.reverse_input_channels
    if reverse is None and preset is not None:
        reverse = preset.reverse_input_channels
    order: ChannelOrder | None = None if reverse is None else "RGB" if reverse else "BGR"
    declared = facts.declared if facts.declared is not None and facts.declared.normalisation is not None else None
    if order is None and declared is not None and declared.normalisation is not None and declared.is_order_declared:
        order = "RGB" if declared.normalisation.reverse_input_channels else "BGR"
    why = why_pixels(facts)
    in_file = f"0..255 ({why})" if why is not None else None
    normalisation = None
    is_said = preset is not None or any(one is not None for one in (choices.assume, choices.mean, choices.scale))
    if is_said and facts.integer_input is None:
        normalisation = preset or Normalisation(mean=choices.mean or (), scale=choices.scale or ())
    elif why is not None:  # mean and scale that are given for an integer input are omitted
        normalisation = Normalisation()
    elif declared is not None and declared.normalisation is not None:
        normalisation, in_file = declared.normalisation, f"{declared.normalisation} ({declared.by})"
        if not declared.is_order_declared:
            normalisation = msgspec.structs.replace(normalisation, reverse_input_channels=False)
    elif (by_range := normalisation_of_range(facts)) is not None:
        normalisation, in_file = by_range[0], f"{by_range[0]} ({by_range[1]})"
    if normalisation is None:
        return _Certain(None, order, None)
    return _Certain(
        tuple(candidate_of(_in_order(normalisation, one), "given") for one in CHANNEL_ORDERS if order in (None, one)),
        order,
        None if is_said else in_file,
    )


def _in_order(normalisation: Normalisation, order: ChannelOrder) -> Normalisation:
    """As `choose_input` bakes it: figures for RGB belong to colours, others are in the order of the network."""
    if normalisation.reverse_input_channels:
        return normalisation.for_order(reverse_input_channels=order == "RGB")
    return msgspec.structs.replace(normalisation, reverse_input_channels=order == "RGB")


def _decided(
    facts: SourceFacts, choices: UserChoices, certain: _Certain, diagnosis: Diagnosis
) -> tuple[UserChoices, ImageFindings, list[str]]:
    """The choices with what the images decided, what to say about it, and warnings."""
    possible = sorted(filter(certain.allows, _winners(diagnosis)), key=lambda one: one.channel_order != "RGB")
    # Grey images are the same in both orders.
    order_is_decided = len({one.channel_order for one in possible}) == 1
    chosen, guesses, warnings = possible[0], [], []
    if certain.candidates is None:
        scheme = scheme_of_input(facts)
        agreed = [
            one for one in possible
            if scheme is not None and one.name == scheme.preset and (certain.order or "RGB") == one.channel_order
        ]  # fmt: skip
        chosen = agreed[0] if agreed else chosen
        evidence = words.for_normalisation(diagnosis, chosen)
        if scheme is not None and not agreed:
            warnings.append(words.against_names(diagnosis, chosen, scheme))
        elif scheme is not None:
            evidence = f"{scheme.evidence}, {evidence}"
        value = f"{chosen.name}, {evidence}"
        guesses.append(Guess("normalisation", value, NORMALISATION_OPTIONS, changes_answers=True))
        choices = replace(choices, mean=chosen.mean, scale=chosen.scale)
    if certain.order is None and order_is_decided:
        is_rgb = chosen.channel_order == "RGB"
        option = "--no-reverse-input-channels" if is_rgb else "--reverse-input-channels"
        value = f"{chosen.channel_order}, {words.for_order(diagnosis, chosen)}"
        guesses.append(Guess("channel order", value, option, changes_answers=True))
        choices = replace(choices, reverse_input_channels=is_rgb)
    is_preset = certain.candidates is None and chosen.name in PRESETS and chosen.channel_order == "RGB"
    return choices, ImageFindings(tuple(guesses), chosen.name if is_preset else None), warnings


def _undecided(facts: SourceFacts, certain: _Certain, diagnosis: Diagnosis) -> tuple[ImageFindings, list[str]]:
    """What to say about images that do not decide; a warning only if the network is not refused."""
    shown, advice = words.undecided(diagnosis)
    if certain.candidates is None and scheme_of_input(facts) is None:
        return ImageFindings(shown=shown, advice=advice), []
    what = " and ".join(
        name
        for name, is_open in (
            ("normalisation", certain.candidates is None),
            ("channel order", certain.order is None),
        )
        if is_open
    )
    return ImageFindings(), [f"the images do not decide the {what}: {shown}. {advice}".rstrip(". ")]
