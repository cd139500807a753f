"""`convert --source`: a network of the user's own, described by options."""

from __future__ import annotations

import glob
import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from ov_mobilenet.cli import options
from ov_mobilenet.conversion.architectures import ARCHITECTURES
from ov_mobilenet.conversion.inspection import inspect_source
from ov_mobilenet.conversion.own_network import PRESETS, Draft, Wishes, draft, with_preset
from ov_mobilenet.errors import UsageError
from ov_mobilenet.ir.form import Form
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.config import NAME
from ov_mobilenet.zoo.description import accuracy_check_yml, model_yml
from ov_mobilenet.zoo.geometry import from_dataset, parse_numbers
from ov_mobilenet.zoo.model import ModelConfig
from ov_mobilenet.zoo.normalisation import LEAST_SCALE, LIMIT, Normalisation
from ov_mobilenet.zoo.registry import find_folders

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class OwnNetwork:
    """The values of the options below, by their names."""

    source: Path | None
    preset: str | None
    mean_values: str | None
    scale_values: str | None
    reverse_input_channels: bool | None
    source_layout: str | None
    output: str | None
    output_kind: Any
    labels: str | None
    architecture: str | None
    width: float | None
    classes: int | None
    weights_key: str | None


class _NonEmptyPath(click.Path):
    """A path; an empty one, which Python takes for the current folder, is a variable that is not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(value, param, ctx) if value else self.fail("it is empty", param, ctx)


def source_options(function: F) -> F:
    """The options of a network of the user's own, which reach the command as one value `own`."""
    function = options.gathered(OwnNetwork, "own")(function)
    for option in reversed((
        click.option(
            "--source", type=_NonEmptyPath(path_type=Path), metavar="FILE|FOLDER",
            help="A network of your own (.onnx, .pb, .tflite, .h5, .keras, .pth, .pt, .ckpt, .safetensors, folder of a "
            "SavedModel) to be called --name. A MODEL beside it lends its normalisation and geometry.",
        ),
        click.option(
            "--preset", type=click.Choice(sorted(PRESETS)), help="Normalisation that the published networks have."
        ),
        click.option("--mean-values", "--mean_values", metavar="A[,B,C]", help="In the network's channel order."),
        click.option("--scale-values", "--scale_values", metavar="A[,B,C]", help="In the network's channel order."),
        click.option(
            "--reverse-input-channels/--no-reverse-input-channels",
            "--reverse_input_channels/--no_reverse_input_channels", default=None,
            help="The network takes RGB (guessed), or BGR.",
        ),
        click.option("--source-layout", "--source_layout", type=click.Choice(["NCHW", "NHWC"]), help="Of the network."),
        click.option("--output", metavar="NAME", help="The tensor to end at, of several."),
        click.option("--output-kind", type=click.Choice(["logits", "probabilities"]), help="What the network ends in."),
        click.option(
            "--labels", metavar="FILE|SET",
            help="Class names, one a line; or imagenet_1000_classes, imagenet_1001_classes, none.",
        ),
        click.option("--architecture", type=click.Choice(ARCHITECTURES), help="Of bare PyTorch weights."),
        click.option("--width", type=float, help="Width multiplier that the weights must have."),
        click.option("--classes", type=click.IntRange(min=1), help="Number of classes that the network must have."),
        click.option("--weights-key", metavar="KEY", help="Entry of a checkpoint with several sets of weights."),
    )):  # fmt: skip
        function = option(function)
    return function


def refuse_strays(own: OwnNetwork) -> None:
    """Check that options of `--source` do not stand alone. Raises: UsageError."""
    stray = [field.name for field in fields(own) if getattr(own, field.name) is not None]
    if stray:
        no = "no-" if getattr(own, stray[0]) is False else ""
        raise UsageError(
            f"--{no}{stray[0].replace('_', '-')} describes a network given by --source",
            fix="A zoo name or a model.yml describes itself",
        )


def describe_own(
    context: click.Context,
    own: OwnNetwork,
    name: str | None,
    form: Form,
    like: ModelConfig | None,
) -> tuple[Draft, Path]:
    """Inspect the network and say on stderr what was guessed of it; the draft, and the folder of its files.

    Args:
        form: geometry and input shape stand in the description.
        like: a model whose normalisation and geometry are taken where the options do not say.

    Raises:
        UsageError, ConversionError, ConfigError, MissingDependencyError: as the steps do.
    """
    if own.source is None or name is None or not NAME.fullmatch(name) or name.endswith(".xml"):
        raise UsageError(
            "a network of your own needs a name",
            expected="--name with letters, digits, '.', '_' or '-', and no .xml at its end",
            got=repr(name),
        )
    wishes = _wishes(own, form)
    preset = _preset(own, like)
    if preset is not None:
        wishes = with_preset(wishes, preset)
    found = inspect_source(own.source, output=own.output, architecture=own.architecture, weights_key=own.weights_key)
    made = draft(name, found, _like(wishes, like))
    if not options.quiet(context):
        for guess in made.guesses:
            click.echo(f"guess: {guess}", err=True)
    return made, found.folder


def check_name(name: str, folder: Path, config_dirs: tuple[Path, ...]) -> None:
    """Check that no other model than the one in `folder` has this name. Raises: UsageError."""
    others = [other for other in config_dirs if other.resolve() != folder.parent.resolve()]
    for other in find_folders(glob.escape(name), config_dirs=others).values():
        raise UsageError("another model has this name", got=other, fix="Choose another --name")


def show_own(made: Draft, folder: Path) -> None:
    """What would be written, on stdout, and on stderr what converting it would say."""
    for remark in made.remarks:
        log.warning("%s", remark)
    for name, text in (("model.yml", model_yml), ("accuracy-check.yml", accuracy_check_yml)):
        click.echo(f"# {folder / name}\n{text(made.description)}")


def _wishes(own: OwnNetwork, form: Form) -> Wishes:
    return Wishes(
        shape=form.input_shape,
        layout=own.source_layout,
        mean=_numbers("--mean-values", own.mean_values),
        scale=_numbers("--scale-values", own.scale_values),
        reverse=own.reverse_input_channels,
        output_kind=own.output_kind,
        labels=own.labels,
        geometry=form.geometry,
        width=own.width,
        classes=own.classes,
        weights_key=own.weights_key,
    )


def _preset(own: OwnNetwork, like: ModelConfig | None) -> Normalisation | None:
    if own.preset is not None and (own.mean_values or own.scale_values or like is not None):
        raise UsageError("two normalisations", expected="one of --preset, --mean-values with --scale-values, MODEL")
    if own.preset is not None:
        return PRESETS[own.preset]
    return plan_conversion(like).normalisation if like is not None else None


def _like(wishes: Wishes, like: ModelConfig | None) -> Wishes:
    if like is None or like.dataset is None or wishes.geometry is not None:
        return wishes
    return replace(wishes, geometry=from_dataset(like.dataset))


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    numbers = parse_numbers(text[text.find("[") :] if "[" in text else text)
    least = LEAST_SCALE if option == "--scale-values" else 0.0
    if numbers is None or len(numbers) not in (1, 3) or not all(least <= abs(n) < LIMIT for n in numbers):
        raise UsageError(
            f"bad {option}", expected="one number or three, such as 127.5 or 123.675,116.28,103.53", got=text
        )
    return numbers
