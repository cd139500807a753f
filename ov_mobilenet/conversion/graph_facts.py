"""What the graph of a source network shows: its input, its output, and who published such networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.inner_normalisation import InnerNormalisation, find_inner_normalisation
from ov_mobilenet.conversion.integer_input import IntegerInput, read_integer_input
from ov_mobilenet.conversion.naming_schemes import NamingScheme, convolution_shapes, find_scheme
from ov_mobilenet.conversion.teachable_machine import is_teachable_machine
from ov_mobilenet.errors import ConversionError, UsageError
from ov_mobilenet.zoo.output_kind import OutputContent

if TYPE_CHECKING:
    import openvino as ov

    from ov_mobilenet.ir.output_content import OutputFacts
    from ov_mobilenet.zoo.arguments import ConversionPlan


@dataclass(frozen=True)
class GraphFacts:
    """The properties of a graph; see `SourceFacts` for their meaning.

    Attributes:
        is_teachable_machine: whether it has the structure of Teachable Machine's image networks.
    """

    input_name: str
    shape: tuple[int, ...]
    output: str | None
    classes: int
    output_kind: OutputContent
    map_size: tuple[int, int] | None
    integer_input: IntegerInput | None
    inner: InnerNormalisation
    scheme: NamingScheme | None
    is_teachable_machine: bool = False


def graph_facts(
    framework: str,
    plan: ConversionPlan,
    source: Path,
    declared: OutputContent | None,
    graphs: tuple[ov.Model, ov.Model],
    names: bytes,
) -> GraphFacts:
    """Inspect a graph.

    Args:
        plan: names the output, or None.
        source: the network's file or folder, for messages.
        declared: what the output holds; None to find it.
        graphs: the network as it is converted, and as its frontend reads it; the latter is changed.
        names: names in the network, see `find_scheme`.

    Raises:
        UsageError: the declared output contradicts the network.
        ConversionError: the network is not a classifier or a feature extractor.
    """
    from ov_mobilenet.ir.layout import framework_layout, guess_layout
    from ov_mobilenet.ir.output_content import output_facts
    from ov_mobilenet.ir.ports import plain_name, single_input, static_sizes

    model, unoptimised = graphs
    port = single_input(model, "", source)
    tensor, output_name = _choose_output(model, plan.output, source)
    layout = guess_layout(static_sizes(port)) or framework_layout(framework)
    facts = output_facts(tensor, None, layout, source)
    if declared is not None:
        facts = _declared_output(tensor, declared, layout, source)
    return GraphFacts(
        input_name=plain_name(min(port.get_names(), default="")),
        shape=static_sizes(port),
        output=output_name,
        classes=facts.classes,
        output_kind=facts.content,
        map_size=facts.map_size,
        integer_input=read_integer_input(model, framework, source),
        inner=find_inner_normalisation(unoptimised),
        scheme=find_scheme(names, convolution_shapes(unoptimised)),
        is_teachable_machine=is_teachable_machine(unoptimised, facts.classes),
    )


def _declared_output(tensor: ov.Output, declared: OutputContent, layout: str, source: Path) -> OutputFacts:
    """What an output holds, as the user declares it. Raises: UsageError."""
    from ov_mobilenet.ir.output_content import output_facts

    try:
        return output_facts(tensor, declared, layout, source)
    except ConversionError as error:
        raise UsageError(
            "--output-kind does not match the model's output", where=source, expected=declared,
            got=output_facts(tensor, None, layout, source).content,
        ) from error  # fmt: skip


def _choose_output(model: ov.Model, name: str | None, source: Path) -> tuple[ov.Output, str | None]:
    """The tensor to use as the output and its name; of several outputs, the only one after a softmax.

    The name is None if the network has one output and none was requested. Raises: ConversionError.
    """
    from ov_mobilenet.ir.ports import find_output, plain_name
    from ov_mobilenet.ir.probabilities import ends_in_softmax

    if name is not None or len(model.outputs) == 1:
        return find_output(model, name, source), name
    outputs = [
        (port.get_node().input_value(0), plain_name(min(port.get_names(), default=""))) for port in model.outputs
    ]
    probabilities = [(tensor, name) for tensor, name in outputs if name and ends_in_softmax(tensor)]
    if len(probabilities) != 1:
        raise ConversionError(
            "the network has several outputs", where=source, expected="one output, or one after a softmax",
            got=", ".join(repr(name) for _, name in outputs[:8]), fix="Name one with --output",
        )  # fmt: skip
    return probabilities[0]
