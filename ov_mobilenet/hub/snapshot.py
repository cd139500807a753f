"""What a folder with the files of a repository says of its network: config.json and preprocessor_config.json."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ov_mobilenet.conversion.declared_input import DeclaredInput
from ov_mobilenet.conversion.inspection import PYTORCH_INPUT, PYTORCH_OUTPUT, SourceFacts, inspect_source
from ov_mobilenet.conversion.library_networks import check_architecture
from ov_mobilenet.conversion.library_networks.transformers_arguments import TRANSFORMERS_ARCHITECTURES
from ov_mobilenet.conversion.network_files import network_ending
from ov_mobilenet.errors import ConversionError, UsageError
from ov_mobilenet.hub import preprocessor
from ov_mobilenet.hub.declaration import NOTHING_SETTLED, SettledByUser
from ov_mobilenet.hub.documents import JsonDocument, read_document
from ov_mobilenet.hub.network_file import CONFIG, choose_network_file, is_weights
from ov_mobilenet.hub.timm_config import declared_timm_input, is_timm_config, read_timm_config, stated_licence
from ov_mobilenet.hub.transformers_config import (
    declared_input,
    is_transformers_config,
    read_transformers_config,
)
from ov_mobilenet.zoo.hub_reference import SizeProtocol, check_size_protocol
from ov_mobilenet.zoo.output_kind import OutputContent

_MAX_FILES = 10_000
_MAX_DEPTH = 3  # folders of a snapshot in which networks are looked for
_CUSTOM_CODE = ("auto_map", "custom_pipelines")


def is_snapshot(folder: Path) -> bool:
    """Whether a folder holds the files of a repository; one with a description of ours, or a SavedModel, does not."""
    others = (folder / name for name in ("model.yml", "saved_model.pb"))
    return folder.is_dir() and (folder / CONFIG).is_file() and not any(path.is_file() for path in others)


def inspect_snapshot(
    folder: Path,
    *,
    file: str | None = None,
    size: SizeProtocol = "train",
    settled: SettledByUser = NOTHING_SETTLED,
    output: str | None = None,
) -> SourceFacts:
    """The facts of the network in a snapshot; see `inspect_source`.

    PyTorch weights are described by config.json and are not read, a graph is. No code of the repository is run.

    Args:
        file: the network, relative to the folder; None for the one that `choose_network_file` finds.
        size: the input size that timm trained or tested with.
        settled: what options of the user's say.
        output: the tensor to use as the output of a graph.

    Raises:
        UsageError: there is no network, or there are several; an option does not match it.
        ConfigError: config.json or preprocessor_config.json is invalid.
        ConversionError: the network, or its preprocessing, is not supported.
        MissingDependencyError: the framework's package is not installed.
    """
    folder = folder.absolute()
    network = choose_network_file(_files(folder), file, folder)
    return inspect_repository_file(folder, network, size=size, settled=settled, output=output)


def inspect_repository_file(
    folder: Path, network: str, *, size: SizeProtocol, settled: SettledByUser, output: str | None = None
) -> SourceFacts:
    """The facts of one network of a snapshot; PyTorch weights with a config.json need not be there.

    Raises:
        UsageError, ConfigError, ConversionError, MissingDependencyError: see `inspect_snapshot`.
    """
    config = read_document(folder / CONFIG) if (folder / CONFIG).is_file() else None
    if config is None or not is_timm_config(config):
        check_size_protocol(size, folder / network)
    other = folder / preprocessor.FILE
    if is_weights(network):
        if config is None and network_ending(Path(network)) is not None:
            return inspect_source(folder / network, output=output, output_kind=settled.output_kind)
        return _library_facts(folder, network, config, other, size, settled, output)
    facts = inspect_source(folder / network, output=output, output_kind=settled.output_kind)
    if config is None and not other.is_file():
        return facts
    declared = _declared_for_graph(config, other, facts.classes, size, settled)
    licence = stated_licence(config) if config is not None and is_timm_config(config) else None
    return replace(facts, declared=_joined(facts.declared, declared), licence=licence)


def _library_facts(
    folder: Path,
    network: str,
    config: JsonDocument | None,
    other: Path,
    size: SizeProtocol,
    settled: SettledByUser,
    output: str | None,
) -> SourceFacts:
    """The facts of PyTorch weights whose library config.json names."""
    where = folder / network
    if output is not None:
        raise UsageError(
            "--output requires a network with a graph; this file holds only weights", where=where, got=output
        )
    if config is None:
        raise ConversionError(f"no {CONFIG}, which names the architecture of the weights", where=folder)
    for key in _CUSTOM_CODE:
        if config.data.get(key):
            raise config.unsupported(
                "the network is defined by code in its repository, which is never run", key,
                fix="If the repository has an ONNX file, give it as /FILE",
            )  # fmt: skip
    if is_timm_config(config):
        found = read_timm_config(config, size, settled)
    elif is_transformers_config(config):
        found = read_transformers_config(config, read_document(other) if other.is_file() else None, settled)
    else:
        raise config.unsupported(
            "not a network of timm, and not a MobileNet of transformers", "model_type",
            expected="the key architecture, as timm writes it, or "
            f"model_type {' or '.join(TRANSFORMERS_ARCHITECTURES)}",
            got=config.data.get("model_type", "no such key"),
            fix="If the repository has an ONNX file, give it as /FILE",
        )  # fmt: skip
    check_architecture(found.network, config.path)  # before the weights are downloaded
    _check_output_kind(found.output_kind, where)
    return SourceFacts(
        framework="pytorch",
        folder=where.parent,
        files=(where.name,),
        network=where.name,
        input_name=PYTORCH_INPUT,
        shape=(),
        output=PYTORCH_OUTPUT,
        classes=found.network.classes,
        output_kind=found.output_kind,
        library_network=found.network,
        declared=found.declared,
        licence=found.licence,
    )


def _check_output_kind(kind: OutputContent, where: Path) -> None:
    if kind not in ("logits", "multilabel-logits"):
        raise UsageError(
            "--output-kind does not match the model's output", where=where, expected=kind,
            got="logits or multilabel-logits",
        )  # fmt: skip


def _declared_for_graph(
    config: JsonDocument | None, other: Path, classes: int, size: SizeProtocol, settled: SettledByUser
) -> DeclaredInput | None:
    """What the files say of a network with a graph, of any architecture."""
    if config is not None and is_timm_config(config):
        return declared_timm_input(config, classes, size, settled)
    document = read_document(other) if other.is_file() else None
    return declared_input(config, document, settled)


def _joined(own: DeclaredInput | None, beside: DeclaredInput | None) -> DeclaredInput | None:
    """What the network's own file says, and what it leaves out from the files beside it."""
    if own is None or beside is None:
        return own or beside
    return replace(
        beside,
        by=f"{own.by} and {beside.by}",
        **{name: value for name, value in vars(own).items() if name != "by" and value is not None},
    )


def _files(folder: Path) -> list[str]:
    """The files of a snapshot, relative to it, with `/`. Raises: UsageError, for too many."""
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        inside = Path(parent).relative_to(folder)
        folders[:] = [] if len(inside.parts) >= _MAX_DEPTH else [name for name in folders if not name.startswith(".")]
        found += [(inside / name).as_posix() for name in files]
        if len(found) > _MAX_FILES:
            raise UsageError("too many files in the folder", where=folder, expected=f"at most {_MAX_FILES}")
    return found
