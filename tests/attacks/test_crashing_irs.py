"""IRs that crash OpenVINO's reader, or that it never finishes, are errors: a child process reads them first."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from attacks.generators.irs import answers, tiny_model
from attacks.generators.read_irs import foreign_ir
from known_network import Known

import ov_mobilenet as ovm
from ov_mobilenet.cli.main import main
from ov_mobilenet.errors import IrError, UsageError
from ov_mobilenet.ir import trial_reading
from ov_mobilenet.ir.files import read_ir
from ov_mobilenet.ir.trial_reading import Isolation
from ov_mobilenet.operating_system import systems


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """An IR that ov-mobilenet did not write."""
    import openvino as ov

    (tmp_path / "ir").mkdir()
    ov.save_model(tiny_model(1), tmp_path / "ir" / "net.xml")
    return tmp_path / "ir" / "net.xml"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def crash(text: bytes, weights: bytes) -> Callable[[], object]:
    return lambda: ctypes.string_at(0)


def never_end(text: bytes, weights: bytes) -> Callable[[], object]:
    def run() -> None:
        while True:
            pass

    return run


def read_once(text: bytes, weights: bytes) -> Callable[[bytes], bytes]:
    """In a worker of a fork server, in place of the one of `trial_reading`: it never ends."""
    while True:
        pass


@pytest.mark.parametrize("options", [[], ["--isolate"]])
def test_an_ir_that_crashes_openvino_is_one_error_of_every_command(
    options: list[str],
    foreign: Path,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    known: Known,
) -> None:
    monkeypatch.setattr(trial_reading, "reader", crash)
    image, folder = str(known.files[0]), str(known.files[0].parent)
    for command in (
        ["classify", str(foreign), image], ["info", str(foreign)], ["convert", str(foreign)],
        ["benchmark", str(foreign), "--time", "0.1"], ["accuracy", str(foreign), "--dataset", folder],
    ):  # fmt: skip
        assert main([*command, *options, "--cache-dir", str(cache)]) == 1, command
        err = capsys.readouterr().err
        assert f"{foreign}: reading the IR crashed: got signal SIGSEGV" in err, command
        assert err.count("error: ") == 1
        assert "Traceback" not in err
    assert not (cache / "accepted").exists()


@pytest.mark.parametrize(
    ("layer", "other"), [("SoftMax", "Assign"), ("SoftMax", "ReadValue"), ("Const", "MaxPool"), ("Clamp", "Broadcast")]
)
def test_irs_that_crash_openvino_2026(layer: str, other: str, tmp_path: Path) -> None:
    """Found by `classify with a rewritten foreign .xml`: the type of the last layer of a kind is changed."""
    text, weights = foreign_ir()
    before, found, behind = text.rpartition(b'type="' + layer.encode() + b'"')
    assert found
    (tmp_path / "net.xml").write_bytes(before + b'type="' + other.encode() + b'"' + behind)
    (tmp_path / "net.bin").write_bytes(weights)
    with pytest.raises(IrError, match=r"net\.xml: (reading the IR crashed: got signal SIG|not a readable IR)"):
        read_ir(tmp_path / "net.xml")


def test_only_irs_of_unknown_origin_are_read_in_another_process(
    foreign: Path, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = answers(known.xml, known.frames[:2])
    monkeypatch.setattr(trial_reading, "reader", crash)
    assert (answers(known.xml, known.frames[:2]) == expected).all()
    with pytest.raises(IrError, match="reading the IR crashed"):
        ovm.load_classifier(known.xml, device="CPU", isolate=True)
    with pytest.raises(IrError, match="reading the IR crashed"):
        ovm.load_classifier(foreign, device="CPU")
    classifier = ovm.load_classifier(foreign, device="CPU", isolate=False)
    assert classifier.probabilities(np.zeros((1, 8, 8, 3), np.uint8)).shape == (1, 5)


def test_a_changed_ir_without_a_digest_is_of_unknown_origin(
    tmp_path: Path, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the line with the digest was deleted, as the line itself says."""
    monkeypatch.setattr(trial_reading, "reader", crash)
    text = known.xml.read_bytes().rpartition(b"<!-- ov-mobilenet")[0]
    (tmp_path / "net.xml").write_bytes(text)
    (tmp_path / "net.bin").write_bytes(known.xml.with_suffix(".bin").read_bytes())
    with pytest.raises(IrError, match="reading the IR crashed"):
        read_ir(tmp_path / "net.xml")


def test_an_ir_is_read_in_another_process_once(foreign: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolation = Isolation(cache_root=cache)
    assert len(read_ir(foreign, isolation).outputs) == 1
    monkeypatch.setattr(trial_reading, "reader", crash)
    assert len(read_ir(foreign, isolation).outputs) == 1
    foreign.write_bytes(foreign.read_bytes() + b"\n")
    with pytest.raises(IrError, match="reading the IR crashed"):
        read_ir(foreign, isolation)


def test_the_list_of_accepted_irs_is_bounded(foreign: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_reading, "MAX_ACCEPTED", 3)
    for number in range(5):
        foreign.write_bytes(foreign.read_bytes() + b"\n" * (number > 0))
        read_ir(foreign, Isolation(cache_root=cache))
    assert len(list((cache / "accepted").iterdir())) == 3
    monkeypatch.setattr(trial_reading, "reader", crash)
    read_ir(foreign, Isolation(cache_root=cache))  # the newest is kept


def test_without_a_cache_that_can_be_written_an_ir_is_read_in_another_process_each_time(
    foreign: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file")
    assert len(read_ir(foreign, Isolation(cache_root=cache)).outputs) == 1
    monkeypatch.setattr(trial_reading, "reader", crash)
    with pytest.raises(IrError, match="reading the IR crashed"):
        read_ir(foreign, Isolation(cache_root=cache))


def test_an_ir_that_is_never_read_to_its_end_is_an_error(
    foreign: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_reading, "FORK_LIMIT_S", 0.1)
    monkeypatch.setattr(trial_reading, "READING_LIMIT_S", 0.1)
    monkeypatch.setattr(trial_reading, "reader", never_end)
    monkeypatch.setattr(trial_reading, "__name__", __name__)
    with pytest.raises(IrError, match=r"net\.xml: reading the IR takes too long: expected at most 0\.1 s"):
        read_ir(foreign, Isolation(cache_root=cache))


def test_a_fork_that_waits_for_a_lock_of_another_thread_refuses_no_ir(
    foreign: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fork does not end, but a new process reads the IR."""
    monkeypatch.setattr(trial_reading, "FORK_LIMIT_S", 0.1)
    monkeypatch.setattr(trial_reading, "reader", never_end)
    assert len(read_ir(foreign, Isolation(cache_root=cache)).outputs) == 1
    assert len(list((cache / "accepted").iterdir())) == 1


def test_systems_without_fork_read_irs_in_this_process(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "LINUX", False)
    monkeypatch.setattr(trial_reading, "reader", crash)
    assert len(read_ir(foreign).outputs) == 1
    with pytest.raises(UsageError, match="cannot be read in a child process on this system: expected Linux"):
        read_ir(foreign, Isolation(isolate=True))
