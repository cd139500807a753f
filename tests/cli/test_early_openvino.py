"""`classify` of an IR imports OpenVINO first and without its converter; nothing else changes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from known_network import CLASSES, Known

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("openvino", "openvino.tools.ovc", "openvino_telemetry")
# Runs the program, and prints at its end which modules were imported.
PROGRAM = (
    "import atexit, sys; "
    f"atexit.register(lambda: print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)); "
    "from ov_mobilenet.__main__ import run; run()"
)


def run(*arguments: str | Path) -> tuple[int, str, list[str]]:
    """Exit code, stdout, and the lines on stderr; the last one names the modules."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, timeout=300, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr.splitlines()


def answers(out: str) -> list[tuple[int, float]]:
    (row,) = json.loads(out)["results"]
    return [(one["class_id"], one["probability"]) for one in row["predictions"]]


@pytest.mark.parametrize("before", [(), ("-q",)])
def test_an_ir_is_classified_without_the_converter(before: tuple[str, ...], known: Known) -> None:
    options = ["--format", "json", "--inference-precision", "f32", "--top-k", str(CLASSES)]
    code, out, err = run(*before, "classify", known.xml, known.files[0], *options)
    assert (code, err[-1].split()) == (0, ["openvino"])
    for class_id, probability in answers(out):
        assert probability == pytest.approx(known.answers[0][class_id], abs=1e-5)


@pytest.mark.parametrize("has_xml", [False, True], ids=["an image", "an image and its annotation"])
def test_a_description_is_converted_as_before(has_xml: bool, known: Known, tmp_path: Path) -> None:
    """Also if an `.xml` file is among the inputs, which looks like an IR on the command line."""
    (tmp_path / "annotation.xml").write_text("<annotation/>")
    inputs = [known.files[0], *([tmp_path / "annotation.xml"] if has_xml else [])]
    options = ["--format", "json", "--cache-dir", str(tmp_path / "cache"), "--inference-precision", "f32"]
    code, out, err = run("classify", known.yml, *inputs, *options)
    assert (code, err[-1].split()[:2]) == (int(has_xml), ["openvino", "openvino.tools.ovc"])
    assert "Traceback" not in "".join(err)
    best = json.loads(out)["results"][0]["predictions"][0]
    assert best["class_id"] == known.answers[0].argmax()


def test_a_description_is_converted_also_if_another_word_ends_as_an_ir(known: Known, tmp_path: Path) -> None:
    names = tmp_path / "names.xml"
    names.write_text("".join(f"name {number}\n" for number in range(CLASSES)), "utf-8")
    options = ["--format", "json", "--cache-dir", str(tmp_path), "--no-isolate", "--labels", str(names)]
    code, out, err = run("classify", known.yml, known.files[0], *options)
    assert code == 0, err
    assert answers(out)[0][0] == known.answers[0].argmax()


def test_help_and_wrong_command_lines_do_not_wait_for_openvino(known: Known) -> None:
    for arguments in (("classify", str(known.xml), "--help"), ("list",), ("--version",)):
        code, out, err = run(*arguments)
        assert (code, bool(out), err[-1]) == (0, True, "")


@pytest.mark.parametrize("content", [None, b"<net>"])
def test_an_ir_that_cannot_be_read_is_one_message(content: bytes | None, known: Known, tmp_path: Path) -> None:
    xml = tmp_path / "none.xml"
    if content is not None:
        xml.write_bytes(content)
    code, out, err = run("classify", xml, known.files[0])
    assert (code, out) == (1, "")
    assert [line.partition(":")[0] for line in err[:-1]] == ["error"]
    assert str(xml) in err[0]


@pytest.mark.parametrize("is_watched", [False, True])
def test_a_profiler_of_python_3_12_gets_its_turn_at_the_end(is_watched: bool, known: Known) -> None:
    """`python -m cProfile` writes its file when the program has ended by an exception."""
    program = (
        "import sys, types; from ov_mobilenet.__main__ import run\n"
        f"tools = {{2: 'cProfile'}} if {is_watched} else {{}}\n"
        "sys.monitoring = types.SimpleNamespace(get_tool=tools.get)\n"
        "try: run()\n"
        "finally: print('profile', file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, "-q", "classify", str(known.xml), str(known.files[0])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "profile\n" if is_watched else "")
