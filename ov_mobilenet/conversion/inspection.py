"""What a network of the user's own says about itself, before there is a description of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ov_mobilenet.conversion.integer_input import Codes, input_codes
from ov_mobilenet.conversion.network_files import FRAMEWORKS, network_ending
from ov_mobilenet.conversion.sources.onnx_data import data_files
from ov_mobilenet.errors import ConversionError, UsageError
from ov_mobilenet.zoo.arguments import ConversionPlan, SourceNetwork
from ov_mobilenet.zoo.model import InputInfo

if TYPE_CHECKING:
    import openvino as ov

KERAS_NAMES = {
    "MobileNet": "mobilenet_v1",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3Small": "mobilenet_v3_small",
    "MobileNetV3Large": "mobilenet_v3_large",
}
PYTORCH_INPUT, PYTORCH_OUTPUT = "data", "prob"  # state dicts have no tensor names; the Open Model Zoo's for its own


@dataclass(frozen=True)
class SourceFacts:
    """A source network as it is.

    Attributes:
        framework: as a description names it.
        folder: where `files` lie.
        files: relative to it, with `/`; the network, or all files of a SavedModel.
        network: the network among them, or the SavedModel's folder.
        shape: of the input; -1 where the network takes any size, empty where it does not say.
        output: the tensor it ends at, where it has several.
        classes: length of the output.
        ends_in: what the output holds.
        architecture, width: of bare weights; None for a graph.
        codes: what it takes where its input is integers.
        rescales: a layer of it is known to rescale pixels.
        remarks: what was chosen while reading, in sentences.
    """

    framework: str
    folder: Path
    files: tuple[str, ...]
    network: str
    input_name: str
    shape: tuple[int, ...]
    output: str | None
    classes: int
    ends_in: Literal["logits", "probabilities"]
    architecture: str | None = None
    width: float | None = None
    codes: Codes | None = None
    rescales: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def is_saved_model(self) -> bool:
        """Whether the network is a folder."""
        return self.network not in self.files


def inspect_source(
    source: Path, *, output: str | None = None, architecture: str | None = None, weights_key: str | None = None
) -> SourceFacts:
    """Read a network to see what it is.

    Args:
        output: the tensor to end at, of several.
        architecture: of bare weights; None to find out.
        weights_key: the entry of a PyTorch checkpoint; None to find out.

    Raises:
        UsageError: no such file, one of a kind that is not known, or of another architecture.
        ConversionError: the network cannot be read, or is no classifier.
        MissingDependencyError: the framework's package is not installed.
    """
    source = source.absolute()  # so that "." has a name
    framework, network, files = _kind(source)
    known = _keras_facts(source) if framework == "keras" else (None, None, False)
    if output is not None and (framework == "pytorch" or known[0] is not None):
        raise UsageError("--output is for networks, and these are weights", where=source, got=output)
    if framework == "pytorch":
        return _inspect_checkpoint(source, architecture, weights_key)
    if weights_key is not None:
        raise UsageError("--weights-key is for PyTorch checkpoints", where=source)
    if architecture not in (None, known[0]):
        raise UsageError(
            "the network has another architecture", where=source, expected=architecture,
            got=known[0] or "a network that says itself what it is",
        )  # fmt: skip
    from ov_mobilenet.conversion.sources import read_network
    from ov_mobilenet.ir.ports import plain_name, single_input

    plan = ConversionPlan(
        source=SourceNetwork(root="dl_dir", path=network, folder=source.is_dir()), input=InputInfo(""), output=output
    )
    model = read_network(framework, plan, source)
    port = single_input(model, "", source)
    end, name = _end(model, output, source)
    from ov_mobilenet.ir.probabilities import check_classes, check_end, ends_in_softmax

    check_end(end, source)
    shape = port.get_partial_shape()
    return SourceFacts(
        framework=framework,
        folder=source.parent,
        files=files,
        network=network,
        input_name=plain_name(min(port.get_names(), default="")),
        shape=()
        if shape.rank.is_dynamic or known[0] is not None  # of weights it is what was built
        else tuple(-1 if d.is_dynamic else d.get_length() for d in shape),
        output=name,
        classes=check_classes(end, source),
        ends_in="probabilities" if ends_in_softmax(end) else "logits",
        architecture=known[0],
        width=known[1],
        rescales=known[2],
        codes=input_codes(model, framework, source),
    )


def _keras_facts(source: Path) -> tuple[str | None, float | None, bool]:
    """Architecture and width of bare Keras weights, None for a full model; and whether it is known to rescale."""
    from ov_mobilenet.conversion.keras_files.description import describe_keras

    described = describe_keras(source)
    return KERAS_NAMES.get(described.architecture or ""), described.width, bool(described.rescales)


def is_network(path: Path) -> bool:
    """Whether a network lies at a path, as far as names tell."""
    if path.is_dir():
        return (path / "saved_model.pb").is_file() and not (path / "model.yml").is_file()
    return path.is_file() and network_ending(path) is not None


def _kind(source: Path) -> tuple[str, str, tuple[str, ...]]:
    """Framework, network and files of a source. Raises: UsageError, ConversionError."""
    if source.is_dir():
        if not (source / "saved_model.pb").is_file():
            raise UsageError("a folder that is no SavedModel", where=source, expected="saved_model.pb in it")
        inside = sorted(path.relative_to(source.parent).as_posix() for path in source.rglob("*") if path.is_file())
        return "tf", source.name, tuple(inside)
    if not source.is_file():
        raise UsageError("neither file nor folder" if source.exists() else "no such file or folder", where=source)
    if source.name == "saved_model.pb":
        raise UsageError("a file of a SavedModel", where=source, expected=f"its folder, {source.parent}")
    ending = network_ending(source)
    if ending is None:
        raise UsageError(
            "unknown kind of network", where=source,
            expected=", ".join(FRAMEWORKS) + " or the folder of a SavedModel", got=source.suffix or "no suffix",
        )  # fmt: skip
    framework = FRAMEWORKS[ending]
    beside = data_files(source) if framework == "onnx" else ()
    return framework, source.name, (source.name, *beside)


def _inspect_checkpoint(source: Path, architecture: str | None, weights_key: str | None) -> SourceFacts:
    from ov_mobilenet.conversion.sources.pytorch import match_weights

    matched = match_weights(source, architecture=architecture, weights_key=weights_key)
    return SourceFacts(
        framework="pytorch",
        folder=source.parent,
        files=(source.name,),
        network=source.name,
        input_name=PYTORCH_INPUT,
        shape=(),
        output=PYTORCH_OUTPUT,
        classes=matched.network.classes,
        ends_in="logits",
        architecture=matched.network.architecture,
        width=matched.network.width,
        remarks=matched.remarks(),
    )


def _end(model: ov.Model, wanted: str | None, source: Path) -> tuple[ov.Output, str | None]:
    """The tensor to end at; its name where there is a choice: of several outputs the one behind a softmax."""
    from ov_mobilenet.ir.ports import find_output, plain_name
    from ov_mobilenet.ir.probabilities import ends_in_softmax

    if wanted is not None or len(model.outputs) == 1:
        return find_output(model, wanted, source), wanted
    ends = [(port.get_node().input_value(0), plain_name(min(port.get_names(), default=""))) for port in model.outputs]
    behind_softmax = [(end, name) for end, name in ends if name and ends_in_softmax(end)]
    if len(behind_softmax) != 1:
        raise ConversionError(
            "several outputs", where=source, expected="one, or one behind a softmax",
            got=", ".join(repr(name) for _, name in ends[:8]), fix="Name one with --output",
        )  # fmt: skip
    return behind_softmax[0]
