"""Write a folder completely or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ov_mobilenet.errors import OutputError

_SHOWN = 5


@contextmanager
def finished_folder(folder: Path, *, contents: Collection[str], last: str, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside `folder`; what is in it at the end of the `with` block is then in `folder`.

    A folder that does not exist appears with all its files. One that exists keeps its inode, so that it may be mounted
    into a container; `last` is moved last. After an exception `folder` is as it was.

    Args:
        contents: names that an earlier export may have left in `folder`; with `overwrite` they are replaced.
        last: the file that makes the others count.

    Raises:
        OutputError: `folder` is not empty and `overwrite` is not given; it holds other files than `contents`; or it
            cannot be written.
    """
    folder = folder.absolute()
    check_folder(folder, contents=contents, overwrite=overwrite)
    # Not tempfile: its folders are for this user alone, and the server may run as another one.
    temporary = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.partial"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if folder.exists():
            check_folder(folder, contents=contents, overwrite=overwrite)  # another process may have written it
            _replace_contents(temporary, folder, last)
        else:
            temporary.rename(folder)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OutputError(
            f"the folder cannot be written ({reason})", where=error.filename or folder, fix="Choose another folder"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_folder(folder: Path, *, contents: Collection[str], overwrite: bool) -> None:
    """Check that `folder` may be written. Arguments and errors as `finished_folder`."""
    try:
        present = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"not a folder that can be written ({error.strerror})", where=folder) from error
    if present and not overwrite:
        raise OutputError(
            "the folder is not empty", where=folder, expected="an empty or a new folder",
            got=_shown(present), fix="Choose another folder, or replace the earlier export with --overwrite",
        )  # fmt: skip
    if foreign := present - set(contents):
        raise OutputError(
            "the folder holds files that are not of an export", where=folder, expected="an earlier export",
            got=_shown(foreign), fix="Choose another folder; --overwrite replaces nothing but an earlier export",
        )  # fmt: skip


def _shown(names: Collection[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:_SHOWN]) + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")


def _replace_contents(source: Path, folder: Path, last: str) -> None:
    """Move everything in `source` to `folder`, after what is there; put that back if it fails."""
    old = source.with_name(f"{source.name}.old")
    old.mkdir()
    # The file that counts leaves first and arrives last: until then nobody takes the folder for complete.
    leaving = sorted(folder.iterdir(), key=lambda path: path.name != last)
    arriving = sorted(source.iterdir(), key=lambda path: path.name == last)
    moved: list[tuple[Path, Path]] = []
    try:
        for paths, target in ((leaving, old), (arriving, folder)):
            for path in paths:
                path.rename(target / path.name)
                moved.append((path, target / path.name))
    except BaseException:
        for before, after in reversed(moved):
            with suppress(OSError):
                after.rename(before)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
