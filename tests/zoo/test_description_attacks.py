"""No content of a description, however hostile, does anything but load or raise a ConfigError."""

from __future__ import annotations

import copy
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.document import parse_document
from ov_mobilenet.zoo.geometry import geometry_of_dataset, parse_geometry
from ov_mobilenet.zoo.labels import background_class, config_labels

PATH = Path("model.yml")

NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([10**30, -(10**400), 1 << 63, 1 << 64, -(1 << 63) - 1, 10**4000]),
    st.floats(),
    st.sampled_from([5e-324, 1.7e308, -0.0]),
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.text("$-=_[](){},.:/\\ \0\n'\"0123456789abcnhw", max_size=12),
    st.sampled_from(["$dl_dir/a\0b", "--input=a[", "../x", "(nan, 1, 2)", "1,,2", "http://[", "$type", "a" * 5000]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
DATA = st.recursive(
    SCALARS,
    lambda children: st.one_of(st.lists(children, max_size=4), st.dictionaries(TEXTS, children, max_size=4)),
    max_leaves=12,
)

quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _dump(data: Any) -> bytes:
    # No aliases, which are refused before anything else is looked at.
    dumper = type("Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda self, node: True})
    return yaml.dump(data, Dumper=dumper, allow_unicode=True).encode("utf-8", "surrogatepass")


def _use(folder: Path) -> None:
    """Everything that reads a description without the network: loads or raises ConfigError."""
    try:
        config = load_config(folder)
        config_labels(config)
        background_class(config)
        if config.accuracy_check is not None and config.accuracy_check.converted is not None:
            geometry_of_dataset(config.accuracy_check.converted)
        plan_conversion(config)
    except ConfigError as error:
        assert str(folder) in str(error)
        assert str(error).isprintable()  # one line, nothing that a terminal obeys


def _places(data: Any, prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield prefix
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from _places(value, (*prefix, key))


def _replaced(data: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    data = copy.deepcopy(data)
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return data


@pytest.fixture
def folder(tmp_path: Path, model_yml: str, accuracy_check_yml: str) -> Path:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "model.yml").write_text(model_yml, "utf-8")
    (folder / "accuracy-check.yml").write_text(accuracy_check_yml, "utf-8")
    return folder


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))))
@example(b"\xff\xfea\x00")
@example(b"\xef\xbb\xbfa: b")
@example(b"a: \x00")
@example(b"a:\tb: c")
@example(b'"\\ud800"')
@example(b"%YAML 9.9\n--- a")
@example(b"!<" + b"x" * 2000)
@settings(max_examples=200, deadline=None)
def test_any_bytes_parse_or_raise_a_config_error(content: bytes) -> None:
    try:
        parse_document(content, PATH)
    except ConfigError as error:
        assert str(error).startswith("model.yml")


@given(st.text("-:?[]{},&*!|>'\"%@`#abc01.~ \n\t<=", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_of_yaml_syntax_parses_or_raises_a_config_error(content: str) -> None:
    try:
        parse_document(content.encode(), PATH)
    except ConfigError as error:
        assert str(error).startswith("model.yml")


# Letters, digits, signs: PyYAML's emitter does not keep line breaks such as U+0085.
_WORDS = st.text(st.characters(categories=["L", "N", "P", "S"], include_characters=" "), max_size=12)
_FINITE = st.one_of(st.none(), st.booleans(), st.integers(-(10**12), 10**12), _WORDS)


@given(
    st.recursive(
        _FINITE,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_WORDS, inner, max_size=3)),
        max_leaves=10,
    )
)
@settings(max_examples=200, deadline=None)
def test_plain_data_round_trips(data: Any) -> None:
    assert parse_document(_dump(data), PATH).data == data


@given(DATA)
@quick
def test_random_data_is_not_a_description(folder: Path, data: Any) -> None:
    (folder / "model.yml").write_bytes(_dump(data))
    with pytest.raises(ConfigError):
        load_config(folder)


@given(st.data())
@settings(parent=quick, max_examples=200)
def test_a_model_yml_with_one_value_replaced_loads_or_is_a_config_error(
    folder: Path, model_yml: str, data: st.DataObject
) -> None:
    valid = yaml.safe_load(model_yml)
    place = data.draw(st.sampled_from(list(_places(valid))), "place")
    (folder / "model.yml").write_bytes(_dump(_replaced(valid, place, data.draw(DATA, "value"))))
    _use(folder)


@given(st.data())
@settings(parent=quick, max_examples=200)
def test_an_accuracy_check_yml_with_one_value_replaced_loads_or_is_a_config_error(
    folder: Path, accuracy_check_yml: str, data: st.DataObject
) -> None:
    valid = yaml.safe_load(accuracy_check_yml)
    place = data.draw(st.sampled_from(list(_places(valid))), "place")
    (folder / "accuracy-check.yml").write_bytes(_dump(_replaced(valid, place, data.draw(DATA, "value"))))
    _use(folder)


_ARGUMENTS = st.one_of(
    TEXTS,
    st.builds(
        "--{}={}".format,
        st.sampled_from(
            ["mean_values", "scale_values", "scale", "layout", "input", "input_shape", "output", "data_type"]
        ),
        st.one_of(TEXTS, st.from_regex(r"[a-z]{0,2}[\[(][-0-9.,e ]{0,8}[\])],?", fullmatch=True)),
    ),
)


@given(st.lists(_ARGUMENTS, max_size=3))
@settings(parent=quick, max_examples=150)
@example(["--input_model=$dl_dir/a\0b"])
@example(["--mean_values=[1e999]"])
@example(["--input_shape=" + "9" * 5000])
@example(["--mean_values=" + "[1]," * 3000])
def test_any_argument_is_planned_or_raises_a_config_error(folder: Path, model_yml: str, arguments: list[str]) -> None:
    valid = yaml.safe_load(model_yml)
    (folder / "model.yml").write_bytes(_dump({**valid, "model_optimizer_args": arguments}))
    _use(folder)


@given(st.floats(min_value=0.0, max_value=1.0, exclude_min=True))
@quick
@example(1e-5)
@example(5e-324)
def test_every_valid_fraction_round_trips_through_text(folder: Path, accuracy_check_yml: str, fraction: float) -> None:
    text = accuracy_check_yml.replace("{type: crop, size: 224}", f"{{type: crop, central_fraction: {fraction:.400f}}}")
    (folder / "accuracy-check.yml").write_text(text)
    dataset = load_config(folder).dataset
    assert dataset is not None
    geometry = geometry_of_dataset(dataset)
    assert geometry is not None
    assert parse_geometry(str(geometry)).steps == geometry.steps


_LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("[" * 100_000, "nested"),
        ("{a: " * 100_000, "nested"),
        ("- " * 100_000, "nested"),
        ("? " * 100_000, "nested"),
        ("[" * 40 + "]" * 40, "nested more than 32 levels deep"),
        ("\n".join(" " * i + "a:" for i in range(800)), "nested"),
        ("a: " + "9" * 100_000, "not supported"),
        ("a: " + "1" * 400 + ".0", "not supported"),
        ("a: .NaN", "not supported"),
        ("a: -.inf", "not supported"),
        ("a: 190:20:30", "not supported"),
        (_LAUGHS, "anchors and aliases"),
        ("a: &a [*a]", "anchors and aliases"),
        ("a: &a {b: c}\nd: {<<: *a}", "anchors and aliases"),
        ("!!python/object/new:type {args: [x, [], {}]}", "not supported"),
        ("!!binary aGVsbG8=", "not supported"),
        ("!!set {a, b}", "not supported"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_hostile_yaml_is_refused_with_a_short_message(content: str, what: str) -> None:
    # In a process of its own: what overflows the C stack ends the process.
    script = (
        "import sys\nfrom pathlib import Path\nfrom ov_mobilenet.errors import ConfigError\n"
        "from ov_mobilenet.zoo.document import parse_document\n"
        "try:\n    parse_document(sys.stdin.buffer.read(), Path('model.yml'))\n"
        "except ConfigError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=content.encode(),
        capture_output=True,
        timeout=30,
        cwd=Path(__file__).parents[2],
    )
    message = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert message.startswith("model.yml:")
    assert what in message
    assert len(message) < 300


def test_the_depth_of_a_real_description_is_well_below_the_limit(folder: Path) -> None:
    depth = max(len(key) for key in parse_document((folder / "accuracy-check.yml").read_bytes(), PATH).lines)
    assert depth * 2 < 32
    document = parse_document(b"[" * 32 + b"1" + b"]" * 32, PATH)
    assert math.isclose(_innermost(document.data), 1)


def _innermost(data: Any) -> Any:
    while isinstance(data, list):
        (data,) = data
    return data


def test_a_folder_or_a_dead_link_instead_of_a_file_is_an_error(folder: Path) -> None:
    (folder / "model.yml").unlink()
    (folder / "model.yml").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(folder / "model.yml")
    (folder / "model.yml").unlink()
    (folder / "model.yml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(folder)
    shutil.rmtree(folder / "model.yml")
