"""Choose among the state dicts of a checkpoint, and lay its tensors out under the keys of one of our modules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ov_mobilenet.conversion.architectures import KNOWN, Identified, build, fit, identify, look_alikes
from ov_mobilenet.conversion.sources.checkpoint import StateDict, read_state_dicts
from ov_mobilenet.conversion.sources.key_matching import AmbiguousKeysError, match_keys
from ov_mobilenet.errors import ConversionError

EXPORT_INSTEAD = "Export the network to ONNX and convert that"
LEAST_LAYERS = 25  # fewer than the smallest of our modules has


@dataclass(frozen=True)
class Fit:
    """Tensors that are those of one of our modules.

    Attributes:
        where: the keys that lead to the state dict in the checkpoint, and the prefix that was taken off.
        tensors: by the module's keys.
        taken_for: the checkpoint's key by the module's, where they differ; empty if they are the same.
        passed_over: other state dicts that would have fitted.
    """

    network: Identified
    where: str
    tensors: Mapping[str, Any]
    taken_for: Mapping[str, str]
    passed_over: tuple[str, ...] = ()

    def remarks(self) -> tuple[str, ...]:
        """What was chosen, or taken for something, in sentences."""
        said = []
        if self.passed_over:
            others = ", ".join(map(repr, self.passed_over))
            said.append(f"the EMA copy {self.where!r} of the weights is taken, not {others} (--weights-key)")
        differing = [(ours, theirs) for ours, theirs in self.taken_for.items() if ours != theirs]
        if differing:
            ours, theirs = differing[0]
            said.append(
                f"the keys are matched by shape and order ({theirs} is taken for {ours}, and so on); padding, "
                f"activations and batch-norm epsilon are those of our {self.network.architecture}. If the network "
                f"has others, export it to ONNX"
            )
        return tuple(said)


def fit_checkpoint(path: Path, *, architecture: str | None = None, where: str | None = None) -> Fit:
    """The weights of a checkpoint under the keys of the module that they fit.

    Args:
        architecture: the only one to try; None for all. With it, weights that fit badly are given back all the same:
            loading them strictly says what is wrong.
        where: the state dict to take, by its keys joined with dots; None for the one that fits, an EMA copy first.

    Raises:
        ConversionError: nothing fits, or more than one thing.
        MissingDependencyError: as `read_state_dicts`.
    """
    if architecture is not None and architecture not in KNOWN:
        raise ConversionError("unknown architecture", expected=" or ".join(KNOWN), got=repr(architecture))
    candidates = [candidate for state in read_state_dicts(path) for candidate in _candidates(state)]
    if where is not None:
        candidates = _below(where, candidates, path)
    names = KNOWN if architecture is None else (architecture,)
    fits = list(_exact(candidates, names)) or list(_foreign(candidates, names, path))
    if fits:
        return _one_of(fits, path)
    first = candidates[0]
    if architecture is not None:
        return Fit(fit(architecture, shapes_of(first.tensors)), first.where, first.tensors, {})
    raise ConversionError(
        "the weights are those of none of our architectures", where=path, expected=", ".join(KNOWN),
        got="keys such as " + ", ".join(list(first.tensors)[:3]),
        fix=f"{EXPORT_INSTEAD}, or name its architecture to see what differs",
    )  # fmt: skip


def _below(where: str, candidates: Sequence[StateDict], path: Path) -> list[StateDict]:
    found = [c for c in candidates if c.where == where or c.where.startswith(f"{where}.")]
    if not found:
        known = [fitting.where for fitting in _exact(candidates, KNOWN)] or [c.where for c in candidates]
        if known == [""]:
            raise ConversionError(
                "the checkpoint has no entries: it is a state dict itself", where=path, expected="no weights key",
                got=repr(where),
            )  # fmt: skip
        raise ConversionError(
            "the checkpoint has no such entry with weights", where=path,
            expected=" or ".join(map(repr, known)), got=repr(where),
        )  # fmt: skip
    return found


def _candidates(state: StateDict) -> Iterator[StateDict]:
    """The state dict without the prefixes of wrappers; after it, each of its branches that may be a whole network."""
    tensors = {key: tensor for key, tensor in state.tensors.items() if key != "n_averaged"}  # torch's AveragedModel
    where = state.where
    while tensors and all("." in key for key in tensors) and len(heads := _heads(tensors)) == 1:
        tensors = {key.partition(".")[2]: tensor for key, tensor in tensors.items()}
        where = _joined(where, *heads)
    yield StateDict(where, tensors, state.in_order)
    for head in _heads(tensors):
        branch = {k.partition(".")[2]: v for k, v in tensors.items() if k.startswith(f"{head}.")}
        if sum(getattr(tensor, "ndim", 0) in (2, 4) for tensor in branch.values()) >= LEAST_LAYERS:
            yield from _candidates(StateDict(_joined(where, head), branch, state.in_order))


def _heads(keys: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(key.partition(".")[0] for key in keys))


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def shapes_of(tensors: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor; what is none is left out."""
    return {key: tuple(tensor.shape) for key, tensor in tensors.items() if hasattr(tensor, "shape")}


def _exact(candidates: Iterable[StateDict], names: Sequence[str]) -> Iterator[Fit]:
    for candidate in candidates:
        network = identify(shapes_of(candidate.tensors))
        if network is not None and network.architecture in names:
            yield Fit(network, candidate.where, candidate.tensors, {})


def _foreign(candidates: Iterable[StateDict], names: Sequence[str], path: Path) -> Iterator[Fit]:
    for candidate in candidates:
        shapes = shapes_of(candidate.tensors)
        for network in (network for name in names for network in look_alikes(name, shapes.values())):
            try:
                keys = match_keys(shapes, _layout(network), in_order=candidate.in_order)
            except AmbiguousKeysError as error:
                raise ConversionError(
                    f"the shapes are those of {network.architecture}, but the keys do not say which tensor is which "
                    f"({error})",
                    where=path,
                    fix=EXPORT_INSTEAD,
                ) from error
            if keys is not None:
                tensors = {ours: candidate.tensors[theirs] for ours, theirs in keys.items()}
                yield Fit(network, candidate.where, tensors, keys)
                break


def _layout(network: Identified) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of our module, in the order in which data flows through it."""
    import torch

    with torch.device("meta"):
        return shapes_of(build(network).state_dict())


def _one_of(fits: Sequence[Fit], path: Path) -> Fit:
    if len(fits) == 1:
        return fits[0]
    copies = [found for found in fits if re.search(r"(^|[._])ema([._]|$)", found.where)]
    if len(copies) != 1 or any(found.network != copies[0].network for found in fits):
        raise ConversionError(
            "several entries of the checkpoint hold weights", where=path,
            expected="one, or one EMA copy of it beside it",
            got=", ".join(repr(found.where) for found in fits), fix="Name one with --weights-key",
        )  # fmt: skip
    return replace(copies[0], passed_over=tuple(found.where for found in fits if found is not copies[0]))
