"""Build a Keras network and load its weights from a file that has been checked."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.conversion.keras_files.architectures import KerasArchitecture, canonical
from ov_mobilenet.conversion.keras_files.description import KerasFile, read_keras_file
from ov_mobilenet.conversion.keras_files.hdf5 import INSTALL, WHOLE_MODEL, Variable
from ov_mobilenet.conversion.keras_files.legacy_building import build_legacy
from ov_mobilenet.errors import ConversionError, MissingDependencyError
from ov_mobilenet.zoo.arguments import ConversionPlan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_SIDE = 224
_MOST_OF_A_MESSAGE = 300
_RENAMED = {"depthwise_kernel": "kernel"}  # the name in the published files, and that of Keras 3
# The exceptions of Keras and TensorFlow for a network that they cannot build.
_FAILURES = (
    ValueError, TypeError, KeyError, AttributeError, IndexError, RuntimeError, OSError, RecursionError, MemoryError,
    ZeroDivisionError, OverflowError, AssertionError,
)  # fmt: skip


def load_network(plan: ConversionPlan, path: Path) -> tuple[Any, KerasArchitecture | None]:
    """Load the network as a `keras.Model`. Returns: the model, and its architecture (None for a full model).

    Raises:
        ConversionError: see `read_keras_file`; or Keras cannot build the network, or the weights do not match it.
        MissingDependencyError: tensorflow is not installed.
    """
    file = read_keras_file(path)
    _check_finite(file, path)
    with keras_settings(path):
        if file.architecture is None:
            return _full_model(file, path), None
        network = build(file.architecture, plan.input.shape, path)
        assign(network, file.layers, path)
        return network, file.architecture


def load_by_keras(plan: ConversionPlan, path: Path) -> Any:
    """Load the network, with weights read by Keras's own `load_weights`: the reference for a conversion.

    Raises:
        ConversionError, MissingDependencyError: see `load_network`.
    """
    file = read_keras_file(path)
    with keras_settings(path), tempfile.TemporaryDirectory() as folder:
        if file.architecture is None:
            return _full_model(file, path)
        network = build(file.architecture, plan.input.shape, path)
        # Keras selects the layout by the file name, but older versions used both names for both layouts.
        published = any(variable.name for variables in file.layers.values() for variable in variables)
        copy = Path(folder) / ("network.h5" if published else "network.weights.h5")
        shutil.copyfile(path, copy)
        try:
            network.load_weights(copy)
        except _FAILURES as error:
            raise _unbuildable(path, error) from error
        return network


@contextmanager
def keras_settings(path: Path) -> Iterator[None]:
    """Import TensorFlow without its messages, and set Keras to the defaults that the networks were trained with.

    Raises:
        MissingDependencyError: tensorflow is not installed.
        ConversionError: Keras is configured for another backend.
    """
    try:
        _import_quietly()
        import keras
        import tensorflow as tf
    except ImportError as error:
        raise MissingDependencyError("Keras files require tensorflow", where=path, fix=INSTALL) from error
    if keras.backend.backend() != "tensorflow":
        raise ConversionError(
            "unsupported Keras backend", where=path, expected="tensorflow", got=keras.backend.backend(),
            fix="Set KERAS_BACKEND=tensorflow",
        )  # fmt: skip
    config, logger = keras.config, tf.get_logger()
    before = config.image_data_format(), config.floatx(), config.dtype_policy(), logger.level
    config.set_image_data_format("channels_last")
    config.set_floatx("float32")
    config.set_dtype_policy("float32")
    logger.setLevel("ERROR")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.set_image_data_format(before[0])
        config.set_floatx(before[1])
        config.set_dtype_policy(before[2])
        logger.setLevel(before[3])


def _import_quietly() -> None:
    """Import TensorFlow and discard what its libraries write to stderr on import."""
    if "tensorflow" in sys.modules and "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        # TensorFlow's first messages come from C++ code, which bypasses sys.stderr and has not read the log level yet.
        os.dup2(nothing, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import keras  # noqa: F401
            import tensorflow  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def build(architecture: KerasArchitecture, shape: tuple[int, ...], path: Path) -> Any:
    """Build the network of `keras.applications` without weights.

    Args:
        shape: `(N, H, W, C)`; 224x224 is used if it does not have four dimensions.

    Raises:
        ConversionError: the network cannot be built for this shape.
    """
    from keras import applications

    sides = shape[1:3] if len(shape) == 4 else (DEFAULT_SIDE, DEFAULT_SIDE)
    options: dict[str, Any] = {"alpha": architecture.width, "classes": architecture.classes, "weights": None}
    if architecture.name.startswith("MobileNetV3"):
        options |= {"minimalistic": architecture.minimalistic, "include_preprocessing": True}
    try:
        return getattr(applications, architecture.name)(
            input_shape=(*(side if side > 0 else None for side in sides), 3), **options
        )
    except _FAILURES as error:
        raise _unbuildable(path, error) from error


def assign(network: Any, layers: dict[str, tuple[Variable, ...]], path: Path) -> None:
    """Set the weights of every layer by name.

    Raises:
        ConversionError: a layer or a tensor is missing, unexpected, or has another shape.
    """
    wanted = {canonical(layer.name): layer for layer in network.layers if layer.weights}
    missing, extra = sorted(wanted.keys() - layers.keys()), sorted(layers.keys() - wanted.keys())
    if missing or extra:
        raise ConversionError(
            "the weights do not match the network", where=path,
            got=f"missing {_some(missing)}; unexpected {_some(extra)}", fix=WHOLE_MODEL,
        )  # fmt: skip
    for name, layer in wanted.items():
        values = _in_order(layer, layers[name], path)
        for variable, value in zip(layer.weights, values, strict=True):
            if tuple(variable.shape) != value.shape:
                raise ConversionError(
                    f"{layer.name}/{variable.name} does not match the network", where=path,
                    expected=list(variable.shape), got=list(value.shape), fix=WHOLE_MODEL,
                )  # fmt: skip
        layer.set_weights(values)


def _in_order(layer: Any, stored: tuple[Variable, ...], path: Path) -> list[NDArray[np.generic]]:
    """The tensors of a layer in Keras's order; matched by name if the file has names."""
    names = [variable.name for variable in layer.weights]
    by_name = {_RENAMED.get(variable.name, variable.name): variable.values for variable in stored if variable.name}
    if by_name and sorted(by_name) == sorted(names) and len(stored) == len(names):
        return [by_name[name] for name in names]
    if by_name or len(stored) != len(names):
        got = ", ".join(by_name) or f"{len(stored)} tensors"
        raise ConversionError(
            f"the tensors of {layer.name} differ from the network", where=path, expected=", ".join(names), got=got
        )
    return [variable.values for variable in stored]


def _full_model(file: KerasFile, path: Path) -> Any:
    import keras

    try:
        if file.legacy is not None:
            return build_legacy(file.legacy, file.contents.groups, path)
        with _lower_case_ending(path) as plain:
            network = keras.models.load_model(plain, compile=False, safe_mode=True)
    except _FAILURES as error:
        raise _unbuildable(path, error) from error
    # Keras matches weights by position. If the file contains every weight, bit for bit, none of them still has its
    # random initial value.
    stored = Counter(_fingerprint(values) for values in file.contents.tensors.values())
    unassigned = Counter(_fingerprint(variable.numpy()) for variable in network.weights) - stored
    if unassigned:
        raise ConversionError(
            "the file does not hold all weights of the model", where=path,
            expected=len(network.weights), got=len(network.weights) - unassigned.total(),
        )  # fmt: skip
    return network


@contextmanager
def _lower_case_ending(path: Path) -> Iterator[Path]:
    """The file, or a copy: Keras knows files by their ending, in lower case."""
    if path.suffix == path.suffix.lower():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="ov-mobilenet-") as folder:
        yield Path(shutil.copyfile(path, Path(folder) / f"network{path.suffix.lower()}"))


def _fingerprint(values: NDArray[np.generic]) -> tuple[tuple[int, ...], bytes]:
    return values.shape, values.tobytes()


def _check_finite(file: KerasFile, path: Path) -> None:
    import numpy as np

    for name, values in file.contents.tensors.items():
        if values.dtype.kind == "f" and not bool(np.isfinite(values).all()):
            raise ConversionError(f"{name} holds values that are not finite", where=path)


def _unbuildable(path: Path, error: BaseException) -> ConversionError:
    reason = end_of_message(error)
    return ConversionError(f"Keras cannot build the network ({reason})", where=path, fix=WHOLE_MODEL)


def end_of_message(error: BaseException) -> str:
    """The cause in one line: Keras wraps it in messages that begin with the whole configuration."""
    text = str(error).split("\n\nArguments received by")[0].strip()
    line = (text.splitlines() or [type(error).__name__])[-1].strip()
    return line if len(line) <= _MOST_OF_A_MESSAGE else f"…{line[-_MOST_OF_A_MESSAGE:]}"


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return (shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")) or "none"
