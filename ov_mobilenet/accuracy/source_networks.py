"""Run a source network in its own framework: the independent reference (oracle) for a conversion.

openvino is not imported here. The pixels are normalised with numpy, as the description of the model states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ov_mobilenet.conversion.sources import network_framework
from ov_mobilenet.conversion.sources.onnx_data import data_files
from ov_mobilenet.devices.processors import usable_cpus
from ov_mobilenet.errors import ConversionError, MissingDependencyError, install_command
from ov_mobilenet.ir.layout import guess_layout
from ov_mobilenet.zoo.arguments import ConversionPlan
from ov_mobilenet.zoo.model import ModelConfig
from ov_mobilenet.zoo.normalisation import Normalisation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Oracle = Callable[["NDArray[np.uint8]"], "NDArray[np.float32]"]
"""From one frame, uint8 (H, W, 3) BGR at the network's input size, to the network's float32 (classes,) output."""

PACKAGES = {
    "onnx": "onnxruntime",
    "pytorch": "torch",
    "tflite": "ai-edge-litert",
    "tf": "tensorflow-cpu",
    "keras": "tensorflow-cpu",
}


def source_oracle(config: ModelConfig, plan: ConversionPlan, path: Path) -> Oracle:
    """The source network as a function that runs it in its own framework.

    Raises:
        MissingDependencyError: the framework is not installed; the message names the package.
        ConversionError: the framework is not supported, or cannot read or run the network. The returned function
            raises it too.
    """
    builders = {"onnx": _onnx, "pytorch": _pytorch, "tflite": _tflite, "tf": _tensorflow, "keras": _keras}
    framework = network_framework(config, path)
    if framework not in builders:
        raise ConversionError("networks of this framework cannot be run", where=config.path, got=framework)
    failures = _framework_errors(framework)
    try:
        run = builders[framework](plan, path)
    except failures as error:
        raise _cannot_run(framework, path, error) from error
    except ImportError as error:
        package = PACKAGES[framework]
        raise MissingDependencyError(
            f"running the source network requires {package}, which is not installed",
            fix=install_command(package),
        ) from error

    def checked(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            return run(frame)
        except failures as error:
            raise _cannot_run(framework, path, error) from error

    return checked


def _framework_errors(framework: str) -> tuple[type[Exception], ...]:
    """The exceptions that a framework raises for a network that it cannot read or run."""
    common = (RuntimeError, ValueError, KeyError, IndexError, TypeError, OSError)
    if framework == "onnx":
        try:
            from onnxruntime.capi import onnxruntime_pybind11_state as state
        except ImportError:
            return common
        names = (
            "Fail", "InvalidArgument", "NoSuchFile", "NoModel", "EngineError", "RuntimeException", "InvalidProtobuf",
            "NotImplemented", "InvalidGraph", "EPFail", "ModelLoaded", "NotFound",
        )  # fmt: skip
        return (*common, *(getattr(state, name) for name in names if hasattr(state, name)))
    if framework == "tf":
        try:
            from google.protobuf.message import DecodeError
            from tensorflow.errors import OpError
        except ImportError:
            return common
        return (*common, DecodeError, OpError)
    return common


def _cannot_run(framework: str, path: Path, error: Exception) -> ConversionError:
    lines = str(error).strip().splitlines()
    # onnxruntime's message is one long line that begins with C++ signatures and ends with the reason.
    reason = lines[0][-200:] if lines else type(error).__name__
    return ConversionError(f"{PACKAGES[framework]} cannot run the source network ({reason})", where=path)


def normalise(frame: NDArray[np.uint8], normalisation: Normalisation) -> NDArray[np.float32]:
    """Reverse the channels if required, then compute (x - mean) / scale in float32."""
    import numpy as np

    x = frame[:, :, ::-1] if normalisation.reverse_input_channels else frame
    values: NDArray[np.float32] = x.astype(np.float32)
    if normalisation.mean:
        values = np.subtract(values, normalisation.mean, dtype=np.float32)
    if normalisation.scale:
        values = np.divide(values, normalisation.scale, dtype=np.float32)
    return values


def _batch(frame: NDArray[np.uint8], plan: ConversionPlan, default_layout: str) -> NDArray[np.float32]:
    import numpy as np

    values = normalise(frame, plan.normalisation)
    if (plan.input.layout or guess_layout(plan.input.shape) or default_layout) == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[None])


_ONNX_TYPES = {"tensor(uint8)": "uint8", "tensor(float16)": "float16", "tensor(double)": "float64"}


def _onnx(plan: ConversionPlan, path: Path) -> Oracle:
    import numpy as np
    import onnxruntime

    data_files(path)  # raises an error if the file refers to others outside its folder
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cpus()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    source = _named(session.get_inputs(), plan.input.name, path)
    target = _named(session.get_outputs(), plan.output, path)
    kind = np.dtype(_ONNX_TYPES.get(source.type, "float32"))
    first = source.shape[0] if source.shape else None
    batch = first if isinstance(first, int) and first > 0 else 1

    def run(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        frames = _batch(frame, plan, "NCHW").astype(kind).repeat(batch, axis=0)
        answer = np.asarray(session.run([target.name], {source.name: frames})[0])
        return _flat(answer[:1] if batch > 1 else answer)

    return run


def _named(ports: Sequence[Any], name: str | None, path: Path) -> Any:
    """The input or output with this name, with or without TensorFlow's `:0`; the first one if no name is given."""
    if not name and ports:
        return ports[0]
    for port in ports:
        if port.name.removesuffix(":0") == (name or "").removesuffix(":0"):
            return port
    raise ConversionError(
        "the source network has no such input or output", where=path,
        expected=repr(name), got=", ".join(repr(port.name) for port in ports[:8]) or "none",
    )  # fmt: skip


def _pytorch(plan: ConversionPlan, path: Path) -> Oracle:
    import torch

    from ov_mobilenet.conversion.sources.pytorch import load_planned_module

    modules = {plan.input.shape[2:]: load_planned_module(plan, path)}

    def run(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch = _batch(frame, plan, "NCHW")
        size = batch.shape[2:] if plan.library_network is not None else plan.input.shape[2:]
        if size not in modules:  # a network of a library is built for one size, and the IR may have another
            sized = replace(plan, input=replace(plan.input, shape=batch.shape))
            modules[size] = load_planned_module(sized, path)
        with torch.inference_mode():
            return _flat(modules[size](torch.from_numpy(batch)).numpy())

    return run


def _tflite(plan: ConversionPlan, path: Path) -> Oracle:
    import numpy as np

    from ov_mobilenet.accuracy.litert_interpreter import open_interpreter

    interpreter = open_interpreter(path)
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    step, zero = source["quantization"]
    kind = np.dtype(source["dtype"])

    def as_codes(values: NDArray[np.float32]) -> NDArray[Any]:
        """Quantise normalised values. Pixels without normalisation are codes already, offset by the lowest code."""
        if kind.kind not in "iu":
            return values.astype(kind)
        limits = np.iinfo(kind)
        is_normalised = step and (plan.normalisation.mean or plan.normalisation.scale)
        codes = np.rint(values / step + zero) if is_normalised else values + limits.min
        return np.clip(codes, limits.min, limits.max).astype(kind)

    def run(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        interpreter.set_tensor(source["index"], as_codes(_batch(frame, plan, "NHWC")))
        interpreter.invoke()
        values = _flat(interpreter.get_tensor(target["index"]))
        scale, zero_point = target["quantization"]
        return (values - zero_point) * scale if scale else values

    return run


def _tensorflow(plan: ConversionPlan, path: Path) -> Oracle:
    import numpy as np

    from ov_mobilenet.accuracy.tensorflow_graphs import open_frozen_graph, open_saved_model

    network, shape, kind = open_saved_model(plan, path) if path.is_dir() else open_frozen_graph(plan, path)
    batch = shape[0] or 1

    def run(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        frames = _batch(frame, plan, "NHWC").repeat(batch, axis=0)
        answer = np.asarray(network(frames.astype(kind.as_numpy_dtype)))
        return _flat(answer[:1] if batch > 1 else answer)

    return run


def _keras(plan: ConversionPlan, path: Path) -> Oracle:
    from ov_mobilenet.conversion.keras_files.loading import keras_settings, load_by_keras

    network = load_by_keras(plan, path)

    def run(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        with keras_settings(path):
            return _flat(network.predict(_batch(frame, plan, "NHWC"), verbose=0))

    return run


def _flat(values: Any) -> NDArray[np.float32]:
    import numpy as np

    return np.asarray(values, np.float32).reshape(-1)
