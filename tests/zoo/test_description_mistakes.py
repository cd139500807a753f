"""Every mistake in a description is one message: file, line, key, expected, found."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from zoo.descriptions import DescribeModel

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.model import Checksum, HttpSource, RegexReplace


class Mistake(NamedTuple):
    """Replace `old` by `new` once; the message names `line`, `key` and holds all `words`."""

    name: str
    old: str
    new: str
    line: int
    key: str
    words: tuple[str, ...] = ()


MODEL_MISTAKES = [
    Mistake("unknown_key", "license:", "licence: x\nlicense:", 28, "licence", ("unknown key",)),
    Mistake("unknown_key_of_a_file", "    size: 1234", "    sise: 1\n    size: 1", 5, "files[0].sise", ("unknown key",)),
    Mistake("unknown_key_of_ours", "  output: log", "  outputs: 1\n  output: log", 31, "ov_mobilenet.outputs"),
    Mistake("missing_key", "license: https://example.org/LICENSE\n", "", 1, "license", ("missing key",)),
    Mistake("missing_key_of_a_file", "    size: 1234\n", "", 4, "files[0].size", ("missing key",)),
    Mistake("wrong_type", "size: 1234", "size: big", 5, "files[0].size", ("expected `int`", "got `str`")),
    Mistake("wrong_type_of_a_list", "shape: [1, 3, 224, 224]", "shape: 224", 24, "input_info[0].shape", ("got `int`",)),
    Mistake("no_files", "files:", "files: []\nx:", 3, "files", ("expected `array` of length >= 1",)),
    Mistake("negative_size", "size: 1234", "size: -1", 5, "files[0].size", ("expected `int` >= 0", "got -1")),
    Mistake("huge_size", "size: 1234", f"size: {10**30}", 5, "files[0].size", ("<= 1099511627776",)),
    Mistake("huge_shape", "[1, 3, 224, 224]", f"[1, 3, {10**30}, 1]", 24, "input_info[0].shape[2]", ("at most",)),
    Mistake("hash_too_short", "ab" * 48, "ab" * 47, 6, "files[0].checksum", ("96 hexadecimal", "94 characters")),
    Mistake("hash_too_long", "cd" * 32, "cd" * 48, 10, "files[1].checksum", ("SHA256", "64 hex", "96 characters")),
    Mistake("hash_with_other_letters", "ab" * 48, "xy" * 48, 6, "files[0].checksum", ("96 hexadecimal",)),
    Mistake("unknown_digest", "sha256", "md5", 10, "files[1].checksum.$type", ("sha256 or sha384", "'md5'")),
    Mistake("negative_shape", "[1, 3, 224, 224]", "[1, 3, -224, 224]", 24, "input_info[0].shape[2]", ("got -224",)),
    Mistake("zero_shape", "[1, 3, 224, 224]", "[0, 3, 224, 224]", 24, "input_info[0].shape[0]", ("positive", "got 0")),
    Mistake("layout_for_another_shape", "NCHW", "NHW", 25, "input_info[0].layout", ("4 letters", "'NHW'")),
    Mistake("layout_with_bad_letters", "NCHW", "NCDW", 25, "input_info[0].layout", ("N, C, H, W", "'NCDW'")),
    Mistake("layout_with_a_letter_twice", "NCHW", "NCHH", 25, "input_info[0].layout", ("at most once", "'NCHH'")),
    Mistake("name_climbs_out", "name: net.onnx", "name: ../net.onnx", 4, "files[0].name", ("'../net.onnx'", "'..'")),
    Mistake("name_climbs_inside", "name: net.onnx", "name: a/../net.onnx", 4, "files[0].name", ("'a/../net.onnx'",)),
    Mistake("absolute_name", "name: net.onnx", "name: /etc/passwd", 4, "files[0].name", ("relative", "'/etc/passwd'")),
    Mistake("name_with_backslash", "name: net.onnx", r"name: a\net.onnx", 4, "files[0].name", ("relative",)),
    Mistake("name_with_drive", "name: net.onnx", "name: 'c:net.onnx'", 4, "files[0].name", ("'c:net.onnx'",)),
    Mistake("name_with_nul", "name: net.onnx", r'name: "a\0b"', 4, "files[0].name", ("control characters",)),
    Mistake("empty_name", "name: net.onnx", "name: ''", 4, "files[0].name", ("got ''",)),
    Mistake("duplicate_file", "name: extra/archive.tgz", "name: net.onnx", 8, "files[1].name", ("duplicate file name",)),
    Mistake("file_of_a_step", "file: script.py", "file: ../x.py", 18, "postprocessing[1].file", ("'../x.py'",)),
    Mistake("labels_climb_out", "imagenet_1000_classes", "../names.txt", 34, "ov_mobilenet.labels", ("'../names.txt'",)),
    Mistake("labels_with_nul", "imagenet_1000_classes", r'"a\0b"', 34, "ov_mobilenet.labels"),
    Mistake("unknown_archive_format", "gztar", "rar", 15, "postprocessing[0].format", ("rar",)),
    Mistake("unknown_step", "$type: unpack_archive", "$type: run", 14, "postprocessing[0].$type", ("run",)),
    Mistake("bad_regex", "'a+'", "'a('", 19, "postprocessing[1].pattern", ("invalid pattern", "'a('")),
    Mistake("huge_repetition", "'a+'", f"'a{{{10**12}}}'", 19, "postprocessing[1].pattern", ("invalid pattern",)),
    Mistake("negative_count", "replacement: b", "replacement: b\n    count: -1", 21, "postprocessing[1].count"),
    Mistake("ftp", "https://example.org/net.onnx", "ftp://x/y", 7, "files[0].source", ("https://host/path", "'ftp://x/y'")),
    Mistake("url_without_host", "https://example.org/net.onnx", "https:///net", 7, "files[0].source", ("invalid URL",)),
    Mistake("url_with_open_bracket", "https://example.org/net.onnx", "'https://[x/y'", 7, "files[0].source", ("invalid URL",)),
    Mistake("url_with_bad_port", "https://example.org/net.onnx", "https://x:port/y", 7, "files[0].source", ("invalid URL",)),
    Mistake("url_with_space", "https://example.org/net.onnx", "https://x/a b", 7, "files[0].source", ("invalid URL",)),
    Mistake("second_url", "https://b.example.org", "file://b", 11, "files[1].source[1]", ("invalid URL",)),
    Mistake("no_source", "source: https://example.org/net.onnx", "source: []", 7, "files[0].source", ("at least one",)),
    Mistake("unknown_source", "$type: http,", "$type: torrent,", 12, "files[1].original_source.$type", ("torrent",)),
    Mistake("unknown_framework", "framework: onnx", "framework: theano", 21, "framework", ("pytorch", "'theano'")),
    Mistake("onnx_args_for_onnx", "framework: onnx", "conversion_to_onnx_args: [--weights=x]\nframework: onnx", 21,
            "conversion_to_onnx_args", ("only allowed for pytorch", "framework onnx")),
    Mistake("pytorch_without_args", "framework: onnx", "framework: pytorch", 1, "conversion_to_onnx_args", ("missing key",)),
    Mistake("other_task", "task_type: classification", "task_type: detection", 2, "task_type",
            ("expected classification", "got detection")),
    Mistake("accuracy_in_per_cent", "top1: 0.7,", "top1: 70.0,", 33, "ov_mobilenet.accuracy.top1", ("<= 1.0",)),
    Mistake("no_such_background", "  output: log", "  background_class: 1000\n  output: log", 31,
            "ov_mobilenet.background_class", ("below 1000", "got 1000")),
    Mistake("unknown_output", "output: logits", "output: scores", 31, "ov_mobilenet.output", ("scores",)),
    Mistake("duplicate_key", "license:", "framework: tf\nlicense:", 28, "framework", ("duplicate key",)),
    Mistake("duplicate_key_deep", "    size: 1234", "    size: 1\n    size: 2", 6, "files[0].size", ("duplicate key",)),
    Mistake("list_as_a_key", "license:", "? [a]\n: b\nlicense:", 28, "", ("a key must be a plain string",)),
    Mistake("anchor", "framework: onnx", "framework: &a onnx", 21, "", ("anchors and aliases",)),
    Mistake("alias", "license: https", "license: *a\nx: https", 28, "", ("anchors and aliases",)),
    Mistake("python_tag", "framework: onnx", "framework: !!python/object/apply:os.system ['touch pwned']", 21, "",
            ("python/object/apply:os.system", "not supported")),
    Mistake("python_name_tag", "framework: onnx", "framework: !!python/name:os.system x", 21, "", ("not supported",)),
    Mistake("local_tag", "framework: onnx", "framework: !include other.yml", 21, "", ("not supported",)),
    Mistake("octal", "size: 1234", "size: 01234", 5, "", ("'01234'", "not supported")),
    Mistake("infinite", "gflops: 0.5", "gflops: .inf", 32, "", ("'.inf'", "not supported")),
    Mistake("overflowing", "gflops: 0.5", "gflops: 1.0e+999", 32, "", ("not supported",)),
    Mistake("not_a_number", "gflops: 0.5", "gflops: .nan", 32, "", ("'.nan'", "not supported")),
    Mistake("zero_gflops", "gflops: 0.5", "gflops: 0.0", 32, "ov_mobilenet.gflops", ("> 0.0",)),
    Mistake("not_yaml", "license:", "license: [", 29, "", ("not valid YAML",)),
    Mistake("two_documents", "license:", "---\nlicense:", 28, "", ("not valid YAML", "another document")),
]  # fmt: skip

_PREPROCESSING = "models[0].datasets[0].preprocessing"
CHECK_MISTAKES = [
    Mistake("unknown_preprocessing", "{type: rgb_to_bgr}", "{type: blur}", 15, f"{_PREPROCESSING}[3].type", ("blur",)),
    Mistake("unknown_key", "reader:", "raeder: x\n        reader:", 8, "models[0].datasets[0].raeder", ("unknown key",)),
    Mistake("unknown_key_of_a_step", "size: 224", "sizes: 224", 11, f"{_PREPROCESSING}[1].sizes", ("unknown key",)),
    Mistake("unknown_reader", "pillow_imread", "pil", 8, "models[0].datasets[0].reader", ("pil",)),
    Mistake("missing_key", "    datasets:", "    x:", 6, "models[0].x", ("unknown key",)),
    Mistake("missing_launchers", "    launchers:\n      - framework: openvino\n        adapter: classification\n", "", 2,
            "models[0].launchers", ("missing key",)),
    Mistake("wrong_type", "size: 256", "size: large", 10, f"{_PREPROCESSING}[0].size", ("got `str`",)),
    Mistake("negative_size", "size: 224", "size: -224", 11, f"{_PREPROCESSING}[1].size", (">= 1", "got -224")),
    Mistake("step_without_size", "size: 224", "use_pillow: true", 11, f"{_PREPROCESSING}[1]",
            ("size, dst_width with dst_height, central_fraction",)),
    Mistake("step_with_two_sizes", "size: 224", "size: 224, central_fraction: 0.875", 11, f"{_PREPROCESSING}[1]"),
    Mistake("width_alone", "size: 224", "dst_width: 224", 11, f"{_PREPROCESSING}[1]", ("go together",)),
    Mistake("fraction_above_1", "size: 224", "central_fraction: 1.5", 11, f"{_PREPROCESSING}[1].central_fraction",
            ("<= 1.0", "got 1.5")),
    Mistake("two_means", "mean: 127.5", "mean: 1, 2", 13, f"{_PREPROCESSING}[2]", ("one number or three", "'1, 2'")),
    Mistake("no_number", "mean: 127.5", "mean: grey", 13, f"{_PREPROCESSING}[2]", ("one number or three", "'grey'")),
    Mistake("zero_std", "(58.395, 57.12, 57.375)", "(1, 0, 1)", 12, f"{_PREPROCESSING}[2]", ("std must not be 0",)),
    Mistake("reference_in_per_cent", "reference: 0.7", "reference: 70.0", 17, "models[0].datasets[0].metrics[0].reference",
            ("<= 1.0", "got 70.0")),
    Mistake("duplicate_key", "reader:", "name: x\n        reader:", 8, "models[0].datasets[0].name", ("duplicate key",)),
    Mistake("not_a_mapping", "models:", "- models:", 1, "", ("expected `object`, got `array`",)),
    Mistake("other_adapter", "adapter: classification", "adapter: ssd", 5, "models[0].launchers[0].adapter"),
]  # fmt: skip
CHECK_LINES = {"two_means": 12, "no_number": 12}  # a step is named by its first line


def _ids(mistake: Mistake) -> str:
    return mistake.name


def _spoil(text: str, mistake: Mistake) -> str:
    assert mistake.old in text, "the table does not fit the description"
    return text.replace(mistake.old, mistake.new, 1)


def _assert_named(error: ConfigError, path: Path, mistake: Mistake, line: int) -> None:
    message = str(error)
    where = f"{path}:{line}: {mistake.key}: " if mistake.key else f"{path}:{line}: "
    assert message.startswith(where)
    for word in mistake.words:
        assert word in message
    assert "\n" not in message
    assert error.exit_code == 1


@pytest.mark.parametrize("mistake", MODEL_MISTAKES, ids=_ids)
def test_a_mistake_in_model_yml_is_named(
    mistake: Mistake, model_yml: str, describe_model: DescribeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        describe_model(_spoil(model_yml, mistake))
    _assert_named(caught.value, tmp_path / "net" / "model.yml", mistake, mistake.line)
    assert not Path("pwned").exists()


@pytest.mark.parametrize("mistake", CHECK_MISTAKES, ids=_ids)
def test_a_mistake_in_accuracy_check_yml_is_named(
    mistake: Mistake, model_yml: str, accuracy_check_yml: str, describe_model: DescribeModel, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        describe_model(model_yml, _spoil(accuracy_check_yml, mistake))
    line = CHECK_LINES.get(mistake.name, mistake.line)
    _assert_named(caught.value, tmp_path / "net" / "accuracy-check.yml", mistake, line)


def test_the_valid_description_loads(describe_model: DescribeModel, tmp_path: Path) -> None:
    config = describe_model()
    assert config.name == "net"
    assert config.folder == tmp_path / "net"
    assert [file.size for file in config.files] == [1234, 99]
    hosts = ("a", "b", "c")
    assert config.files[1].sources == tuple(HttpSource(f"https://{host}.example.org/archive.tgz") for host in hosts)
    assert config.accuracy_check is not None and config.accuracy_check.reference(5) == 0.9


@pytest.mark.parametrize("name", ["mobile net", "größe", "a,b", "...", "a+b"])
def test_an_invalid_folder_name_is_refused(name: str, describe_model: DescribeModel) -> None:
    with pytest.raises(ConfigError, match="invalid model name: it is the name of the folder") as caught:
        describe_model(name=name)
    assert repr(name) in str(caught.value)
    assert "letters, digits" in str(caught.value)


@pytest.mark.parametrize("name", ["Mobile_Net-v2.1", "a", "..a", "0"])
def test_a_valid_folder_name_becomes_the_model_name(name: str, describe_model: DescribeModel) -> None:
    assert describe_model(name=name).name == name


def test_a_relative_path_inside_the_folder_gives_the_name(
    describe_model: DescribeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe_model()
    monkeypatch.chdir(tmp_path / "net")
    assert load_config("model.yml").name == "net"
    assert load_config(".").name == "net"


def test_a_missing_description_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load_config(tmp_path / "net")
    assert str(tmp_path / "net" / "model.yml") in str(caught.value)


def test_a_huge_file_is_refused_before_it_is_parsed(describe_model: DescribeModel, model_yml: str) -> None:
    with pytest.raises(ConfigError, match="file too large"):
        describe_model(model_yml + "#" * (1 << 20))


def test_the_digest_changes_with_either_file(
    describe_model: DescribeModel, model_yml: str, accuracy_check_yml: str
) -> None:
    same, again = describe_model(), describe_model()
    other_model = describe_model(model_yml + "# one more line\n")
    other_check = describe_model(model_yml, accuracy_check_yml + "# one more line\n")
    assert same.digest == again.digest
    assert len({same.digest, other_model.digest, other_check.digest}) == 3


@pytest.mark.parametrize("pattern", ["[[a]", "[a||b]"])
def test_a_pattern_that_python_warns_about_still_loads(
    pattern: str, describe_model: DescribeModel, model_yml: str
) -> None:
    step = describe_model(model_yml.replace("'a+'", f"'{pattern}'")).postprocessing[1]
    assert isinstance(step, RegexReplace) and step.pattern == pattern


def test_a_digest_in_capitals_is_the_same_digest(describe_model: DescribeModel, model_yml: str) -> None:
    config = describe_model(model_yml.replace("ab" * 48, "AB" * 48))
    assert config.files[0].checksum == Checksum("sha384", "ab" * 48)
