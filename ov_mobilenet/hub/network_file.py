"""Which file of a repository holds the network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from ov_mobilenet.conversion.network_files import FRAMEWORKS, network_ending
from ov_mobilenet.errors import UsageError

CONFIG = "config.json"
WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".ckpt", ".pth.tar")
_PREFERRED = ("model.safetensors", "pytorch_model.bin", "onnx/model.onnx")
_SHOWN = 12


def choose_network_file(files: Iterable[str], wanted: str | None, where: object) -> str:
    """The path of the network in a repository.

    Without `wanted`: model.safetensors, pytorch_model.bin or onnx/model.onnx, the first that is there; otherwise the
    only file of a network. No other weights are used if a file of safetensors is there.

    Raises:
        UsageError: there is no such file, or none or several networks.
    """
    known = sorted(set(files))
    if wanted is not None:
        if wanted not in known:
            raise UsageError("no such file in the repository", where=where, expected=_listed(known), got=wanted)
        if not is_network_file(wanted):
            raise UsageError("not the file of a network", where=where, expected=_expected(), got=wanted)
        return wanted
    for name in _PREFERRED:
        if name in known:
            return name
    networks = [name for name in known if is_network_file(name)]
    if len(networks) == 1:
        return networks[0]
    if not networks:
        raise UsageError("no network in the repository", where=where, expected=_expected(), got=_listed(known))
    raise UsageError(
        "several networks in the repository", where=where, expected="one of them, as /FILE", got=_listed(networks)
    )


def is_network_file(path: str) -> bool:
    """Whether a file holds a network, by its name."""
    return network_ending(PurePosixPath(path)) is not None or is_weights(path)


def is_weights(path: str) -> bool:
    """Whether a file holds PyTorch weights without a graph, by its name."""
    return path.lower().endswith(WEIGHTS)


def _expected() -> str:
    return f"a file that ends with {', '.join((*FRAMEWORKS, '.bin'))}"


def _listed(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "") if names else "no files"
