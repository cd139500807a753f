"""Read and check a Keras file without importing TensorFlow and without building the network."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ov_mobilenet.conversion.keras_files.architectures import (
    KerasArchitecture,
    KerasNetworkName,
    canonical_layers,
    identify,
)
from ov_mobilenet.conversion.keras_files.config import checked_config, classes, input_shape, layer_names, rescales
from ov_mobilenet.conversion.keras_files.hdf5 import MAX_BYTES, Hdf5Contents, Variable, read_hdf5
from ov_mobilenet.conversion.keras_files.legacy_network import LegacyModel, read_legacy_network
from ov_mobilenet.errors import ConversionError

SUFFIXES = (".h5", ".hdf5", ".keras")
_MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}


@dataclass(frozen=True)
class KerasFile:
    """A Keras file that has been checked: it does not refer to other files or to foreign code.

    Attributes:
        layers: the layers of a weights file by canonical name; empty for a full model.
        architecture: the network of a weights file; None for a full model.
        config: the configuration of a full model of Keras 3; None for other files.
        contents: all tensors.
        legacy: the network of a full model of Keras 1 or 2; None for other files.
    """

    layers: dict[str, tuple[Variable, ...]]
    architecture: KerasArchitecture | None
    config: dict[str, Any] | None
    contents: Hdf5Contents
    legacy: LegacyModel | None = None


@dataclass(frozen=True)
class KerasDescription:
    """The properties of a Keras file that are known before the conversion.

    Attributes:
        architecture: the network of a weights file; None for a full model.
        width: width multiplier of a weights file; None for a full model.
        classes: number of classes; None if a full model does not state it.
        input_shape: `(N, H, W, C)` of a full model, -1 for dynamic dimensions; None if the file has no shape, such as a
            weights file.
        rescales: whether the network takes pixels 0..255 without mean and scale; None if unknown.
        layers: names of the layers of a full model, and of models nested in it.
    """

    architecture: KerasNetworkName | None
    width: float | None
    classes: int | None
    input_shape: tuple[int, ...] | None
    rescales: bool | None
    layers: tuple[str, ...] = ()


def is_keras_file(path: Path | str) -> bool:
    """Whether a file name has a suffix of Keras files."""
    return str(path).lower().endswith(SUFFIXES)


def describe_keras(path: Path) -> KerasDescription:
    """Describe a `.keras` or `.h5` file; it is read with h5py, without TensorFlow.

    Raises:
        ConversionError: the file is broken or unsafe, or holds the weights of an unknown network.
        MissingDependencyError: h5py, a dependency of TensorFlow, is not installed.
    """
    file = read_keras_file(path)
    found = file.architecture
    if found is not None:
        return KerasDescription(found.name, found.width, found.classes, None, found.name.startswith("MobileNetV3"))
    if file.legacy is not None:
        inner = tuple(layer.name for layer in file.legacy.leaves())
        shape = (-1, *file.legacy.shape) if file.legacy.shape is not None else None
        return KerasDescription(None, None, file.legacy.classes, shape, file.legacy.rescales or None, inner)
    config = file.config or {}
    names = tuple(layer_names(config))
    return KerasDescription(None, None, classes(config), input_shape(config), rescales(config) or None, names)


def read_keras_file(path: Path) -> KerasFile:
    """Read and check a Keras file, a full model or weights. Raises: see `describe_keras`."""
    name = path.name.lower()
    if name.endswith(".keras"):
        text, weights = _members(path)
        config, contents = checked_config(text, path, archive=True), read_hdf5(weights, path)
        return KerasFile({}, None, config, contents)
    if not name.endswith((".h5", ".hdf5")):
        raise ConversionError("not a Keras file", where=path, expected="a name that ends in .keras, .h5 or .weights.h5")
    contents = read_hdf5(path, path)
    if contents.model_config is not None and contents.is_legacy:
        return KerasFile({}, None, None, contents, read_legacy_network(contents.model_config, path))
    if contents.model_config is not None:
        return KerasFile({}, None, checked_config(contents.model_config, path), contents)
    layers = canonical_layers(contents.layers, path)
    return KerasFile(layers, identify(layers, path), None, contents)


def _members(path: Path) -> tuple[str, bytes]:
    """The configuration and the weights of a `.keras` archive, which must hold nothing else."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if len(set(names)) != len(names) or set(names) != _MEMBERS:
                odd = sorted(set(names) ^ _MEMBERS) or sorted({name for name in names if names.count(name) > 1})
                raise ConversionError(
                    "the archive is not a Keras model of a classifier", where=path,
                    expected=f"{', '.join(sorted(_MEMBERS))}, once each", got=", ".join(map(repr, odd[:4])),
                )  # fmt: skip
            if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
                raise ConversionError("unsupported compression", where=path, expected="stored or deflated members")
            if sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise ConversionError(
                    "the archive is too large", where=path, expected=f"at most {MAX_BYTES:,} bytes unpacked"
                )
            return archive.read("config.json").decode("utf-8"), archive.read("model.weights.h5")
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise ConversionError(
            f"the archive cannot be read ({str(error)[:200]})", where=path, expected="a .keras file (zip)"
        ) from error
