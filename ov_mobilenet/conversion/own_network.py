"""From a network of the user's own, and what the user says of it, to a description; the rest is guessed and said."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.conversion.integer_input import left_to_bake
from ov_mobilenet.downloads import cache
from ov_mobilenet.downloads.fetch import SourceFiles
from ov_mobilenet.errors import ConfigError, UsageError
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.description import MARKER, Description, accuracy_check_yml, model_yml
from ov_mobilenet.zoo.geometry import Geometry, check_size, from_dataset, whole
from ov_mobilenet.zoo.labels import BACKGROUND_SETS, read_labels
from ov_mobilenet.zoo.model import Checksum, Details, InputInfo, ModelFile
from ov_mobilenet.zoo.normalisation import Normalisation

LABELS_FILE = "labels.txt"
RESERVED = ("model.yml", "accuracy-check.yml", LABELS_FILE)
DEFAULT_SIDE = 224
IMAGENET_SETS = {1000: "imagenet_1000_classes", 1001: "imagenet_1001_classes"}

# What the published networks of the three were trained with; all take RGB.
PRESETS: Mapping[str, Normalisation] = {
    "torchvision": Normalisation(
        mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375), reverse_input_channels=True
    ),
    "tensorflow": Normalisation(mean=(127.5,), scale=(127.5,), reverse_input_channels=True),
    "keras-v3": Normalisation(reverse_input_channels=True),  # rescales inside
}


@dataclass(frozen=True)
class Wishes:
    """What the user says of the network; None where it is to be guessed.

    Attributes:
        mean, scale: one number or three, in the network's channel order.
        reverse: the network takes RGB.
        layout: of the network's input.
        labels: a text file with a name a line, or `imagenet_1000_classes`, `imagenet_1001_classes`, `none`.
        width, classes: only checked against the network.
    """

    shape: tuple[int, ...] | None = None
    layout: str | None = None
    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    reverse: bool | None = None
    output_kind: Literal["logits", "probabilities"] | None = None
    labels: str | None = None
    geometry: Geometry | None = None
    width: float | None = None
    classes: int | None = None
    weights_key: str | None = None


@dataclass(frozen=True)
class Guess:
    """Something that was not said: what, its value, and the option that overrides it."""

    what: str
    value: str
    option: str

    def __str__(self) -> str:
        return f"{self.what}: {self.value} ({self.option})"


@dataclass(frozen=True)
class Draft:
    """A description that is not yet written.

    Attributes:
        description: what will stand in it.
        guesses: what of it was not said.
        remarks: what was chosen while reading the network, in sentences; converting it says them again.
        labels_text: to be written beside it.
    """

    description: Description
    guesses: tuple[Guess, ...]
    remarks: tuple[str, ...]
    labels_text: str | None


def draft(name: str, found: SourceFacts, wishes: Wishes) -> Draft:
    """Decide everything that a description of the network says.

    Raises:
        UsageError: what the user says contradicts the network or itself.
        ConfigError: the labels cannot be read.
        OSError: a file of the network cannot be read.
    """
    _check_wishes(found, wishes)
    _check_names(found)
    guesses: list[Guess] = []
    if found.architecture is not None:
        guesses.append(Guess("architecture", f"{found.architecture}, width {found.width:g}", "--architecture, --width"))
    if found.output is not None and found.framework != "pytorch":
        guesses.append(Guess("output", found.output, "--output"))
    layout = wishes.layout or _guess_layout(found, guesses)
    shape = _shape(found, wishes, layout, guesses)
    normalisation = _normalisation(found, wishes, guesses)
    if wishes.output_kind is None:
        added = ", a softmax is added" if found.ends_in == "logits" else ", as they are"
        guesses.append(Guess("output kind", found.ends_in + added, "--output-kind"))
    elif wishes.output_kind != found.ends_in:
        raise UsageError("the network ends otherwise", expected=wishes.output_kind, got=found.ends_in)
    labels, labels_file = _labels(found, wishes, guesses)
    height, width = shape[layout.index("H")], shape[layout.index("W")]
    geometry = wishes.geometry
    if geometry is None:
        geometry = whole(height, width)
        guesses.append(Guess("geometry", f"the whole image, {geometry}", "--geometry"))
    check_size(geometry, height, width)
    description = Description(
        name=name,
        framework=found.framework,
        files=tuple(_file(file, found.folder) for file in found.files),
        network=found.network,
        saved_model=found.is_saved_model,
        architecture=found.architecture,
        input=InputInfo(found.input_name, shape, layout),
        output=found.output,
        normalisation=normalisation,
        geometry=geometry,
        details=Details(
            classes=found.classes,
            output=found.ends_in,
            labels=labels,
            weights_key=wishes.weights_key,
            background_class=0 if labels == IMAGENET_SETS[1001] else None,
        ),
        comments=tuple(f"Guessed: {guess}" for guess in guesses),
    )
    text = labels_file.read_text("utf-8-sig") if labels_file is not None else None
    return Draft(description, tuple(guesses), found.remarks, text)


def check_place(folder: Path) -> None:
    """Check that the description may be written into a folder.

    Raises:
        ConfigError: a description is there without the line that says it may be written anew. Below that line it may
            have been edited: that is lost.
    """
    path = folder / "model.yml"
    if path.is_file() and path.read_text("utf-8", errors="replace").partition("\n")[0] != MARKER:
        raise ConfigError(
            "another description is there", where=path, fix="Convert it by its path, or choose another --name"
        )


@contextmanager
def staged(made: Draft, source_folder: Path, folder: Path) -> Iterator[SourceFiles]:
    """The description read back, and the network's files where they are: to be converted before anything is written.

    Args:
        folder: where all will be written; errors name it.

    Raises:
        ConfigError: the description is none, or does not say what it is to say.
    """
    description = made.description
    with tempfile.TemporaryDirectory(prefix="ov-mobilenet-") as place:
        copy = Path(place) / description.name
        copy.mkdir()
        _write_description(made, copy)
        try:
            config = load_config(copy)
            plan = plan_conversion(config)
            geometry = from_dataset(config.dataset) if config.dataset is not None else None
        except ConfigError as error:
            where = (error.where or "").replace(str(copy), str(folder))
            raise type(error)(error.what, where=where, expected=error.expected, got=error.got, fix=error.fix) from error
        wanted = (description.network, description.input, description.output, description.normalisation)
        found = (plan.source.path, plan.input, plan.output, plan.normalisation)
        if found != wanted or geometry != description.geometry:
            raise ConfigError(
                "the network cannot be described", where=folder / "model.yml",
                expected=", ".join(map(str, (*wanted, description.geometry))),
                got=", ".join(map(str, (*found, geometry))),
                fix="Plain names for the file, the input and the output",
            )  # fmt: skip
        digests = {
            file.name: f"{file.checksum.algorithm}:{file.checksum.value}" for file in config.files if file.checksum
        }
        yield SourceFiles(config, source_folder, digests)


def write(made: Draft, source_folder: Path, folder: Path) -> Path:
    """Put the network's files and its description into a folder; returns the `model.yml`, which is written last.

    Raises:
        OSError: something cannot be read or written.
    """
    for file in made.description.files:
        target = folder / file.name
        if not cache.is_valid(target, file):
            cache.write_verified(cache.read_chunks(source_folder / file.name), target, file)
    return _write_description(made, folder)


def _write_description(made: Draft, folder: Path) -> Path:
    if made.labels_text is not None:
        _replace(folder / LABELS_FILE, made.labels_text)
    _replace(folder / "accuracy-check.yml", accuracy_check_yml(made.description))
    _replace(folder / "model.yml", model_yml(made.description))
    return folder / "model.yml"


def _replace(path: Path, text: str) -> None:
    with cache.replacing(path) as temporary:
        temporary.write_text(text, "utf-8", newline="\n")


def _check_wishes(found: SourceFacts, wishes: Wishes) -> None:
    for what, wanted, got in (("classes", wishes.classes, found.classes), ("width", wishes.width, found.width)):
        if wanted is not None and got is None:
            raise UsageError(f"--{what} is for bare weights", got="a network that has it built in")
        if wanted is not None and got is not None and not abs(wanted - got) <= 1e-6:  # so that nan is another
            has = "another width" if what == "width" else "another number of classes"
            raise UsageError(f"the network has {has}", expected=f"{wanted:g}", got=f"{got:g}")


def _check_names(found: SourceFacts) -> None:
    """Refuse files whose names a description cannot hold, or has itself."""
    for name in found.files:
        if name in RESERVED or name != name.strip() or re.search(r'[\\:*?"<>|$\x00-\x1f\x7f]', name):
            raise UsageError(
                "a description cannot name this file", where=found.folder / name,
                expected=f"a name without control characters and any of \\ : * ? \" < > | $, and not {RESERVED[0]}",
                fix="Rename it",
            )  # fmt: skip


def _guess_layout(found: SourceFacts, guesses: list[Guess]) -> str:
    at = [index for index, size in enumerate(found.shape) if size == 3]
    if len(found.shape) == 4 and at in ([1], [3]):
        layout, why = ("NCHW" if at == [1] else "NHWC"), f", 3 channels in {list(found.shape)}"
    else:
        layout, why = ("NCHW" if found.framework in ("onnx", "pytorch") else "NHWC"), f", as {found.framework} has it"
    if found.framework != "pytorch":
        guesses.append(Guess("layout", layout + why, "--source-layout"))
    return layout


def _shape(found: SourceFacts, wishes: Wishes, layout: str, guesses: list[Guess]) -> tuple[int, ...]:
    if wishes.shape is not None:
        if len(wishes.shape) != 4 or wishes.shape[layout.index("C")] != 3:
            raise UsageError(
                "bad --input-shape", expected=f"four numbers in the order {layout}, 3 channels", got=list(wishes.shape)
            )
        return wishes.shape
    standard = {"N": 1, "C": 3, "H": DEFAULT_SIDE, "W": DEFAULT_SIDE}
    known = dict(zip(layout, found.shape, strict=True)) if len(found.shape) == 4 else dict.fromkeys(layout, -1)
    shape = tuple(known[letter] if known[letter] > 0 else standard[letter] for letter in layout)
    if known["H"] < 1 or known["W"] < 1:
        guesses.append(Guess("input shape", ",".join(map(str, shape)), "--input-shape"))
    return shape


def _normalisation(found: SourceFacts, wishes: Wishes, guesses: list[Guess]) -> Normalisation:
    reverse = wishes.reverse
    if wishes.mean is None and wishes.scale is None:
        value = "none, the network takes 0..255" + (f": {found.codes}" if found.codes else "")
        guesses.append(Guess("normalisation", value, "--preset, --mean-values, --scale-values"))
    if reverse is None:
        reverse = True
        guesses.append(Guess("channel order", "RGB, so BGR pixels are reversed", "--no-reverse-input-channels"))
    given = Normalisation(mean=wishes.mean or (), scale=wishes.scale or (), reverse_input_channels=reverse)
    if found.rescales and (given.mean or given.scale):
        value = "mean and scale as given, though the network has a layer that rescales inside: is this twice?"
        guesses.append(Guess("normalisation", value, "leave out --preset, --mean-values and --scale-values"))
    left = left_to_bake(found.codes, given, found.folder / found.network) if found.codes else given
    if left != given:
        value = f"left out, the input's quantisation does this already: {found.codes}"
        guesses.append(Guess("mean and scale", value, "--preset, --mean-values, --scale-values"))
    return left


def _labels(found: SourceFacts, wishes: Wishes, guesses: list[Guess]) -> tuple[str | None, Path | None]:
    """What stands under `labels`, and the file to copy."""
    wanted = wishes.labels
    if wanted is None:
        wanted = IMAGENET_SETS.get(found.classes, "none")
        value = f"{wanted}, for there are {found.classes} classes" if wanted != "none" else "none"
        guesses.append(Guess("labels", value, "--labels"))
    if wanted == "none":
        return None, None
    if wanted in BACKGROUND_SETS:
        count, file = {name: n for n, name in IMAGENET_SETS.items()}[wanted], None
    else:
        file = Path(wanted)
        if file.exists() and not file.is_file():
            raise UsageError("no file", where=file, expected="a text file, a name a line")
        count = len(read_labels(file))
    if count != found.classes:
        raise UsageError("the labels are not as many as the classes", where=wanted, expected=found.classes, got=count)
    return (wanted, None) if file is None else (LABELS_FILE, file)


def _file(name: str, folder: Path) -> ModelFile:
    path = folder / name
    checksum = Checksum("sha384", cache.digest(path, "sha384"))
    return ModelFile(name=name, size=path.stat().st_size, checksum=checksum, sources=())


def with_preset(wishes: Wishes, preset: Normalisation) -> Wishes:
    """The wishes, completed by the normalisation of a preset or of another model."""
    return replace(
        wishes,
        mean=preset.mean if wishes.mean is None else wishes.mean,
        scale=preset.scale if wishes.scale is None else wishes.scale,
        reverse=preset.reverse_input_channels if wishes.reverse is None else wishes.reverse,
    )
