"""The input form of a converted model: batch, layout, element type, colour format, crop and resize."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, replace
from typing import Literal, get_args

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import UsageError
from ov_mobilenet.ir.normalisation import InputType
from ov_mobilenet.zoo.geometry import Geometry

ColorFormat = Literal["bgr", "rgb", "nv12", "i420"]
Planes = Literal["nv12", "i420"]
Deployment = Literal["npu", "ovms"]
COLOR_FORMATS: tuple[ColorFormat, ...] = get_args(ColorFormat)
DEPLOYMENTS: tuple[Deployment, ...] = get_args(Deployment)
YUV: tuple[Planes, ...] = get_args(Planes)


@checked
@dataclass(frozen=True)
class Form:
    """The input form of a converted model. The default is the form that the model's description specifies.

    Attributes:
        batch: fixed batch size, or -1 for a dynamic one; None for that of the description.
        layout: layout of the converted input, NCHW or NHWC; None for the layout of the source network.
        input_type: element type of the input, f32 or u8, values 0..255 in both cases. None means f32, and u8 if the
            geometry is baked or the input is YUV planes.
        geometry: crop and resize to record, or to bake, instead of those of the accuracy check.
        input_shape: shape of the network, in the network's own layout; None for that of the description.
        bake_geometry: add crop and resize to the graph; the model then takes frames of any size.
        color_format: colour format of the input pixels. nv12 and i420 are a single plane (N, 3/2 H, W, 1).
        deploy_for: `npu` fixes every dimension; `ovms` is the form that OpenVINO Model Server needs: decoded images
            of any size, BGR, NHWC.
        purpose: the former name of `deploy_for`.
    """

    batch: int | None = None
    layout: str | None = None
    input_type: InputType | None = None
    geometry: Geometry | None = None
    input_shape: tuple[int, ...] | None = None
    bake_geometry: bool = False
    color_format: ColorFormat = "bgr"
    deploy_for: Deployment | None = None
    purpose: InitVar[Deployment | None] = None

    def __post_init__(self, purpose: Deployment | None) -> None:
        if purpose is not None:
            object.__setattr__(self, "deploy_for", purpose)


DESCRIBED_FORM = Form()


def complete_form(form: Form) -> Form:
    """Check a form and set the fields that its other fields imply.

    Raises:
        UsageError: a field has an unknown value, or two fields contradict each other; gives the reason.
    """
    for name, value, known in (
        ("input type", form.input_type, (None, *get_args(InputType))),
        ("colour format", form.color_format, COLOR_FORMATS),
        ("deployment", form.deploy_for, (None, *DEPLOYMENTS)),
    ):
        if value not in known:
            raise UsageError(f"unknown {name}", expected=" or ".join(filter(None, known)), got=repr(value))
    if form.deploy_for == "npu":
        # https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/npu-device.html
        if form.batch not in (None, 1):
            raise _conflict("--for npu", f"--batch {form.batch}", "the NPU compiles a fixed batch of one image")
        if form.bake_geometry:
            raise _conflict("--for npu", "--bake-geometry", "the NPU does not support dynamic input sizes")
        form = replace(form, batch=1)
    if form.deploy_for == "ovms":
        if form.layout == "NCHW" or form.color_format != "bgr":
            option = "--layout NCHW" if form.layout == "NCHW" else f"--color-format {form.color_format}"
            raise _conflict("--for ovms", option, "the server decodes images to BGR in layout NHWC")
        form = replace(form, bake_geometry=True)
    if form.color_format in YUV and (form.input_type == "f32" or form.layout == "NCHW"):
        option = "--input-type f32" if form.input_type == "f32" else "--layout NCHW"
        raise _conflict(f"--color-format {form.color_format}", option, "YUV planes are u8 in layout NHWC")
    if form.bake_geometry or form.color_format in YUV:
        form = replace(form, layout=form.layout or "NHWC", input_type=form.input_type or "u8")
    return form


def _conflict(option: str, other: str, reason: str) -> UsageError:
    return UsageError(f"{option} cannot be combined with {other}: {reason}")
