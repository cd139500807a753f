"""Write the two files of an IR so that they always belong together."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.downloads.locks import folder_locked
from ov_mobilenet.ir.file_digest import matches, with_digest
from ov_mobilenet.operating_system.replacing import replace_file

if TYPE_CHECKING:
    import openvino as ov


def save_ir(model: ov.Model, xml: Path) -> None:
    """Write `xml` and the `.bin` beside it, with the digest of both in the last line of `xml`.

    Both files are written to a temporary folder beside the target; then the `.bin` is moved, and the `.xml`
    immediately after it. Nothing is deleted before. If the process is killed between the two moves, `read_ir` finds
    the `.xml` in the temporary folder, and the next call moves it. The folder is locked meanwhile, so a temporary
    folder that is already there was left by a killed process, and is deleted.

    Raises:
        OSError: the files cannot be written, for example because the disk is full or the folder is read-only.
    """
    import openvino as ov

    xml.parent.mkdir(parents=True, exist_ok=True)
    binary = xml.with_suffix(".bin")
    with folder_locked(xml.parent) as locked:
        if locked:
            _tidy_up(xml, binary)
        folder = Path(tempfile.mkdtemp(prefix=_prefix(xml), dir=xml.parent))
        try:
            # Weights are compressed by compress_weights; OpenVINO's own compression also rounds mean and scale.
            ov.save_model(model, folder / xml.name, compress_to_fp16=False)
            new_xml, new_binary = folder / xml.name, folder / binary.name
            new_xml.write_bytes(with_digest(new_xml.read_bytes(), new_binary.read_bytes()))
            try:
                replace_file(new_binary, binary)
            finally:
                if not new_binary.exists():  # also after Ctrl-C between the two moves
                    replace_file(new_xml, xml)
        except RuntimeError as error:
            raise OSError(f"{xml}: cannot be written ({str(error).strip().splitlines()[-1]})") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def unfinished_xml(xml: Path, weights: bytes) -> Path | None:
    """The `.xml` in the temporary folder of a killed process that moved only the `.bin`, whose contents are given."""
    for folder in _temporary_folders(xml):
        with suppress(OSError):
            if matches((folder / xml.name).read_bytes(), weights):
                return folder / xml.name
    return None


def _tidy_up(xml: Path, binary: Path) -> None:
    """Finish the second move of a killed process, and delete what killed processes left."""
    folders = _temporary_folders(xml)
    if folders and binary.is_file():
        other = unfinished_xml(xml, binary.read_bytes())
        if other is not None and not other.with_suffix(".bin").exists():
            replace_file(other, xml)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _temporary_folders(xml: Path) -> list[Path]:
    """Folders that `save_ir` made for this IR: they hold nothing but its two files."""
    names = {xml.name, xml.with_suffix(".bin").name}
    prefix = _prefix(xml)
    return [
        path
        for path in sorted(xml.parent.iterdir())
        if path.name.startswith(prefix)
        and len(path.name) == len(prefix) + 8  # as tempfile.mkdtemp names them
        and path.is_dir()
        and {inside.name for inside in path.iterdir()} <= names
    ]


def _prefix(xml: Path) -> str:
    return f".{xml.stem}."
