"""Read a network of unknown origin in a child process: OpenVINO's frontends crash on some damaged files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ov_mobilenet.conversion.graph_facts import GraphFacts, graph_facts
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.isolation.availability import reads_apart
from ov_mobilenet.isolation.isolated_function import IsolatedFunction, Task

if TYPE_CHECKING:
    from ov_mobilenet.zoo.arguments import ConversionPlan
    from ov_mobilenet.zoo.output_kind import OutputContent

READING_LIMIT_S = 60.0
# The others are read by Python packages: pickles and HDF5 by torch and h5py, with checks of our own.
_NATIVE_FRAMEWORKS = ("onnx", "tf", "tflite")
_MODULES = ("openvino", "openvino.frontend", "openvino.tools.ovc.error", "ov_mobilenet.conversion.sources")


def try_to_read(framework: str, plan: ConversionPlan, path: Path, isolate: bool | None) -> None:
    """Read the network in a child process; nothing is done for frameworks without a native reader.

    Args:
        isolate: see `reads_apart`.

    Raises:
        ConversionError: reading crashes or does not end; or as `read_network`.
        MissingDependencyError: the framework's package is not installed.
    """
    if framework in _NATIVE_FRAMEWORKS and reads_apart(isolate):
        _isolated("read_once", framework, plan, path).close()


def isolated_facts(
    framework: str, plan: ConversionPlan, path: Path, declared: OutputContent | None, isolate: bool | None = None
) -> GraphFacts:
    """The facts of a graph that OpenVINO reads from the file.

    Args:
        isolate: see `reads_apart`.

    Raises:
        ConversionError: as `try_to_read` and `graph_facts`.
        UsageError: the declared output contradicts the network.
    """
    if not reads_apart(isolate):
        return _facts(framework, plan, path, declared)
    facts = _isolated("read_facts", framework, plan, path, declared)
    try:
        return msgspec.msgpack.decode(facts(b"", READING_LIMIT_S), type=GraphFacts)
    except msgspec.MsgspecError as error:
        raise ConversionError("the child process sent a broken report", where=path) from error
    finally:
        facts.close()


def _isolated(
    factory: str, framework: str, plan: ConversionPlan, path: Path, *more: OutputContent | None
) -> IsolatedFunction:
    task = Task(f"{__name__}.{factory}", (framework, plan, path, *more), _MODULES, "reading the network", path)
    return IsolatedFunction(task, READING_LIMIT_S)


def read_once(framework: str, plan: ConversionPlan, path: Path) -> Callable[[bytes], bytes]:
    """In the child process: read the network."""
    from ov_mobilenet.conversion.sources import read_network

    read_network(framework, plan, path)
    return bytes


def read_facts(
    framework: str, plan: ConversionPlan, path: Path, declared: OutputContent | None
) -> Callable[[bytes], bytes]:
    """In the child process: the facts as MessagePack, which has NaN and infinities, for any request."""
    content = msgspec.msgpack.encode(_facts(framework, plan, path, declared))
    return lambda request: content


def _facts(framework: str, plan: ConversionPlan, path: Path, declared: OutputContent | None) -> GraphFacts:
    from ov_mobilenet.conversion.naming_schemes import names_in_file
    from ov_mobilenet.conversion.sources import read_network
    from ov_mobilenet.conversion.sources.frontend import read_unoptimised
    from ov_mobilenet.conversion.sources.onnx_data import data_files

    model = read_network(framework, plan, path)
    unoptimised = read_unoptimised(path, data_files(path) if framework == "onnx" else ())
    return graph_facts(framework, plan, path, declared, (model, unoptimised), names_in_file(path))
