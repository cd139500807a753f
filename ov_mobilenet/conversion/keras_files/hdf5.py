"""Read the tensors of a Keras HDF5 file with h5py.

HDF5 can refer to other files (external and virtual datasets, links) and can declare shapes larger than its data. Keras
has accepted both (CVE-2026-1669, CVE-2026-0897); here they are refused, and so is everything but plain numbers.

Two layouts are supported. The published networks, and TensorFlow's Keras until 2.15: an attribute `layer_names`, and
`weight_names` in the group of each layer. Keras 3's `.weights.h5`: `layers/KIND/vars/N`, with the name of the layer as
an attribute of `vars`.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.errors import ConversionError, MissingDependencyError, install_extra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_BYTES = 1 << 30  # the largest MobileNet of Keras has 25 MB
MAX_OBJECTS = 20_000
MAX_DEPTH = 24
_BUILT_IN_FILTERS = {1, 2, 3}  # deflate, shuffle, fletcher32; other filters are plug-ins that HDF5 would load
WHOLE_MODEL = "Save the whole model as .keras, or export it as a SavedModel (model.export) or as ONNX"
INSTALL = install_extra("tensorflow")


@dataclass(frozen=True)
class Variable:
    """One tensor of a layer: its name if the layout has names (`kernel`), and its values."""

    name: str | None
    values: NDArray[np.generic]


@dataclass(frozen=True)
class Hdf5Contents:
    """The content of an HDF5 file.

    Attributes:
        layers: the layers with weights, by name, in the order of the file; empty for a full model.
        tensors: all tensors of the file by path.
        model_config: the JSON configuration of a full model; None for a weights file.
        keras_version: the version that saved a full model, such as `2.2.4-tf`; None if the file does not say it.
        groups: the tensors of each outermost layer of a full model of Keras 1 or 2, with their whole names, in the
            order of the file.
    """

    layers: Mapping[str, tuple[Variable, ...]]
    tensors: Mapping[str, NDArray[np.generic]]
    model_config: str | None
    keras_version: str | None = None
    groups: Mapping[str, tuple[Variable, ...]] = field(default_factory=dict)

    @property
    def is_legacy(self) -> bool:
        """Whether the file holds a full model of Keras 1 or 2."""
        return self.model_config is not None and (self.keras_version or "")[:2] in ("", "1.", "2.")


def read_hdf5(source: Path | bytes, where: Path) -> Hdf5Contents:
    """Read an HDF5 file, or its bytes from an archive.

    Args:
        where: the file, for messages.

    Raises:
        ConversionError: the file is not HDF5, is broken, or holds anything but plain tensors.
        MissingDependencyError: h5py, a dependency of TensorFlow, is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError("Keras files require tensorflow", where=where, fix=INSTALL) from error

    try:
        with h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r") as file:
            tensors = dict(_tensors(file, where))
            config = file.attrs.get("model_config")
            if config is None:
                return Hdf5Contents(_layers(file, tensors, where), tensors, None)
            version = file.attrs.get("keras_version")
            contents = Hdf5Contents({}, tensors, _text(config), None if version is None else _text(version))
            return replace(contents, groups=dict(_groups(file, tensors))) if contents.is_legacy else contents
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ConversionError(
            f"the file cannot be read ({reason})", where=where, expected="a Keras file (HDF5)"
        ) from error


def _tensors(file: Any, where: Path) -> Iterator[tuple[str, NDArray[np.generic]]]:
    """All tensors by path. Each one is checked before it is read."""
    import h5py

    waiting, seen, total = [("", file)], 0, 0
    while waiting:
        path, group = waiting.pop()
        for name in group:
            seen += 1
            inner = f"{path}/{name}" if path else name
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise _refused(where, inner, f"a link ({type(link).__name__})")
            entry = group[name]
            if seen > MAX_OBJECTS or inner.count("/") > MAX_DEPTH:
                raise _refused(where, inner, "nested too deeply, or one of too many objects")
            if isinstance(entry, h5py.Group):
                waiting.append((inner, entry))
                continue
            if not isinstance(entry, h5py.Dataset):
                raise _refused(where, inner, type(entry).__name__)
            _check_dataset(entry, where, inner)
            total += entry.nbytes
            if total > MAX_BYTES:
                raise _refused(where, inner, f"more than {MAX_BYTES:,} bytes of tensors")
            yield inner, entry[()]


def _check_dataset(dataset: Any, where: Path, path: str) -> None:
    if dataset.external or dataset.is_virtual:
        raise _refused(where, path, "a tensor in another file")
    if dataset.dtype.kind not in "fiu" or dataset.shape is None:
        raise _refused(where, path, f"not a numeric tensor ({dataset.dtype})")
    creation = dataset.id.get_create_plist()
    filters = {creation.get_filter(index)[0] for index in range(creation.get_nfilters())}
    if filters - _BUILT_IN_FILTERS:
        raise _refused(where, path, f"an HDF5 filter that is a plug-in ({sorted(filters - _BUILT_IN_FILTERS)[0]})")
    # Deflate compresses by a factor of up to 1032; uncompressed data must be stored completely.
    if dataset.nbytes > dataset.id.get_storage_size() * (1100 if filters else 1):
        raise _refused(where, path, f"a tensor {list(dataset.shape)} that is larger than its stored data")


def _refused(where: Path, path: str, what: str) -> ConversionError:
    return ConversionError(f"{path} is {what}", where=where, expected="tensors stored in this file")


def _layers(file: Any, tensors: Mapping[str, NDArray[np.generic]], where: Path) -> dict[str, tuple[Variable, ...]]:
    if "layer_names" in file.attrs or "layer_names0" in file.attrs:
        found = {name: tuple(_legacy_variables(file, name, tensors)) for name in _names(file, "layer_names")}
    else:
        # Keras saves the state of the optimizer with the weights of a compiled model.
        tensors = {path: values for path, values in tensors.items() if not path.startswith("optimizer/")}
        found = {}
        for path in tensors:
            owner, _, _ = path.rpartition("/")
            name = _text(file[owner].attrs.get("name", "")) if owner.endswith("/vars") else ""
            if not name:
                raise ConversionError(
                    f"{path} belongs to no layer", where=where,
                    expected="the weights of one network, as saved by Keras", got="another layout",
                    fix=WHOLE_MODEL,
                )  # fmt: skip
            if name not in found:
                indices = sorted((p for p in tensors if p.rpartition("/")[0] == owner), key=_index)
                found[name] = tuple(Variable(None, tensors[p]) for p in indices)
    layers = {name: variables for name, variables in found.items() if variables}
    stored, used = len(tensors), sum(map(len, layers.values()))
    if stored != used:
        raise ConversionError("there are tensors that belong to no layer", where=where, expected=used, got=stored)
    return layers


def _groups(file: Any, tensors: Mapping[str, NDArray[np.generic]]) -> Iterator[tuple[str, tuple[Variable, ...]]]:
    """The tensors of each outermost layer of a full model."""
    if "model_weights" not in file:
        return
    for layer in _names(file["model_weights"], "layer_names"):
        names = _names(file["model_weights"][layer], "weight_names")
        yield layer, tuple(Variable(name, tensors[f"model_weights/{layer}/{name}"]) for name in names)


def _legacy_variables(file: Any, layer: str, tensors: Mapping[str, NDArray[np.generic]]) -> Iterator[Variable]:
    for name in _names(file[layer], "weight_names"):
        yield Variable(name.rpartition("/")[2].removesuffix(":0"), tensors[f"{layer}/{name}"])


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names; HDF5 splits a long one into `layer_names0`, `layer_names1`, …"""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    names: list[str] = []
    index = 0
    while f"{attribute}{index}" in group.attrs:
        names += [_text(name) for name in group.attrs[f"{attribute}{index}"]]
        index += 1
    return names


def _index(path: str) -> int:
    return int(path.rpartition("/")[2])


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
