"""`model_optimizer_args` and `conversion_to_onnx_args`: what each asks for, in numbers."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Protocol

import msgspec
import pytest
from zoo.descriptions import DescribeModel

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo.arguments import ConversionPlan, plan_conversion
from ov_mobilenet.zoo.normalisation import Normalisation

SOURCE = "--input_model=$dl_dir/net.onnx"


class Plan(Protocol):
    """The plan of a description with these arguments, and `source` after them."""

    def __call__(self, *arguments: str, source: str | None = SOURCE) -> ConversionPlan: ...


@pytest.fixture
def plan(model_yml: str, describe_model: DescribeModel) -> Plan:
    def of(*arguments: str, source: str | None = SOURCE) -> ConversionPlan:
        listed = "".join(f'  - "{argument}"\n' for argument in (*arguments, source) if argument)
        args = f"model_optimizer_args:\n{listed}" if listed else ""
        return plan_conversion(describe_model(model_yml.replace(f"model_optimizer_args:\n  - {SOURCE}\n", args)))

    return of


@pytest.mark.parametrize(
    ("arguments", "mean", "scale", "reverse"),
    [
        ([], (), (), False),
        (["--reverse_input_channels"], (), (), True),
        (["--reverse_input_channels=True"], (), (), True),
        (["--reverse_input_channels=false"], (), (), False),
        (["--mean_values=[123.675,116.28,103.53]"], (123.675, 116.28, 103.53), (), False),
        (["--mean_values=(123.675,116.28,103.53)"], (123.675, 116.28, 103.53), (), False),
        (["--mean_values=data[123.675,116.28,103.53]"], (123.675, 116.28, 103.53), (), False),
        (["--mean_values=data(123.675, 116.28, 103.53)"], (123.675, 116.28, 103.53), (), False),
        (["--mean_values=data:0[1,2,3]"], (1.0, 2.0, 3.0), (), False),
        (["--mean_values=other[7,8,9],data[1,2,3]"], (1.0, 2.0, 3.0), (), False),
        (["--mean_values=data[127.5]", "--scale_values=data[127.5]"], (127.5,), (127.5,), False),
        (["--scale_values=data[58.624,57.12,57.375]"], (), (58.624, 57.12, 57.375), False),
        (["--scale=255"], (), (255.0,), False),
        (["--mean_values=[-1,0,1.5e1]", "--scale=0.5"], (-1.0, 0.0, 15.0), (0.5,), False),
    ],
)
def test_normalisation(
    arguments: list[str], mean: tuple[float, ...], scale: tuple[float, ...], reverse: bool, plan: Plan
) -> None:
    expected = Normalisation(mean=mean, scale=scale, reverse_input_channels=reverse)
    assert plan(*arguments).normalisation == expected


@pytest.mark.parametrize(
    ("arguments", "name", "shape", "layout", "target"),
    [
        ([], "data", (1, 3, 224, 224), "NCHW", None),
        (["--layout=nhwc"], "data", (1, 3, 224, 224), "NHWC", None),
        (["--layout=data(nhwc)"], "data", (1, 3, 224, 224), "NHWC", None),
        (["--layout=data(nhwc->nchw)"], "data", (1, 3, 224, 224), "NHWC", "NCHW"),
        (["--layout=NHWC->NCHW"], "data", (1, 3, 224, 224), "NHWC", "NCHW"),
        (["--input=image"], "image", (1, 3, 224, 224), "NCHW", None),
        (["--input=image:0"], "image", (1, 3, 224, 224), "NCHW", None),
        (["--input=image[1,3,128,96]"], "image", (1, 3, 128, 96), "NCHW", None),
        (["--input=image[1 3 128 96]"], "image", (1, 3, 128, 96), "NCHW", None),
        (["--input_shape=[8,3,160,160]"], "data", (8, 3, 160, 160), "NCHW", None),
        (["--input_shape=(1,3,160,160)"], "data", (1, 3, 160, 160), "NCHW", None),
        (["--input_shape=[-1,3,?,160]"], "data", (-1, 3, -1, 160), "NCHW", None),
    ],
)
def test_input(
    arguments: list[str], name: str, shape: tuple[int, ...], layout: str, target: str | None, plan: Plan
) -> None:
    result = plan(*arguments)
    assert (result.input.name, result.input.shape, result.input.layout) == (name, shape, layout)
    assert result.target_layout == target


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], None),
        (["--data_type=FP16"], True),
        (["--data_type=half"], True),
        (["--data_type=FP32"], False),
        (["--compress_to_fp16"], True),
        (["--compress_to_fp16=False"], False),
    ],
)
def test_compression(arguments: list[str], expected: bool | None, plan: Plan) -> None:
    assert plan(*arguments).compress_to_fp16 is expected


@pytest.mark.parametrize(
    ("argument", "root", "path", "folder"),
    [
        ("--input_model=$dl_dir/net.onnx", "dl_dir", "net.onnx", False),
        ("--input_model=${dl_dir}/a/net.onnx", "dl_dir", "a/net.onnx", False),
        ("--input_model=$conv_dir/net.onnx", "conv_dir", "net.onnx", False),
        ("--input_model=${config_dir}/net.onnx", "config_dir", "net.onnx", False),
        ("--saved_model_dir=$dl_dir/net.savedmodel/", "dl_dir", "net.savedmodel", True),
    ],
)
def test_source(argument: str, root: str, path: str, folder: bool, plan: Plan) -> None:
    source = plan(source=argument).source
    assert (source.root, source.path, source.folder) == (root, path, folder)


def test_output(plan: Plan) -> None:
    assert plan().output is None
    assert plan("--output=MobilenetV1/Predictions/Reshape_1").output == "MobilenetV1/Predictions/Reshape_1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--use_new_frontend"], ["unknown argument '--use_new_frontend'", "--mean_values"]),
        (["--transformations_config=x.json"], ["unknown argument '--transformations_config=x.json'"]),
        (["mean_values=[1]"], ["unknown argument 'mean_values=[1]'"]),
        (["--mean_values [1,2,3]"], ["unknown argument '--mean_values [1,2,3]'"]),
        (["--mean_values="], ["argument without a value '--mean_values='"]),
        (["--output"], ["argument without a value", "--output=VALUE"]),
        (["--scale=1", "--scale=1"], ["argument given twice '--scale=1'"]),
        (["--scale=0"], ["'--scale=0'", "a magnitude of at least 1e-06"]),
        (["--scale_values=[1,0,1]"], ["'--scale_values=[1,0,1]'", "at least 1e-06"]),
        (["--scale=1,2"], ["--scale=1,2", "one number"]),
        (["--scale_values=[2]", "--scale=2"], ["scale given twice", "--scale or --scale_values"]),
        (["--mean_values=[1,2]"], ["--mean_values=[1,2]", "one number or three"]),
        (["--mean_values=[1,2,3,4]"], ["one number or three"]),
        (["--mean_values=[1,grey,3]"], ["--mean_values=[1,grey,3]", "expected numbers"]),
        (["--mean_values=[nan]"], ["finite"]),
        (["--mean_values=[1,inf,1]"], ["finite"]),
        (["--mean_values=[1e6]"], ["a magnitude below 1e+06"]),
        (["--mean_values=1,2,3"], ["[a,b,c] or INPUT[a,b,c]"]),
        (["--mean_values=other[1,2,3]"], ["no value for the input", "'data'"]),
        (["--reverse_input_channels=maybe"], ["True or False", "maybe"]),
        (["--data_type=INT8"], ["--data_type=INT8", "FP16 or FP32"]),
        (["--input_shape=[1,3,0,224]"], ["invalid shape '--input_shape=[1,3,0,224]'"]),
        (["--input_shape=[1,3,-224,224]"], ["invalid shape"]),
        (["--input_shape=[]"], ["invalid shape"]),
        (["--input_shape=[1,3]"], ["does not match the layout", "'--input_shape=[1,3]'", "4 dimensions, NCHW"]),
        (["--input=a,b"], ["one input", "--input=a,b"]),
        (["--layout=nhw"], ["--layout=nhw", "nhwc"]),
        (["--layout=abcd"], ["--layout=abcd"]),
        (["--layout=nhhc"], ["--layout=nhhc"]),
        (["--layout=nhwc->nczz"], ["--layout=nhwc->nczz"]),
        (["--layout=data(nhwc"], ["--layout=data(nhwc"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("-") else None,
)
def test_an_invalid_argument_is_named_with_its_line(
    arguments: list[str], words: list[str], plan: Plan, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(*arguments)
    line = 26 + len(arguments)  # they begin in line 27; the last one is wrong
    assert str(caught.value).startswith(f"{tmp_path / 'net' / 'model.yml'}:{line}: ")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "net.onnx", "$dl_dir/../net.onnx", "$dl_dir//etc/passwd", "$dl_dir/a/../../b", "$HOME/net.onnx",
     "$dl_dir/a\\\\b", "$dl_dir/c:b", "$dl_dir/$conv_dir/b", "$dl_dir/", "$dl_dirs/b", "$dl_dir/a\\0b", "{dl_dir}/b"],
)  # fmt: skip
def test_a_network_outside_the_folders_is_refused(path: str, plan: Plan) -> None:
    with pytest.raises(ConfigError, match="invalid path") as caught:
        plan(source=f"--input_model={path}")
    assert "$dl_dir/PATH" in str(caught.value)


def test_the_network_must_be_named_once(plan: Plan) -> None:
    with pytest.raises(ConfigError, match="the arguments must name the source network once.*got 0 of them"):
        plan("--scale=1", source=None)
    with pytest.raises(ConfigError, match="the arguments must name the source network once.*got 2 of them"):
        plan("--saved_model_dir=$dl_dir/net")


def test_a_network_with_two_inputs_is_refused(model_yml: str, describe_model: DescribeModel) -> None:
    config = describe_model(model_yml.replace("input_info:\n", "input_info:\n  - name: mask\n"))
    with pytest.raises(ConfigError, match="only networks with one input can be converted: got mask, data"):
        plan_conversion(config)


PYTORCH = """\
framework: pytorch
conversion_to_onnx_args:
  - --model-name=mobilenet_v2
  - --weights=$dl_dir/net.pth
  - --import-module=this
  - --input-shape=1,3,192,160
  - --output-file=$conv_dir/net.onnx
  - --input-names=data
  - --output-names=prob
"""


def test_pytorch_arguments_are_read_and_nothing_is_imported(
    model_yml: str, describe_model: DescribeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    sys.modules.pop("this", None)  # the Zen of Python: prints itself when it is imported
    plan = plan_conversion(describe_model(model_yml.replace("framework: onnx\n", PYTORCH)))
    assert "this" not in sys.modules
    assert capsys.readouterr().out == ""
    assert plan.model_name == "mobilenet_v2"
    assert (plan.source.root, plan.source.path) == ("dl_dir", "net.pth")
    assert plan.input.shape == (1, 3, 192, 160)
    assert plan.output == "prob"


def test_model_optimizer_args_take_precedence_over_conversion_to_onnx_args(
    model_yml: str, describe_model: DescribeModel
) -> None:
    text = model_yml.replace("framework: onnx\n", PYTORCH)
    text = text.replace(SOURCE, "--input_shape=[1,3,96,96]\n  - --output=features")
    plan = plan_conversion(describe_model(text))
    assert plan.input.shape == (1, 3, 96, 96)
    assert plan.output == "features"


def test_an_unknown_pytorch_argument_is_named(model_yml: str, describe_model: DescribeModel) -> None:
    text = PYTORCH + "  - --model-param=pretrained=True\n"
    with pytest.raises(ConfigError, match="unknown argument '--model-param=pretrained=True'"):
        plan_conversion(describe_model(model_yml.replace("framework: onnx\n", text)))


def test_an_error_names_the_line_in_either_list(model_yml: str, describe_model: DescribeModel) -> None:
    text = model_yml.replace("framework: onnx\n", PYTORCH)
    exporter = describe_model(text.replace("--input-shape=1,3,192,160", "--input-shape=1,3,0,160"))
    with pytest.raises(ConfigError, match=r"model\.yml:26: invalid shape '--input-shape=1,3,0,160'"):
        plan_conversion(exporter)
    optimizer = describe_model(text.replace(SOURCE, "--scale=2  # a comment\n\n  - >-\n    --mean_values=[1,2]"))
    with pytest.raises(ConfigError, match=r"model\.yml:37: invalid value '--mean_values=\[1,2\]'.*one number or three"):
        plan_conversion(optimizer)


def test_the_line_of_an_argument_is_not_part_of_the_description(model_yml: str, describe_model: DescribeModel) -> None:
    config = describe_model()
    moved = describe_model(f"# one more line\n{model_yml}")
    lines = [getattr(one.model_optimizer_args[0], "line", None) for one in (config, moved)]
    assert lines == [27, 28]
    assert moved.model_optimizer_args == config.model_optimizer_args
    assert repr(moved.model_optimizer_args) == repr(config.model_optimizer_args) == f"('{SOURCE}',)"
    assert msgspec.structs.replace(moved, digest=config.digest) == config
    assert pickle.loads(pickle.dumps(moved)).model_optimizer_args[0].line == 28  # noqa: S301 (its own bytes)


def test_arguments_that_no_file_holds_have_no_line(describe_model: DescribeModel) -> None:
    config = msgspec.structs.replace(describe_model(), model_optimizer_args=("--mean_values=[1,2]", SOURCE))
    with pytest.raises(ConfigError, match=r"model\.yml: invalid value '--mean_values=\[1,2\]'"):
        plan_conversion(config)


def test_pytorch_needs_weights(model_yml: str, describe_model: DescribeModel) -> None:
    text = PYTORCH.replace("  - --weights=$dl_dir/net.pth\n", "")
    with pytest.raises(ConfigError, match="exactly one of --weights"):
        plan_conversion(describe_model(model_yml.replace("framework: onnx\n", text)))


def test_a_normalisation_as_text() -> None:
    assert not Normalisation()
    assert Normalisation(mean=(0.0,))
    assert str(Normalisation()) == "none"
    full = Normalisation(mean=(1.0, 2.0, 3.0), scale=(4.0,), reverse_input_channels=True)
    assert str(full) == "reverse_input_channels, mean_values [1.0, 2.0, 3.0], scale_values [4.0]"


def test_values_for_an_input_that_is_named_only_there(model_yml: str, describe_model: DescribeModel) -> None:
    start, end = model_yml.index("input_info:"), model_yml.index("model_optimizer_args:")
    text = model_yml[:start] + model_yml[end:]
    one = describe_model(text.replace(SOURCE, f"{SOURCE}\n  - --mean_values=image[1,2,3]"))
    assert plan_conversion(one).normalisation.mean == (1.0, 2.0, 3.0)
    two = describe_model(text.replace(SOURCE, f"{SOURCE}\n  - --mean_values=image[1],mask[2]"))
    with pytest.raises(ConfigError, match="no value for the input"):
        plan_conversion(two)
