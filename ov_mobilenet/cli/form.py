"""The options of `convert` for the input form of the converted model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from ov_mobilenet.cli import options
from ov_mobilenet.errors import UsageError
from ov_mobilenet.ir.form import COLOR_FORMATS, DEPLOYMENTS, Form, complete_form
from ov_mobilenet.zoo.geometry import parse_geometry

# With larger values the first layer's output alone takes tens of gigabytes, and the process would be killed.
MAX_BATCH = 4096
MAX_SIDE = 8192

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class FormOptions:
    """The values of the options below, by parameter name."""

    batch: int | None
    input_shape: str | None
    layout: str | None
    input_type: Any
    geometry: str | None
    bake_geometry: bool
    color_format: Any
    deploy_for: Any

    def form(self) -> Form:
        """The requested form.

        Raises:
            UsageError: an option has a bad value, or two options contradict each other.
        """
        if self.batch is not None and self.batch != -1 and not 1 <= self.batch <= MAX_BATCH:
            raise UsageError(
                "invalid --batch", expected=f"1 to {MAX_BATCH}, or -1 for a dynamic batch size", got=self.batch
            )
        form = Form(
            batch=self.batch,
            layout=self.layout,
            input_type=self.input_type,
            geometry=parse_geometry(self.geometry) if self.geometry else None,
            input_shape=_parse_shape(self.input_shape),
            bake_geometry=self.bake_geometry,
            color_format=self.color_format,
            deploy_for=self.deploy_for,
        )
        complete_form(form)  # reports contradictions before anything is downloaded
        return form


def form_options(function: F) -> F:
    """Add the options; the command receives them as one argument `form_values`."""
    function = options.collect_into(FormOptions, "form_values")(function)
    for option in reversed((
        click.option("--batch", type=int, metavar="N", help="Fixed batch size, or -1 for a dynamic batch size."),
        click.option(
            "--input-shape", "--input_shape", metavar="N,C,H,W",
            help="Input shape of the network, in the network's own layout. If it changes the image size, set "
            "--geometry too.",
        ),
        click.option("--layout", type=click.Choice(["NCHW", "NHWC"]), help="Input layout of the converted model."),
        click.option(
            "--input-type", type=click.Choice(["f32", "u8"]),
            help="Input element type of the converted model (default: f32; u8 with --bake-geometry or YUV planes).",
        ),
        click.option("--geometry", metavar="STEPS", help="Crop and resize, such as 'resize 256 greater, crop 224'."),
        click.option(
            "--bake-geometry", is_flag=True,
            help="Add crop and resize to the graph; the model then takes frames of any size.",
        ),
        click.option(
            "--color-format", type=click.Choice(COLOR_FORMATS), default="bgr", show_default=True,
            help="Colour format of the input pixels.",
        ),
        click.option(
            "--for", "deploy_for", type=click.Choice(DEPLOYMENTS),
            help="npu: fix the input shape. ovms: accept decoded images of any size, as OpenVINO Model Server "
            "sends them.",
        ),
    )):  # fmt: skip
        function = option(function)
    return function


def _parse_shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = text.strip("[]() ").replace(",", " ").split()
    sizes = tuple(int(part) if part.isdecimal() and len(part) < 8 else 0 for part in parts)
    if len(sizes) != 4 or not all(0 < size <= MAX_SIDE for size in sizes) or sizes[0] > MAX_BATCH:
        raise UsageError(
            "invalid --input-shape", got=text,
            expected=f"four positive numbers such as 1,3,224,224, sides up to {MAX_SIDE}, batch up to {MAX_BATCH}",
        )  # fmt: skip
    return sizes
