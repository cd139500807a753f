"""One file, two processes or two runs: never mixed, never lost."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from known_network import Known, val_txt

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import DatasetError, OutputError, UsageError
from ov_mobilenet.outputs.destination import open_destination
from ov_mobilenet.outputs.output_files import OutputFile
from ov_mobilenet.runtime.results import Classification, Failure, Prediction, Timings

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("r.jsonl", "r.csv", "r.parquet", "r.json", "r.txt")
RESUMABLE = NAMES[:3]
RESULT = Classification("a.png", (Prediction(0, "a", 1.0),), Timings())
LOCKED = "another process is writing to this file"


def skip_without_pyarrow(name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")


def sources(path: Path) -> list[str]:
    """The images of a result file, by independent readers."""
    if path.suffix == ".parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        rows = pq.read_table(path, columns=["source", "rank"]).to_pylist()
        return [Path(row["source"]).name for row in rows if row["rank"] in (1, None)]
    if path.suffix == ".csv":
        cells = [line.split(",") for line in path.read_text().splitlines()[1:]]
        return [Path(cell[0]).name for cell in cells if cell[3] in ("1", "")]
    return [Path(json.loads(line)["source"]).name for line in path.read_text().splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_a_second_writer_is_refused_until_the_first_one_ends(name: str, tmp_path: Path) -> None:
    skip_without_pyarrow(name)
    path = tmp_path / name
    with open_destination(path) as first:
        with pytest.raises(OutputError, match=LOCKED):
            open_destination(path)
        sink = first.sink()
        sink.put(RESULT)
        sink.close()
        with pytest.raises(OutputError, match=LOCKED):
            open_destination(path, overwrite=True)
        with pytest.raises(OutputError, match=LOCKED):
            open_destination(path, resume=name in RESUMABLE)
        (tmp_path / "link").symlink_to(path)
        with pytest.raises(OutputError, match=LOCKED):
            open_destination(tmp_path / "link", output_format="jsonl", overwrite=True)
        content = path.read_bytes()
    assert path.read_bytes() == content
    with open_destination(path, overwrite=True):
        pass
    assert sorted(each.name for each in tmp_path.iterdir() if not each.name.startswith(".")) == ["link", name]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_was_only_opened_is_not_left_behind(name: str, tmp_path: Path) -> None:
    skip_without_pyarrow(name)
    with open_destination(tmp_path / name):
        pass
    assert list(tmp_path.iterdir()) == []


# Ends without giving the lock back, while a child of it lives on: OpenVINO's telemetry forks such children.
KILLED_WRITER = """
import os, signal, sys
from ov_mobilenet.outputs.destination import open_destination
destination = open_destination(sys.argv[1])
destination.sink()
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, b"+")
    signal.pause()
os.read(reader, 1)  # the child runs
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", RESUMABLE)
def test_the_lock_of_a_killed_process_is_gone(name: str, tmp_path: Path) -> None:
    skip_without_pyarrow(name)
    path = tmp_path / name
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, str(path)], stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True
    )
    try:
        process.wait(timeout=60)
        with open_destination(path, resume=True) as destination:
            assert destination.existing == {}
    finally:
        os.killpg(process.pid, 9)  # the child
        process.communicate(timeout=60)


@pytest.mark.parametrize("name", RESUMABLE)
def test_two_commands_into_one_file_never_mix(name: str, known: Known, tmp_path: Path) -> None:
    """Three at once: those that find the file locked are refused, the file has each image once."""
    skip_without_pyarrow(name)
    output = tmp_path / name
    command = [sys.executable, "-m", "ov_mobilenet", "classify", "-q", str(known.xml), *map(str, known.files)]
    processes = [
        subprocess.Popen([*command, "-o", str(output), "--resume"], stderr=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(3)
    ]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]
    assert ("", 0) in ended
    assert all((err, code) == ("", 0) or (LOCKED in err and code == 1) for err, code in ended)
    assert sources(output) == [file.name for file in known.files]


# Resuming with other settings


def classify(known: Known, output: Path, *more: str, images: int = 4) -> int:
    return main(["classify", str(known.xml), *map(str, known.files[:images]), "-o", str(output), *more])


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("r.jsonl", ("-k", "3"), "expected top-k 5, got top-k 3"),
        ("r.csv", ("-k", "3"), "expected top-k 5, got top-k 3"),
        ("r.jsonl", ("--scores", "all"), "expected top-k 5, got top-k all"),
        ("r.jsonl", ("--min-probability", "0.5"), "expected minimum probability none, got minimum probability 0.5"),
        ("r.parquet", ("--geometry", "crop 0.5, resize 32"), "got geometry crop 0.5, resize 32"),
        ("r.jsonl", ("--decode", "exact"), "expected decode auto, got decode exact"),
        ("r.csv", ("--labels", "{tmp}/labels.txt"), "expected labels none, got labels "),
    ],
)
def test_results_of_other_settings_are_refused_by_name(
    name: str, more: tuple[str, ...], message: str, known: Known, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skip_without_pyarrow(name)
    (tmp_path / "labels.txt").write_text("".join(f"class-{number}\n" for number in range(8)))
    output = tmp_path / name
    assert classify(known, output, images=2) == 0
    before = output.read_bytes()
    capsys.readouterr()
    assert classify(known, output, "--resume", *(each.format(tmp=tmp_path) for each in more)) == 1
    assert message in capsys.readouterr().err
    assert output.read_bytes() == before
    assert classify(known, output, "--resume") == 0
    assert sources(output) == ["00.png", "01.png", "02.png", "03.png"]
    assert classify(known, output, "--overwrite", *(each.format(tmp=tmp_path) for each in more)) == 0
    assert classify(known, output, "--resume", images=5) == 1, "the settings of the new run are recorded"


@pytest.mark.parametrize("name", RESUMABLE)
def test_results_of_another_network_are_refused_by_name(
    name: str, known: Known, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skip_without_pyarrow(name)
    output = tmp_path / name
    assert classify(known, output, images=2) == 0
    main(["convert", str(known.yml), "-o", str(tmp_path), "-d", str(tmp_path), "--precisions", "FP16", "-q"])
    (found,) = tmp_path.rglob("FP16/*.xml")
    other = Known(known.yml, found, known.files, known.frames, known.answers)
    capsys.readouterr()
    assert classify(other, output, "--resume") == 1
    err = capsys.readouterr().err
    assert "made with another model or other settings" in err
    assert "expected network weight precision FP32, got network weight precision FP16" in err
    assert sources(output) == ["00.png", "01.png"]


@pytest.mark.parametrize("name", RESUMABLE)
def test_a_file_without_recorded_settings_is_resumed_with_a_warning(
    name: str, known: Known, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    skip_without_pyarrow(name)
    output = tmp_path / name
    with open_destination(output) as destination:  # as version 0.1 wrote it
        sink = destination.sink()
        sink.put(Failure("a.png", "broken"))
        sink.close()
    assert [each.name for each in tmp_path.iterdir()] == [name]
    with caplog.at_level(logging.WARNING, "ov_mobilenet"), open_destination(output, resume=True) as destination:
        destination.check({"top-k": "5"})
    assert "not recorded which model and settings" in caplog.text
    assert main(["classify", str(known.xml), str(known.files[0]), "-o", str(output), "--resume", "-q"]) == 0
    assert sources(output) == ["a.png", "00.png"]


def test_a_partial_file_of_the_user_is_kept_and_ours_is_removed(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    users = [tmp_path / name for name in ("r.parquet.partial", ".r.parquet.partial", ".r.parquet.mine.ov-partial")]
    for file in users:
        file.write_text("mine")
    (tmp_path / ".r.parquet.0123456789abcdef.ov-partial").write_text("of a run that was killed")
    for _ in range(2):
        with open_destination(tmp_path / "r.parquet", overwrite=True) as destination:
            sink = destination.sink()
            sink.put(RESULT)
            sink.close()
    assert sorted(tmp_path.iterdir()) == sorted([*users, tmp_path / "r.parquet"])
    assert {file.read_text() for file in users} == {"mine"}


def test_a_broken_pipe_is_not_its_own_cause(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    file = OutputFile(pipe)
    os.close(reader)
    with pytest.raises(BrokenPipeError) as raised:
        file.write("text")
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    file.close()


# accuracy --predictions


@pytest.fixture
def val_list(known: Known, tmp_path: Path) -> Path:
    return val_txt(tmp_path / "val.txt", [(file.name, 0) for file in known.files])


@pytest.mark.parametrize("content", ["important", '{"image":"a"}\nimportant', "image,class_id\n", "a\nb\nimportant"])
@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_predictions_never_replace_a_foreign_file(
    content: str, suffix: str, known: Known, val_list: Path, tmp_path: Path
) -> None:
    file = tmp_path / f"p{suffix}"
    file.write_text(content)
    folder = known.files[0].parent
    with pytest.raises(DatasetError, match=file.name):
        ovm.measure_accuracy(known.xml, folder, annotations=val_list, predictions=file, resume=True)
    with pytest.raises(UsageError, match=r"the file already exists\. Add the missing predictions with --resume, or"):
        ovm.measure_accuracy(known.xml, folder, annotations=val_list, predictions=file)
    assert file.read_text() == content
    ovm.measure_accuracy(known.xml, folder, annotations=val_list, predictions=file, overwrite=True)
    assert content not in file.read_text()


def test_predictions_have_one_writer(known: Known, val_list: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    command = ["accuracy", str(known.xml), "--dataset", str(known.files[0].parent), "--annotations", str(val_list)]
    command += ["--predictions", str(file)]
    with open_destination(file):
        assert main([*command, "-q"]) == 1
    assert main([*command, "-q"]) == 0
    assert main([*command, "-q"]) == 2
    assert main([*command, "-q", "--overwrite", "--resume"]) == 2
    before = file.read_bytes()
    assert main([*command, "-q", "--overwrite"]) == 0
    assert file.read_bytes() == before
