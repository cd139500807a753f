"""`convert --source`: the options that describe a network of the user's own."""

from __future__ import annotations

import glob
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.progress import download_progress, stage_progress
from ov_mobilenet.conversion.architectures import ARCHITECTURES
from ov_mobilenet.conversion.own_network import DraftDescription, UserChoices
from ov_mobilenet.conversion.presets import PRESETS
from ov_mobilenet.describe_network import INSPECTED, describe_by_choices
from ov_mobilenet.errors import UsageError
from ov_mobilenet.hub.source_inspection import is_repository
from ov_mobilenet.ir.form import Form
from ov_mobilenet.resolve import Lookup
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.config import NAME
from ov_mobilenet.zoo.description import accuracy_check_yml, model_yml
from ov_mobilenet.zoo.geometry import geometry_of_dataset, parse_numbers
from ov_mobilenet.zoo.layer_settings import ACTIVATIONS, PADDINGS
from ov_mobilenet.zoo.model import HEAD_ACTIVATIONS, ModelConfig
from ov_mobilenet.zoo.normalisation import LEAST_SCALE, LIMIT
from ov_mobilenet.zoo.output_kind import OUTPUT_CONTENTS
from ov_mobilenet.zoo.registry import find_folders

log = logging.getLogger(__name__)


F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class SourceOptions:
    """The values of the options below, by parameter name."""

    source: Path | None
    preset: str | None
    assume: Any
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
    head: Any
    activation: Any
    padding: Any
    batch_norm_epsilon: float | None
    diagnose_images: str | None


class _NonEmptyPath(click.Path):
    """A path that is not empty: an unset shell variable must not mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(value, param, ctx) if value else self.fail("the path is empty", param, ctx)


def source_options(function: F) -> F:
    """Add the options; the command receives them as one argument `own`."""
    function = options.collect_into(SourceOptions, "own")(function)
    for option in reversed((
        click.option(
            "--source", type=_NonEmptyPath(path_type=Path), metavar="FILE|FOLDER|hf:…",
            help="Convert your own network (.onnx, .pb, .tflite, .h5, .keras, .pth, .pt, .ckpt, .safetensors, the "
            "folder of a SavedModel, or a folder or .zip archive with one of these), or a Hugging Face repository "
            "(hf:OWNER/NAME[@REVISION][/FILE], or a folder with its files); --name gives it a name. If a MODEL is "
            "given too, its normalisation and geometry are the defaults.",
        ),
        click.option(
            "--preset", type=click.Choice(sorted(PRESETS)),
            help="Normalisation, crop and resize of the networks that this library published.",
        ),
        click.option(
            "--assume", type=click.Choice(["none"]),
            help="'none': the network takes pixels 0..255 without a normalisation. Needed only if the file does not "
            "show the normalisation and neither --preset nor --mean-values and --scale-values is given."
        ),
        click.option(
            "--mean-values", "--mean_values", metavar="A[,B,C]",
            help="Mean per channel, in the network's channel order."
        ),
        click.option(
            "--scale-values", "--scale_values", metavar="A[,B,C]",
            help="Scale per channel, in the network's channel order."
        ),
        click.option(
            "--reverse-input-channels/--no-reverse-input-channels",
            "--reverse_input_channels/--no_reverse_input_channels", default=None,
            help="The network takes RGB (default); with --no-reverse-input-channels it takes BGR.",
        ),
        click.option(
            "--source-layout", "--source_layout", type=click.Choice(["NCHW", "NHWC"]),
            help="Layout of the network's input (default: guessed from its shape).",
        ),
        click.option("--output", metavar="NAME", help="Output tensor, if the network has several."),
        click.option(
            "--output-kind", type=click.Choice(OUTPUT_CONTENTS),
            help="What the network's output holds (default: found in the graph); the conversion fails if it cannot be.",
        ),
        click.option(
            "--labels", metavar="FILE|SET",
            help="File with one class name per line, or imagenet_1000_classes, imagenet_1001_classes or none.",
        ),
        click.option(
            "--architecture", type=click.Choice(ARCHITECTURES),
            help="Architecture of PyTorch weights (default: identified).",
        ),
        click.option("--width", type=float, metavar="X", help="Width multiplier that the weights must have."),
        click.option(
            "--classes", type=click.IntRange(min=1), metavar="N", help="Number of classes that the network must have."
        ),
        click.option(
            "--weights-key", metavar="KEY", help="Entry to use of a checkpoint that holds several sets of weights."
        ),
        click.option(
            "--head", type=click.Choice(HEAD_ACTIVATIONS),
            help="Activation between the linear layers of a classifier of your own, for PyTorch weights.",
        ),
        click.option(
            "--activation", type=click.Choice(ACTIVATIONS),
            help="Activation in place of ReLU and ReLU6, for PyTorch weights, which do not contain it. Needed if "
            "their keys are not torchvision's and --diagnose-images does not find it.",
        ),
        click.option(
            "--padding", type=click.Choice(PADDINGS),
            help="Padding of the convolutions with stride 2, for PyTorch weights: torch, or TensorFlow's SAME "
            "(default: the published one).",
        ),
        click.option(
            "--batch-norm-epsilon", type=click.FloatRange(0, 1, min_open=True, max_open=True), metavar="X",
            help="Epsilon of the batch norms, for PyTorch weights (default: the published one).",
        ),
        click.option(
            "--diagnose-images", metavar="DIR",
            help="Images like those that the network was trained on, without labels, decide on the normalisation and "
            "the channel order that no option gives, and on activation, padding and batch-norm epsilon of PyTorch "
            "weights: a folder (recursive), a file, a wildcard, @LIST.txt, - for stdin, "
            "a tar shard or a video. At most 100 images are used, and 20 often decide.",
        ),
    )):  # fmt: skip
        function = option(function)
    return function


def refuse_source_options(own: SourceOptions, models: Sequence[str]) -> None:
    """Check that no option of `--source` is given without it. Raises: UsageError."""
    given = [field.name for field in fields(own) if getattr(own, field.name) is not None]
    if given:
        no = "no-" if getattr(own, given[0]) is False else ""
        repository = next(filter(is_repository, models), None)
        raise UsageError(
            f"--{no}{given[0].replace('_', '-')} requires --source",
            fix=f"For a repository: --source {repository} --name NAME, without MODEL"
            if repository is not None
            else "A zoo name or a model.yml has its own description: omit the option",
        )


def describe_source(
    context: click.Context,
    own: SourceOptions,
    name: str | None,
    form: Form,
    template: ModelConfig | None,
    lookup: Lookup,
) -> tuple[DraftDescription, Path]:
    """Inspect the network, describe it, and report on stderr what was guessed.

    Args:
        form: its geometry and input shape become part of the description.
        template: a model whose normalisation and geometry are the defaults.
        lookup: for a repository.

    Returns:
        The description, and the folder of the network's files.

    Raises:
        UsageError, ConversionError, ConfigError, MissingDependencyError, ImageError: see `describe`.
    """
    if own.source is None or name is None or not NAME.fullmatch(name) or name.endswith(".xml"):
        raise UsageError(
            "--source requires --name",
            expected="a name of letters, digits, '.', '_' or '-' that does not end in .xml",
            got=None if name is None else repr(name),
        )
    choices = _choices(own, form)
    if template is not None:
        if own.preset is not None or own.assume is not None:
            raise UsageError("the normalisation is given twice", expected="a MODEL, --preset or --assume")
        choices = choices.with_defaults(plan_conversion(template).normalisation)
    if choices.geometry is None and template is not None and template.dataset is not None:
        choices = replace(choices, geometry=geometry_of_dataset(template.dataset))
    inspected = {field: getattr(own, field) for field in INSPECTED if field != "isolate"}
    inspected["isolate"] = lookup.isolate
    with stage_progress(context) as on_progress, download_progress(context) as on_event:
        network, failures = describe_by_choices(
            own.source, name, choices, inspected, images=own.diagnose_images, size=lookup.size, offline=lookup.offline,
            on_progress=on_progress, on_event=on_event,
        )  # fmt: skip
    for failure in failures:
        click.echo(f"{failure.source}: {failure.error}", err=True)
    for guess in network.guesses:
        if guess.changes_answers or not options.quiet(context):
            click.echo(f"{guess.origin if guess.is_declared else 'guess'}: {guess}", err=True)
    return network.draft, network.source_folder


def check_name(name: str, folder: Path, config_dirs: tuple[Path, ...]) -> None:
    """Check that no model outside `folder` has this name. Raises: UsageError."""
    others = [other for other in config_dirs if other.resolve() != folder.parent.resolve()]
    for other in find_folders(glob.escape(name), config_dirs=others).values():
        raise UsageError(f"the name {name!r} is taken by another model", got=other, fix="Choose another --name")


def show_draft(draft: DraftDescription, folder: Path) -> None:
    """Print the description on stdout; log the warnings that the conversion would log."""
    for warning in draft.warnings:
        log.warning("%s", warning)
    for name, text in (("model.yml", model_yml), ("accuracy-check.yml", accuracy_check_yml)):
        click.echo(f"# {folder / name}\n{text(draft.description)}")


def _choices(own: SourceOptions, form: Form) -> UserChoices:
    return UserChoices(
        shape=form.input_shape,
        layout=own.source_layout,
        preset=own.preset,
        assume=own.assume,
        mean=parse_number_option("--mean-values", own.mean_values),
        scale=parse_number_option("--scale-values", own.scale_values),
        reverse_input_channels=own.reverse_input_channels,
        output_kind=own.output_kind,
        labels=own.labels,
        geometry=form.geometry,
        width=own.width,
        classes=own.classes,
        weights_key=own.weights_key,
        head=own.head,
        activation=own.activation,
        padding=own.padding,
        batch_norm_epsilon=own.batch_norm_epsilon,
    )


def parse_number_option(option: str, text: str | None) -> tuple[float, ...] | None:
    """One number or three, as given with `--mean-values` or `--scale-values`. Raises: UsageError."""
    if text is None:
        return None
    numbers = parse_numbers(text[text.find("[") :] if "[" in text else text)
    least = LEAST_SCALE if option == "--scale-values" else 0.0
    if numbers is None or len(numbers) not in (1, 3) or not all(least <= abs(n) < LIMIT for n in numbers):
        raise UsageError(
            f"invalid {option}", expected="one number or three, such as 127.5 or 123.675,116.28,103.53", got=text
        )
    return numbers
