"""The CPU's compiled models in the model cache: files `cpu-KEY.blob`, found by the content of the IR.

OpenVINO's own cache (CACHE_DIR) is not safe enough to be on by default. Seen with OpenVINO 2026.4.1: for the path of an
IR it compares names, times and sizes, so that an IR with another weight, of the same size and time, gets the compiled
model of the old one; and a flipped bit in its file changes the results without an error. So the key is made here, of
everything that the compiled model depends on, and the file starts with a digest of the rest:

    16 bytes   MAGIC
    32 bytes   SHA-256 of the rest
    the rest   what `CompiledModel.export_model` wrote: the graph after the CPU's transformations, and the weights

A file that does not match is replaced. A file is written beside its name and moved there when it is complete, so that
processes may read and write the same one at the same time.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet._version import __version__
from ov_mobilenet.devices.machine import cpu_flags
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.operating_system.replacing import delete_file, replace_file

if TYPE_CHECKING:
    import openvino as ov

MAGIC = b"ov-mobilenet cpu"
_DIGEST_BYTES = 32
# Variables that change which kernels and transformations the plugin selects.
_VARIABLES = ("ONEDNN_", "DNNL_", "OV_CPU_", "OPENVINO_")

log = logging.getLogger(__name__)


def compile_model(
    model: ov.Model, config: Mapping[str, str], core: Any, folder: Path, content: str, *, warn: bool
) -> ov.CompiledModel:
    """Load the compiled model from the cache; if it is not there, compile it for the CPU and keep it.

    Args:
        config: the properties to compile with.
        core: `ov.Core()`.
        content: a digest of the content of the IR and of how it was adapted; with the shapes and the types of the
            operations it identifies `model`.
        warn: log that the cache cannot be written as a warning, otherwise at level INFO.

    Raises:
        RuntimeError: the CPU cannot run the model, or refuses a property.
    """
    path = folder / f"cpu-{_key(model, config, core, content)}.blob"
    found = _read(path, config, core)
    if found is not None:
        return found
    compiled: ov.CompiledModel = core.compile_model(model, "CPU", dict(config))
    try:
        _write(path, compiled)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        log.log(logging.WARNING if warn else logging.INFO, "%s: the compiled model is not kept: %s", folder, reason)
    return compiled


def _read(path: Path, config: Mapping[str, str], core: Any) -> ov.CompiledModel | None:
    """The compiled model in a file; None if the file is missing or damaged, or if OpenVINO refuses it."""
    import openvino as ov

    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size - len(MAGIC) - _DIGEST_BYTES
            head = file.read(len(MAGIC) + _DIGEST_BYTES)
            # In memory of OpenVINO, which keeps it as long as the compiled model uses the weights in it.
            exported = ov.Tensor(ov.Type.u8, ov.Shape([max(size, 0)]))
            file.readinto(exported.data)
    except OSError:
        return None
    if head == MAGIC + hashlib.sha256(exported.data).digest():
        try:
            compiled = _import(exported, config, core)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
        else:
            log.info("%s: loaded from the model cache", path)
            return compiled
    else:
        reason = "it was changed or damaged after it was written"
    log.info("%s: compiling again: %s", path, reason)
    with suppress(OSError):
        delete_file(path)
    return None


def _import(exported: ov.Tensor, config: Mapping[str, str], core: Any) -> ov.CompiledModel:
    compiled: ov.CompiledModel
    try:
        compiled = core.import_model(exported, "CPU", dict(config))
    except TypeError:  # OpenVINO before 2026.0 takes only bytes, and copies them
        compiled = core.import_model(exported.data.tobytes(), "CPU", dict(config))
    return compiled


def _write(path: Path, compiled: ov.CompiledModel) -> None:
    exported = compiled.export_model().getbuffer()
    # The suffix makes `model_cache.prune` find what a killed process left.
    temporary = path.with_name(f".writing-{os.getpid()}-{threading.get_ident()}{path.suffix}")
    try:
        with temporary.open("wb") as file:
            file.write(MAGIC + hashlib.sha256(exported).digest())
            file.write(exported)
        replace_file(temporary, path)
    except BaseException:
        with suppress(OSError):
            delete_file(temporary)
        raise


def _key(model: ov.Model, config: Mapping[str, str], core: Any, content: str) -> str:
    import openvino as ov

    facts = [
        content, __version__, ov.get_version(), *_cpu(core), *_graph(model),
        *(f"{name}={value}" for name, value in sorted(config.items())),
        *(f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)),
    ]  # fmt: skip
    return hashlib.sha256("\0".join(facts).encode(errors="surrogateescape")).hexdigest()[:40]


def _cpu(core: Any) -> Iterator[str]:
    """What the transformations and kernels depend on: cores, name and features of the CPU."""
    yield str(core.get_property("CPU", "FULL_DEVICE_NAME"))
    yield " ".join(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    yield f"{platform.machine()} {usable_cpus()} {cpu_flags()}"


def _graph(model: ov.Model) -> Iterator[str]:
    """The form of the network to compile. It differs from that in the IR by the steps before and behind it."""
    for port in (*model.inputs, *model.outputs):
        yield f"{port.get_element_type()} {port.get_partial_shape()}"
    yield " ".join(operation.get_type_name() for operation in model.get_ordered_ops())
