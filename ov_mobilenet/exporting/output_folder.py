"""Write a folder completely or not at all."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from ov_mobilenet.errors import OutputError, printable
from ov_mobilenet.operating_system.replacing import replace_file

_SHOWN = 5


@contextmanager
def finished_folder(folder: Path, *, contents: Collection[str], last: str, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty folder; what is in it at the end of the `with` block is then in `folder`.

    A folder that does not exist appears with all its files. One that exists keeps its inode, so that it may be mounted
    into a container; `last` is moved last. After an exception `folder` is as it was.

    Args:
        contents: regular expressions for the paths, relative to `folder`, of all files that an earlier export may have
            left in it; with `overwrite` these files are replaced.
        last: the file that makes the others count.

    Raises:
        OutputError: `folder` is not empty and `overwrite` is not given; it holds other files than `contents`; or it
            cannot be written.
    """
    folder = Path(os.path.realpath(folder))
    check_folder(folder, contents=contents, overwrite=overwrite)
    # In a folder that exists, because that may be a mounted volume, or its parent may be read-only. Not tempfile: its
    # folders are for this user alone, and the server may run as another one.
    workspace = (folder if folder.is_dir() else folder.parent) / f".export-{secrets.token_hex(4)}.partial"
    new = workspace / "new"
    try:
        new.mkdir(parents=True)
        yield new
        if folder.exists():  # another process may have written it
            check_folder(folder, contents=contents, overwrite=overwrite, workspace=workspace.name)
            _replace_contents(folder, workspace, last)
        else:
            replace_file(new, folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"the folder cannot be written ({reason})", where=folder, fix="Choose another folder"
        ) from error
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def check_folder(folder: Path, *, contents: Collection[str], overwrite: bool, workspace: str | None = None) -> None:
    """Check that `folder` may be written.

    Args:
        workspace: name of a folder in it that is left out.

    Raises:
        OutputError: as `finished_folder`.
    """
    try:
        present = {path.name for path in folder.iterdir()} - {workspace}
        foreign = list(islice(_foreign(folder, contents, workspace), _SHOWN + 1)) if present and overwrite else []
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"not a folder that can be written ({error.strerror})", where=folder) from error
    if present and not overwrite:
        raise OutputError(
            "the folder is not empty", where=folder, expected="an empty or a new folder",
            got=_listed(sorted(present)),
            fix="Choose another folder, or replace the earlier export with --overwrite",
        )  # fmt: skip
    if foreign:
        raise OutputError(
            "the folder holds files that are not of an export", where=folder, expected="an earlier export",
            got=_listed(foreign), fix="Choose another folder; --overwrite replaces nothing but an earlier export",
        )  # fmt: skip


def _foreign(folder: Path, contents: Collection[str], workspace: str | None) -> Iterator[str]:
    """The files and links in `folder` that are not `contents`."""
    for parent, folders, files in os.walk(folder, onerror=_raise):
        here = Path(parent)
        if here == folder and workspace in folders:
            folders.remove(workspace)
        links = [name for name in folders if (here / name).is_symlink()]
        for name in sorted([*files, *links]):
            path = (here / name).relative_to(folder).as_posix()
            if not any(re.fullmatch(pattern, path) for pattern in contents):
                yield path


def _raise(error: OSError) -> None:
    raise error


def _listed(names: list[str]) -> str:
    return ", ".join(printable(name)[:200] for name in names[:_SHOWN]) + (" and more" if len(names) > _SHOWN else "")


def _replace_contents(folder: Path, workspace: Path, last: str) -> None:
    """Move everything in `new` of the workspace to `folder`, after what is there; put that back if it fails."""
    old = workspace / "old"
    old.mkdir()
    # The file that counts leaves first and arrives last: until then nobody takes the folder for complete.
    present = (path for path in folder.iterdir() if path != workspace)
    leaving = sorted(present, key=lambda path: path.name != last)
    arriving = sorted((workspace / "new").iterdir(), key=lambda path: path.name == last)
    moved: list[tuple[Path, Path]] = []
    try:
        for paths, target in ((leaving, old), (arriving, folder)):
            for path in paths:
                replace_file(path, target / path.name)
                moved.append((path, target / path.name))
    except BaseException:
        for before, after in reversed(moved):
            with suppress(OSError):
                replace_file(after, before)
        raise
