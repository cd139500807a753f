"""Inspect a source network that has no description yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.declared_input import DeclaredInput
from ov_mobilenet.conversion.exported_files import find_exported, is_archive
from ov_mobilenet.conversion.graph_facts import GraphFacts, graph_facts
from ov_mobilenet.conversion.inner_normalisation import NO_NORMALISATION, InnerNormalisation
from ov_mobilenet.conversion.integer_input import IntegerInput
from ov_mobilenet.conversion.naming_schemes import NamingScheme, keras_scheme, torchvision_scheme
from ov_mobilenet.conversion.network_files import FRAMEWORKS, network_ending
from ov_mobilenet.conversion.sources.onnx_data import data_files
from ov_mobilenet.conversion.teachable_machine import teachable_machine_input
from ov_mobilenet.conversion.tflite_metadata import read_tflite_metadata
from ov_mobilenet.errors import UsageError
from ov_mobilenet.zoo.arguments import ConversionPlan, SourceNetwork
from ov_mobilenet.zoo.library_network import LibraryNetwork
from ov_mobilenet.zoo.model import InputInfo, ModelFile
from ov_mobilenet.zoo.output_kind import OutputContent

if TYPE_CHECKING:
    from ov_mobilenet.conversion.keras_files.description import KerasDescription

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
        library_network: the network of timm or transformers that the weights belong to; None for others.
        declared: what the files say about the input and the classes; None if they say nothing.
        known_files: `files` with digest and sources, if both are known; empty to take them from `folder`, where PyTorch
            weights with a `library_network` need not be if their digest is known.
        licence: the licence of the weights, as their configuration or repository states it.
        other_keys: pairs of a key of the architecture and the checkpoint's key, if they were matched by shape and
            order only.
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
    library_network: LibraryNetwork | None = None
    declared: DeclaredInput | None = None
    known_files: tuple[ModelFile, ...] = ()
    licence: str | None = None
    other_keys: tuple[tuple[str, str], ...] = ()

    @property
    def matched_by_order(self) -> bool:
        """Whether the weights were matched by shape and order: activation, padding and epsilon are not known."""
        return bool(self.other_keys)

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
    isolate: bool | None = None,
) -> SourceFacts:
    """Read a source network.

    Args:
        output: the tensor to use as the output; None for the only one, or the only one after a softmax.
        output_kind: what the output holds; None to find it in the graph.
        architecture: the architecture of weights without a graph; None to identify it.
        weights_key: the entry of a PyTorch checkpoint that holds the weights; None to find it.
        head: the activation between the linear layers of a replaced classifier of PyTorch weights.
        isolate: whether OpenVINO reads the network in a child process; None for where the system can.

    Raises:
        UsageError: there is no such file, its type is unknown, a folder or an archive does not hold one network, or an
            argument contradicts the network.
        ArchiveError: the archive is broken or too large, or a name in it leads outside of it.
        ConversionError: the network cannot be read, or is not a classifier.
        ConfigError: labels of Teachable Machine cannot be read.
        MissingDependencyError: the framework's package is not installed.
    """
    exported = find_exported(source.absolute())  # so that "." has a name
    source = exported.network
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
    plan = ConversionPlan(
        source=SourceNetwork(root="dl_dir", path=network, folder=source.is_dir()), input=InputInfo(""), output=output
    )
    facts = _graph_facts(framework, plan, source, output_kind, keras, isolate)
    declared = None
    if framework == "tflite":
        declared = read_tflite_metadata(source, has_integer_input=facts.integer_input is not None)
    if declared is None and facts.is_teachable_machine and exported.labels is not None:
        declared = teachable_machine_input(exported.labels)
    return SourceFacts(
        framework=framework,
        folder=source.parent,
        files=files,
        network=network,
        input_name=facts.input_name,
        # A network that was built for bare weights has a shape, but the weights do not.
        shape=facts.shape if keras_architecture is None else (),
        output=facts.output,
        classes=facts.classes,
        output_kind=facts.output_kind,
        map_size=facts.map_size,
        architecture=keras_architecture,
        width=keras.width if keras is not None else None,
        # Keras weights are only recognised by Keras's layer names.
        scheme=facts.scheme if keras_architecture is None else keras_scheme(keras_architecture),
        inner=facts.inner,
        has_rescaling_layer=keras is not None and bool(keras.rescales),
        integer_input=facts.integer_input,
        declared=declared,
    )


def _describe_keras(source: Path) -> KerasDescription:
    from ov_mobilenet.conversion.keras_files.description import describe_keras

    return describe_keras(source)


def _graph_facts(
    framework: str,
    plan: ConversionPlan,
    source: Path,
    declared: OutputContent | None,
    keras: KerasDescription | None,
    isolate: bool | None,
) -> GraphFacts:
    """What the graph shows; networks that OpenVINO reads from the file may be read in a child process."""
    from ov_mobilenet.conversion.isolated_reading import isolated_facts

    if keras is None:
        return isolated_facts(framework, plan, source, declared, isolate)
    from ov_mobilenet.conversion.sources.frontend import read_unoptimised
    from ov_mobilenet.conversion.sources.keras import frozen_graph

    with frozen_graph(plan, source) as graph:
        model, unoptimised = graph.read(), read_unoptimised(graph.path)
    return graph_facts(framework, plan, source, declared, (model, unoptimised), "\n".join(keras.layers).encode())


def is_network(path: Path) -> bool:
    """Whether a path is a source network, by its name."""
    if path.is_dir():
        return (path / "saved_model.pb").is_file() and not (path / "model.yml").is_file()
    return path.is_file() and (network_ending(path) is not None or is_archive(path))


def _identify(source: Path) -> tuple[str, str, tuple[str, ...]]:
    """Framework, network and files of a source, as in `SourceFacts`. Raises: UsageError, ConversionError."""
    if source.is_dir():
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
        other_keys=matched.other_keys,
    )


def _checkpoint_output(rows: int, declared: OutputContent | None, source: Path) -> OutputContent:
    """What a classifier with this number of rows gives; the modules of this package all end in a linear layer."""
    possible: tuple[OutputContent, ...] = ("logit",) if rows == 1 else ("logits", "multilabel-logits")
    if declared not in (None, *possible):
        raise UsageError(
            "--output-kind does not match the model's output", where=source, expected=declared,
            got=" or ".join(possible),
        )  # fmt: skip
    return declared or possible[0]
