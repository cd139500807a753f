"""Decide on the normalisation of a network of the user's own: chosen, known from evidence, or refused.

A float network does not say which normalisation it was trained with, and a wrong one gives wrong answers without an
error. So it is taken from the user, from what the files of the network declare (`declared_input`), from a normalisation
inside the graph, from images of the user's own (`diagnosis.decision`), or from the naming scheme of a library that
published the architecture. Without any of these the network is refused.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from ov_mobilenet.conversion.inner_normalisation import NO_NORMALISATION, InnerNormalisation
from ov_mobilenet.conversion.input_evidence import (
    against_declared,
    check_declared,
    is_same_input,
    normalisation_of_range,
)
from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.conversion.integer_input import LEAST_OVERLAP, overlap, remaining_normalisation
from ov_mobilenet.conversion.naming_schemes import NamingScheme
from ov_mobilenet.conversion.presets import PRESETS, Preset
from ov_mobilenet.errors import UsageError
from ov_mobilenet.zoo.normalisation import Normalisation

log = logging.getLogger(__name__)

NORMALISATION_OPTIONS = "--preset, --mean-values, --scale-values"
_IMAGES = "20 images of your own, like those that the network was trained on, often decide it: --diagnose-images DIR"
_DECIDE = (
    f"Choose --preset {', '.join(sorted(PRESETS))}, or --mean-values and --scale-values, or --assume none if the "
    "network takes pixels 0..255 as they are"
)


@dataclass(frozen=True)
class Guess:
    """A property of the network that no option gives: its name, its value, and the option that sets it, if any.

    Attributes:
        name, value: the property and what it is taken for.
        option: the option of `convert` that sets it.
        changes_answers: whether a wrong guess gives wrong answers rather than an error or other words; such a guess is
            reported with `-q` as well.
        is_declared: whether the files of the network say it; otherwise it is guessed.
    """

    name: str
    value: str
    option: str
    changes_answers: bool = False
    is_declared: bool = False

    @property
    def origin(self) -> str:
        """`declared` or `guessed`."""
        return "declared" if self.is_declared else "guessed"

    def __str__(self) -> str:
        return f"{self.name}: {self.value}" + (f" ({self.option})" if self.option else "")


@dataclass(frozen=True)
class ImageFindings:
    """What images of the user's own tell of a network.

    Attributes:
        guesses: the properties that the images decided; their values are among the choices.
        preset: the preset whose normalisation the images decided on; None for any other normalisation.
        shown: what the images showed if they did not decide the normalisation, as part of a sentence.
        advice: what decides it then, as a sentence.
    """

    guesses: tuple[Guess, ...] = ()
    preset: str | None = None
    shown: str | None = None
    advice: str | None = None


@dataclass(frozen=True)
class InputChoice:
    """The normalisation to bake, and the preset whose geometry is the default.

    Attributes:
        preset: None if no geometry is known.
        preset_is_chosen: whether the user chose the preset; otherwise its geometry is a guess.
        preset_evidence: why this preset, if it is a guess.
    """

    normalisation: Normalisation
    preset: Preset | None
    preset_is_chosen: bool
    preset_evidence: str | None
    guesses: tuple[Guess, ...]


def choose_input(
    facts: SourceFacts,
    *,
    preset: str | None,
    assume: Literal["none"] | None,
    mean: tuple[float, ...] | None,
    scale: tuple[float, ...] | None,
    reverse_input_channels: bool | None,
    found: ImageFindings | None = None,
) -> InputChoice:
    """Decide on the normalisation.

    Args:
        preset: a name in `PRESETS`.
        assume: `none` if the network takes pixels 0..255 without a normalisation.
        mean, scale: one number or three, in the network's channel order; None if not chosen.
        reverse_input_channels: whether the network takes RGB; None if not chosen.
        found: what images of the user's own decided, and is among the choices; None without images.

    Raises:
        UsageError: choices contradict each other or the network, or the normalisation is not known.
        ConversionError: mean and scale contradict the quantisation of an integer input.
    """
    _check_once(preset, assume, (mean, scale))
    where = facts.folder / facts.network
    guesses: list[Guess] = []
    known = PRESETS[preset] if preset is not None else None
    default = known.normalisation if known is not None else None
    declared = facts.declared.normalisation if facts.declared is not None else None
    is_open = known is None and assume is None and mean is None and scale is None
    says_order = reverse_input_channels is not None
    if is_open and declared is not None and facts.declared is not None:
        check_declared(facts, where)
        _warn_of_names(facts, declared, where)
        default = declared
        if not facts.declared.is_order_declared:
            default = msgspec.structs.replace(declared, reverse_input_channels=False)
        elif reverse_input_channels is None:
            reverse_input_channels = declared.reverse_input_channels
        value = f"{default}" if default else "none, the network takes 0..255"
        guesses.append(
            Guess("normalisation", f"{value} ({facts.declared.by})", NORMALISATION_OPTIONS, is_declared=True)
        )
    elif is_open:
        default, value = _from_evidence(facts, where, found)
        guesses.append(Guess("normalisation", value, NORMALISATION_OPTIONS, changes_answers=True))
    guesses += found.guesses if found is not None else ()
    if reverse_input_channels is None and default is not None and default.reverse_input_channels:
        reverse_input_channels = True
    if reverse_input_channels is None:
        reverse_input_channels = True
        value = "RGB, so BGR pixels are reversed"
        guesses.append(Guess("channel order", value, "--no-reverse-input-channels", changes_answers=True))
    if default is not None and default.reverse_input_channels and not reverse_input_channels:
        default = default.for_order(reverse_input_channels=False)  # the figures of a library belong to colours
    chosen = Normalisation(
        mean=mean if mean is not None else default.mean if default else (),
        scale=scale if scale is not None else default.scale if default else (),
        reverse_input_channels=reverse_input_channels,
    )
    contradicted = against_declared(facts, chosen) if says_order or not is_open else None
    if contradicted is not None:
        log.warning("%s: %s", where, contradicted)
    _check_not_normalised_twice(facts, chosen, where)
    if facts.integer_input is None:
        _check_quantised_range(facts.inner, chosen, where)
    if facts.integer_input is not None:
        remaining = remaining_normalisation(facts.integer_input, chosen, where)
        if remaining != chosen:
            value = f"omitted, the quantisation of the input applies them: {facts.integer_input}"
            guesses.append(Guess("mean and scale", value, NORMALISATION_OPTIONS))
        chosen = remaining
    default_preset, evidence = (known, None) if known is not None else _guess_preset(facts, found)
    return InputChoice(chosen, default_preset, known is not None, evidence, tuple(guesses))


def _check_once(preset: str | None, assume: str | None, numbers: tuple[object, object]) -> None:
    """Check that the normalisation is given once. Raises: UsageError."""
    given = [preset is not None, assume is not None, any(value is not None for value in numbers)]
    if sum(given) > 1:
        raise UsageError(
            "the normalisation is given twice",
            expected="one of --preset, --mean-values with --scale-values, --assume none, MODEL",
        )


def _guess_preset(facts: SourceFacts, found: ImageFindings | None) -> tuple[Preset | None, str | None]:
    """The preset whose geometry is the default, and why: that of the images' normalisation, or of the names."""
    scheme = facts.scheme
    if found is not None and found.preset is not None and (scheme is None or scheme.preset != found.preset):
        return PRESETS[found.preset], f"usual with the normalisation {found.preset}"
    return (PRESETS[scheme.preset], scheme.evidence) if scheme is not None else (None, None)


def why_pixels(facts: SourceFacts) -> str | None:
    """Why the network is known to take pixels 0..255, from its file; None if the file does not tell."""
    if facts.integer_input is not None:
        return f"{facts.integer_input}"
    if facts.inner and _what_is_missing(facts.inner, facts.scheme) is None:
        return f"inside the graph: {facts.inner}"
    return None


def scheme_of_input(facts: SourceFacts) -> NamingScheme | None:
    """The naming scheme if it tells what the network takes; a normalisation may follow an unknown operation."""
    scheme, inner = facts.scheme, facts.inner
    # What the quantisation of a float input represents is what the network takes, whatever follows.
    is_changed = inner.unknown is not None and inner.real_range is None
    return None if scheme is None or scheme.takes_pixels or is_changed or inner else scheme


def _from_evidence(facts: SourceFacts, where: Path, found: ImageFindings | None) -> tuple[Normalisation | None, str]:
    """The normalisation that the network itself tells, and how it does. Raises: UsageError."""
    why, scheme, inner = why_pixels(facts), scheme_of_input(facts), facts.inner
    if why is not None:
        return None, f"none, the network takes 0..255: {why}"
    by_range = normalisation_of_range(facts)
    if by_range is not None:
        normalisation, how = by_range
        if scheme is None or not is_same_input(PRESETS[scheme.preset].normalisation, normalisation):
            against = f"; {scheme.evidence} suggest {scheme.preset}" if scheme is not None else ""
            return normalisation, f"{normalisation}, {how}{against}"
        return PRESETS[scheme.preset].normalisation, f"{scheme.preset}, {scheme.evidence}, and {how}"
    if scheme is not None:
        return PRESETS[scheme.preset].normalisation, f"{scheme.preset}, {scheme.evidence}"
    shown = found.shown if found is not None else None
    advice = found.advice if found is not None and found.advice is not None else _IMAGES
    missing = _what_is_missing(inner, facts.scheme) if inner else None
    if missing is not None:
        expected, got = missing
        raise UsageError(
            "the graph normalises its input, but the normalisation does not look complete", where=where,
            expected=expected, got=f"{got}; {shown}" if shown is not None else got,
            fix="Add --assume none if the network takes pixels 0..255; otherwise give the part before it with "
            f"--mean-values and --scale-values. {advice}".rstrip(". "),
        )  # fmt: skip
    if inner.unknown is not None and inner.real_range is None:
        expected = "an input that goes to the first convolution, or a normalisation that can be read from the graph"
        got = f"the operation {inner.unknown} on the pixels"
    else:
        expected = "an option that says it, a normalisation inside the graph, or the tensor names of a known library"
        got = "a layer inside the network that rescales, but not its input" if facts.has_rescaling_layer else ""
        if inner.real_range is not None:
            got = "a quantisation of the input that holds {:.4g}..{:.4g}".format(*inner.real_range)
    raise UsageError(
        "the normalisation of the network is not known", where=where, expected=expected,
        got="; ".join(filter(None, (got, shown))) or "none", fix=f"{_DECIDE}. {advice}".rstrip(". "),
    )  # fmt: skip


def _warn_of_names(facts: SourceFacts, declared: Normalisation, where: Path) -> None:
    """Warn if names suggest another normalisation than the files declare, which is used."""
    scheme = scheme_of_input(facts) if facts.integer_input is None else None
    if scheme is None or facts.declared is None or is_same_input(PRESETS[scheme.preset].normalisation, declared):
        return
    log.warning(
        "%s: %s: %s. This is used, though %s suggest %s: --preset %s insists on the names",
        where, facts.declared.by, declared, scheme.evidence, scheme.preset, scheme.preset,
    )  # fmt: skip


def _what_is_missing(inner: InnerNormalisation, scheme: NamingScheme | None) -> tuple[str, str] | None:
    """What is expected instead of a part of a normalisation, and what is there; None if it is whole."""
    published = PRESETS[scheme.preset].normalisation if scheme is not None else None
    if not inner.suits(Normalisation()):
        low, high = inner.values_of(Normalisation())
        return "values such as 0..1 or -1..1 for pixels 0..255", f"{inner}, so {low:.4g}..{high:.4g}"
    if scheme is None or scheme.often_rescales or published is None or inner.equals(published):
        return None
    return f"{published} ({scheme.evidence})", f"{inner}"


def _check_quantised_range(inner: InnerNormalisation, chosen: Normalisation, where: Path) -> None:
    """Refuse a normalisation that contradicts the quantisation of a float input. Raises: UsageError."""
    if inner.real_range is None:
        return
    low, high = inner.real_range
    given = NO_NORMALISATION.values_of(chosen)
    if overlap(given, (low, high)) < LEAST_OVERLAP:
        scale = 255.0 / (high - low)
        raise UsageError(
            "the normalisation contradicts the quantisation of the network's input", where=where,
            expected=f"0..255 become {low:.4g}..{high:.4g}", got="{:.4g}..{:.4g}".format(*given),
            fix=f"Try --mean-values {-low * scale + 0.0:.4g} --scale-values {scale:.4g}",
        )  # fmt: skip


def _check_not_normalised_twice(facts: SourceFacts, chosen: Normalisation, where: Path) -> None:
    """Refuse mean and scale on top of a normalisation inside the graph. Raises: UsageError."""
    inner, outer = facts.inner, msgspec.structs.replace(chosen, reverse_input_channels=False)
    if not outer or facts.integer_input is not None:
        return
    if inner and not inner.suits(outer):
        low, high = inner.values_of(outer)
        raise UsageError(
            "the network already normalises its input; mean and scale would be applied twice", where=where,
            expected=f"no mean and no scale: inside the graph: {inner}",
            got=f"{outer}, so 0..255 would become {low:.4g}..{high:.4g}",
            fix="Omit --preset, --mean-values and --scale-values",
        )  # fmt: skip
    if facts.has_rescaling_layer and not inner:
        raise UsageError(
            "a layer of the network rescales pixels; mean and scale would be applied twice", where=where,
            expected="no mean and no scale", got=outer, fix="Choose --assume none, or --preset keras-v3",
        )  # fmt: skip
