"""Choose a state dict of a checkpoint, and map its keys to those of one of the torch modules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from ov_mobilenet.conversion.architectures import (
    ARCHITECTURES,
    MobileNetSpec,
    build,
    identify,
    networks_with_shapes,
    replaced_head,
    spec_of,
)
from ov_mobilenet.conversion.architectures.blocks import backbone
from ov_mobilenet.conversion.sources.checkpoint import StateDict, read_state_dicts
from ov_mobilenet.conversion.sources.key_matching import AmbiguousKeysError, match_keys
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo.model import HEAD_ACTIVATIONS

EXPORT_INSTEAD = "Export the network to ONNX and convert that"
MIN_LAYERS = 25  # fewer than the smallest of the modules has


@dataclass(frozen=True)
class MatchedWeights:
    """The weights of one of the torch modules.

    Attributes:
        network: the module.
        where: the entry of the checkpoint, including the prefix that was removed from its keys.
        tensors: the tensors by the keys of the module.
        key_mapping: the checkpoint's key for each key of the module; empty if the keys are the same.
        other_entries: other entries of the checkpoint that match as well.
    """

    network: MobileNetSpec
    where: str
    tensors: Mapping[str, Any]
    key_mapping: Mapping[str, str]
    other_entries: tuple[str, ...] = ()

    @property
    def has_torchvision_keys(self) -> bool:
        """Whether all keys but those of the classifier are torchvision's."""
        return not self.other_keys

    @property
    def other_keys(self) -> tuple[tuple[str, str], ...]:
        """The pairs of a key of the module and the checkpoint's key, where they differ, without the classifier."""
        return tuple(
            (ours, theirs)
            for ours, theirs in self.key_mapping.items()
            if ours != theirs and ours.startswith("features.")
        )

    def remarks(self) -> tuple[str, ...]:
        """Sentences about the choices that were made."""
        remarks = []
        if self.other_entries:
            others = ", ".join(map(repr, self.other_entries))
            remarks.append(f"using the EMA copy {self.where!r}, not {others} (--weights-key selects another entry)")
        differing = [(ours, theirs) for ours, theirs in self.key_mapping.items() if ours != theirs]
        if differing:
            ours, theirs = differing[0]
            remarks.append(
                f"the keys were matched by shape and order ({theirs} is used as {ours}, and so on); activation, "
                f"padding and batch-norm epsilon are those of {self.network.architecture} where they are not given. If "
                f"the network differs, export it to ONNX"
            )
        return tuple(remarks)


def match_checkpoint(
    path: Path, *, architecture: str | None = None, weights_key: str | None = None, head: str | None = None
) -> MatchedWeights:
    """Find the weights of a checkpoint and the module that they belong to.

    Args:
        architecture: the architecture of the weights; None to try all. If it is given, weights that do not match are
            returned as well: loading them with `strict=True` reports the differences.
        weights_key: the entry to use, its keys joined by dots; None for the one that matches, preferably an EMA copy.
        head: the activation between the linear layers of a replaced classifier, one of `HEAD_ACTIVATIONS`.

    Raises:
        ConversionError: no entry matches, or several do.
        MissingDependencyError: see `read_state_dicts`.
    """
    if architecture is not None and architecture not in ARCHITECTURES:
        raise ConversionError("unknown architecture", expected=" or ".join(ARCHITECTURES), got=repr(architecture))
    candidates = [candidate for state in read_state_dicts(path) for candidate in _candidates(state)]
    if weights_key is not None:
        candidates = _entry(weights_key, candidates, path)
    names = ARCHITECTURES if architecture is None else (architecture,)
    matches = [] if head is not None else list(_same_keys(candidates, names))
    matches = matches or list(_replaced_heads(candidates, names, head, path))
    if head is not None and not matches:
        raise ConversionError(
            "--head is for a classifier of several linear layers on a network with torchvision's keys", where=path,
            got="other weights", fix="Omit --head",
        )  # fmt: skip
    matches = matches or list(_other_keys(candidates, names, path))
    if matches:
        return _choose(matches, path)
    first = candidates[0]
    if architecture is not None:
        return MatchedWeights(spec_of(architecture, shapes_of(first.tensors)), first.where, first.tensors, {})
    raise ConversionError(
        "the weights match none of the known architectures", where=path, expected=", ".join(ARCHITECTURES),
        got="keys such as " + ", ".join(list(first.tensors)[:3]),
        fix=f"{EXPORT_INSTEAD}, or give its architecture to see the differences",
    )  # fmt: skip


def _entry(weights_key: str, candidates: Sequence[StateDict], path: Path) -> list[StateDict]:
    found = [c for c in candidates if c.where == weights_key or c.where.startswith(f"{weights_key}.")]
    if not found:
        known = [match.where for match in _same_keys(candidates, ARCHITECTURES)] or [c.where for c in candidates]
        if known == [""]:
            raise ConversionError(
                "the checkpoint has no entries: it is a state dict itself", where=path, expected="no weights key",
                got=repr(weights_key),
            )  # fmt: skip
        raise ConversionError(
            "the checkpoint has no such entry", where=path,
            expected=" or ".join(map(repr, known)), got=repr(weights_key),
        )  # fmt: skip
    return found


def _candidates(state: StateDict) -> Iterator[StateDict]:
    """The state dict without the prefixes of wrappers, and then each part of it that may be a whole network."""
    tensors = {key: tensor for key, tensor in state.tensors.items() if key != "n_averaged"}  # torch's AveragedModel
    where = state.where
    while tensors and all("." in key for key in tensors) and len(heads := _heads(tensors)) == 1:
        tensors = {key.partition(".")[2]: tensor for key, tensor in tensors.items()}
        where = _joined(where, *heads)
    yield StateDict(where, tensors, state.in_order)
    for head in _heads(tensors):
        branch = {k.partition(".")[2]: v for k, v in tensors.items() if k.startswith(f"{head}.")}
        if sum(getattr(tensor, "ndim", 0) in (2, 4) for tensor in branch.values()) >= MIN_LAYERS:
            yield from _candidates(StateDict(_joined(where, head), branch, state.in_order))


def _heads(keys: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(key.partition(".")[0] for key in keys))


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def shapes_of(tensors: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor; other values are skipped."""
    return {key: tuple(tensor.shape) for key, tensor in tensors.items() if hasattr(tensor, "shape")}


def _same_keys(candidates: Iterable[StateDict], names: Sequence[str]) -> Iterator[MatchedWeights]:
    for candidate in candidates:
        network = identify(shapes_of(candidate.tensors))
        if network is None or network.architecture not in names:
            continue
        if network.hidden == backbone(network.architecture, network.width).hidden:  # or it is a replaced classifier
            yield MatchedWeights(network, candidate.where, candidate.tensors, {})


def _replaced_heads(
    candidates: Iterable[StateDict], names: Sequence[str], head: str | None, path: Path
) -> Iterator[MatchedWeights]:
    """The networks with linear layers of the user's own in place of the classifier.

    Raises:
        ConversionError: there are several linear layers and the activation between them is not given; or there is one
            and an activation is given.
    """
    for candidate in candidates:
        shapes = shapes_of(candidate.tensors)
        for name in names:
            found = replaced_head(name, shapes, in_order=candidate.in_order)
            if found is None:
                continue
            network, modules = found
            published = backbone(name, network.width).hidden
            if head is None and network.head is not None and network.head.hidden == (published,):
                continue  # the published classifier under other names: matched by shape and order, with a remark
            network = _with_activation(network, modules, head, path)
            places = [f"classifier.{2 * index}" for index in range(len(modules))]
            if network.head is None:
                places = ["classifier.1"]
            keys = {key: key for key in shapes if key.startswith("features.")}
            for ours, theirs in zip(places, modules, strict=True):
                keys |= {f"{ours}.{leaf}": f"{theirs}.{leaf}" for leaf in ("bias", "weight")}
            tensors = {ours: candidate.tensors[theirs] for ours, theirs in keys.items()}
            yield MatchedWeights(network, candidate.where, tensors, keys)
            break


def _with_activation(network: MobileNetSpec, modules: Sequence[str], head: str | None, path: Path) -> MobileNetSpec:
    if len(modules) == 1:
        if head is not None:
            raise ConversionError(
                "the classifier is one linear layer, so no activation is between linear layers", where=path,
                got=f"--head {head}", fix="Omit --head",
            )  # fmt: skip
        # V1 and V2 are published with one linear layer.
        published = not backbone(network.architecture, network.width).hidden
        return msgspec.structs.replace(network, head=None) if published else network
    assert network.head is not None  # set by `replaced_head`
    if head is None:
        sizes = ", ".join(map(str, (*network.head.hidden, network.classes)))
        raise ConversionError(
            f"the classifier has {len(modules)} linear layers ({', '.join(modules)}), and a state dict does not tell "
            "the activation between them", where=path,
            expected="--head", got=f"linear layers of {sizes} outputs",
            fix=f"Give the activation of the network's code: --head {', '.join(HEAD_ACTIVATIONS)}",
        )  # fmt: skip
    return msgspec.structs.replace(network, head=msgspec.structs.replace(network.head, activation=head))


def _other_keys(candidates: Iterable[StateDict], names: Sequence[str], path: Path) -> Iterator[MatchedWeights]:
    for candidate in candidates:
        shapes = shapes_of(candidate.tensors)
        for network in (network for name in names for network in networks_with_shapes(name, shapes.values())):
            try:
                keys = match_keys(shapes, _module_shapes(network), in_order=candidate.in_order)
            except AmbiguousKeysError as error:
                raise ConversionError(
                    f"the shapes match {network.architecture}, but the keys do not tell which tensor is which "
                    f"({error})",
                    where=path,
                    fix=EXPORT_INSTEAD,
                ) from error
            if keys is not None:
                tensors = {ours: candidate.tensors[theirs] for ours, theirs in keys.items()}
                yield MatchedWeights(network, candidate.where, tensors, keys)
                break


def _module_shapes(network: MobileNetSpec) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the module, in the order of the data flow."""
    import torch

    with torch.device("meta"):
        return shapes_of(build(network).state_dict())


def _choose(matches: Sequence[MatchedWeights], path: Path) -> MatchedWeights:
    if len(matches) == 1:
        return matches[0]
    copies = [match for match in matches if re.search(r"(^|[._])ema([._]|$)", match.where)]
    if len(copies) != 1 or any(match.network != copies[0].network for match in matches):
        raise ConversionError(
            "several entries of the checkpoint hold weights", where=path,
            expected="one entry, or one entry and its EMA copy",
            got=", ".join(repr(match.where) for match in matches), fix="Choose one with --weights-key",
        )  # fmt: skip
    return replace(copies[0], other_entries=tuple(match.where for match in matches if match is not copies[0]))
