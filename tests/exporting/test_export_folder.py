"""The folder that `export ovms` writes: complete or not at all, and nobody's files are lost."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from known_network import Known

import ov_mobilenet as ovm
from ov_mobilenet.exporting import output_folder
from ov_mobilenet.exporting.output_folder import finished_folder
from ov_mobilenet.operating_system.replacing import FileInUseError


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_with_files_is_not_touched(known: Known, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = ovm.export_ovms(known.xml, out)
    before = everything(out)
    with pytest.raises(ovm.OutputError, match="the folder is not empty.*--overwrite"):
        ovm.export_ovms(known.xml, out, batch=2)
    assert everything(out) == before
    inode = out.stat().st_ino
    second = ovm.export_ovms({"other": known.xml}, out, batch=2, overwrite=True)
    assert (second.config, out.stat().st_ino) == (first.config, inode), "a mounted folder stays the same one"
    assert not (out / "models" / "small").exists()
    assert json.loads(second.config.read_text("utf-8"))["model_config_list"][0]["config"]["name"] == "other"
    (out / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(ovm.OutputError, match="files that are not of an export.*got notes.txt"):
        ovm.export_ovms(known.xml, out, overwrite=True)
    assert (out / "notes.txt").read_text("utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize(
    "theirs",
    ["models/weights.pt", "models/small/2/small.xml", "models/small/1/other.xml", "labels/deep/a.txt", ".git/config"],
)
def test_files_below_the_folders_of_an_export_are_not_replaced(theirs: str, known: Known, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ovm.export_ovms(known.xml, out)
    (out / theirs).parent.mkdir(parents=True, exist_ok=True)
    (out / theirs).write_text("mine", "utf-8")
    before = everything(out)
    with pytest.raises(ovm.OutputError, match=f"files that are not of an export.*got {theirs}"):
        ovm.export_ovms(known.xml, out, overwrite=True)
    assert everything(out) == before


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    link, missing = tmp_path / "link", tmp_path / "missing"
    (tmp_path / "real").mkdir()
    link.symlink_to("real")
    missing.symlink_to("new")
    for out, target in ((link, "real"), (missing, "new")):
        with finished_folder(out, contents=["config.json"], last="config.json") as folder:
            (folder / "config.json").write_text("new", "utf-8")
        assert out.is_symlink()
        assert everything(tmp_path / target) == {"config.json": b"new"}
    (tmp_path / "real" / "models").symlink_to(tmp_path / "new")
    with (
        pytest.raises(ovm.OutputError, match="got models"),
        finished_folder(link, contents=["config.json", "models/.*"], last="config.json", overwrite=True),
    ):
        pytest.fail("a link is not of an export")


def test_an_existing_folder_is_written_without_its_parent(tmp_path: Path) -> None:
    """It may be a mounted volume, from and to which no file can be moved, and its parent may be read-only."""
    out = tmp_path / "out"
    out.mkdir()
    with finished_folder(out, contents=["config.json"], last="config.json") as folder:
        (folder / "config.json").write_text("new", "utf-8")
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["config.json"]


def test_a_file_in_the_place_of_the_folder(known: Known, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file", "utf-8")
    with pytest.raises(ovm.OutputError, match="out"):
        ovm.export_ovms(known.xml, tmp_path / "out", overwrite=True)
    with pytest.raises(ovm.OutputError, match="out"):
        ovm.export_ovms(known.xml, tmp_path / "out" / "below")
    assert (tmp_path / "out").read_text("utf-8") == "a file"


def test_one_bad_model_is_left_out_and_named(known: Known, tmp_path: Path) -> None:
    broken = tmp_path / "broken.xml"
    broken.write_text("<net/>", "utf-8")
    broken.with_suffix(".bin").write_bytes(b"")
    export = ovm.export_ovms([broken, known.xml], tmp_path / "out")
    assert list(export.failures) == ["broken"]
    assert isinstance(export.failures["broken"], ovm.IrError)
    assert [model.name for model in export.models] == ["small"]
    document = json.loads(export.config.read_text("utf-8"))
    assert [item["config"]["name"] for item in document["model_config_list"]] == ["small"]
    assert [path.name for path in (tmp_path / "out" / "models").iterdir()] == ["small"]
    with pytest.raises(ovm.IrError):
        ovm.export_ovms([broken], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_an_interrupted_export_leaves_the_earlier_one(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "config.json").write_text("old", "utf-8")
    with (
        pytest.raises(KeyboardInterrupt),
        finished_folder(out, contents=["config.json"], last="config.json", overwrite=True) as folder,
    ):
        (folder / "config.json").write_text("new", "utf-8")
        raise KeyboardInterrupt
    assert everything(tmp_path) == {"out/config.json": b"old"}
    assert [path.name for path in (*tmp_path.iterdir(), *out.iterdir())] == ["out", "config.json"]


def test_a_move_that_fails_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    (out / "models").mkdir(parents=True)
    (out / "models" / "a").write_text("old", "utf-8")
    (out / "config.json").write_text("old", "utf-8")
    replace = Path.replace
    order = []

    def fail_at_the_last(self: Path, target: Path) -> Path:
        order.append((self.name, target.parent == out))
        if order[-1] == ("config.json", True) and self.read_text("utf-8") == "new":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_at_the_last)
    with (
        pytest.raises(ovm.OutputError, match="No space left"),
        finished_folder(out, contents=["config.json", "models/a"], last="config.json", overwrite=True) as folder,
    ):
        (folder / "models").mkdir()
        (folder / "models" / "a").write_text("new", "utf-8")
        (folder / "config.json").write_text("new", "utf-8")
    assert everything(tmp_path) == {"out/config.json": b"old", "out/models/a": b"old"}
    assert order[0] == ("config.json", False), "what counts leaves first"
    assert order[3] == ("config.json", True), "and arrives last"


def test_another_user_can_read_the_export(known: Known, tmp_path: Path) -> None:
    # The server in the container does not run as the user who exports.
    before = os.umask(0o022)
    try:
        export = ovm.export_ovms(known.xml, tmp_path / "out")
    finally:
        os.umask(before)
    for path in [export.folder, *export.folder.rglob("*")]:
        wanted = 0o055 if path.is_dir() else 0o044
        assert stat.S_IMODE(path.stat().st_mode) & wanted == wanted, path


def test_a_folder_that_another_process_wrote_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        pytest.raises(ovm.OutputError, match="the folder is not empty"),
        finished_folder(out, contents=["config.json"], last="config.json") as folder,
    ):
        (folder / "config.json").write_text("mine", "utf-8")
        out.mkdir()
        (out / "config.json").write_text("theirs", "utf-8")
    assert everything(tmp_path) == {"out/config.json": b"theirs"}


def test_a_file_in_use_is_an_error_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise FileInUseError(errno.EACCES, "another program has the file open", str(target))

    monkeypatch.setattr(output_folder, "replace_file", refuse)
    with (
        pytest.raises(ovm.OutputError, match=r"cannot be written \(another program has the file open\)"),
        finished_folder(tmp_path / "out", contents=(), last="a", overwrite=False),
    ):
        pass
