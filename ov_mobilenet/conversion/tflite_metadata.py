"""TFLite Metadata: what a `.tflite` file says about its input and its classes, beside the graph.

A buffer of the model named TFLITE_METADATA is a FlatBuffer of its own (schema M001). Label files are members of a ZIP
archive that is appended to the model. The fields by number are those of `metadata_schema.fbs` of TFLite Support.
"""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ov_mobilenet.conversion.declared_input import DeclaredInput
from ov_mobilenet.conversion.flatbuffer import FlatBufferError, FlatTable, root_table
from ov_mobilenet.errors import ConfigError, UsageError
from ov_mobilenet.zoo.labels import MAX_LABELS_BYTES, parse_labels
from ov_mobilenet.zoo.normalisation import Normalisation

log = logging.getLogger(__name__)

BY = "TFLite Metadata"
_NAME = "TFLITE_METADATA"
_IMAGE, _RGB, _NORMALISATION, _AXIS_LABELS = 2, 1, 1, 2  # members of the schema's enumerations
_LARGEST_PIXEL = 255.0
_Numbers = tuple[tuple[float, ...], tuple[float, ...]]  # mean and scale, as in Normalisation
# Largest difference of two ranges of values, as a share of the range, that rounded numbers explain.
_TOLERANCE = 0.02


def read_tflite_metadata(path: Path, *, has_integer_input: bool) -> DeclaredInput | None:
    """Read the metadata of a TFLite file; parts that are damaged are not used, with a warning.

    Args:
        has_integer_input: whether the network takes integers.

    Returns:
        None if there is no metadata, or nothing in it that we use.

    Raises:
        OSError: the file cannot be read.
    """
    warnings: list[str] = []
    try:
        root = _metadata_root(memoryview(path.read_bytes()))
        declared = _declared(root, path, has_integer_input, warnings) if root is not None else None
    except FlatBufferError as error:
        declared, warnings = None, [f"{BY} is damaged and is not used: {error}"]
    for warning in warnings:
        log.warning("%s: %s", path, warning)
    return declared


def _declared(root: FlatTable, path: Path, has_integer_input: bool, warnings: list[str]) -> DeclaredInput | None:
    """What the metadata says; what is not used is appended to `warnings`. Raises: FlatBufferError, OSError."""
    subgraph = next(iter(root.tables(3)), None)
    if subgraph is None:
        return None
    image = next(iter(subgraph.tables(2)), None)
    is_rgb = image is not None and _is_rgb(image)
    numbers = _normalisation(image, has_integer_input, warnings) if image is not None else None
    if numbers is None and has_integer_input and is_rgb:
        numbers = (), ()  # the graph itself tells what the integers represent
    normalisation = None
    if numbers is not None:
        # The schema knows no BGR: a colour image is RGB, or the order is not said.
        normalisation = Normalisation(mean=numbers[0], scale=numbers[1], reverse_input_channels=True)
    labels = _labels(path, subgraph.tables(3), warnings)
    if normalisation is None and labels is None:
        return None
    return DeclaredInput(
        BY, normalisation, labels=labels, is_order_declared=is_rgb,
        # As in TensorFlow's ImageNet networks; elsewhere it may be a class like the others.
        background_class=0 if labels is not None and len(labels) == 1001 and labels[0] == "background" else None,
    )  # fmt: skip


def _metadata_root(model: memoryview) -> FlatTable | None:
    """The root of the metadata inside a model; None if it has none. Raises: FlatBufferError."""
    if bytes(model[4:8]) != b"TFL3":
        return None  # OpenVINO's reader says what is wrong with the model
    root = root_table(model, b"TFL3")
    for entry in root.tables(6):
        if entry.text(0) != _NAME:
            continue
        buffers, number = root.tables(4), entry.number(1, "I")
        if number >= len(buffers):
            raise FlatBufferError(f"expected one of {len(buffers)} buffers, got number {number}")
        content = buffers[number].content(0)
        if content is None:
            raise FlatBufferError(f"buffer {number} is empty")
        return root_table(content, b"M001")
    return None


def _is_rgb(tensor: FlatTable) -> bool:
    content = tensor.table(3)
    properties = content.table(1) if content is not None and content.number(0, "B") == _IMAGE else None
    return properties is not None and properties.number(0, "b") == _RGB


def _normalisation(tensor: FlatTable, has_integer_input: bool, warnings: list[str]) -> _Numbers | None:
    """Mean and scale that are said, or that follow from the range of a float input; None if nothing is said."""
    units = (unit for unit in tensor.tables(4) if unit.number(0, "B") == _NORMALISATION)
    options = next((table for unit in units if (table := unit.table(1)) is not None), None)
    by_range = None if has_integer_input else _normalisation_of_range(tensor.table(5))
    if options is None:
        return by_range
    mean, scale = _decimal(options.floats(0)), _decimal(options.floats(1))
    try:
        Normalisation(mean=mean, scale=scale)
    except UsageError as error:
        warnings.append(f"the normalisation of {BY} is not used: {error}")
        return by_range
    if by_range is not None and not _is_same(by_range, (mean, scale)):
        low, high = (" to ".join(f"{end:.4g}" for end in _ends(one)) for one in (by_range, (mean, scale)))
        warnings.append(f"{BY} says that the input is {low}, and that mean and std make it {high}; they are used")
    # An identity: the network takes pixels, and an integer input takes them as its integers, whatever they represent.
    return ((), ()) if not any(mean) and set(scale) <= {1.0} else (mean, scale)


def _normalisation_of_range(stats: FlatTable | None) -> _Numbers | None:
    """Mean and scale that make 0..255 the range of the input; None if there is no range of one number."""
    high, low = (set(stats.floats(0)), set(stats.floats(1))) if stats is not None else (set(), set())
    if len(high) != 1 or len(low) != 1:
        return None
    least, greatest = low.pop(), high.pop()
    # Also false for NaN; beyond the limit, mean and scale would not be valid.
    if not (1e-3 < greatest - least < 1e4 and abs(least) < 1e3):
        return None
    scale = _LARGEST_PIXEL / (greatest - least)
    mean = -least * scale + 0.0
    return ((), ()) if (mean, scale) == (0.0, 1.0) else ((mean,), (scale,))


def _ends(numbers: _Numbers) -> tuple[float, float]:
    """The least and the greatest value of pixels 0..255."""
    mean, scale = np.array(numbers[0] or (0.0,)), np.array(numbers[1] or (1.0,))
    values = np.concatenate([(pixel - mean) / scale for pixel in (0.0, _LARGEST_PIXEL)])
    return float(values.min()), float(values.max())


def _is_same(one: _Numbers, other: _Numbers) -> bool:
    (low, high), ends = _ends(one), _ends(other)
    return max(abs(low - ends[0]), abs(high - ends[1])) <= _TOLERANCE * (high - low)


def _decimal(numbers: Sequence[float]) -> tuple[float, ...]:
    """The shortest decimal numbers that are these float32 numbers."""
    return tuple(float(str(np.float32(number))) for number in numbers)


def _labels(path: Path, outputs: Sequence[FlatTable], warnings: list[str]) -> tuple[str, ...] | None:
    """The class names of the first output that has some: without a locale, or else the first."""
    for tensor in outputs:
        files = [file for file in tensor.tables(6) if file.number(2, "b") == _AXIS_LABELS]
        if not files:
            continue
        chosen = next((file for file in files if not file.text(3)), files[0])
        name = chosen.text(0) or ""
        try:
            return parse_labels(_member(path, name), f"{path}/{name}")
        except ConfigError as error:
            warnings.append(f"the labels of {BY} are not used: {error}")
            return None
    return None


def _member(path: Path, name: str) -> bytes:
    """The content of a small file in the archive behind the model. Raises: ConfigError, OSError."""
    where, largest = f"{path}/{name}", f"at most {MAX_LABELS_BYTES} bytes"
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(name)
            if member.file_size > MAX_LABELS_BYTES:
                raise ConfigError("labels file is too large", where=where, expected=largest, got=member.file_size)
            if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ConfigError("labels file is encrypted or compressed in an unusual way", where=where)
            with archive.open(member) as stream:
                # The declared size may be wrong.
                content = stream.read(MAX_LABELS_BYTES + 1)
    except KeyError:
        raise ConfigError("no such file in the archive behind the model", where=where) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OverflowError) as error:
        raise ConfigError("the archive behind the model cannot be read", where=where, got=error) from error
    if len(content) > MAX_LABELS_BYTES:
        raise ConfigError("labels file is too large", where=where, expected=largest)
    return content
