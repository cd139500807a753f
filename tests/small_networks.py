"""Small random networks with descriptions; their results differ from image to image."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

MEAN, SCALE = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
CLASSES = 5
SIDE = 32

DESCRIPTION = """\
description: a small network for tests
task_type: classification
files:
  - name: {file}
    size: {size}
    checksum: {{$type: sha256, value: {digest}}}
    source: {{$type: file, path: {file}}}
framework: {framework}
{onnx_args}input_info:
  - name: data
    shape: {shape}
    layout: {layout}
model_optimizer_args:
  - --mean_values=data[123.675,116.28,103.53]
  - --scale_values=data[58.395,57.12,57.375]
  - --reverse_input_channels
  - --output={output}
  - --input_model={input_model}
license: https://www.apache.org/licenses/LICENSE-2.0
{extra}"""


def describe(
    network: Path,
    *,
    framework: str = "onnx",
    shape: tuple[int, ...] = (1, 3, SIDE, SIDE),
    layout: str = "NCHW",
    output: str = "scores",
    extra: str = "",
    onnx_args: str = "",
    input_model: str | None = None,
) -> Path:
    """Write a model.yml beside the network."""
    data = network.read_bytes()
    yml = network.with_name("model.yml")
    text = DESCRIPTION.format(
        file=network.name,
        size=len(data),
        digest=hashlib.sha256(data).hexdigest(),
        framework=framework,
        shape=list(shape),
        layout=layout,
        output=output,
        extra=extra,
        onnx_args=onnx_args,
        input_model=input_model or f"$dl_dir/{network.name}",
    )
    yml.write_text(text, "utf-8")
    return yml


def weights(seed: int = 7, classes: int = CLASSES) -> dict[str, np.ndarray]:
    """Weights that float16 represents exactly, so that the FP16 and the FP32 IR give the same results."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int, scale: float) -> np.ndarray:
        return (rng.normal(0, scale, shape)).astype(np.float16).astype(np.float32)

    return {
        "conv": draw(8, 3, 3, 3, scale=0.5),
        "bias": draw(8, scale=0.5),
        "dense": draw(classes, 8, scale=4.0),
        "offset": draw(classes, scale=1.0),
    }


def write_onnx(
    folder: Path,
    *,
    end: str = "logits",
    batch: int | str = "n",
    fixed_reshape: bool = False,
    classes: int = CLASSES,
    **describe_options: object,
) -> Path:
    """Conv, ReLU, average pool, dense; ends in `logits`, `softmax`, `softmax-reshape` or `sigmoid`.

    Or without the dense layer, in the `pooled` features or their `map`.

    Returns:
        The model.yml.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True, exist_ok=True)
    nodes = [
        helper.make_node("Conv", ["data", "conv", "bias"], ["filtered"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["filtered"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in weights(classes=classes).items()]
    if fixed_reshape:
        initializers.append(numpy_helper.from_array(np.array([1, 8], np.int64), "flat_shape"))
        nodes.append(helper.make_node("Reshape", ["pooled", "flat_shape"], ["flat"]))
    else:
        nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
    shape: list[int | str] = [batch, classes]
    last = "scores" if end == "logits" else "logits"
    nodes.append(helper.make_node("Gemm", ["flat", "dense", "offset"], [last], transB=1))
    if end == "softmax":
        nodes.append(helper.make_node("Softmax", ["logits"], ["scores"], axis=1))
    if end == "sigmoid":
        nodes.append(helper.make_node("Sigmoid", ["logits"], ["scores"]))
    if end == "softmax-reshape":
        initializers.append(numpy_helper.from_array(np.array([1, classes], np.int64), "out_shape"))
        nodes.append(helper.make_node("Softmax", ["logits"], ["net/Softmax"], axis=1))
        nodes.append(helper.make_node("Reshape", ["net/Softmax", "out_shape"], ["scores"]))
    if end in ("pooled", "map"):
        source, shape = ("flat", [batch, 8]) if end == "pooled" else ("active", [batch, 8, SIDE // 2, SIDE // 2])
        nodes = nodes[: {"pooled": -1, "map": 2}[end]]
        nodes.append(helper.make_node("Identity", [source], ["scores"]))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    network = folder / "small.onnx"
    onnx.save(model, network)
    return describe(network, **describe_options)  # type: ignore[arg-type]


def by_hand(frame: np.ndarray, *, softmax: bool = True, classes: int = CLASSES) -> np.ndarray:
    """The small network's probabilities for a uint8 (32, 32, 3) BGR frame, computed with numpy alone."""
    w = weights(classes=classes)
    logits = w["dense"] @ features_by_hand(frame) + w["offset"]
    exponentials = np.exp(logits - logits.max())
    answer: np.ndarray = exponentials / exponentials.sum() if softmax else logits
    return answer


def features_by_hand(frame: np.ndarray) -> np.ndarray:
    """The eight pooled features of the small network, computed with numpy alone."""
    w = weights()
    x = ((frame[:, :, ::-1].astype(np.float64) - MEAN) / SCALE).transpose(2, 0, 1)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::2, ::2]
    filtered = np.einsum("chwij,ocij->ohw", windows, w["conv"]) + w["bias"][:, None, None]
    pooled: np.ndarray = np.maximum(filtered, 0).mean(axis=(1, 2))
    return pooled


def frames(count: int = 12, side: int = SIDE, seed: int = 3) -> np.ndarray:
    """Frames of one strong colour with noise, uint8 (count, side, side, 3)."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (count, 1, 1, 3))
    made: np.ndarray = np.clip(colours + rng.integers(-40, 41, (count, side, side, 3)), 0, 255).astype(np.uint8)
    return made


ONNX_ARGS = """\
conversion_to_onnx_args:
  - --model-name={architecture}
  - --weights=$dl_dir/{file}
  - --import-module=no.such.module
  - --input-shape=1,3,64,64
  - --output-file=$conv_dir/small.onnx
  - --input-names=data
  - --output-names=prob
"""


def spread_answers(module: Any, *, side: int = 64, spread: float = 0.8) -> None:
    """Set batch norm and the classifier of a new network so that its results differ from image to image.

    Args:
        side: pixels; the answers differ on `frames(side=side)`.
        spread: standard deviation of a logit over these frames. The features differ little: with much more than is
            needed, float32's own rounding would show.
    """
    import torch

    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0  # the statistics are those of these images, not mostly still 0 and 1
    with torch.no_grad():
        module.train()
        module(torch.from_numpy(normalised(frames(16, 64))))
        module.eval()
        features = module.features(torch.from_numpy(normalised(frames(16, side)))).mean(dim=(2, 3))
        features, head = module.classifier[:-1](features), module.classifier[-1]
        head.weight.copy_(torch.randn_like(head.weight))
        # Centred on these images, so that every class comes first on some of them.
        head.weight *= spread / (features @ head.weight.T).std(dim=0)[:, None]
        head.bias.copy_(-(features @ head.weight.T).mean(dim=0))


def v2_state(classes: int = CLASSES, *, side: int = 64, spread: float = 0.8) -> dict[str, torch.Tensor]:
    """State dict of a MobileNet V2 whose results differ from image to image; see `spread_answers`."""
    import torch

    from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

    torch.manual_seed(5)
    module = MobileNetV2(classes=classes)
    spread_answers(module, side=side, spread=spread)
    state: dict[str, torch.Tensor] = module.state_dict()
    return state


def write_v2_checkpoint(folder: Path) -> Path:
    """Write a MobileNet V2 of five classes whose results differ from image to image. Returns the model.yml."""
    from ov_mobilenet.conversion.architectures.mobilenet_v2 import MobileNetV2

    return write_checkpoint(folder, "mobilenet_v2", lambda: MobileNetV2(classes=CLASSES), "small_v2.pth")


def write_checkpoint(folder: Path, architecture: str, new: Callable[[], Any], file: str = "small.pth") -> Path:
    """Write the state dict of a network whose results differ from image to image. Returns the model.yml."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(5)
    module = new()
    spread_answers(module)
    network = folder / file
    torch.save(module.state_dict(), network)
    return describe(
        network,
        framework="pytorch",
        shape=(1, 3, 64, 64),
        output="prob",
        onnx_args=ONNX_ARGS.format(architecture=architecture, file=network.name),
        input_model="$conv_dir/small.onnx",
    )


def normalised(frames_: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, 3) BGR to float32 (N, 3, H, W) RGB, (x - mean) / scale."""
    x = (frames_[..., ::-1].astype(np.float32) - np.array(MEAN, np.float32)) / np.array(SCALE, np.float32)
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def architecture_ir(architecture: str, *, width: float, classes: int, side: int) -> Any:
    """One of the torch modules, untrained, as an `ov.Model` for images of `side` x `side`."""
    import openvino as ov
    import torch

    from ov_mobilenet.conversion.architectures import MobileNetSpec, build
    from ov_mobilenet.conversion.architectures.blocks import backbone

    hidden = backbone(architecture, width).hidden
    module = build(MobileNetSpec(architecture=architecture, width=width, classes=classes, hidden=hidden)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # see sources/pytorch.py
        traced = torch.jit.trace(module, torch.zeros(1, 3, side, side), check_trace=False)
        return ov.convert_model(traced, input=[1, 3, side, side])
