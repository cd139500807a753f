"""The result of both conversion backends, and the steps that they have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.dynamic_quantisation import warn_of_dynamic_quantisation
from ov_mobilenet.conversion.loops import check_loops
from ov_mobilenet.conversion.shapes import free_batch
from ov_mobilenet.ir.ports import plain_name
from ov_mobilenet.ir.probabilities import finish_output

if TYPE_CHECKING:
    import openvino as ov

    from ov_mobilenet.conversion.local_network import LocalNetwork
    from ov_mobilenet.ir.mo_record import MoRecord
    from ov_mobilenet.zoo.normalisation import Normalisation
    from ov_mobilenet.zoo.output_kind import OutputKind


@dataclass(frozen=True)
class PreparedNetwork:
    """A network that a backend has read: one named input of the requested shape, one finished output.

    Attributes:
        model: the network; its weights are float32, or as the backend stored them.
        layout: layout of the input.
        normalisation: normalisation of the finished model, for its record. It lacks the documented mean and scale if
            the quantisation of an integer input applies them.
        left_to_bake: the part of `normalisation` that is not in the graph yet; None if the backend has already made
            the input of the finished model.
        output_kind: what the output holds.
        backend_versions: versions to record besides those of OpenVINO and ov-mobilenet.
        mo_record: the Model Optimizer's own record, to be kept in the IR.
    """

    model: ov.Model
    layout: str
    normalisation: Normalisation
    left_to_bake: Normalisation | None
    output_kind: OutputKind
    backend_versions: Mapping[str, str] = field(default_factory=dict)
    mo_record: MoRecord | None = None


def finished_network(network: LocalNetwork, source_input: ov.Output, output: ov.Output) -> tuple[ov.Model, OutputKind]:
    """The network from its input to a finished output, with no batch size fixed inside the graph.

    Raises:
        ConversionError: as `output_facts`; or the network has a loop that takes too long.
    """
    declared = network.config.details.output
    model, kind = finish_output(output, source_input.get_node(), declared, network.layout, network.path)
    free_batch(model)
    check_loops(model, network.path)
    warn_of_dynamic_quantisation(model, network.path)
    return model, kind


def name_input(network: LocalNetwork, model: ov.Model, source_input: ov.Output) -> None:
    """Give the input its documented name; without one, its first name in the source network."""
    name = network.plan.input.name or plain_name(min(source_input.get_names(), default="input"))
    model.inputs[0].get_tensor().set_names({name})
