"""Find the network in a folder or in a zip archive as training tools export it, with the labels beside it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ov_mobilenet.conversion.network_files import network_ending
from ov_mobilenet.downloads.archive import MAX_MEMBERS, unpack
from ov_mobilenet.errors import ArchiveError, UsageError
from ov_mobilenet.zoo.labels import MAX_LABELS_BYTES

LABELS_FILE = "labels.txt"
SAVED_MODEL_FILE = "saved_model.pb"
ARCHIVE_ENDING = ".zip"
MAX_ARCHIVE_BYTES = 512 << 20  # packed or unpacked; exports of MobileNets have 2 to 60 MB
_NOT_EXPORTED = "__MACOSX"  # attributes of files, which macOS adds to archives


@dataclass(frozen=True)
class ExportedFiles:
    """A network and the labels beside it.

    Attributes:
        network: the network's file, or the folder of a SavedModel.
        labels: the file `labels.txt` beside it; None if there is none.
    """

    network: Path
    labels: Path | None


def find_exported(source: Path) -> ExportedFiles:
    """The network of a source: a file, a folder with one network, a SavedModel, or a zip archive with one network.

    A zip archive is unpacked to a temporary folder, which is removed when the process ends.

    Raises:
        UsageError: a folder or an archive holds several networks, or an archive holds none.
        ArchiveError: the archive is broken or too large, or a name in it leads outside of it.
    """
    if source.is_file() and is_archive(source):
        source = _unpacked(source)
    elif source.is_dir() and not (source / SAVED_MODEL_FILE).is_file():
        names = [
            path.relative_to(source).as_posix() for path in (*source.glob("*"), *source.glob(f"*/{SAVED_MODEL_FILE}"))
        ]
        networks = _networks([name for name in names if (source / name).is_file()])
        if not networks:
            raise UsageError(
                "there is no network in the folder", where=source,
                expected=f"one network file, or a SavedModel with a file {SAVED_MODEL_FILE}",
            )  # fmt: skip
        source /= _only(networks, source)
    labels = source.with_name(LABELS_FILE)
    return ExportedFiles(source, labels if labels.is_file() else None)


def is_archive(path: Path) -> bool:
    """Whether a path has the ending of an archive that may hold a network."""
    return path.name.lower().endswith(ARCHIVE_ENDING)


def _networks(names: list[str]) -> list[str]:
    """The networks among relative paths; a SavedModel is its folder, and no file in it is a network of its own."""
    folders = [PurePosixPath(name).parent for name in names if PurePosixPath(name).name == SAVED_MODEL_FILE]
    files = [
        name
        for name in names
        if network_ending(Path(name)) is not None and not any(PurePosixPath(name).is_relative_to(f) for f in folders)
    ]
    return sorted({*map(str, folders), *files})


def _only(networks: list[str], where: Path) -> str:
    if len(networks) > 1:
        raise UsageError(
            "there are several networks", where=where, expected="one", got=", ".join(map(repr, networks[:4])),
            fix="Unpack it if it is an archive, and give the path of one network",
        )  # fmt: skip
    return networks[0]


def _unpacked(archive: Path) -> Path:
    """Unpack the only network of an archive and its labels. Returns: the network."""
    sizes = _member_sizes(archive)
    networks = _networks(list(sizes))
    if not networks:
        raise UsageError(
            "there is no network in the archive", where=archive,
            expected="one network file or one SavedModel", got=", ".join(map(repr, list(sizes)[:4])) or "no files",
        )  # fmt: skip
    network = _only(networks, archive)
    labels = str(PurePosixPath(network).with_name(LABELS_FILE))
    wanted = {name: size for name, size in sizes.items() if name == network or name.startswith(f"{network}/")}
    for what, most, size in (
        ("labels file", MAX_LABELS_BYTES, sizes.get(labels, 0)),
        ("network", MAX_ARCHIVE_BYTES, sum(wanted.values())),
    ):
        if size > most:
            raise ArchiveError(f"the {what} in the archive is too large", where=archive, expected=most, got=size)
    folder = Path(tempfile.mkdtemp(prefix="ov-mobilenet-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in (network, labels) if labels in sizes else (network,):
        unpack(archive, "zip", name, folder)
    return folder / network


def _member_sizes(archive: Path) -> dict[str, int]:
    """The files of an archive with their declared sizes. `unpack` checks names and contents. Raises: ArchiveError."""
    if archive.stat().st_size > MAX_ARCHIVE_BYTES:
        raise ArchiveError("archive too large", where=archive, expected=f"at most {MAX_ARCHIVE_BYTES:,} bytes")
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = zipped.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise ArchiveError(f"broken archive ({str(error)[:200]})", where=archive, expected="zip") from error
    if len(members) > MAX_MEMBERS:
        raise ArchiveError("too many files in the archive", where=archive, expected=MAX_MEMBERS, got=len(members))
    names = {str(PurePosixPath(member.filename)): member for member in members if not member.filename.endswith("/")}
    return {name: member.file_size for name, member in names.items() if name.split("/")[0] != _NOT_EXPORTED}
