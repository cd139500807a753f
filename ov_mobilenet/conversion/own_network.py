"""Describe a network of the user's own from its file and the user's choices; everything else is guessed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from ov_mobilenet.conversion.architectures import check_input_size, complete_settings
from ov_mobilenet.conversion.input_choice import Guess, ImageFindings, InputChoice, choose_input
from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.conversion.unknown_layers import check_layers_known
from ov_mobilenet.downloads import cache
from ov_mobilenet.errors import UsageError
from ov_mobilenet.ir.layout import framework_layout, guess_layout
from ov_mobilenet.zoo.description import Description
from ov_mobilenet.zoo.geometry import Geometry, check_size, resize_whole_image
from ov_mobilenet.zoo.labels import BACKGROUND_SETS, labels_text, read_labels
from ov_mobilenet.zoo.layer_settings import Activation, LayerSettings, Padding
from ov_mobilenet.zoo.library_network import LibraryNetwork
from ov_mobilenet.zoo.model import Checksum, Details, HeadActivation, InputInfo, ModelFile
from ov_mobilenet.zoo.normalisation import Normalisation
from ov_mobilenet.zoo.output_kind import OutputContent, describe_content, kind_of

LABELS_FILE = "labels.txt"
RESERVED_NAMES = ("model.yml", "accuracy-check.yml", LABELS_FILE)
DEFAULT_SIDE = 224
IMAGENET_SETS = {1000: "imagenet_1000_classes", 1001: "imagenet_1001_classes"}


@dataclass(frozen=True)
class UserChoices:
    """The user's choices for a network; None for everything that is to be guessed.

    Attributes:
        shape: shape of the network's input, in the network's own layout.
        layout: layout of the network's input.
        preset: a name in `PRESETS`: normalisation, and the default of the geometry.
        assume: `none` if the network takes pixels 0..255 without a normalisation.
        mean, scale: one number or three, in the network's channel order.
        reverse_input_channels: True if the network takes RGB.
        output_kind: what the network's output holds, see `zoo.output_kind`.
        labels: a text file with one name per line, or `imagenet_1000_classes`, `imagenet_1001_classes`, `none`.
        geometry: crop and resize.
        width, classes: width multiplier and number of classes; only compared with the network's.
        weights_key: the entry of a PyTorch checkpoint that holds the weights.
        head: the activation between the linear layers of a replaced classifier of PyTorch weights.
        activation, padding, batch_norm_epsilon: of the layers of PyTorch weights, see `LayerSettings`.
    """

    shape: tuple[int, ...] | None = None
    layout: str | None = None
    preset: str | None = None
    assume: Literal["none"] | None = None
    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    reverse_input_channels: bool | None = None
    output_kind: OutputContent | None = None
    labels: str | None = None
    geometry: Geometry | None = None
    width: float | None = None
    classes: int | None = None
    weights_key: str | None = None
    head: HeadActivation | None = None
    activation: Activation | None = None
    padding: Padding | None = None
    batch_norm_epsilon: float | None = None

    @property
    def settings(self) -> LayerSettings:
        """The settings of the layers. Raises: UsageError."""
        return LayerSettings(
            activation=self.activation, padding=self.padding, batch_norm_epsilon=self.batch_norm_epsilon
        )

    def with_defaults(self, normalisation: Normalisation) -> UserChoices:
        """These choices; mean, scale and channel order that were not chosen are those of a normalisation."""
        if self.reverse_input_channels is not None:
            normalisation = normalisation.for_order(reverse_input_channels=self.reverse_input_channels)
        return replace(
            self,
            mean=normalisation.mean if self.mean is None else self.mean,
            scale=normalisation.scale if self.scale is None else self.scale,
            reverse_input_channels=normalisation.reverse_input_channels,
        )


@dataclass(frozen=True)
class DraftDescription:
    """A description that is not yet written to disk.

    Attributes:
        guesses: the properties in it that were guessed.
        warnings: choices made while reading the network, as sentences; the conversion logs them too.
        labels_text: content of the labels file; None if there is none.
    """

    description: Description
    guesses: tuple[Guess, ...]
    warnings: tuple[str, ...]
    labels_text: str | None


def draft_description(
    name: str, facts: SourceFacts, choices: UserChoices, found: ImageFindings | None = None
) -> DraftDescription:
    """Describe a network from its facts and the user's choices.

    Args:
        found: what images of the user's own decided, and is among the choices; None without images.

    Raises:
        UsageError: a choice contradicts the network or another choice.
        ConfigError: the labels cannot be read.
        OSError: a file of the network cannot be read.
    """
    _check_choices(facts, choices)
    _check_file_names(facts)
    guesses: list[Guess] = []
    if facts.library_network is not None:
        by = facts.declared.by if facts.declared is not None else "its files"
        guesses.append(Guess("architecture", f"{facts.library_network.name} ({by})", "", is_declared=True))
    elif facts.architecture is not None:
        guesses.append(Guess("architecture", f"{facts.architecture}, width {facts.width:g}", "--architecture, --width"))
        _guess_settings(facts, facts.architecture, choices.settings, guesses)
    if facts.output is not None and facts.framework != "pytorch":
        guesses.append(Guess("output", facts.output, "--output"))
    layout, shape = choose_shape(facts, choices, guesses)
    if facts.framework == "pytorch" and facts.architecture is not None and facts.library_network is None:
        check_input_size(facts.architecture, choices.settings, shape, UsageError, facts.folder / facts.network)
    if choices.output_kind is None:
        content = describe_content(facts.output_kind, facts.classes, facts.map_size)
        guesses.append(Guess("output kind", content, "--output-kind", facts.library_network is None))
    is_classifier = kind_of(facts.output_kind) != "features"
    labels, labels_text = _labels(facts, choices, guesses) if is_classifier else (None, None)
    height, width = shape[layout.index("H")], shape[layout.index("W")]
    chosen = choose_input(
        facts,
        preset=choices.preset,
        assume=choices.assume,
        mean=choices.mean,
        scale=choices.scale,
        reverse_input_channels=choices.reverse_input_channels,
        found=found,
    )
    guesses += chosen.guesses
    geometry = choices.geometry or _default_geometry(facts, chosen, height, width, guesses)
    description = Description(
        name=name,
        framework=facts.framework,
        files=facts.known_files or tuple(_model_file(file, facts.folder) for file in facts.files),
        network=facts.network,
        saved_model=facts.is_saved_model,
        architecture=facts.architecture if facts.library_network is None else facts.library_network.name,
        input=InputInfo(facts.input_name, shape, layout),
        output=facts.output,
        normalisation=chosen.normalisation,
        geometry=geometry,
        details=Details(
            classes=facts.classes if is_classifier else None,
            output=facts.output_kind,
            labels=labels,
            weights_key=choices.weights_key,
            head=choices.head,
            activation=choices.activation,
            padding=choices.padding,
            batch_norm_epsilon=choices.batch_norm_epsilon,
            architecture_arguments=facts.library_network.arguments if facts.library_network is not None else {},
            background_class=_background_class(facts, choices, labels),
        ),
        licence=facts.licence,
        comments=tuple(f"{guess.origin.capitalize()}: {guess}" for guess in guesses),
    )
    return DraftDescription(description, tuple(guesses), facts.warnings, labels_text)


def choose_shape(facts: SourceFacts, choices: UserChoices, guesses: list[Guess]) -> tuple[str, tuple[int, ...]]:
    """Layout and shape of the input; what is guessed is appended to `guesses`.

    Raises:
        UsageError: the network does not take colour images, or the shape or the geometry do not match it.
    """
    if facts.framework == "pytorch" and choices.layout not in (None, "NCHW"):
        raise UsageError(
            "--source-layout does not match the network", where=facts.folder / facts.network,
            expected="NCHW, as for all PyTorch weights", got=choices.layout,
        )  # fmt: skip
    layout = choices.layout or _guess_layout(facts, guesses)
    _check_channels(facts, layout)
    shape = _shape(facts, choices, layout, guesses)
    if choices.geometry is not None:
        check_size(choices.geometry, shape[layout.index("H")], shape[layout.index("W")])
    return layout, shape


def _check_choices(facts: SourceFacts, choices: UserChoices) -> None:
    for option, chosen, actual in (
        ("classes", choices.classes, facts.classes),
        ("width", choices.width, facts.width),
    ):
        if chosen is None:
            continue
        if actual is None and facts.library_network is not None:
            raise _fixed_by_library(facts.library_network, option)
        if actual is None:
            raise UsageError(f"--{option} can only be used with weights without a graph", got="a network with a graph")
        if not abs(chosen - actual) <= 1e-6:  # true for NaN too
            raise UsageError(f"--{option} does not match the network", expected=f"{chosen:g}", got=f"{actual:g}")
    given = {name: value for name, value in msgspec.structs.asdict(choices.settings).items() if value is not None}
    if given and (facts.framework != "pytorch" or facts.library_network is not None):
        option = next(iter(given)).replace("_", "-")
        if facts.library_network is not None:
            raise _fixed_by_library(facts.library_network, option)
        raise UsageError(f"--{option} can only be used with PyTorch checkpoints", where=facts.folder / facts.network)
    if choices.labels not in (None, "none") and kind_of(facts.output_kind) == "features":
        raise UsageError("a network without a classifier has no labels", expected="no --labels", got=choices.labels)


def _fixed_by_library(network: LibraryNetwork, option: str) -> UsageError:
    return UsageError(
        f"--{option} cannot be used with a network of {network.library}: its configuration fixes it", got=network.name
    )


def _guess_settings(facts: SourceFacts, architecture: str, settings: LayerSettings, guesses: list[Guess]) -> None:
    """The padding and the epsilon of weights that were matched by shape and order. Raises: UsageError."""
    if not facts.matched_by_order:
        return
    where = facts.folder / facts.network
    check_layers_known(architecture, facts.other_keys, settings, UsageError, where, is_described=False)
    published = complete_settings(architecture, LayerSettings())
    reason = f"published for {architecture}"
    if settings.padding is None:
        guesses.append(Guess("padding", f"{published.padding}, {reason}", "--padding", changes_answers=True))
    if settings.batch_norm_epsilon is None:
        value = f"{published.batch_norm_epsilon:g}, {reason}"
        guesses.append(Guess("batch-norm epsilon", value, "--batch-norm-epsilon", changes_answers=True))


def _check_file_names(facts: SourceFacts) -> None:
    """Refuse names that cannot be written in a description, or are reserved for files beside it."""
    for name in facts.files:
        if name in RESERVED_NAMES or name != name.strip() or re.search(r'[\\:*?"<>|$\x00-\x1f\x7f]', name):
            raise UsageError(
                "the file name is not allowed in a description", where=facts.folder / name,
                expected="a name without control characters, outer spaces and \\ : * ? \" < > | $, other than "
                + ", ".join(RESERVED_NAMES),
                fix="Rename the file",
            )  # fmt: skip


def _guess_layout(facts: SourceFacts, guesses: list[Guess]) -> str:
    layout, reason = guess_layout(facts.shape), f"3 channels in {list(facts.shape)}"
    if layout is None:
        layout, reason = framework_layout(facts.framework), f"usual for {facts.framework}"
    if facts.framework != "pytorch":
        guesses.append(Guess("layout", f"{layout}, {reason}", "--source-layout"))
    return layout


def _check_channels(facts: SourceFacts, layout: str) -> None:
    """Check that the network takes colour images. Raises: UsageError."""
    channels = dict(zip(layout, facts.shape, strict=True)).get("C", -1) if len(facts.shape) == 4 else -1
    shape = list(facts.shape)
    if channels not in (-1, 3) or (shape and len(shape) != 4):
        grey = " (a network for grey images)" if 1 in (shape[1], shape[-1]) and len(shape) == 4 else ""
        raise UsageError(
            "the network does not take colour images", where=facts.folder / facts.network,
            expected=f"an input of four dimensions, {layout}, with 3 channels", got=f"{shape}{grey}",
            fix="Train or export it for RGB images; a layout that is guessed wrongly is set with --source-layout",
        )  # fmt: skip


def _shape(facts: SourceFacts, choices: UserChoices, layout: str, guesses: list[Guess]) -> tuple[int, ...]:
    if choices.shape is not None:
        if len(choices.shape) != 4 or choices.shape[layout.index("C")] != 3:
            raise UsageError(
                "invalid --input-shape", expected=f"four numbers in the order {layout}, with 3 channels",
                got=list(choices.shape),
            )  # fmt: skip
        return choices.shape
    default = {"N": 1, "C": 3, "H": DEFAULT_SIDE, "W": DEFAULT_SIDE}
    known = dict(zip(layout, facts.shape, strict=True)) if len(facts.shape) == 4 else dict.fromkeys(layout, -1)
    if facts.declared is not None and facts.declared.size is not None:
        default["H"], default["W"] = facts.declared.size
    shape = tuple(known[letter] if known[letter] > 0 else default[letter] for letter in layout)
    if (known["H"] < 1 or known["W"] < 1) and (facts.declared is None or facts.declared.size is None):
        guesses.append(Guess("input shape", ",".join(map(str, shape)), "--input-shape"))
    return shape


def _default_geometry(
    facts: SourceFacts, chosen: InputChoice, height: int, width: int, guesses: list[Guess]
) -> Geometry:
    """The declared geometry, if it has the input's size, or that of the preset; otherwise the image is resized."""
    declared, unused = facts.declared, ""
    if declared is not None and declared.geometry is not None and not chosen.preset_is_chosen:
        last = declared.geometry.steps[-1]
        if (last.height, last.width) == (height, width):
            guesses.append(Guess("geometry", f"{declared.geometry} ({declared.by})", "--geometry", is_declared=True))
            return declared.geometry
        unused = f"; that of {declared.by} is for another input size: {declared.geometry}"
    if chosen.preset is None:
        geometry, reason = resize_whole_image(height, width), "the whole image, "
    else:
        geometry, reason = chosen.preset.geometry(height, width), ""
    if not chosen.preset_is_chosen:
        evidence = f", {chosen.preset_evidence}" if chosen.preset_evidence is not None else ""
        guesses.append(Guess("geometry", f"{reason}{geometry}{evidence}{unused}", "--geometry", changes_answers=True))
    return geometry


def _labels(facts: SourceFacts, choices: UserChoices, guesses: list[Guess]) -> tuple[str | None, str | None]:
    """The value of `labels` in the description, and the text of the labels file; both may be None."""
    labels, declared = choices.labels, facts.declared
    if labels is None and declared is not None and declared.labels is not None:
        count = len(declared.labels) if isinstance(declared.labels, tuple) else declared.labels
        guesses.append(
            Guess("labels", f"{count}{' names' * isinstance(count, int)} ({declared.by})", "--labels", is_declared=True)
        )
        if isinstance(declared.labels, tuple):
            _check_label_count(declared.by, len(declared.labels), facts.classes)
            return LABELS_FILE, labels_text(declared.labels)
        labels = declared.labels
    if labels is None:
        labels = IMAGENET_SETS.get(facts.classes, "none")
        value = f"{labels}, because there are {facts.classes} classes" if labels != "none" else "none"
        guesses.append(Guess("labels", value, "--labels"))
    if labels == "none":
        return None, None
    if labels in BACKGROUND_SETS:
        _check_label_count(labels, {name: n for n, name in IMAGENET_SETS.items()}[labels], facts.classes)
        return labels, None
    file = Path(labels)
    if file.exists() and not file.is_file():
        raise UsageError("--labels is not a file", where=file, expected="a text file with one name per line")
    _check_label_count(labels, len(read_labels(file)), facts.classes)
    return LABELS_FILE, file.read_text("utf-8-sig")


def _check_label_count(where: str, count: int, classes: int) -> None:
    if count != classes:
        raise UsageError(
            "the number of labels does not match the number of classes", where=where, expected=classes, got=count,
            fix="Choose other --labels, or --labels none",
        )  # fmt: skip


def _background_class(facts: SourceFacts, choices: UserChoices, labels: str | None) -> int | None:
    if labels == IMAGENET_SETS[1001]:
        return 0
    return facts.declared.background_class if facts.declared is not None and choices.labels is None else None


def _model_file(name: str, folder: Path) -> ModelFile:
    path = folder / name
    checksum = Checksum("sha384", cache.digest(path, "sha384"))
    return ModelFile(name=name, size=path.stat().st_size, checksum=checksum, sources=())
