"""`convert` and `list` of many models: `-j`, `--dry-run`, broken descriptions, interruption."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import click
import pytest
import small_networks as small

import ov_mobilenet as ovm
from ov_mobilenet.cli.conversion_job import ConversionJob, run_in_process
from ov_mobilenet.cli.convert import convert_command
from ov_mobilenet.cli.demo import SAMPLE
from ov_mobilenet.cli.interruption import Gate, Interrupted
from ov_mobilenet.cli.main import main
from ov_mobilenet.cli.selection import SelectedConfigs, each_model

ROOT = Path(__file__).resolve().parents[2]
Capture = pytest.CaptureFixture[str]


def test_a_dry_run_of_the_zoo_lists_every_ir_and_downloads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["convert", "--all", "--dry-run", "-o", "irs", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    names = {config.name for config in ovm.list_models()}
    assert {row["model"] for row in rows} == names
    assert {row["schema_version"] for row in rows} == {1}
    assert {row["xml"] for row in rows} >= {f"irs/public/{name}/FP16/{name}.xml" for name in names}
    assert main(["convert", "mobilenet-v2-pytorch", "--dry-run"]) == 0
    assert "14.2 MB to download" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_every_option_of_convert_has_a_help_text() -> None:
    found = [option for option in convert_command.params if isinstance(option, click.Option)]
    assert len(found) > 30
    assert [option.name for option in found if not option.help] == []


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three descriptions, the second of which cannot be converted."""
    for name in ("a", "b", "c"):
        yml = small.write_onnx(tmp_path / "zoo" / name)
        if name == "b":
            yml.write_text(yml.read_text().replace("--output=scores", "--output=nowhere"))
    return tmp_path / "zoo"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_one_model_that_fails_does_not_stop_the_others(jobs: str, three: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    arguments = ["convert", "--name", "[abc]", "--config-dir", str(three), "-o", str(out), "-d", str(out), "-j", jobs]
    assert main([*arguments, "--format", "json"]) == 1
    printed, err = capsys.readouterr()
    rows = json.loads(printed)
    assert [(row["model"], "error" in row) for row in rows] == [
        ("a", False), ("a", False), ("b", True), ("c", False), ("c", False),
    ]  # fmt: skip
    assert {row["schema_version"] for row in rows} == {1}
    assert "no such output" in err
    assert "1 of 3 models failed: b" in err
    for row in rows:
        assert "xml" not in row or Path(row["xml"]).with_suffix(".bin").is_file()


@pytest.mark.parametrize("models", [["--name", "[abc]"], ["a", "b", "c"], ["--name", "c,b,a"]])
def test_a_broken_description_does_not_stop_the_others(
    models: list[str], three: Path, tmp_path: Path, capsys: Capture
) -> None:
    (three / "b" / "model.yml").write_text("framework: [")
    out = tmp_path / "out"
    command = ["convert", *models, "--config-dir", str(three), "-o", str(out), "-d", str(out), "--format", "json"]
    assert main(command) == 1
    printed, err = capsys.readouterr()
    assert {(row["model"], "error" in row) for row in json.loads(printed)} == {("a", False), ("b", True), ("c", False)}
    assert str(three / "b" / "model.yml") in err
    assert "1 of 3 models failed: b" in err
    assert (out / "public" / "a" / "FP16" / "a.xml").is_file()
    assert (out / "public" / "c" / "FP16" / "c.xml").is_file()
    assert main(["convert", "b", "--config-dir", str(three)]) == 1


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_list_reports_a_broken_description_and_shows_the_others(form: str, three: Path, capsys: Capture) -> None:
    (three / "b" / "model.yml").write_text("framework: [")
    assert main(["list", "--config-dir", str(three), "--format", form]) == 1
    printed, err = capsys.readouterr()
    assert "mobilenet-v2-pytorch" in printed
    assert str(three / "b" / "model.yml") in err
    assert main(["list", "b", "--config-dir", str(three), "--format", form]) == 1
    assert main(["convert", "--all", "--dry-run", "--config-dir", str(three)]) == 1
    assert main(["download", "--all", "--dry-run", "--config-dir", str(three)]) == 1


def test_a_missing_configuration_folder_is_reported_with_its_origin(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["list", "--config-dir", "no/where"]) == 2
    assert "--config-dir: no such folder" in capsys.readouterr().err
    monkeypatch.setenv("OV_MOBILENET_CONFIG_DIR", "no/where")
    assert main(["list"]) == 2
    assert "OV_MOBILENET_CONFIG_DIR: no such folder" in capsys.readouterr().err


def test_models_converted_in_parallel_have_the_same_bytes(three: Path, tmp_path: Path) -> None:
    for out, jobs in (("one", "1"), ("two", "3")):
        names = ["--name", "a,c", "--config-dir", str(three)]
        assert main(["convert", *names, "-o", str(tmp_path / out), "-d", str(tmp_path / out), "-j", jobs]) == 0
    for file in sorted((tmp_path / "one").rglob("*.bin")) + sorted((tmp_path / "one").rglob("*.xml")):
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()


class Bomb:
    """A network that ends the process in which it is unpickled, as a lack of memory would."""

    config = ovm.find_config(SAMPLE)

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def deadly_job(folder: Path) -> ConversionJob:
    network: Any = Bomb()
    return ConversionJob(network, folder, None, ovm.Form(), verify=False, verify_images=None, quiet=True)


def test_a_process_that_dies_fails_one_model(tmp_path: Path) -> None:
    outcome = run_in_process(deadly_job(tmp_path), Gate())
    assert outcome.rows[0]["model"] == SAMPLE
    assert "the conversion process died: got exit code 9" in outcome.rows[0]["error"]
    assert isinstance(outcome.failure, ovm.OvMobilenetError)
    assert outcome.failure.exit_code == 1


def test_no_process_is_started_after_an_interruption(tmp_path: Path) -> None:
    gate = Gate()
    gate.close()
    with pytest.raises(Interrupted):
        run_in_process(deadly_job(tmp_path), gate)


def test_threads_of_an_interrupted_command_start_and_report_nothing(three: Path, capsys: Capture) -> None:
    gate, begun, together = Gate(), [], threading.Barrier(2, timeout=60)

    def work(config: ovm.ModelConfig) -> None:
        begun.append(config.name)
        together.wait()
        if config.name == "a":
            raise KeyboardInterrupt
        assert gate.is_closed(within_s=60)
        raise ovm.OvMobilenetError("late")

    found = SelectedConfigs([ovm.load_config(three / name) for name in "abc"], {})
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        each_model(found, work, 2, gate)
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
    assert sorted(begun) == ["a", "b"]
    assert capsys.readouterr().err == ""


# Each child process reports whether it ignores Ctrl-C, and waits for a signal before our code runs.
SITE_CUSTOMIZE = """
import os, signal, sys
if "--multiprocessing-fork" in sys.orig_argv:
    pipe = open(os.environ["STARTED"], "w")
    blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    print("deaf" if blocked else "hears", os.getpid(), file=pipe, flush=True)
    signal.pause()
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    ("signum", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
@pytest.mark.parametrize("whom", ["all", "parent", "children first"])
def test_a_signal_ends_all_processes_with_one_message(
    whom: str, signum: int, code: int, word: str, tmp_path: Path
) -> None:
    """Signals as a terminal (to all) and service managers send them, while the children are still starting."""
    models = [str(small.write_onnx(tmp_path / "zoo" / name)) for name in "abcdef"]
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE_CUSTOMIZE)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    out = str(tmp_path / "out")
    paths = os.pathsep.join([str(tmp_path / "site"), str(ROOT)])
    process = subprocess.Popen(
        [sys.executable, "-m", "ov_mobilenet", "convert", *models, "-j", "2", "-o", out, "-d", out],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "STARTED": str(pipe)},
        start_new_session=True,
    )
    try:
        reader = os.open(pipe, os.O_RDONLY)
        kept_open = os.open(pipe, os.O_WRONLY)  # keeps the pipe open between two children
        started = b""
        while started.count(b"\n") < 2:
            assert select.select([reader], [], [], 60)[0], "no process was started"
            started += os.read(reader, 100)
        os.close(kept_open)
        if whom == "children first":
            for line in started.splitlines():
                os.kill(int(line.split()[1]), signum)
            if signum == signal.SIGTERM:  # until both are gone
                assert select.select([reader], [], [], 60)[0]
                assert os.read(reader, 100) == b"", "another model was started"
        os.killpg(process.pid, signum) if whom == "all" else process.send_signal(signum)
        _, err = process.communicate(timeout=60)  # returns when no process has stderr open
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    started += os.read(reader, 100)
    os.close(reader)
    assert process.returncode == code
    assert "Traceback" not in err
    assert [line for line in err.splitlines() if line and "weights under" not in line] == [f"error: {word}"]
    assert [line.split()[0] for line in started.splitlines()] == [b"deaf"] * 2, "another model was started"
