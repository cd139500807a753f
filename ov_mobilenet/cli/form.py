"""The options of `convert` that say how the converted model is to be fed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from ov_mobilenet.cli import options
from ov_mobilenet.errors import UsageError
from ov_mobilenet.ir.form import COLOR_FORMATS, PURPOSES, Form, settle
from ov_mobilenet.zoo.geometry import parse_words

# Beyond, the first layer's output alone is tens of gigabytes: a slip of the pen, and the process would be killed.
MAX_BATCH = 4096
MAX_SIDE = 8192

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class FormOptions:
    """The values of the options below, by their names."""

    batch: int | None
    input_shape: str | None
    layout: str | None
    input_type: Any
    geometry: str | None
    bake_geometry: bool
    color_format: Any
    purpose: Any

    def form(self) -> Form:
        """The form that they ask for, checked. Raises: UsageError."""
        if self.batch is not None and self.batch != -1 and not 1 <= self.batch <= MAX_BATCH:
            raise UsageError("bad --batch", expected=f"a number from 1 to {MAX_BATCH}, or -1 for any", got=self.batch)
        form = Form(
            batch=self.batch,
            layout=self.layout,
            input_type=self.input_type,
            geometry=parse_words(self.geometry) if self.geometry else None,
            input_shape=_numbers(self.input_shape),
            bake_geometry=self.bake_geometry,
            color_format=self.color_format,
            purpose=self.purpose,
        )
        settle(form)  # what excludes each other is said before anything is fetched
        return form


def form_options(function: F) -> F:
    """The options, which reach the command as one value `shape`."""
    function = options.collect_into(FormOptions, "shape")(function)
    for option in reversed((
        click.option("--batch", type=int, help="Fixed batch size, or -1 for any."),
        click.option(
            "--input-shape", "--input_shape", metavar="N,C,H,W",
            help="Of the network, in the order of its own layout; with another size give --geometry too.",
        ),
        click.option("--layout", type=click.Choice(["NCHW", "NHWC"]), help="Layout of the converted input."),
        click.option("--input-type", type=click.Choice(["f32", "u8"]), help="Of the converted input (default: f32)."),
        click.option("--geometry", metavar="STEPS", help="Crop and resize, such as 'resize 256 greater, crop 224'."),
        click.option("--bake-geometry", is_flag=True, help="Crop and resize in the graph: frames of any size go in."),
        click.option(
            "--color-format", type=click.Choice(COLOR_FORMATS), default="bgr", show_default=True,
            help="Pixels as the camera gives them.",
        ),
        click.option(
            "--for", "purpose", type=click.Choice(PURPOSES),
            help="npu: fixed sizes only. ovms: what OpenVINO Model Server feeds, images decoded and nothing else.",
        ),
    )):  # fmt: skip
        function = option(function)
    return function


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = text.strip("[]() ").replace(",", " ").split()
    sizes = tuple(int(part) if part.isdecimal() and len(part) < 8 else 0 for part in parts)
    if len(sizes) != 4 or not all(0 < size <= MAX_SIDE for size in sizes) or sizes[0] > MAX_BATCH:
        raise UsageError(
            "bad --input-shape", got=text,
            expected=f"four positive numbers, such as 1,3,224,224; sides up to {MAX_SIDE}, a batch up to {MAX_BATCH}",
        )  # fmt: skip
    return sizes
