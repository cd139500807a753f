"""The JSON Schemas of `model.yml` and `accuracy-check.yml`: they accept and refuse what `load_config` does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from generate_docs.schema_nodes import load
from json_schemas import described_keys, node_of, problems, problems_of, undocumented
from page_blocks import ROOT, blocks_of
from zoo.descriptions import ACCURACY_CHECK_YML, MODEL_YML
from zoo.test_description_mistakes import CHECK_MISTAKES, MODEL_MISTAKES, Mistake

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo.accuracy_check import (
    CropStep,
    DatasetConfig,
    Launcher,
    LauncherInput,
    Metric,
    NormalizationStep,
    ResizeStep,
)
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.config import _RawFile, _RawModel, load_config
from ov_mobilenet.zoo.document import YamlValue, load_document, parse_document
from ov_mobilenet.zoo.model import Details, InputInfo, RegexReplace, UnpackArchive

SHIPPED = sorted((ROOT / "model_configs").glob("*/*.yml"))
# What a schema cannot say: names that occur twice, the syntax of regular expressions, one number below another, 0 in a
# text. The page names them.
ONLY_THE_LOADER = {"duplicate_file", "bad_regex", "huge_repetition", "no_such_background", "zero_std"}


def schema_of(path: Path) -> str:
    return path.name.replace(".", "-")


def parsed(text: str) -> YamlValue:
    return parse_document(text.encode(), Path("x.yml")).data


def spoiled(text: str, mistakes: list[Mistake]) -> dict[str, YamlValue]:
    """The text with each mistake, by its name, without those that are no YAML of a description."""
    found: dict[str, YamlValue] = {}
    for mistake in mistakes:
        try:
            found[mistake.name] = parsed(text.replace(mistake.old, mistake.new, 1))
        except ConfigError:
            continue
    return found


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_shipped_descriptions_are_valid(path: Path) -> None:
    data = load_document(path).data
    assert problems(schema_of(path), data) == []
    assert undocumented(schema_of(path), data) == []


def test_the_complete_description_of_the_tests_is_valid() -> None:
    assert problems("model-yml", parsed(MODEL_YML)) == []
    assert problems("accuracy-check-yml", parsed(ACCURACY_CHECK_YML)) == []


@pytest.mark.parametrize(
    ("schema", "text", "mistakes"),
    [("model-yml", MODEL_YML, MODEL_MISTAKES), ("accuracy-check-yml", ACCURACY_CHECK_YML, CHECK_MISTAKES)],
)
def test_what_the_loader_refuses_the_schema_refuses(schema: str, text: str, mistakes: list[Mistake]) -> None:
    accepted = {name for name, data in spoiled(text, mistakes).items() if not problems(schema, data)}
    assert accepted == ONLY_THE_LOADER & {mistake.name for mistake in mistakes}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("--input_model=$dl_dir/net.onnx", "--input_modle=$dl_dir/net.onnx"),
        ("--input_model=$dl_dir/net.onnx", "--input_model"),
        ("  labels:", "  activation: relu6\n  labels:"),
        ("layout: NCHW", "layout: NHWC"),
    ],
)
def test_wrong_arguments_and_layouts_are_refused(old: str, new: str, tmp_path: Path) -> None:
    text = MODEL_YML.replace(old, new, 1)
    assert text != MODEL_YML
    assert problems("model-yml", parsed(text))
    (tmp_path / "model.yml").write_text(text, "utf-8")
    with pytest.raises(ConfigError):
        plan_conversion(load_config(tmp_path))


@pytest.mark.parametrize(
    "source",
    [
        "https://example.org/a b.onnx?x=1#y", "{$type: file, path: ../net.onnx}", "[]", "{$type: http}",
        "{$type: hub, repository: name, revision: main, path: x}",
    ],
)  # fmt: skip
def test_wrong_sources_are_refused_by_both(source: str, tmp_path: Path) -> None:
    text = MODEL_YML.replace("https://example.org/net.onnx", source, 1)
    assert problems("model-yml", parsed(text))
    (tmp_path / "model.yml").write_text(text, "utf-8")
    with pytest.raises(ConfigError):
        load_config(tmp_path)


@pytest.mark.parametrize(
    "source",
    [
        "http://user@host:8080/x?y", "https://[::1]/x", "{$type: file, path: a/b c.onnx}",
        "[{$type: file, path: net.onnx}, https://example.org/net.onnx]",
        f"{{$type: hub, repository: timm/x.y_z, revision: {'ab' * 20}, path: model.safetensors}}",
    ],
)  # fmt: skip
def test_all_kinds_of_sources_are_accepted_by_both(source: str, tmp_path: Path) -> None:
    text = MODEL_YML.replace("https://example.org/net.onnx", source, 1)
    assert problems("model-yml", parsed(text)) == []
    (tmp_path / "model.yml").write_text(text, "utf-8")
    load_config(tmp_path)


def test_the_descriptions_in_the_page_are_valid() -> None:
    page = (ROOT / "docs" / "reference" / "model-yml.md").read_text("utf-8")
    shown = {block.file: block.text for block in blocks_of(page) if block.language == "yaml" and block.file}
    assert sorted(shown) == ["signs/accuracy-check.yml", "signs/model.yml"]
    for file, text in shown.items():
        assert problems(schema_of(Path(file)), parsed(text)) == []


@pytest.mark.parametrize(
    ("pointer", "struct"),
    [
        ("model-yml", _RawModel), ("model-yml#/$defs/file", _RawFile), ("model-yml#/$defs/input", InputInfo),
        ("model-yml#/$defs/details", Details), ("model-yml#/$defs/step/anyOf/0", UnpackArchive),
        ("model-yml#/$defs/step/anyOf/1", RegexReplace), ("accuracy-check-yml#/$defs/launcher", Launcher),
        ("accuracy-check-yml#/$defs/launcher/properties/inputs/items", LauncherInput),
        ("accuracy-check-yml#/$defs/dataset", DatasetConfig),
        ("accuracy-check-yml#/$defs/dataset/properties/metrics/items", Metric),
        ("accuracy-check-yml#/$defs/step/anyOf/0", ResizeStep), ("accuracy-check-yml#/$defs/step/anyOf/1", CropStep),
        ("accuracy-check-yml#/$defs/step/anyOf/2", NormalizationStep),
    ],
)  # fmt: skip
def test_what_is_required_and_the_defaults_are_those_of_the_loader(pointer: str, struct: type[msgspec.Struct]) -> None:
    node = node_of(pointer)
    tag = struct.__struct_config__.tag_field
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    assert set(node.properties()) == {*fields, *([tag] if tag else [])}
    assert node.required() == {name for name, field in fields.items() if field.required} | ({tag} if tag else set())
    for name, field in fields.items():
        if not field.required:
            made = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            shown = {} if isinstance(made, Details) else msgspec.to_builtins(made)
            assert node.properties()[name].schema["default"] == (list(shown) if isinstance(shown, tuple) else shown), (
                name
            )


@pytest.mark.parametrize("name", ["model-yml", "accuracy-check-yml"])
def test_examples_and_defaults_fit_their_keys(name: str) -> None:
    definitions = load(name)["$defs"]
    shown = 0
    for path, schema in described_keys(load(name)):
        for value in [*schema.get("examples", ()), *([schema["default"]] if "default" in schema else [])]:
            assert problems_of({**schema, "$defs": definitions}, value) == [], path
            shown += 1
    assert shown > 30
