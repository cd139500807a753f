"""Adapt an IR of any tool before it is compiled: the input is uint8 NHWC BGR frames, the output has a known kind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.errors import AlreadyNormalisedError, ConfigError, ConversionError, IrError, UsageError
from ov_mobilenet.images.load_image import DecodeMode, check_decode_mode
from ov_mobilenet.images.yuv_planes import frame_height
from ov_mobilenet.ir.files import OpenedIr
from ov_mobilenet.ir.identity import NetworkIdentity, later_identity
from ov_mobilenet.ir.layout import guess_layout, input_layout, plain_layout, set_layout
from ov_mobilenet.ir.mo_record import read_mo_record
from ov_mobilenet.ir.model_info import read_model_info
from ov_mobilenet.ir.normalisation import bake_normalisation, baked_normalisation
from ov_mobilenet.ir.output_content import output_facts
from ov_mobilenet.ir.ports import check_classifier, find_output, single_input, static_sizes
from ov_mobilenet.ir.probabilities import finish_output
from ov_mobilenet.runtime.classifier import Classifier
from ov_mobilenet.runtime.defaults import CPU_BATCH, default_to_throughput
from ov_mobilenet.runtime.infer_queue import check_at_least_1
from ov_mobilenet.runtime.result_settings import result_settings
from ov_mobilenet.zoo.geometry import Geometry, check_size, parse_geometry, resize_whole_image
from ov_mobilenet.zoo.labels import read_labels
from ov_mobilenet.zoo.output_kind import OutputContent, OutputKind, kind_of

if TYPE_CHECKING:
    import openvino as ov

    from ov_mobilenet.devices.compile import Compiled
    from ov_mobilenet.devices.settings import DeviceSettings
    from ov_mobilenet.ir.record import IrRecord
    from ov_mobilenet.zoo.normalisation import Normalisation

log = logging.getLogger(__name__)

# What a linear layer at the end of an IR without a record holds, if the user names the kind.
_CONTENT_OF_SCORES: dict[OutputKind | None, OutputContent] = {
    "classes": "logits", "multilabel": "multilabel-logits", "features": "features",
}  # fmt: skip

Compiler = Callable[["ov.Model", "DeviceSettings"], "Compiled"]


@dataclass(frozen=True)
class Runnable:
    """A network with uint8 NHWC BGR frames as input and one output `[N, values]`, not compiled yet.

    Attributes:
        xml: the IR that it was read from.
        input_shape: shape of the input in the IR, in its own layout; -1 for a dynamic size.
        record: the record of ov-mobilenet in the IR; None if another tool wrote the IR.
        geometry: crop and resize on the host; None if they are part of the graph.
        labels: class names, or None.
        identity: returns the identity of the network in the IR.
        output_kind: what the output holds.
        model_info: the section `model_info` of the IR, as text by name; empty if it has none.
        content: digest of the content of the IR and of how it was adapted, for `compile_model`; None if not known.
    """

    xml: Path
    input_shape: tuple[int, ...]
    network: ov.Model
    record: IrRecord | None
    geometry: Geometry | None
    labels: tuple[str, ...] | None
    identity: Callable[[], NetworkIdentity]
    output_kind: OutputKind = "classes"
    model_info: Mapping[str, str] = field(default_factory=dict)
    content: str | None = None

    def result_settings(self, inference_precision: str, decode: DecodeMode) -> dict[str, str]:
        """What the results will depend on, as `LoadedModel.result_settings`.

        Args:
            inference_precision: as text; the one that will really run is known only when the network is compiled.
        """
        return result_settings(
            self.identity(), self.output_kind, self.geometry, self.labels, inference_precision=inference_precision,
            decode=decode,
        )  # fmt: skip

    def compile(
        self,
        compiler: Compiler,
        settings: DeviceSettings,
        *,
        batch_size: int | None = None,
        decode: DecodeMode = "auto",
        exif_orientation: bool = True,
    ) -> Classifier:
        """Compile the network for a device.

        `classify` and `probabilities` use `settings`. Queues and streams also use the throughput hint, unless
        `settings` contains a hint or a number of streams.

        Args:
            compiler: `compile_model`, or a function that wraps it.
            batch_size: images per request; None for the network's own, and for streams of many images the fastest on
                the device.
            decode: see `images.load_image`.
            exif_orientation: rotate image files by their EXIF orientation.

        Raises:
            DeviceError, UsageError: see `compile_model`.
            UsageError: `batch_size` is below 1.
        """
        check_at_least_1(batch_size=batch_size)
        check_decode_mode(decode)
        queue_settings = default_to_throughput(settings)

        def compile_for(network: ov.Model, chosen: DeviceSettings) -> Compiled:
            compiled = compiler(network, chosen)
            log.info(
                "%s: compiled for %s: inference precision %s, %s streams, batch size %s", self.xml, compiled.device,
                compiled.inference_precision or "not reported", compiled.num_streams or "not reported",
                network.inputs[0].get_partial_shape()[0],
            )  # fmt: skip
            return compiled

        def compile_batch(batch: int, chosen: DeviceSettings = queue_settings) -> Compiled:
            return compile_for(self._with_batch(batch), chosen)

        own_batch = self.network.inputs[0].get_partial_shape()[0]
        has_batch = own_batch.is_static and own_batch.get_length() == batch_size
        # Without a host geometry frames may differ in size, and then cannot share a request.
        network = self.network
        if batch_size is not None and self.geometry is not None and not has_batch:
            try:
                network = self._with_batch(batch_size)
            except UsageError as error:
                log.warning("%s; running it with its own batch size", error)
                batch_size = None
        compiled = compile_for(network, settings)
        # An IR of another tool may not work with a changed batch size.
        takes_any_batch = self.record is not None and self.geometry is not None
        sets_batch = batch_size is not None or (own_batch.is_static and own_batch.get_length() > 1)
        chooses_batch = takes_any_batch and not sets_batch and not settings.requests_latency
        classifier = Classifier(
            compiled, geometry=self.geometry, labels=self.labels, record=self.record, compile_batch=compile_batch,
            stream_batch=CPU_BATCH if chooses_batch and compiled.device == "CPU" else None,
            share_with_queues=queue_settings == settings, decode=decode, exif_orientation=exif_orientation,
            output_kind=self.output_kind,
            identity=self.identity,
        )  # fmt: skip
        classifier.model_info = self.model_info
        classifier.xml = self.xml
        return classifier

    def _with_batch(self, batch: int) -> ov.Model:
        """A copy of the network for a batch size. Raises: UsageError, if its graph has another one in constants."""
        network = self.network.clone()
        try:
            network.reshape([batch, *list(self.network.inputs[0].get_partial_shape())[1:]])
        except RuntimeError as error:
            raise self._fixed_batch(batch, "a graph that OpenVINO cannot reshape") from error
        rows, values = network.outputs[0].get_partial_shape()
        if rows.is_static and (rows.get_length() != batch or values != self.network.outputs[0].get_partial_shape()[1]):
            raise self._fixed_batch(batch, f"an output of shape [{rows}, {values}]")
        return network

    def _fixed_batch(self, batch: int, got: str) -> UsageError:
        return UsageError("the network does not take batches of this size", where=self.xml, expected=batch, got=got)


def make_runnable(
    ir: OpenedIr,
    *,
    geometry: str | Geometry | None = None,
    labels: tuple[str, ...] | Path | None = None,
    normalisation: Normalisation | None = None,
    layout: str | None = None,
    output_kind: OutputKind | None = None,
) -> Runnable:
    """Adapt an IR; its network is modified. For the other arguments and errors see `load_classifier`.

    Args:
        output_kind: what the output must hold; decides for an IR without a record what its graph does not show.
    """
    xml, network, record = ir.xml, ir.network, ir.record
    identity = later_identity(ir)
    model_info = read_model_info(network)
    input_shape = static_sizes(network.inputs[0])
    if normalisation and (found := baked_normalisation(network)):
        raise AlreadyNormalisedError(
            "the model is already normalised; the given normalisation would be applied a second time",
            where=xml, expected="no mean_values, scale_values, reverse_input_channels", got=found,
            fix="Omit them: the model takes raw pixels",
        )  # fmt: skip
    channel_order = "BGR" if record is None else record.channel_order
    if record is None:
        for warning in [] if normalisation else _assumptions(network):
            log.warning("%s: %s", xml, warning)
        network, kind = _with_finished_output(network, layout, xml, output_kind)
    else:
        kind = record.output_kind
    if output_kind not in (None, kind):
        raise UsageError(
            "the output kind does not match the model's output", where=xml, expected=output_kind, got=kind,
            fix="Convert the network again, with another --output or --output-kind",
        )  # fmt: skip
    check_classifier(network, xml)
    if layout is not None:
        set_layout(network, layout, xml)
    if normalisation:
        network = bake_normalisation(network, normalisation, layout=input_layout(network, xml), path=xml)
    chosen = _host_geometry(network, record, geometry, xml)
    given_names = read_labels(labels) if isinstance(labels, Path) else labels
    names = given_names or (record.labels if record is not None else _model_info_labels(model_info))
    classes = network.outputs[0].get_partial_shape()[1].get_length()
    if kind == "features":
        if given_names is not None:
            raise UsageError("a network without a classifier has no labels", where=xml, expected="no labels")
        names = None
    if names is not None and len(names) != classes:
        raise ConfigError(
            "the number of labels does not match the number of classes", where=xml, expected=classes, got=len(names)
        )
    network = _with_frame_input(network, record, xml, reverse=channel_order == "RGB")
    content = None if ir.content is None else f"{ir.content} {normalisation} {layout} {output_kind}"
    return Runnable(xml, input_shape, network, record, chosen, names, identity, kind, model_info, content)


def _with_finished_output(
    network: ov.Model, layout: str | None, xml: Path, wanted: OutputKind | None
) -> tuple[ov.Model, OutputKind]:
    """An IR of another tool with a single input and a finished output, and its kind; the input layout is kept."""
    recorded = network.get_parameters()[0].layout
    port = single_input(network, "", xml)
    order = plain_layout(layout or str(recorded))
    if len(order) != 4:
        order = guess_layout(static_sizes(port)) or "NHWC"
    output = find_output(network, None, xml)
    declared: OutputContent | None = None
    if wanted not in (None, kind_of(output_facts(output, None, order, xml).content)):
        declared = _CONTENT_OF_SCORES[wanted]
    try:
        network, kind = finish_output(output, port.get_node(), declared, order, xml)
    except ConversionError as error:
        if declared is None:
            raise
        raise UsageError(
            "the output kind does not match the model's output", where=xml, expected=wanted, got=error.got
        ) from error
    try:
        network.get_parameters()[0].layout = recorded
    except RuntimeError as error:  # OpenVINO does not compare them when it reads the IR
        raise IrError(
            "the layout in the IR does not match its input", where=xml,
            expected=f"a layout of {static_sizes(port)}", got=recorded,
            fix="Export the model again",
        ) from error  # fmt: skip
    return network, kind


def _assumptions(network: ov.Model) -> list[str]:
    """Warnings about the assumptions made for an IR without a record of ov-mobilenet.

    By the Open Model Zoo's convention an IR takes BGR: the Model Optimizer reverses the channels of a network that
    takes RGB. If it did not reverse them, the network takes BGR, as Caffe networks do, or its IR expects RGB input.
    """
    made = read_mo_record(network)
    if made is None:
        return ["no record of ov-mobilenet in the IR; assuming that it takes raw BGR pixels 0..255"]
    warnings = []
    if not made.reverses_channels:
        warnings.append(
            "the Model Optimizer did not reverse the channels, so it is unknown whether the network takes BGR or RGB. "
            "Assuming BGR; if it takes RGB, convert it again with --reverse_input_channels"
        )
    if not made.has_mean_or_scale:
        warnings.append("the Model Optimizer baked in no mean and no scale; assuming raw pixels 0..255")
    return warnings


def _host_geometry(
    network: ov.Model, record: IrRecord | None, wanted: str | Geometry | None, xml: Path
) -> Geometry | None:
    """Crop and resize on the host; None if they are part of the graph."""
    if record is not None and record.geometry_baked:
        sizes = network.inputs[0].get_partial_shape()
        if all(size.is_static for size in list(sizes)[1:]):
            raise IrError(
                "the record in the IR contradicts its graph", where=xml,
                expected="an input of any height and width, because geometry_baked is true", got=sizes,
                fix="Convert the model again",
            )  # fmt: skip
        if wanted is not None:
            raise UsageError(
                "the model crops and resizes in the graph", where=xml, expected="no geometry", got=wanted,
                fix="Omit the geometry",
            )  # fmt: skip
        return None
    height, width = _frame_size(network, record, xml)
    if wanted is not None:
        chosen = parse_geometry(wanted) if isinstance(wanted, str) else wanted
        check_size(chosen, height, width)
        return chosen
    if record is not None and record.geometry is not None:
        check_size(record.geometry, height, width, error=IrError, where=xml)
        return record.geometry
    log.warning("%s: the geometry is not known; resizing the whole image to %dx%d", xml, height, width)
    return resize_whole_image(height, width)


def _frame_size(network: ov.Model, record: IrRecord | None, xml: Path) -> tuple[int, int]:
    """Height and width of the network's input frames, in pixels."""
    shape = network.inputs[0].get_partial_shape()
    if record is not None and record.planes is not None:
        return frame_height(shape[1].get_length()), shape[2].get_length()
    layout = input_layout(network, xml)
    height, width = shape[layout.index("H")], shape[layout.index("W")]
    if height.is_dynamic or width.is_dynamic:
        raise IrError("dynamic input height and width are not supported", where=xml, expected="a fixed size", got=shape)
    return height.get_length(), width.get_length()


def _with_frame_input(network: ov.Model, record: IrRecord | None, xml: Path, *, reverse: bool) -> ov.Model:
    """The network with uint8 NHWC BGR frames as input; the graph converts type, layout and channel order."""
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    if record is not None and record.planes is not None:
        return network
    layout = input_layout(network, xml)
    element = network.inputs[0].get_element_type()
    if element == ov.Type.u8 and layout == "NHWC" and not reverse:
        return network
    processor = PrePostProcessor(network)
    processor.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    processor.input().model().set_layout(ov.Layout(layout))
    if reverse:
        processor.input().preprocess().reverse_channels()
    processor.input().preprocess().convert_element_type(element)
    return processor.build()


def _model_info_labels(model_info: Mapping[str, str]) -> tuple[str, ...] | None:
    if not model_info.get("labels"):
        return None
    return tuple(label.replace("_", " ") for label in model_info["labels"].split())
