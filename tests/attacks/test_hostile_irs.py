"""IRs that are damaged, mixed or tampered with, and the locks of processes that write them."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import numpy as np
import pytest
from attacks.generators.irs import answers, check_tiny, tiny_model
from attacks.loopback_server import WATCHDOG_S
from small_networks import frames, write_onnx

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.downloads import locks
from ov_mobilenet.errors import IrError
from ov_mobilenet.ir.file_digest import matches
from ov_mobilenet.ir.files import read_ir
from ov_mobilenet.ir.saving import save_ir

MIXED = "were changed or damaged after they were written, or belong to different conversions"


@pytest.fixture
def xml(tmp_path: Path) -> Path:
    save_ir(tiny_model(1), tmp_path / "net.xml")
    return tmp_path / "net.xml"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Damage


def test_weights_of_another_ir_are_refused_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], known: object
) -> None:
    from known_network import Known

    assert isinstance(known, Known)
    shutil.copy(known.xml, tmp_path / "a.xml")
    weights = bytearray(known.xml.with_suffix(".bin").read_bytes())
    weights[len(weights) // 2] ^= 0x40
    (tmp_path / "a.bin").write_bytes(weights)
    model, image, data = str(tmp_path / "a.xml"), str(known.files[0]), str(known.files[0].parent)
    for command in (
        ["classify", model, image], ["info", model], ["benchmark", model, "--time", "0.1"], ["convert", model],
        ["quantize", model, "--calibration", data], ["accuracy", model, "--dataset", data],
    ):  # fmt: skip
        assert main(command) == 1, command
        assert MIXED in capsys.readouterr().err


@pytest.mark.parametrize(("old", "new"), [("dilations=", "dilations ="), ('strides="1', 'strides="2')])
def test_a_changed_xml_is_refused(old: str, new: str, xml: Path) -> None:
    text = xml.read_text()
    assert old in text
    xml.write_text(text.replace(old, new))
    with pytest.raises(IrError, match=MIXED):
        read_ir(xml)


def test_other_line_ends_are_not_damage(xml: Path) -> None:
    xml.write_bytes(xml.read_bytes().replace(b"\n", b"\r\n"))
    assert b"\r\n" in xml.read_bytes()
    assert check_tiny(xml) == 1


def test_an_ir_that_openvino_saves_again_is_not_damaged(xml: Path, tmp_path: Path) -> None:
    """Also with changed weights: the digest is in a comment, which OpenVINO does not keep."""
    import openvino as ov

    ov.save_model(ov.Core().read_model(xml), tmp_path / "again.xml", compress_to_fp16=True)
    assert "f16" in (tmp_path / "again.xml").read_text()
    assert len(read_ir(tmp_path / "again.xml").outputs) == 1


def test_an_ir_without_a_digest_is_read(xml: Path) -> None:
    """As version 0.1 wrote them, or after the line was deleted."""
    lines = xml.read_text().splitlines()
    assert lines[-1].startswith("<!-- ov-mobilenet: sha256 ")
    xml.write_text("\n".join(lines[:-1]).replace('strides="1', 'strides="2'))
    assert len(read_ir(xml).outputs) == 1


@pytest.mark.parametrize("name", [b"d\xff\xfea", b"&#xDC80;", b"&#55296;"])
def test_names_in_an_ir_that_are_not_utf_8(name: bytes, xml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = xml.read_bytes().rpartition(b"<!-- ov-mobilenet")[0]
    assert b'"data"' in text
    xml.write_bytes(text.replace(b'"data"', b'"' + name + b'"'))
    for command in (["info", str(xml)], ["classify", str(xml), "none.png"]):
        assert main(command) == 1
        assert f"error: {xml}: a name in the IR is not valid UTF-8" in capsys.readouterr().err


def test_a_record_that_contradicts_the_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yml = write_onnx(tmp_path / "net", batch=1)
    sources = ovm.download(ovm.load_config(yml), tmp_path / "dl", cache_root=tmp_path / "cache", offline=True)
    xml = ovm.convert(sources, tmp_path / "ir", precisions=("FP32",))[0].xml
    text, old = xml.read_text("utf-8").rpartition("<!-- ov-mobilenet")[0], 'geometry_baked value="false"'
    assert old in text
    xml.write_text(text.replace(old, 'geometry_baked value="true"'), "utf-8")
    assert main(["benchmark", str(xml), "--time", "0.1"]) == 1
    assert f"{xml}: the record in the IR contradicts its graph" in capsys.readouterr().err


def test_a_layout_that_does_not_match_the_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Found by `classify with a rewritten foreign .xml` 0 390: OpenVINO does not compare them when it reads an IR."""
    import openvino as ov

    xml = tmp_path / "net.xml"
    ov.save_model(tiny_model(1), xml)
    text = xml.read_text()
    assert 'layout="[N,C,H,W]"' in text
    xml.write_text(text.replace('layout="[N,C,H,W]"', 'layout="64"'))
    assert main(["classify", str(xml), "none.png"]) == 1
    assert f"error: {xml}: the layout in the IR does not match its input" in capsys.readouterr().err


def test_answers_do_not_depend_on_the_way_the_files_are_read(known: object) -> None:
    """Read by OpenVINO itself from the files, against ours from the memory that was checked."""
    import openvino as ov
    from known_network import Known

    assert isinstance(known, Known)
    images = frames(3)
    compiled = ov.compile_model(known.xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    given = [image[None].transpose(0, 3, 1, 2).astype(np.float32) for image in images]
    assert np.abs(answers(known.xml, images) - np.concatenate([compiled(x)[0] for x in given])).max() < 1e-6


# Kills

KILLED_AFTER_A_MOVE = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from attacks.generators.irs import tiny_model
from ov_mobilenet.ir.saving import save_ir
model, replace, left = tiny_model(2), Path.replace, int(sys.argv[2])
def then_die(path, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, target)
Path.replace = then_die
save_ir(model, Path(sys.argv[1]))
"""


@pytest.mark.parametrize(("moves", "found"), [(1, 1), (2, 2)])
def test_kill_between_the_two_files(moves: int, found: int, xml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed before the n-th move: the old IR, or the new one, whose second file is still in the temporary folder."""
    killed = subprocess.run([sys.executable, "-c", KILLED_AFTER_A_MOVE, xml, str(moves), *sys.path], timeout=WATCHDOG_S)
    assert killed.returncode == -signal.SIGKILL
    assert len(names(xml.parent)) == 3
    assert check_tiny(xml) == found
    assert main(["info", str(xml)]) == 0
    save_ir(tiny_model(3), xml)
    assert check_tiny(xml) == 3
    assert names(xml.parent) == ["net.bin", "net.xml"]


def test_ctrl_c_between_the_two_files(xml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def interrupted(path: Path, target: Path) -> Path:
        moved = replace(path, target)
        if path.suffix == ".bin":
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_ir(tiny_model(2), xml)
    assert check_tiny(xml) == 2
    assert names(xml.parent) == ["net.bin", "net.xml"]


def test_temporary_folders_of_killed_processes_are_removed(xml: Path) -> None:
    """Folders of this IR only; what else is there stays."""
    left = xml.parent / ".net.k1ll3d_x"
    left.mkdir()
    (left / "net.bin").write_bytes(b"half")
    (left / "net.xml").write_text("<net")  # written before the .bin: not the rest of a move
    kept = [xml.parent / name for name in (".net.k1ll3d_y", ".other.k1ll3d_x", ".net.short")]
    for folder in kept:
        folder.mkdir()
        (folder / "mine.txt").write_text("mine")
    save_ir(tiny_model(2), xml)
    assert check_tiny(xml) == 2
    assert names(xml.parent) == sorted(["net.bin", "net.xml", *(folder.name for folder in kept)])


# Locks


def test_a_stopped_process_that_holds_the_lock_is_named(xml: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The holder is stopped, as with Ctrl-Z; it is named while this process waits, and resumed then."""
    program = (
        "import fcntl, os, sys, time\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, xml.parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdin is not None and holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        holder.send_signal(signal.SIGSTOP)
        os.waitpid(holder.pid, os.WUNTRACED)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(locks, "NOTICE_S", 0.1)
            expected = pytest.raises(TimeoutError, match=f"locked by process {holder.pid} .it is stopped.")
            with expected, locks.folder_locked(xml.parent, limit_s=0.5):
                raise AssertionError("not locked")
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
            f"{xml.parent}: waiting for the lock that process {holder.pid} (it is stopped) holds; Ctrl-C to give up"
        ]
        assert check_tiny(xml) == 1  # reading needs no lock
    finally:
        holder.send_signal(signal.SIGCONT)
        holder.communicate()
    save_ir(tiny_model(2), xml)
    assert check_tiny(xml) == 2


def test_waiting_for_a_file_lock_is_announced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "NOTICE_S", 0.05)
    path = tmp_path / ".lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    fcntl = pytest.importorskip("fcntl", reason="Windows has no module fcntl")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    announced = threading.Event()

    class Release(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            announced.set()
            os.close(descriptor)

    logger, handler = logging.getLogger("ov_mobilenet.downloads.locks"), Release()
    logger.addHandler(handler)
    try:
        lock = filelock.FileLock(path)
        locks.acquire(lock)
        lock.release()
    finally:
        logger.removeHandler(handler)
    assert announced.is_set()
    assert f"{path}: waiting for the lock that process {os.getpid()} holds" in caplog.text


def test_two_files_of_one_digest_match() -> None:
    """The digest of the line, computed by hand."""
    import hashlib

    digest = hashlib.sha256(b"weights" + b"<net/>\n").hexdigest()
    line = f"<!-- ov-mobilenet: sha256 {digest} of the .bin and the lines above -->\n".encode()
    assert matches(b"<net/>\n" + line, b"weights") is True
    assert matches(b"<net/>\n" + line, b"Weights") is False
    assert matches(b"<NET/>\n" + line, b"weights") is False
    assert matches(b"<net/>\n", b"weights") is None
