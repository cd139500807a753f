"""Inspect a source network that has no description yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.inner_normalisation import NO_NORMALISATION, InnerNormalisation, find_inner_normalisation
from ov_mobilenet.conversion.integer_input import IntegerInput, read_integer_input
from ov_mobilenet.conversion.naming_schemes import (
    NamingScheme,
    convolution_shapes,
    find_scheme,
    keras_scheme,
    names_in_file,
    torchvision_scheme,
)
from ov_mobilenet.conversion.network_files import FRAMEWORKS, network_ending
from ov_mobilenet.conversion.sources.onnx_data import data_files
from ov_mobilenet.errors import ConversionError, UsageError
from ov_mobilenet.zoo.arguments import ConversionPlan, SourceNetwork
from ov_mobilenet.zoo.model import InputInfo
from ov_mobilenet.zoo.output_kind import OutputContent

if TYPE_CHECKING:
    import openvino as ov

    from ov_mobilenet.conversion.keras_files.description import KerasDescription
    from ov_mobilenet.ir.output_content import OutputFacts

KERAS_NAMES = {
    "MobileNet": "mobilenet_v1",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3Small": "mobilenet_v3_small",
    "MobileNetV3Large": "mobilenet_v3_large",
}
# State dicts have no tensor names; these are the names in the Open Model Zoo.
PYTORCH_INPUT, PYTORCH_OUTPUT = "data", "prob"


@dataclass(frozen=True)
class SourceFacts:
    """The properties that were read from a source network.

    Attributes:
        framework: the framework in the spelling of a description.
        folder: the folder of `files`.
        files: paths relative to `folder`, with `/`: the network with its data files, or all files of a SavedModel.
        network: the network's file, or the SavedModel's folder, relative to `folder`.
        shape: shape of the input; -1 for a dynamic dimension; empty if the network does not specify it.
        output: the tensor to use as the output; None if the network has only one.
        classes: number of classes, or of values of a network without a classifier.
        output_kind: what the output holds, see `zoo.output_kind`.
        map_size: height and width of a feature map that is the output; None for a vector.
        architecture, width: identified from weights without a graph; None for a graph.
        integer_input: the integer input; None if the input is float.
        inner: the normalisation of a float input inside the graph; an identity if there is none.
        scheme: the library that published networks with these names and this architecture; None if unknown.
        has_rescaling_layer: whether the network contains a layer that rescales pixels.
        warnings: choices made while reading the network, as sentences.
    """

    framework: str
    folder: Path
    files: tuple[str, ...]
    network: str
    input_name: str
    shape: tuple[int, ...]
    output: str | None
    classes: int
    output_kind: OutputContent
    map_size: tuple[int, int] | None = None
    architecture: str | None = None
    width: float | None = None
    integer_input: IntegerInput | None = None
    inner: InnerNormalisation = NO_NORMALISATION
    scheme: NamingScheme | None = None
    has_rescaling_layer: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def is_saved_model(self) -> bool:
        """Whether the network is the folder of a SavedModel."""
        return self.network not in self.files


def inspect_source(
    source: Path,
    *,
    output: str | None = None,
    output_kind: OutputContent | None = None,
    architecture: str | None = None,
    weights_key: str | None = None,
    head: str | None = None,
) -> SourceFacts:
    """Read a source network.

    Args:
        output: the tensor to use as the output; None for the only one, or the only one after a softmax.
        output_kind: what the output holds; None to find it in the graph.
        architecture: the architecture of weights without a graph; None to identify it.
        weights_key: the entry of a PyTorch checkpoint that holds the weights; None to find it.
        head: the activation between the linear layers of a replaced classifier of PyTorch weights.

    Raises:
        UsageError: there is no such file, its type is unknown, or an argument contradicts the network.
        ConversionError: the network cannot be read, or is not a classifier.
        MissingDependencyError: the framework's package is not installed.
    """
    source = source.absolute()  # so that "." has a name
    framework, network, files = _identify(source)
    keras = _describe_keras(source) if framework == "keras" else None
    keras_architecture = KERAS_NAMES.get(keras.architecture or "") if keras is not None else None
    if output is not None and (framework == "pytorch" or keras_architecture is not None):
        raise UsageError(
            "--output requires a network with a graph; this file holds only weights", where=source, got=output
        )
    if framework == "pytorch":
        return _inspect_checkpoint(source, architecture, weights_key, head, output_kind)
    for option, value in (("--weights-key", weights_key), ("--head", head)):
        if value is not None:
            raise UsageError(f"{option} can only be used with PyTorch checkpoints", where=source)
    if architecture not in (None, keras_architecture):
        raise UsageError(
            "the network has another architecture", where=source, expected=architecture,
            got=keras_architecture or "a network with a graph of its own",
        )  # fmt: skip
    from ov_mobilenet.ir.layout import framework_layout, guess_layout
    from ov_mobilenet.ir.output_content import output_facts
    from ov_mobilenet.ir.ports import plain_name, single_input, static_sizes

    plan = ConversionPlan(
        source=SourceNetwork(root="dl_dir", path=network, folder=source.is_dir()), input=InputInfo(""), output=output
    )
    model, unoptimised = _read(framework, plan, source)
    port = single_input(model, "", source)
    tensor, output_name = _choose_output(model, output, source)
    layout = guess_layout(static_sizes(port)) or framework_layout(framework)
    facts = output_facts(tensor, None, layout, source)
    if output_kind is not None:
        facts = _declared_output(tensor, output_kind, layout, source)
    return SourceFacts(
        framework=framework,
        folder=source.parent,
        files=files,
        network=network,
        input_name=plain_name(min(port.get_names(), default="")),
        # A network that was built for bare weights has a shape, but the weights do not.
        shape=static_sizes(port) if keras_architecture is None else (),
        output=output_name,
        classes=facts.classes,
        output_kind=facts.content,
        map_size=facts.map_size,
        architecture=keras_architecture,
        width=keras.width if keras is not None else None,
        scheme=_scheme(source, keras, keras_architecture, unoptimised),
        inner=find_inner_normalisation(unoptimised),
        has_rescaling_layer=keras is not None and bool(keras.rescales),
        integer_input=read_integer_input(model, framework, source),
    )


def _describe_keras(source: Path) -> KerasDescription:
    from ov_mobilenet.conversion.keras_files.description import describe_keras

    return describe_keras(source)


def _read(framework: str, plan: ConversionPlan, source: Path) -> tuple[ov.Model, ov.Model]:
    """The network as it is converted, and as its frontend reads it. Raises: see `inspect_source`."""
    from ov_mobilenet.conversion.isolated_reading import try_to_read
    from ov_mobilenet.conversion.sources import read_network
    from ov_mobilenet.conversion.sources.frontend import read_unoptimised

    if framework == "keras":
        from ov_mobilenet.conversion.sources.keras import frozen_graph

        with frozen_graph(plan, source) as graph:
            return graph.read(), read_unoptimised(graph.path)
    try_to_read(framework, plan, source)
    model = read_network(framework, plan, source)
    return model, read_unoptimised(source, data_files(source) if framework == "onnx" else ())


def _scheme(
    source: Path, keras: KerasDescription | None, architecture: str | None, model: ov.Model
) -> NamingScheme | None:
    if architecture is not None:  # Keras weights are only recognised by Keras's layer names
        return keras_scheme(architecture)
    names = "\n".join(keras.layers).encode() if keras is not None else names_in_file(source)
    return find_scheme(names, convolution_shapes(model))


def is_network(path: Path) -> bool:
    """Whether a path is a source network, by its name."""
    if path.is_dir():
        return (path / "saved_model.pb").is_file() and not (path / "model.yml").is_file()
    return path.is_file() and network_ending(path) is not None


def _identify(source: Path) -> tuple[str, str, tuple[str, ...]]:
    """Framework, network and files of a source, as in `SourceFacts`. Raises: UsageError, ConversionError."""
    if source.is_dir():
        if not (source / "saved_model.pb").is_file():
            raise UsageError("the folder is not a SavedModel", where=source, expected="a file saved_model.pb in it")
        inside = sorted(path.relative_to(source.parent).as_posix() for path in source.rglob("*") if path.is_file())
        return "tf", source.name, tuple(inside)
    if not source.is_file():
        raise UsageError("neither a file nor a folder" if source.exists() else "no such file or folder", where=source)
    if source.name == "saved_model.pb":
        raise UsageError("the file is part of a SavedModel", where=source, expected=f"the folder {source.parent}")
    ending = network_ending(source)
    if ending is None:
        raise UsageError(
            "unknown type of network", where=source,
            expected=", ".join(FRAMEWORKS) + " or the folder of a SavedModel", got=source.suffix or "no extension",
        )  # fmt: skip
    framework = FRAMEWORKS[ending]
    beside = data_files(source) if framework == "onnx" else ()
    return framework, source.name, (source.name, *beside)


def _inspect_checkpoint(
    source: Path,
    architecture: str | None,
    weights_key: str | None,
    head: str | None,
    declared: OutputContent | None,
) -> SourceFacts:
    from ov_mobilenet.conversion.sources.pytorch import match_weights

    matched = match_weights(source, architecture=architecture, weights_key=weights_key, head=head)
    return SourceFacts(
        framework="pytorch",
        folder=source.parent,
        files=(source.name,),
        network=source.name,
        input_name=PYTORCH_INPUT,
        shape=(),
        output=PYTORCH_OUTPUT,
        classes=2 if matched.network.classes == 1 else matched.network.classes,
        output_kind=_checkpoint_output(matched.network.classes, declared, source),
        architecture=matched.network.architecture,
        width=matched.network.width,
        scheme=torchvision_scheme(matched.network.architecture) if matched.has_torchvision_keys else None,
        warnings=matched.remarks(),
    )


def _declared_output(tensor: ov.Output, declared: OutputContent, layout: str, source: Path) -> OutputFacts:
    """What an output holds, as the user declares it. Raises: UsageError."""
    from ov_mobilenet.ir.output_content import output_facts

    try:
        return output_facts(tensor, declared, layout, source)
    except ConversionError as error:
        raise UsageError(
            "--output-kind does not match the model's output", where=source, expected=declared,
            got=output_facts(tensor, None, layout, source).content,
        ) from error  # fmt: skip


def _checkpoint_output(rows: int, declared: OutputContent | None, source: Path) -> OutputContent:
    """What a classifier with this number of rows gives; the modules of this package all end in a linear layer."""
    possible: tuple[OutputContent, ...] = ("logit",) if rows == 1 else ("logits", "multilabel-logits")
    if declared not in (None, *possible):
        raise UsageError(
            "--output-kind does not match the model's output", where=source, expected=declared,
            got=" or ".join(possible),
        )  # fmt: skip
    return declared or possible[0]


def _choose_output(model: ov.Model, name: str | None, source: Path) -> tuple[ov.Output, str | None]:
    """The tensor to use as the output and its name; of several outputs, the only one after a softmax.

    The name is None if the network has one output and none was requested. Raises: ConversionError.
    """
    from ov_mobilenet.ir.ports import find_output, plain_name
    from ov_mobilenet.ir.probabilities import ends_in_softmax

    if name is not None or len(model.outputs) == 1:
        return find_output(model, name, source), name
    outputs = [
        (port.get_node().input_value(0), plain_name(min(port.get_names(), default=""))) for port in model.outputs
    ]
    probabilities = [(tensor, name) for tensor, name in outputs if name and ends_in_softmax(tensor)]
    if len(probabilities) != 1:
        raise ConversionError(
            "the network has several outputs", where=source, expected="one output, or one after a softmax",
            got=", ".join(repr(name) for _, name in outputs[:8]), fix="Name one with --output",
        )  # fmt: skip
    return probabilities[0]
