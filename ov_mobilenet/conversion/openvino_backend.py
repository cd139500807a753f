"""The default backend: OpenVINO reads the source network in this process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ov_mobilenet.conversion.architectures import check_input_size
from ov_mobilenet.conversion.integer_input import accept_pixels, read_integer_input
from ov_mobilenet.conversion.isolated_reading import try_to_read
from ov_mobilenet.conversion.prepared_network import PreparedNetwork, finished_network, name_input
from ov_mobilenet.conversion.shapes import set_shape
from ov_mobilenet.errors import ConversionError, UsageError
from ov_mobilenet.ir.ports import find_output, single_input, static_sizes
from ov_mobilenet.zoo.geometry import channel_order
from ov_mobilenet.zoo.normalisation import Normalisation

if TYPE_CHECKING:
    from collections.abc import Sequence

    import openvino as ov

    from ov_mobilenet.conversion.local_network import LocalNetwork
    from ov_mobilenet.ir.form import Form
    from ov_mobilenet.zoo.model import ModelConfig


def prepare_with_openvino(
    network: LocalNetwork, form: Form, precisions: Sequence[str], isolate: bool | None = None
) -> PreparedNetwork:
    """Read a source network with this OpenVINO; the normalisation is still to be baked.

    Args:
        precisions: weight precisions of the IRs; any are possible.
        isolate: whether the network is read in a child process first; None: if its description has no digest of it.

    Raises:
        ConversionError: the network cannot be read, or does not match its description.
        MissingDependencyError: the framework's package is not installed.
        UsageError: the requested input size is smaller than the description allows, or not one that the padding of
            PyTorch weights is exact for.
    """
    network = _built_for(network, form.input_shape)
    plan, path = network.plan, network.path
    # Without a digest, anyone may have written it.
    if isolate or (isolate is None and any(file.checksum is None for file in network.config.files)):
        try_to_read(network.framework, plan, path, isolate)
    model = network.read()
    source_input = single_input(model, plan.input.name, path)
    integers = read_integer_input(model, network.framework, path)
    normalisation = plan.normalisation
    if integers is not None:
        normalisation = accept_pixels(model, integers, normalisation, path)
    classifier, kind = finished_network(network, source_input, find_output(model, plan.output, path))
    shape = form.input_shape or plan.input.shape or _own_shape(classifier, path)
    if network.framework == "pytorch" and plan.model_name is not None and plan.library_network is None:
        check_input_size(plan.model_name, plan.settings, shape, UsageError, path)
    if form.batch is not None:
        shape = (form.batch, *shape[1:])
    set_shape(classifier, shape, path)
    name_input(network, classifier, source_input)
    _check_size(network.config, shape, network.layout)
    if form.color_format == "rgb":
        normalisation = _for_rgb_input(network.config, normalisation)
    return PreparedNetwork(classifier, network.layout, normalisation, left_to_bake=normalisation, output_kind=kind)


def _built_for(network: LocalNetwork, shape: tuple[int, ...] | None) -> LocalNetwork:
    """The network to read for an input of this shape: the paddings in a module of a library are those of one size."""
    plan = network.plan
    if plan.library_network is None or shape is None or len(shape) != 4 or shape[1] != 3:
        return network
    documented = msgspec.structs.replace(plan.input, shape=shape)
    return replace(network, plan=msgspec.structs.replace(plan, input=documented))


def _own_shape(model: ov.Model, path: Path) -> tuple[int, ...]:
    if model.inputs[0].get_partial_shape().rank.is_dynamic:
        raise ConversionError(
            "neither the network nor its description gives the input shape", where=path, expected="input_info.shape"
        )
    return static_sizes(model.inputs[0])


def _check_size(config: ModelConfig, shape: tuple[int, ...], layout: str) -> None:
    """Check the input size against the smallest one that the description allows. Raises: UsageError."""
    least = config.details.least_side
    height, width = (shape[layout.index(letter)] for letter in "HW")
    if least is not None and min(height, width) < least:
        raise UsageError(
            "the input is smaller than the description allows", where=config.path,
            expected=f"height and width of at least {least}", got=f"{height}x{width}",
        )  # fmt: skip


def _for_rgb_input(config: ModelConfig, normalisation: Normalisation) -> Normalisation:
    """The normalisation for RGB frames, for a network whose normalisation is documented for its own channel order."""
    documented = channel_order(config.dataset) if config.dataset is not None else "BGR"
    reverse = normalisation.reverse_input_channels != (documented == "BGR")
    return msgspec.structs.replace(normalisation, reverse_input_channels=reverse)
