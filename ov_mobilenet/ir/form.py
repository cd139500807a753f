"""How a converted model is to be fed: what may be asked for, and which wishes exclude each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from ov_mobilenet.errors import UsageError
from ov_mobilenet.ir.normalisation import InputType
from ov_mobilenet.zoo.geometry import Geometry

ColorFormat = Literal["bgr", "rgb", "nv12", "i420"]
Planes = Literal["nv12", "i420"]
Purpose = Literal["npu", "ovms"]
COLOR_FORMATS: tuple[ColorFormat, ...] = ("bgr", "rgb", "nv12", "i420")
PURPOSES: tuple[Purpose, ...] = ("npu", "ovms")
YUV: tuple[Planes, ...] = get_args(Planes)


@dataclass(frozen=True)
class Form:
    """How the converted model is to be fed; the defaults are what the model's document says.

    Attributes:
        batch: fixed batch, or -1 for any; None for the document's.
        layout: NCHW or NHWC; None for the source network's.
        input_type: f32 or u8, values 0..255 either way; None for f32, and for u8 where frames are fed as a camera or
            a server gives them.
        geometry: recorded, or baked, instead of the accuracy check's.
        input_shape: of the network, in its own layout; None for the document's.
        bake_geometry: crop and resize in the graph, which then takes frames of any size.
        color_format: of the pixels; nv12 and i420 are one plane of N x 3/2 H x W x 1.
        purpose: where it will run. `npu` wants every dimension fixed, `ovms` is what OpenVINO Model Server feeds:
            decoded images as they are, BGR, NHWC.
    """

    batch: int | None = None
    layout: str | None = None
    input_type: InputType | None = None
    geometry: Geometry | None = None
    input_shape: tuple[int, ...] | None = None
    bake_geometry: bool = False
    color_format: ColorFormat = "bgr"
    purpose: Purpose | None = None


AS_DOCUMENTED = Form()


def settle(form: Form) -> Form:
    """The form with all that its wishes imply.

    Raises:
        UsageError: wishes that exclude each other; says why.
    """
    if form.purpose == "npu":
        # https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/npu-device.html
        if form.batch not in (None, 1):
            raise _excluded("--for npu", f"--batch {form.batch}", "the NPU compiles one image of fixed size")
        if form.bake_geometry:
            raise _excluded("--for npu", "--bake-geometry", "the NPU knows no dynamic sizes, and so no resize of them")
        form = replace(form, batch=1)
    if form.purpose == "ovms":
        if form.layout == "NCHW" or form.color_format != "bgr":
            wish = "--layout NCHW" if form.layout == "NCHW" else f"--color-format {form.color_format}"
            raise _excluded("--for ovms", wish, "the server decodes images to BGR in layout NHWC")
        form = replace(form, bake_geometry=True)
    if form.color_format in YUV and (form.input_type == "f32" or form.layout == "NCHW"):
        wish = "--input-type f32" if form.input_type == "f32" else "--layout NCHW"
        raise _excluded(f"--color-format {form.color_format}", wish, "its planes are bytes, one row after another")
    if form.bake_geometry or form.color_format in YUV:
        form = replace(form, layout=form.layout or "NHWC", input_type=form.input_type or "u8")
    return form


def _excluded(wish: str, other: str, why: str) -> UsageError:
    return UsageError(f"{wish} excludes {other}: {why}")
