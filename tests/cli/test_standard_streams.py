"""The process around a command: closed or broken standard streams, signals at any time, threads that still decode."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from known_network import Known
from named_pipes import open_for_writing
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "ov_mobilenet", "classify", "-q"]


def shell(redirections: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `classify` with redirections of the shell, such as `2>&-`; bash closes these streams itself."""
    script = f'exec "$@" {redirections}'
    command = ["bash", "-c", script, "bash", *COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def sources(text: str) -> list[str]:
    return [Path(json.loads(line)["source"]).name for line in text.splitlines()]


@pytest.mark.parametrize("redirections", ["2>&-", "2>/dev/full", "2> >(exec true)"])
def test_results_do_not_depend_on_stderr(redirections: str, known: Known) -> None:
    done = shell(redirections, known.xml, "gone.png", *known.files[:2], "--format", "jsonl")
    assert sources(done.stdout) == ["gone.png", "00.png", "01.png"]
    assert "cannot be read" in done.stdout.splitlines()[0]
    assert done.returncode == 1, "one image could not be read"
    assert done.stderr == ""


def test_stderr_that_is_closed_is_no_failure(known: Known) -> None:
    done = shell("2>&-", known.xml, *known.files[:2], "--format", "jsonl")
    assert (done.returncode, sources(done.stdout)) == (0, ["00.png", "01.png"])


def test_results_for_a_closed_stdout_are_an_error(known: Known) -> None:
    done = shell(">&-", known.xml, known.files[0])
    assert done.returncode == 1
    assert done.stderr == "error: stdout is closed: the results cannot be written. Open it, or use -o FILE\n"


@pytest.mark.parametrize("redirections", [">&-", "<&- >&- 2>&-"])
def test_a_file_is_written_without_standard_streams(redirections: str, known: Known, tmp_path: Path) -> None:
    output = tmp_path / "r.jsonl"
    done = shell(redirections, known.xml, *known.files[:2], "-o", output)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sources(output.read_text()) == ["00.png", "01.png"]


def test_paths_from_a_closed_stdin_are_one_error(known: Known) -> None:
    done = shell("<&-", known.xml, "-")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: stdin is closed: expected paths, one per line.")
    assert done.stderr.count("\n") == 1


def test_the_programs_of_the_open_model_zoo_do_not_depend_on_stderr(tmp_path: Path) -> None:
    code = "from ov_mobilenet.__main__ import omz_info_dumper; omz_info_dumper()"
    command = [sys.executable, "-c", code, "--name", "mobilenetv2-7"]
    output = tmp_path / "out.json"
    script = ["bash", "-c", f'exec "$@" 2>&- >{output}', "bash", *command]
    assert subprocess.run(script, cwd=ROOT, timeout=60, check=False).returncode == 0
    assert [model["name"] for model in json.loads(output.read_text())] == ["mobilenetv2-7"]


# The reader of stdout


@pytest.mark.parametrize("lines", [0, 1, 30])
def test_a_reader_that_closes_stdout_ends_the_command_quietly(lines: int, known: Known) -> None:
    # More results than a pipe holds (64 KiB), so that the command cannot have finished.
    command = [*COMMAND, str(known.xml), *map(str, known.files * 40), "--format", "jsonl"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + signal.SIGPIPE, "")


# While Python ends, threads that return from a C++ library abort the process. Here nothing waits for them before, and
# the end takes long enough for them to return.
SLOW_END = """
import sys, threading
import ov_mobilenet.runtime.stream as stream
stream.JOIN_TIMEOUT_S = 0.0
class SlowEnd:
    def __del__(self, event=threading.Event()): event.wait(1)
sys.slow_end = SlowEnd()
"""
COMMAND_WITH_SLOW_END = SLOW_END + "from ov_mobilenet.cli.main import run; run()"
SUSPENDED_WITH_SLOW_END = (
    SLOW_END
    + """
import logging, ov_mobilenet as ovm
logging.disable()
results = ovm.load_classifier(sys.argv[1], device="CPU", decode="exact").stream(sys.argv[2:])
next(results)
"""
)


@pytest.fixture(scope="module")
def slow_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that takes some tenths of a second to decode."""
    blocks = np.random.default_rng(0).integers(0, 255, (250, 250, 3), dtype=np.uint8)
    file = tmp_path_factory.mktemp("slow") / "slow.jpg"
    Image.fromarray(np.kron(blocks, np.ones((16, 16, 1), np.uint8))).save(file, progressive=True)
    return file


def test_a_closed_pipe_while_images_are_decoded_does_not_abort(known: Known, slow_image: Path) -> None:
    images = [known.files[0], *[slow_image] * 20]
    command = [sys.executable, "-c", COMMAND_WITH_SLOW_END, "classify", "-q", str(known.xml), *map(str, images)]
    process = subprocess.Popen(
        [*command, "--decode", "exact", "--format", "jsonl"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + signal.SIGPIPE, "")


def test_a_stream_that_is_left_while_images_are_decoded_does_not_abort(known: Known, slow_image: Path) -> None:
    images = [known.files[0], *[slow_image] * 20]
    command = [sys.executable, "-c", SUSPENDED_WITH_SLOW_END, str(known.xml), *map(str, images)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Signals

# The signals arrive while a module of the program is imported, or while the first one is being handled.
SIGNAL_AT_IMPORT = """
import os, runpy, signal, sys
signals = [int(number) for number in sys.argv[1].split(",")]
class Finder:
    def find_spec(self, name, *_):
        if name == sys.argv[2]:
            sys.meta_path.remove(self)
            for number in signals: os.kill(os.getpid(), number)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
"""
RUN_LIST = 'sys.argv[:] = ["ov-mobilenet", "list"]; runpy.run_module("ov_mobilenet", run_name="__main__")'
RUN_OMZ = 'sys.argv[:] = ["omz_quantizer", "-h"]; from ov_mobilenet.__main__ import omz_quantizer; omz_quantizer()'


@pytest.mark.parametrize(
    ("run", "module"),
    [(RUN_LIST, "click"), (RUN_LIST, "ov_mobilenet.cli.list_models"), (RUN_OMZ, "click"),
     (RUN_OMZ, "ov_mobilenet.cli.omz_programs")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("signals", "code", "message"),
    [
        ((signal.SIGINT,), 130, "interrupted"),
        ((signal.SIGINT, signal.SIGINT), 130, "interrupted"),
        ((signal.SIGINT, signal.SIGTERM), 130, "interrupted"),
        ((signal.SIGTERM, signal.SIGINT), 143, "terminated"),
    ],
)
def test_signals_at_start_up_are_one_message(
    run: str, module: str, signals: tuple[signal.Signals, ...], code: int, message: str
) -> None:
    program = SIGNAL_AT_IMPORT.replace("sys.argv[1]", repr(",".join(str(int(s)) for s in signals)))
    done = subprocess.run(
        [sys.executable, "-c", program.replace("sys.argv[2]", repr(module)) + run],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.strip() == f"error: {message}"


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_keeps_the_results(second: signal.Signals, known: Known, tmp_path: Path) -> None:
    """The second one arrives while the first one is handled, before the last results are written."""
    output, pipe = tmp_path / "r.json", tmp_path / "pipe.png"
    os.mkfifo(pipe)
    program = (  # one line on stdout per result
        "import os, sys; from ov_mobilenet.outputs.text_sinks import JsonSink as j; close, put = j.close, j.put\n"
        f"def close_later(self): os.kill(os.getpid(), {int(second)}); close(self)\n"
        "def put_and_tell(self, result): put(self, result); print(1, flush=True)\n"
        "j.close, j.put = close_later, put_and_tell; from ov_mobilenet.__main__ import run; run()"
    )
    inputs = [*map(str, known.files), str(pipe)]
    process = subprocess.Popen(
        [sys.executable, "-c", program, "classify", "-q", str(known.xml), *inputs, "-o", str(output)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    writer = open_for_writing(pipe, process)  # the command waits for its content
    assert process.stdout is not None
    for _ in known.files:
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    os.close(writer)
    assert (process.returncode, err.strip()) == (130, "error: interrupted")
    assert [Path(row["source"]) for row in json.loads(output.read_text())["results"]] == known.files
