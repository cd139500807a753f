"""`WatchedFiles`: whether the files behind a model have changed, and whether they are complete."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from stat import S_ISDIR

# Identity of a file's content, without reading it: path in a watched folder, inode, time of the last change, size. A
# folder has several.
Fingerprint = tuple[tuple[str, int, int, int], ...]


class WatchedFiles:
    """The files behind a model, or the folder with its versions; `poll` is called at regular intervals.

    Polling, because the notifications of operating systems do not work on network file systems and container volumes.
    """

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._loaded: dict[Path, Fingerprint | None] = {}
        self._last: dict[Path, Fingerprint | None] = {}
        self.watch(paths)

    def watch(self, paths: Iterable[Path]) -> None:
        """Watch these files from now on. The content of those that were not watched before counts as loaded."""
        loaded = {path: self._loaded[path] if path in self._loaded else _fingerprint(path) for path in paths}
        self._last = {path: self._last.get(path, found) for path, found in loaded.items()}
        self._loaded = loaded

    def poll(self) -> bool:
        """Whether to load the model again: a file differs from what was loaded, and none has changed since the last
        poll or is missing, so that nobody is writing them. Returns True once for each change."""
        now = {path: _fingerprint(path) for path in self._loaded}
        is_stable = now == self._last and None not in now.values()
        self._last = now
        if not is_stable or now == self._loaded:
            return False
        self._loaded = dict(now)
        return True


def ir_files(xml: Path) -> tuple[Path, Path]:
    """The two files of an IR."""
    return xml, xml.with_suffix(".bin")


def description_files(model: str | Path) -> tuple[Path, ...]:
    """The files of a description that a MODEL names by its path, or the files of an IR; none for other MODELs."""
    path = Path(model)
    if path.suffix == ".xml":
        return ir_files(path)
    if path.suffix in (".yml", ".yaml"):
        beside = path.with_name("accuracy-check.yml")
        return (path, beside) if beside.is_file() else (path,)
    return ()


def _fingerprint(path: Path, name: str = "", levels: int = 2) -> Fingerprint | None:
    """The state of a file, or of all files in a folder and in the folders in it; None if there is none."""
    try:
        found = path.stat()
        if not S_ISDIR(found.st_mode):
            return ((name, found.st_ino, found.st_mtime_ns, found.st_size),)
        inside = sorted(path.iterdir()) if levels else []
    except OSError:
        return None
    parts = [_fingerprint(one, f"{name}/{one.name}", levels - 1) for one in inside]
    return tuple(state for part in parts if part is not None for state in part) or None
