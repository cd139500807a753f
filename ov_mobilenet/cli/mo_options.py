"""The options of the classic Model Optimizer that `convert` takes, and those of `omz_converter` without effect here."""

from __future__ import annotations

import re

import click

from ov_mobilenet.cli.classic_options import ClassicTable, IgnoredOption, MappedOption, RefusedOption, boolean, renamed

_DATA_TYPES = {"fp16": "FP16", "half": "FP16", "fp32": "FP32", "float": "FP32"}
_OTHER_FRAMEWORKS = ("caffe", "mxnet", "kaldi", "paddle")
# `nchw`, `[n,c,h,w]`, `input(nchw)`, `nhwc->nchw`
_LAYOUT = re.compile(r"(?:[^()\s]+\()?\[?(n,?(?:c,?h,?w|h,?w,?c))\]?(?:->\[?(n,?(?:c,?h,?w|h,?w,?c))\]?)?\)?", re.I)


def _layout(value: str | None) -> tuple[str, ...]:
    """`--layout` of the Model Optimizer; a value of another form is left to the option, which refuses it."""
    found = _LAYOUT.fullmatch(value or "")
    if found is None:
        return ("--layout", value or "")
    first, second = (layout and layout.replace(",", "").upper() for layout in found.groups())
    if second is None:
        return ("--layout", first)
    return ("--source-layout", first, "--layout", second)


def _source_layout(value: str | None) -> tuple[str, ...]:
    words = _layout(value)
    return ("--source-layout", words[1])


def _data_type(value: str | None) -> tuple[str, ...]:
    precision = _DATA_TYPES.get((value or "").lower())
    if precision is None:
        raise click.UsageError(f"--data_type takes FP16 or FP32, got {value!r}; for INT8 use ov-mobilenet quantize")
    return ("--precisions", precision)


def _compress_to_fp16(value: str | None) -> tuple[str, ...]:
    return ("--precisions", "FP16" if boolean("--compress_to_fp16", value) else "FP32")


def _reverse_input_channels(value: str | None) -> tuple[str, ...]:
    reverse = boolean("--reverse_input_channels", value)
    return ("--reverse-input-channels" if reverse else "--no-reverse-input-channels",)


def _framework(value: str | None) -> tuple[str, ...]:
    if (value or "").lower() in _OTHER_FRAMEWORKS:
        raise click.UsageError(
            f"--framework {value} of the Model Optimizer is not supported: convert reads ONNX, TensorFlow, TFLite, "
            "Keras and PyTorch networks"
        )
    return ()


_CAFFE = RefusedOption("Caffe networks are not supported")
_KALDI = RefusedOption("Kaldi networks are not supported")
_FREEZE = RefusedOption("give --source a frozen graph (.pb) or the folder of a SavedModel")
_CUSTOM = RefusedOption("a MobileNet needs no extensions")
_DETECTION = RefusedOption("a MobileNet classifier needs no configuration of its operations")
_LOG = IgnoredOption("use -v or -q")
_ALWAYS = "convert always does so"
MO_OPTIONS: ClassicTable = {
    **dict.fromkeys(("--input_model", "--saved_model_dir", "-w", "-m"), renamed("--source")),
    **dict.fromkeys(("--model_name", "-n"), renamed("--name")),
    "-b": renamed("--batch"),
    **dict.fromkeys(("--scale", "-s"), renamed("--scale-values")),
    **dict.fromkeys(("--layout", "--target_layout"), MappedOption(_layout)),
    **dict.fromkeys(("--source_layout", "--source-layout"), MappedOption(_source_layout)),
    "--data_type": MappedOption(_data_type),
    "--compress_to_fp16": MappedOption(_compress_to_fp16, "boolean"),
    **dict.fromkeys(
        ("--reverse_input_channels", "--reverse-input-channels"), MappedOption(_reverse_input_channels, "boolean")
    ),
    "--framework": MappedOption(_framework),
    "--input": RefusedOption(
        "the network's image input is found; for the image size use --input-shape, for the output --output"
    ),
    "--static_shape": IgnoredOption(f"{_ALWAYS}, unless --batch is -1", "boolean"),
    "--use_new_frontend": IgnoredOption(_ALWAYS, "boolean"),
    "--use_legacy_frontend": RefusedOption("use --backend mo --add-mo-arg=--use_legacy_frontend"),
    "--silent": IgnoredOption("use -q", "boolean"),
    "--log_level": _LOG,
    **dict.fromkeys(("--progress", "--stream_output"), IgnoredOption("progress is shown on a terminal", "boolean")),
    "--share_weights": IgnoredOption("the weights are copied into the IR", "boolean"),
    "--version": RefusedOption("use ov-mobilenet --version"),
    "--freeze_placeholder_with_value": _FREEZE,
    "--example_input": RefusedOption("checkpoints are read by architecture; see --architecture"),
    **dict.fromkeys(("--extensions", "--transform", "--transformations_config"), _CUSTOM),
    **dict.fromkeys(
        ("--input_model_is_text", "--input_checkpoint", "--input_meta_graph", "--saved_model_tags"), _FREEZE
    ),
    **dict.fromkeys(
        (
            "--tensorflow_custom_operations_config_update",
            "--tensorflow_object_detection_api_pipeline_config",
            "--tensorflow_custom_layer_libraries",
        ),
        _DETECTION,
    ),
    "--tensorboard_logdir": RefusedOption("open the IR with Netron"),
    **dict.fromkeys(
        ("--input_proto", "--caffe_parser_path", "--k", "--disable_omitting_optional",
         "--enable_flattening_nested_params"), _CAFFE
    ),
    **dict.fromkeys(("--counts", "--remove_output_softmax", "--remove_memory"), _KALDI),
    **dict.fromkeys(("-p", "--python"), IgnoredOption("the program of --mo runs with its own Python")),
}  # fmt: skip
