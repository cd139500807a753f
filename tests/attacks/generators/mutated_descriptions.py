"""Descriptions changed at random, by keys, values and bytes: an error with file and line, or a harmless config."""

from __future__ import annotations

import functools
import random
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from attacks import damage
from attacks.fuzz import Attack
from attacks.outside_watch import nothing_outside
from zoo.descriptions import ACCURACY_CHECK_YML, MODEL_YML

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.labels import config_labels
from ov_mobilenet.zoo.model import HttpSource, RegexReplace, UnpackArchive

ROOT = Path(__file__).resolve().parents[3]
MARK = "pwned"  # a file of this name would have been written by code in a description
NAMES = (
    "../net.onnx", "/etc/passwd", "a/../../b", "..", ".", "", "C:\\x", "\\\\host\\x", "a\\..\\b", "a//b", "~/x",
    "a/", "con",
    "x\0y", "a\nb", "é" * 200, "x" * 300, "a/b/c/d/e", "-o", "%2e%2e/x", "\u202efdp", "\ud7ff", "net.onnx ",
    "./net.onnx",
)  # fmt: skip
ADDRESSES = (
    "http://example.org/x", "https://user:password@example.org/x", "file:///etc/passwd", "ftp://example.org/x",
    "javascript:1",
    "data:text/plain,x", "https://", "https:///x", "https://[::1", "https://[::1]:99999/x", "//example.org/x",
    "https://a b/c",
    "https://example.org/\r\nX: y", "https://127.0.0.1:0/x", "HTTPS://EXAMPLE.ORG", "https://é.example/x",
)  # fmt: skip
TEXTS = (
    "", " ", "\t", "null", "~", "true", "0x10", "1_000", "1:30", ".inf", "-.nan", "1e999", "2001-01-01", "'",
    '"', "{", "*a", "&a",
    "!!str", "%", "@", "`", "x" * 5000, "\u2028", "\ufeff", "\x85", "\x7f", "\U0001f600", "١٢", "$dl_dir",
    "$conv_dir/x",
    "--input_model=$dl_dir/../x", "--input_shape=[1,3,0,0]", "--mean_values=[nan,inf,1]", "--scale=0",
    "--extensions=x.so",
    "[1,3,224,224]", "onnx", "pytorch", "caffe", "tf", "tflite", "keras", "detection", "zip", "(?:a+)+$", "\\1",
    "a" * 4000,
)  # fmt: skip
NUMBERS = (0, -1, 1, 2, 1000, 1 << 31, 1 << 63, 1 << 64, 10**30, 10**300, -(10**40), 0.5, 1e300, -0.0, 5e-324)
TAGS = (
    "!!python/object/apply:os.system ['touch pwned']", "!!python/module:antigravity", "!!python/name:os.system",
    "!!python/object/new:os.system [touch pwned]", "!!binary aGVsbG8=", "!!set {a, b}", "!!omap [a: 1]", "!!float 1",
    "!local x",
    "!!int 0b11", "!!timestamp 2001-01-01", "!!pairs [a: 1]", "!!merge <<", "<<", "=",
)  # fmt: skip


@functools.cache
def documents() -> tuple[str, ...]:
    """The tests' description, and those that are shipped."""
    return (MODEL_YML, *(path.read_text("utf-8") for path in sorted((ROOT / "model_configs").glob("*/model.yml"))))


def random_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 4 else 5)
    if kind < 5:
        return rng.choice(
            (rng.choice(NAMES), rng.choice(ADDRESSES), rng.choice(TEXTS), rng.choice(NUMBERS), None, True)
        )
    items = [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind < 7:
        return items
    return {rng.choice(("$type", "name", "path", "url", "value", "x", *TEXTS)): item for item in items}


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with a key or index in it."""
    found: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            found += [(value, key), *places(value[key])]
    return found


def change(document: Any, rng: random.Random) -> None:
    """Change one key or value of a document in place."""
    found = places(document)
    if not found:
        return
    container, key = rng.choice(found)
    value = container[key]
    kind = rng.randrange(10)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        container[rng.choice((str(key).upper(), f"{key} ", f" {key}", *TEXTS))] = container.pop(key)
    elif kind == 2 and isinstance(container, dict):
        container[rng.choice(("files", "source", "$type", "<<", *TEXTS))] = random_value(rng)
    elif kind == 3 and isinstance(container, list):
        container += [value] * rng.choice((1, 2, 60))
    elif kind == 4:
        container[key] = [value] if rng.random() < 0.5 else {"x": value}
    elif kind == 5:
        other, elsewhere = rng.choice(found)
        container[key] = yaml.safe_load(yaml.safe_dump(other[elsewhere]))
    elif isinstance(value, str) and kind < 8:
        container[key] = rng.choice((*NAMES, *ADDRESSES, *TEXTS)) if kind == 6 else value + rng.choice(TEXTS)
    else:
        container[key] = random_value(rng)


def change_text(text: str, rng: random.Random) -> str:
    """Change what only the text of a YAML file has: lines, indentation, anchors, tags, comments, line ends."""
    lines = text.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    line = lines[at]
    name, colon, _ = line.partition(": ")
    kind = rng.randrange(10)
    if kind == 0:
        lines.insert(rng.randrange(len(lines)), line)
    elif kind == 1:
        lines[at] = rng.choice((" ", "\t", "  ", "- ")) + line
    elif kind == 2:
        lines[at] = line.lstrip() or line
    elif kind == 3:
        lines[at] = f"{name}: {rng.choice(TAGS)}\n" if colon else line
    elif kind == 4:
        lines[at] = line.replace(": ", ": &a ", 1)
        other = rng.randrange(len(lines))
        lines[other] = f"{lines[other].partition(': ')[0]}: *a\n"
    elif kind == 5:
        return rng.choice(("\ufeff", "---\n", "%YAML 1.2\n---\n", "%TAG ! x\n---\n", "--- !!map\n", "...\n")) + text
    elif kind == 6:
        return text.replace("\n", rng.choice(("\r\n", "\r", "\x85", "\u2028", "\n\n", "\n\0")))
    elif kind == 7:
        lines[at:] = []
    elif kind == 8:
        lines[at] = line.replace(" ", rng.choice(("\xa0", "\t", "")), 1)
    else:
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    return "".join(lines)


def check(folder: Path, model: bytes, accuracy_check: bytes | None) -> None:
    """Read the description whole: an error with file and line, or a config with nothing outside its folder."""
    net = folder / "net"
    net.mkdir()
    (net / "model.yml").write_bytes(model)
    if accuracy_check is not None:
        (net / "accuracy-check.yml").write_bytes(accuracy_check)
    with nothing_outside(folder):
        try:
            config = load_config(net)
            config_labels(config)
            plan = plan_conversion(config)
        except ConfigError as error:
            text = str(error)
            assert re.search(r"(model|accuracy-check)\.yml(:\d+)?: |: labels file |\.txt(:\d+)?: ", text), text
            assert text.isprintable() and len(text) < 2000, text
            return
        finally:
            assert not list(folder.rglob(MARK))
            assert "antigravity" not in sys.modules
    written = [file.name for file in config.files] + [plan.source.path]
    written += [step.file for step in config.postprocessing if isinstance(step, UnpackArchive | RegexReplace)]
    for name in written:
        path = PurePosixPath(name)
        assert not path.is_absolute() and ".." not in path.parts and not re.search(r"[\\:\x00-\x1f]", name), name
        assert path.parts or name == plan.source.path, name
    addresses = [source.url for file in config.files for source in file.sources if isinstance(source, HttpSource)]
    assert all(re.match(r"https?://[^/\s]", url) and url.isprintable() for url in addresses), addresses


def changed_values(rng: random.Random, folder: Path) -> None:
    """One to four keys or values are other ones, then perhaps a line is."""
    document = yaml.safe_load(rng.choice(documents()))
    accuracy = yaml.safe_load(ACCURACY_CHECK_YML)
    for _ in range(rng.choice((1, 1, 2, 4))):
        change(accuracy if rng.random() < 0.25 else document, rng)
    style = rng.choice((None, None, True, False))
    text = yaml.safe_dump(document, default_flow_style=style, allow_unicode=rng.random() < 0.7, sort_keys=False)
    if rng.random() < 0.2:
        text = change_text(text, rng)
    check(folder, text.encode("utf-8", "surrogatepass"), yaml.safe_dump(accuracy).encode())


def changed_text(rng: random.Random, folder: Path) -> None:
    """One to four lines are repeated, moved, cut or written otherwise, with tags, anchors, control characters."""
    text = rng.choice(documents())
    for _ in range(rng.choice((1, 1, 2, 4))):
        text = change_text(text, rng) if text else text
    check(folder, text.encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16", "utf-32", "utf-8-sig"))), None)


def changed_bytes(rng: random.Random, folder: Path) -> None:
    """The bytes of a description, or of its `accuracy-check.yml`, are flipped, cut, repeated."""
    model, accuracy = rng.choice(documents()).encode(), ACCURACY_CHECK_YML.encode()
    if rng.random() < 0.3:
        accuracy = damage.damaged(accuracy, rng)
    else:
        model = damage.damaged(model, rng)
    check(folder, model, accuracy)


ATTACKS = (
    Attack("descriptions: changed values", 4000, changed_values, 60),
    Attack("descriptions: changed text", 1500, changed_text, 30),
    Attack("descriptions: changed bytes", 1500, changed_bytes, 30),
)
