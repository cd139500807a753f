"""`describe`: from the file of a network to its description."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ov_mobilenet.argument_types import checked
from ov_mobilenet.conversion.described_network import DescribedNetwork
from ov_mobilenet.conversion.own_network import UserChoices, draft_description
from ov_mobilenet.conversion.presets import PRESETS
from ov_mobilenet.downloads.events import OnEvent, ignore
from ov_mobilenet.errors import UsageError
from ov_mobilenet.hub.declaration import settled_by
from ov_mobilenet.hub.source_inspection import inspect_any_source
from ov_mobilenet.resolve import check_option_names
from ov_mobilenet.zoo.config import NAME
from ov_mobilenet.zoo.geometry import MAX_SIDE, Geometry, parse_geometry
from ov_mobilenet.zoo.hub_reference import SIZE_PROTOCOLS, SizeProtocol
from ov_mobilenet.zoo.layer_settings import ACTIVATIONS, PADDINGS, Activation, LayerSettings, Padding
from ov_mobilenet.zoo.model import HEAD_ACTIVATIONS, HeadActivation
from ov_mobilenet.zoo.output_kind import OUTPUT_CONTENTS, OutputContent

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ov_mobilenet.diagnosis.stages import OnStage
    from ov_mobilenet.runtime.results import Failure

log = logging.getLogger(__name__)

INSPECTED = ("output", "output_kind", "architecture", "weights_key", "head", "isolate")


# The options of `describe` that are not fields of `UserChoices`.
NO_CHOICES = ("output", "architecture", "diagnose_images", "isolate")


class DescribeOptions(TypedDict, total=False):
    """What the user knows of a network; see `describe`."""

    preset: str | None
    assume: Literal["none"] | None
    mean: tuple[float, ...] | None
    scale: tuple[float, ...] | None
    reverse_input_channels: bool | None
    shape: tuple[int, ...] | None
    layout: str | None
    output: str | None
    output_kind: OutputContent | None
    labels: str | Path | None
    geometry: Geometry | str | None
    architecture: str | None
    width: float | None
    classes: int | None
    weights_key: str | None
    head: HeadActivation | None
    activation: Activation | None
    padding: Padding | None
    batch_norm_epsilon: float | None
    diagnose_images: str | Path | Iterable[str | Path] | None
    size: SizeProtocol | None
    offline: bool | None
    isolate: bool | None


@checked
def describe(source: str | Path, *, name: str, **options: Unpack[DescribeOptions]) -> DescribedNetwork:
    """Describe a network of your own, as `ov-mobilenet convert --source` does before it converts.

        network = ovm.describe("mine.pth", name="mine", labels="labels.txt")
        ovm.convert(network, "public/mine")

    Args:
        source: the network's file, the folder of a SavedModel, or a folder or zip archive with one of these; a Hugging
            Face repository `hf:OWNER/NAME`, or a folder with the files of one, whose config.json says what the options
            do not. An archive is unpacked to a temporary folder, which is removed when the process ends.
        name: name of the model.
        options: what is known of the network, with the meaning of the options of `convert --source`; the rest is taken
            from the network, or guessed. `preset`: torchvision, tensorflow or keras-v3. `assume="none"`: it takes
            pixels 0..255. `mean`, `scale`: one number or three, in the network's channel order.
            `reverse_input_channels`: it takes RGB. `shape`, `layout`: of its input. `output`: name of the output
            tensor. `output_kind`, `labels`, `geometry` (in words, or as `Geometry`), `architecture`, `width`,
            `classes`, `weights_key`, `head`. `activation`, `padding` (torch or same), `batch_norm_epsilon`: of the
            layers of PyTorch weights, if they are not the published ones. `diagnose_images`: images like those of the
            training, without labels, which decide on the normalisation and the channel order that are not given, and on
            the layers of PyTorch weights with recorded batch-norm statistics; as for `open_inputs`, except live
            sources. At most 100 of them are used. `size`: `train` or `test`, the input size that timm trained or
            tested with, for a repository in timm's format. `offline`: do not use the network.
            `isolate`: False to read the network without a child process; True to fail where the system has none.

    Raises:
        UsageError: an option is unknown, or contradicts the network or another option; the normalisation is not known;
            the keys of PyTorch weights match by shape and order only, and neither `activation` nor `diagnose_images` is
            given; there is no such file.
        ConversionError: the network cannot be read, or is not a classifier; the images do not tell the settings of the
            layers.
        ArchiveError: the archive is broken or too large, or a name in it leads outside of it.
        ConfigError: the labels, or the configuration in a repository, cannot be read.
        DownloadError: a repository cannot be read.
        MissingDependencyError: the framework's package, or huggingface_hub, is not installed.
        ImageError: fewer than 10 images can be read.
        OSError: a file of the network cannot be read.
    """
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    _check(name, given)
    size, offline = given.pop("size", "train"), given.pop("offline", False)
    if isinstance(given.get("geometry"), str):
        given["geometry"] = parse_geometry(given["geometry"])
    if "labels" in given:
        given["labels"] = str(given["labels"])
    inspected = {key: given[key] for key in INSPECTED if key in given}
    chosen = {key: value for key, value in given.items() if key not in NO_CHOICES}
    network, failures = describe_by_choices(
        source, name, UserChoices(**chosen), inspected, images=given.get("diagnose_images"), size=size, offline=offline
    )
    for failure in failures:
        log.warning("%s: %s", failure.source, failure.error)
    return network


def describe_by_choices(
    source: str | Path,
    name: str,
    choices: UserChoices,
    inspected: Mapping[str, Any],
    *,
    images: str | Path | Iterable[str | Path] | None = None,
    size: SizeProtocol = "train",
    offline: bool = False,
    on_progress: OnStage | None = None,
    on_event: OnEvent = ignore,
) -> tuple[DescribedNetwork, tuple[Failure, ...]]:
    """Inspect a network and describe it; images decide what is not chosen.

    Args:
        inspected: arguments of `inspect_source`.
        images: as for `open_inputs`, except live sources; None to decide nothing by images.
        size, offline: see `describe`.
        on_progress: as for `diagnose`.
        on_event: called with the events of a download.

    Returns:
        The network, and the images that could not be read.

    Raises:
        UsageError, ConversionError, ConfigError, DownloadError, MissingDependencyError, ImageError, OSError: see
            `describe`.
    """
    facts = inspect_any_source(
        source, size=size, settled=settled_by(choices), offline=offline, on_event=on_event, **inspected
    )
    if images is None:
        return DescribedNetwork(draft_description(name, facts, choices), facts.folder), ()
    from ov_mobilenet.diagnosis.decision import decide_by_images

    decision = decide_by_images(facts, choices, images, on_progress)
    for warning in decision.warnings:
        log.warning("%s: %s", source, warning)
    draft = draft_description(name, facts, decision.choices, decision.findings)
    return DescribedNetwork(draft, facts.folder), decision.diagnosis.failures


def _check(name: str, given: dict[str, Any]) -> None:
    """Check the name and the values that have a fixed set. Raises: UsageError."""
    check_option_names(given, DescribeOptions)
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.endswith(".xml"):
        raise UsageError(
            "invalid name", expected="letters, digits, '.', '_' or '-', not ending in .xml", got=repr(name)
        )
    allowed = {
        "preset": tuple(PRESETS),
        "assume": ("none",),
        "layout": ("NCHW", "NHWC"),
        "output_kind": OUTPUT_CONTENTS,
        "head": HEAD_ACTIVATIONS,
        "activation": ACTIVATIONS,
        "padding": PADDINGS,
        "size": SIZE_PROTOCOLS,
    }
    for option, values in allowed.items():
        if option in given and given[option] not in values:
            raise UsageError(f"invalid {option}", expected=" or ".join(values), got=repr(given[option]))
    LayerSettings(batch_norm_epsilon=given.get("batch_norm_epsilon"))  # raises the error
    if not all(1 <= size <= MAX_SIDE for size in given.get("shape", ())):
        raise UsageError("invalid shape", expected=f"four numbers from 1 to {MAX_SIDE}", got=repr(given["shape"])[:200])
    for option in ("mean", "scale"):
        numbers = given.get(option, (0.0,))
        # An empty tuple would decide that there is no normalisation, which `assume` says.
        if not isinstance(numbers, tuple | list) or not numbers or not all(abs(number) < 1e6 for number in numbers):
            raise UsageError(
                f"invalid {option}", expected="one number or three, below 1e6, as a tuple", got=repr(numbers)
            )
        if option in given:
            given[option] = tuple(map(float, numbers))
