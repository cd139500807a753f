"""Small descriptions that are expensive to read: they load or are refused, by file, line and key, with bounded work."""

from __future__ import annotations

import os
import random
import re
import resource
from pathlib import Path
from typing import Any

import yaml
from attacks.fuzz import Attack
from zoo.descriptions import MODEL_YML

from ov_mobilenet.errors import ConfigError
from ov_mobilenet.zoo import patterns
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.config import load_config
from ov_mobilenet.zoo.labels import config_labels

CPU_S = 10.0  # far above what is allowed, because machines differ; without limits most cases take much longer


def use(folder: Path, text: str) -> ConfigError | None:
    """Read a description whole; returns the error. The CPU time is limited."""
    (folder / "net").mkdir(exist_ok=True)
    (folder / "net" / "model.yml").write_text(text, "utf-8")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    try:
        config = load_config(folder / "net")
        config_labels(config)
        plan_conversion(config)
    except ConfigError as error:
        assert re.search(r"model\.yml(:\d+)?: |labels\.txt(:\d+)?: ", str(error)), error
        assert str(error).isprintable()
        return error
    finally:
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < CPU_S
    return None


def many_values(rng: random.Random, folder: Path) -> None:
    """Up to 1 MB of one construct of YAML in a valid description."""
    unit = rng.choice(("[],", "{},", "1,", "a: 1,", "'',", '"x",', "[1,[2]],", "2001-01-01,", "? ,", "null,", "- ,"))
    content = unit * (rng.randrange(1000, (1 << 20) - len(MODEL_YML) - 100) // len(unit))
    opening, closing = rng.choice(("[]", "{}"))
    assert use(folder, f"{MODEL_YML}extra: {opening}{content}{closing}\n") is not None


def many_lines(rng: random.Random, folder: Path) -> None:
    """Up to 1 MB of lines: lists, mappings, documents, comments, block texts."""
    unit = rng.choice(("- 1\n", "k{}: v\n", "---\n", "k: v\n", "? k{}\n", "- - 1\n", "- a: b\n"))
    count = rng.randrange(30_000, 120_000)
    assert use(folder, MODEL_YML + "".join(unit.format(i) for i in range(count))) is not None


def long_value(rng: random.Random, folder: Path) -> None:
    """An argument with thousands of characters of the characters that it may consist of."""
    name = rng.choice(("mean_values", "scale_values", "scale", "layout", "input", "input_shape", "output", "data_type"))
    pieces = [rng.choice((" ", "\t", "1", ",", "[", "]", "(", ")", "a", "-", ".", "e", "[1],", "data[1],", "->"))]
    value = "data[1]," * rng.randrange(2) + pieces[0] * rng.randrange(10_000, 200_000) + rng.choice(("", "x", "]", ","))
    arguments = yaml.safe_dump([f"--{name}={value}", "--input_model=$dl_dir/net.onnx"], width=1 << 30)
    use(folder, MODEL_YML.replace("  - --input_model=$dl_dir/net.onnx\n", arguments))


def odd_labels(rng: random.Random, folder: Path) -> None:
    """Labels that are a device, a FIFO, a folder, a link in a circle, or megabytes: refused. In a subfolder: read."""
    net = folder / "net"
    (net / "sub").mkdir(parents=True)
    name = rng.choice(("labels.txt", "sub/labels.txt"))
    path = net / name
    kind = rng.choice(("zero", "random", "fifo", "folder", "circle", "large", "many", "good"))
    if kind in ("zero", "random"):
        path.symlink_to("/dev/zero" if kind == "zero" else "/dev/urandom")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "circle":
        path.symlink_to(path)
    else:
        path.write_text("a\n" * 150_000 if kind == "many" else "a" * 5_000_000 if kind == "large" else "a\n" * 1000)
    error = use(folder, MODEL_YML.replace("labels: imagenet_1000_classes", f"labels: {name}"))
    assert (error is None) == (kind == "good"), kind
    assert error is None or "labels" in str(error)


def pattern(rng: random.Random) -> str:
    atoms = ["a", "b", ".", r"\w", "[ab]", "x", " ", "é"]
    text = ""
    for _ in range(rng.randrange(1, 6)):
        text += rng.choice(("", "", "", "^", "$", r"\b"))
        text += rng.choice(
            (rng.choice(atoms), f"({rng.choice(atoms)}|{rng.choice(atoms)})", f"(?:{rng.choice(atoms)})")
        )
        text += rng.choice(("", "", "*", "+", "?", "{2}", "{1,3}", "*?"))
    return text


def replacement(rng: random.Random, folder: Path) -> None:
    """A random pattern and text: the result of `re`."""
    chosen, count = pattern(rng), rng.randrange(3)
    text = "".join(rng.choice("ab x\né") for _ in range(rng.randrange(60)))
    new = rng.choice(("", "-", r"\\", r"<\g<0>>", "é"))
    expected = re.subn(chosen, new, text, count=count)
    assert patterns.replace(chosen, new, text, count=count, timeout_s=60) == expected, (chosen, text)


def explosive_pattern(rng: random.Random, folder: Path) -> None:
    """Alternatives that overlap, repeated without an end: ended by the limit of time, or quick."""
    inner = rng.choice(("a|aa", "a|b|ab", "a|a?b?", ".|..", "a{1,3}|aa", r"\w|\w\w"))
    chosen = f"(?:{inner})+" * rng.randrange(1, 3) + rng.choice(("[xy]$", "(?=z)[^z]", "[xy]", "$(?<=z)"))
    text = rng.choice(("a", "ab")) * rng.randrange(30, 300) + "c"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    try:
        patterns.replace(chosen, "", text, count=0, timeout_s=0.1)
    except ValueError as error:
        assert "takes more than 0.1 s" in str(error), error
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < CPU_S


def large_pattern(rng: random.Random, folder: Path) -> None:
    """Nested repetitions, thousands of characters, deep groups: refused without compiling them."""
    depth, most = rng.randrange(2, 6), rng.randrange(40, 66_000)
    chosen: Any = rng.choice(
        (
            "(?:" * depth + "a" + f"){{1,{most}}}" * depth,
            "".join(f"a{{{most}}}" for _ in range(depth)),
            "a" * rng.randrange(1001, 100_000),
            "(?:" * rng.randrange(300, 333),
            "[" * rng.randrange(1, 300),
        )
    )
    error = use(folder, MODEL_YML.replace("'a+'", f"'{chosen}'"))
    assert error is not None and "postprocessing[1].pattern: invalid pattern (" in str(error)
    assert len(str(error)) < 500 + len(str(folder))


ATTACKS = (
    Attack("descriptions: many values", 100, many_values, 3),
    Attack("descriptions: many lines", 100, many_lines, 3),
    Attack("descriptions: long value", 300, long_value, 4),
    Attack("descriptions: odd labels", 200, odd_labels, 8),
    Attack("descriptions: replacement", 2000, replacement, 60),
    Attack("descriptions: explosive pattern", 100, explosive_pattern, 4),
    Attack("descriptions: large pattern", 200, large_pattern, 8),
)
