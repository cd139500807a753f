"""The second backend: the classic Model Optimizer, `mo` of openvino-dev, run as a program.

It requires another version of OpenVINO, so it is installed in an environment of its own
(`tools/omz-requirements.txt`) and none of its modules is imported. It reads the network, cuts it at the output, and
bakes channel order, mean, scale and layout. Everything else that a converted model promises is done here, in the same
way as in the default backend: probabilities, batch, names and record. Weights are compressed here too, because `mo`
would also round biases, mean and scale.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.conversion.mo_program import ModelOptimizer, command_line, integer_input_error, run
from ov_mobilenet.conversion.prepared_network import PreparedNetwork, finished_network, name_input
from ov_mobilenet.conversion.shapes import set_shape
from ov_mobilenet.errors import ConversionError, UsageError
from ov_mobilenet.ir.layout import plain_layout
from ov_mobilenet.ir.mo_record import MoRecord, read_mo_record
from ov_mobilenet.ir.ports import find_output, single_input, static_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import openvino as ov

    from ov_mobilenet.conversion.local_network import LocalNetwork
    from ov_mobilenet.ir.form import Form
    from ov_mobilenet.zoo.normalisation import Normalisation
    from ov_mobilenet.zoo.output_kind import OutputKind

FRAMEWORKS = ("onnx", "tf", "tflite")
_SUPPORTED_FORM_FIELDS = ("batch", "layout", "geometry")


def prepare_with_model_optimizer(
    network: LocalNetwork, form: Form, precisions: Sequence[str], *, optimizer: ModelOptimizer
) -> PreparedNetwork:
    """Convert a source network with the Model Optimizer, which also bakes the normalisation.

    Args:
        precisions: weight precisions of the IRs; FP32 is impossible if the Model Optimizer compressed the weights.

    Raises:
        UsageError: the Model Optimizer cannot make the requested form.
        ConversionError: the Model Optimizer does not support the framework, or failed.
        MissingDependencyError: the Model Optimizer cannot be run, or its environment lacks TensorFlow.
    """
    from ov_mobilenet.conversion.sources.frontend import path_without_commas
    from ov_mobilenet.conversion.sources.onnx_data import data_files

    _check_supported(network, form)
    path = network.path
    if network.framework == "onnx":
        data_files(path)  # raises an error if the file refers to others outside its folder
    with tempfile.TemporaryDirectory(prefix="ov-mobilenet-mo-") as folder:
        # mo would split a path at commas. The whole folder is linked, because a network may refer to files beside it.
        (Path(folder) / "source").symlink_to(path.absolute().parent, target_is_directory=True)
        with path_without_commas(Path(folder) / "source" / path.name) as source:
            run(command_line(network, source, form, optimizer, folder), path)
        model, record = _read_result(Path(folder) / f"{network.config.name}.xml", path)
    if "FP32" in precisions and _has_fp16_weights(model):
        raise ConversionError(
            "the Model Optimizer compressed the weights to FP16", where=path, expected="FP32", got="FP16",
            fix="Convert with --precisions FP16",
        )  # fmt: skip
    layout = _input_layout(model, network, form)
    classifier, kind = _classifier(model, network, form, layout)
    return PreparedNetwork(
        classifier,
        layout,
        _normalisation(record, path),
        left_to_bake=None,
        output_kind=kind,
        backend_versions={"model_optimizer": record.version},
        mo_record=record,
    )


def _check_supported(network: LocalNetwork, form: Form) -> None:
    framework = network.config.framework
    if framework not in FRAMEWORKS:
        raise ConversionError(
            f"the Model Optimizer does not convert {framework} networks", where=network.path,
            expected=", ".join(FRAMEWORKS), got=framework,
            fix="Export the network to ONNX first, or convert it with --backend openvino",
        )  # fmt: skip
    for field in dataclasses.fields(form):
        if field.name not in _SUPPORTED_FORM_FIELDS and getattr(form, field.name) != field.default:
            option = "for" if field.name == "deploy_for" else field.name.replace("_", "-")
            raise UsageError(
                f"--{option} is not supported by --backend mo", expected=field.default, got=getattr(form, field.name),
                fix="Convert with --backend openvino",
            )  # fmt: skip


def _read_result(xml: Path, path: Path) -> tuple[ov.Model, MoRecord]:
    """The IR that the program wrote, and its record. Raises: ConversionError."""
    import openvino as ov

    if not xml.is_file() or not xml.with_suffix(".bin").is_file():
        raise ConversionError(
            "the Model Optimizer wrote no IR to its output folder", where=path,
            fix="Do not pass --output_dir, --model_name or similar with --add_mo_arg",
        )  # fmt: skip
    model = ov.Core().read_model(xml)
    record = read_mo_record(model)
    if record is None:
        raise ConversionError(
            "the Model Optimizer's IR does not record its normalisation", where=path,
            expected="conversion_parameters, as openvino-dev 2024.6.0 writes them",
        )  # fmt: skip
    return model, record


def _has_fp16_weights(model: ov.Model) -> bool:
    import openvino as ov

    constants = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    return any(node.get_element_type() == ov.Type.f16 for node in constants)


def _input_layout(model: ov.Model, network: LocalNetwork, form: Form) -> str:
    """The layout in the IR, which --add_mo_arg may have changed; otherwise the requested one."""
    written = plain_layout(str(model.get_parameters()[0].layout))
    return written if len(written) == 4 else form.layout or network.plan.target_layout or network.layout


def _classifier(model: ov.Model, network: LocalNetwork, form: Form, layout: str) -> tuple[ov.Model, OutputKind]:
    """The Model Optimizer's network with the requested batch and a finished output."""
    import openvino as ov

    path = network.path
    source_input = single_input(model, network.plan.input.name, path)
    if source_input.get_element_type() != ov.Type.f32:
        raise integer_input_error(path)
    classifier, kind = finished_network(network, source_input, find_output(model, None, path))
    sizes = static_sizes(classifier.inputs[0])
    if form.batch is not None and sizes:
        set_shape(classifier, (form.batch, *sizes[1:]), path)
    name_input(network, classifier, source_input)
    classifier.get_parameters()[0].layout = ov.Layout(layout)
    return classifier, kind


def _normalisation(record: MoRecord, path: Path) -> Normalisation:
    """The normalisation in the graph, which --add_mo_arg may have changed. Raises: ConversionError."""
    try:
        return record.normalisation()
    except (ValueError, UsageError) as error:
        raise ConversionError(
            "the Model Optimizer's record of the normalisation cannot be parsed", where=path,
            expected="one mean and one scale", got=error,
        ) from error  # fmt: skip
