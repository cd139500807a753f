"""Descriptions that are small but would take long: refused, or read in a time that grows with their size only."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from zoo.descriptions import DescribeModel

from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo import document, patterns
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.document import MAX_NODES, parse_document
from ov_mobilenet.zoo.labels import MAX_LABELS, config_labels, read_labels

PATH = Path("model.yml")
SIZE = 1 << 20


def with_labels(describe_model: DescribeModel, model_yml: str, name: str) -> Any:
    return describe_model(model_yml.replace("labels: imagenet_1000_classes", f"labels: {name}"))


def test_labels_may_be_in_a_folder(tmp_path: Path, describe_model: DescribeModel, model_yml: str) -> None:
    (tmp_path / "net" / "sub").mkdir(parents=True)
    file = tmp_path / "net" / "sub" / "labels.txt"
    digests = set()
    for last in ("a", "b"):
        file.write_text("".join(f"name {i}\n" for i in range(999)) + last)
        config = with_labels(describe_model, model_yml, "sub/labels.txt")
        digests.add(config.digest)
        assert config_labels(config) == (*(f"name {i}" for i in range(999)), last)
    assert len(digests) == 2
    assert main(["info", str(tmp_path / "net" / "model.yml"), "--format", "json"]) == 0


@pytest.mark.parametrize("kind", ["device", "FIFO", "linked device", "socket"])
@pytest.mark.parametrize("file", ["labels.txt", "model.yml", "accuracy-check.yml"])
def test_a_file_that_is_not_regular_is_not_read(
    kind: str, file: str, tmp_path: Path, describe_model: DescribeModel, model_yml: str
) -> None:
    describe_model(model_yml)
    folder = tmp_path / "net"
    path = folder / file
    path.unlink(missing_ok=True)
    if kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind != "socket" else "/dev/stdin")
    if kind == "socket":
        path.unlink()
        import socket

        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(os.path.relpath(path))
    if file == "accuracy-check.yml":
        assert load_config(folder).accuracy_check is None  # not a file: as if it was not there
        return
    with pytest.raises(ConfigError, match=f"{re.escape(file)}: .*cannot be read"):
        if file == "labels.txt":
            config = with_labels(describe_model, model_yml, file)
            config_labels(config)
        load_config(folder)


def test_info_does_not_read_a_device(
    tmp_path: Path, describe_model: DescribeModel, model_yml: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "labels.txt").symlink_to("/dev/zero")
    with_labels(describe_model, model_yml, "labels.txt")
    assert main(["info", str(tmp_path / "net" / "model.yml"), "--format", "json"]) in (0, 1)
    assert "Traceback" not in capsys.readouterr().err


def test_labels_are_limited_in_number(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\n" * (MAX_LABELS + 1))
    with pytest.raises(ConfigError, match=f"too many labels: expected at most {MAX_LABELS}, got {MAX_LABELS + 1}"):
        read_labels(tmp_path / "labels.txt")


# Each is of 1 MB or less, and took 1 to 10 s.
LARGE = {
    "list": "a: [" + "1," * (SIZE // 2 - 10) + "1]",
    "list of lists": "a: [" + "[]," * (SIZE // 3 - 10) + "1]",
    "lines": "a:\n" + "- 1\n" * (SIZE // 4 - 10),
    "keys": "".join(f"k{i}: \n" for i in range(90_000)),
    "keys in braces": "{" + ",".join(f"{i:x}" for i in range(150_000)) + "}",
    "one key": "a: 1\n" * 200_000,
    "dates": "a: [" + "2001-01-01," * 90_000 + "1]",
    "documents": "---\n" * 250_000,
}


@pytest.mark.parametrize("name", LARGE)
def test_yaml_with_many_values_is_refused_before_they_are_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[object] = []

    def parse(text: bytes, **options: Any) -> Any:
        for event in yaml.parse(text, **options):
            events.append(event)
            yield event

    monkeypatch.setattr(document, "yaml", _Counted(parse))
    assert len(LARGE[name]) <= SIZE
    with pytest.raises(ConfigError, match=rf"^model\.yml:\d+: more than {MAX_NODES} keys and values$"):
        parse_document(LARGE[name].encode(), PATH)
    assert len(events) <= 2 * MAX_NODES + 10


class _Counted:
    """PyYAML with another `parse`, and without `compose`."""

    def __init__(self, parse: Any) -> None:
        self.parse = parse

    def compose(self, *args: object, **options: object) -> None:
        pytest.fail("the values are read")

    def __getattr__(self, name: str) -> Any:
        return getattr(yaml, name)


def test_a_description_may_list_the_labels_of_21_000_classes() -> None:
    text = "model_info:\n  labels:\n" + "".join(f"    - name_{i}\n" for i in range(21_843))
    data: Any = parse_document(text.encode(), PATH).data
    assert len(data["model_info"]["labels"]) == 21_843


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("data[1]," + " " * 64_000, (1.0,)),
        ("data[1]," + " " * 64_000 + "x", None),
        (" " * 64_000 + "[1,2,3]", (1.0, 2.0, 3.0)),
        ("data[1]" * 30_000, (1.0,)),
        ("[" * 64_000, None),
        ("x" * 64_000, None),
        ("[4]," * 30_000, (4.0,)),
        ("data [1,2,3]", (1.0, 2.0, 3.0)),
        ("other[9],data:0(1,2,3)", (1.0, 2.0, 3.0)),
        ("other(9) , data[1]", (1.0,)),
        ("da ta[1]", None),
        (",[1]", None),
        ("[1],,[2]", None),
        ("[1]x", None),
        ("data]1[", None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_values_of_many_characters(
    value: str, expected: object, describe_model: DescribeModel, model_yml: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped = yaml.safe_dump([f"--mean_values={value}", "--input_model=$dl_dir/net.onnx"], width=10**6)
    text = model_yml.replace("  - --input_model=$dl_dir/net.onnx\n", dumped)
    config = describe_model(text)
    if expected is None:
        with pytest.raises(ConfigError, match="--mean_values"):
            plan_conversion(config)
    else:
        assert plan_conversion(config).normalisation.mean == expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?:" * 400, "invalid pattern"),
        ("a" * 1001, "longer than 1000 characters"),
        ("(?:(?:a){1,65000}){1,65000}", "more than 1000 repetitions"),
        ("(?:(?:(?:a){30}){30}){ 2 , }", "more than 1000 repetitions"),
        ("a{" + "9" * 900 + "}", "more than 1000 repetitions"),
    ],
    ids=lambda value: value[:20],
)
def test_a_pattern_that_needs_much_memory_or_time_to_compile_is_refused(
    pattern: str, reason: str, describe_model: DescribeModel, model_yml: str
) -> None:
    text = model_yml.replace("'a+'", f"'{pattern}'")
    with pytest.raises(ConfigError, match=rf"model\.yml:19: postprocessing\[1\]\.pattern: .*{reason}"):
        describe_model(text)


def test_the_number_of_steps_and_the_replacement_are_limited(describe_model: DescribeModel, model_yml: str) -> None:
    step = "  - {$type: regex_replace, file: script.py, pattern: a, replacement: b}\n"
    with pytest.raises(ConfigError, match="postprocessing: too many steps: expected at most 50, got 62"):
        describe_model(model_yml.replace("framework:", step * 60 + "framework:"))
    with pytest.raises(ConfigError, match=r"postprocessing\[1\]\.replacement: replacement too long"):
        describe_model(model_yml.replace("replacement: b", f"replacement: {'b' * 10_001}"))


# Patterns as in the Open Model Zoo, and the cases in which libraries differ. `re` is the oracle.
REPLACEMENTS = [
    (r"from torchvision\.models import (\w+)", r"import \1", 0),
    (r"x*", "-", 0),
    (r"(a)|(b)", r"[\1\2]", 0),
    (r"\bb", r"\\n", 1),
    (r"(?m)^(\s*)a", r"\g<1>A", 0),
    (r"(?P<name>b+)", r"<\g<name>>", 2),
    (r"[[a-c]", "", 0),
    (r"a||b", "_", 0),
    (r"(?s)a.*?$", r"\n", 0),
    (r"", ".", 3),
    (r"é", "E", 0),
]


@pytest.mark.parametrize(("pattern", "replacement", "count"), REPLACEMENTS)
@pytest.mark.parametrize("text", ["", "abxab\n  aé[bbb]", "import a\nfrom torchvision.models import net\n", "xxx axx"])
@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_replacements_are_those_of_re(pattern: str, replacement: str, count: int, text: str) -> None:
    expected = re.subn(pattern, replacement, text, count=count)
    assert patterns.replace(pattern, replacement, text, count=count, timeout_s=60) == expected


@pytest.mark.parametrize(
    ("pattern", "replacement", "text", "reason"),
    [
        (r"(?:a|aa)+[bc]$", "", "a" * 60 + "d", r"the pattern takes more than 0\.2 s"),
        (r"(a|b|ab)*[xy]", "", "ab" * 40 + "c", r"the pattern takes more than 0\.2 s"),
        ("", "x" * 10_000, "y" * 10_000, "the result is longer than 16777216 characters"),
        ("(.*)", r"\1" * 4_000, "z" * 100_000, "the result is longer than 16777216 characters"),
        (r"(?s)(?P<all>.+)", r"\g<all>" * 1_000, "z" * 100_000, "the result is longer than"),
        ("a", r"\7", "a", "invalid replacement"),
        ("a", r"\g<none>", "a", "invalid replacement"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_replacement_is_limited_in_time_and_size(pattern: str, replacement: str, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        patterns.replace(pattern, replacement, text, count=0, timeout_s=0.2)
