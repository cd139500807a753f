"""MODEL to an IR: a zoo name or a description is downloaded, verified and converted once, and cached."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ov_mobilenet._version import __version__
from ov_mobilenet.errors import IrError, UnknownModelError
from ov_mobilenet.ir.files import OpenedIr, open_ir

if TYPE_CHECKING:
    from ov_mobilenet.downloads.fetch import SourceFiles
    from ov_mobilenet.zoo.model import ModelConfig

log = logging.getLogger(__name__)


class LookupOptions(TypedDict, total=False):
    """The keyword arguments by which every function of this package finds its MODEL; see `Lookup`."""

    config_dirs: Iterable[Path]
    cache_dir: Path | None
    offline: bool


@dataclass(frozen=True)
class Lookup:
    """Where a MODEL is looked for.

    Attributes:
        config_dirs: folders with descriptions of the user's own, `NAME/model.yml` each.
        cache_dir: for downloads and converted models; None for the user's cache folder.
        offline: do not use the network.
    """

    config_dirs: tuple[Path, ...] = ()
    cache_dir: Path | None = None
    offline: bool = False

    @classmethod
    def of(cls, options: LookupOptions) -> Lookup:
        """The value of a function's keyword arguments."""
        return cls(tuple(options.get("config_dirs", ())), options.get("cache_dir"), options.get("offline", False))


def open_model(model: str | Path, lookup: Lookup = Lookup()) -> OpenedIr:
    """The IR of a MODEL, read; made in the cache first if MODEL is a zoo name or a description.

    Raises:
        UnknownModelError: no such name, no such file.
        DownloadError, ConversionError, ConfigError: the IR cannot be made.
        IrError: the IR cannot be read.
    """
    path = Path(model)
    if path.suffix == ".xml":
        return open_ir(path)
    from ov_mobilenet.conversion.network_files import network_ending
    from ov_mobilenet.zoo.registry import find_config

    ending = network_ending(path)
    if ending is not None:
        raise UnknownModelError(
            "a source network must be converted before it can run", where=path,
            expected="an IR, a model.yml or a zoo name",
            fix=f"Convert it: ov-mobilenet convert --source {path} --name {path.name[: -len(ending)]}",
        )  # fmt: skip
    return _open_converted(find_config(model, config_dirs=lookup.config_dirs), lookup)


def source_files(config: ModelConfig, lookup: Lookup = Lookup()) -> SourceFiles:
    """The verified source files of a description, in the cache beside the IR that is made from them.

    Raises:
        DownloadError: a file cannot be downloaded.
    """
    with _locked_folder(config, lookup) as folder:
        return _download(config, folder, lookup)


def _open_converted(config: ModelConfig, lookup: Lookup) -> OpenedIr:
    """The FP32 IR of a description in the cache, converted if it is missing; one process converts, others wait."""
    from ov_mobilenet.conversion.converter import convert

    with _locked_folder(config, lookup) as folder:
        xml = folder / "FP32" / f"{config.name}.xml"
        if (cached := _open_cached(xml)) is not None:
            return cached
        log.info("%s: downloading and converting into %s", config.name, folder)
        convert(_download(config, folder, lookup), folder, precisions=("FP32",))
        return open_ir(xml)


def _open_cached(xml: Path) -> OpenedIr | None:
    """The cached IR; None if it is missing, or damaged, and then it is deleted."""
    if not xml.exists():
        return None
    try:
        return open_ir(xml)
    except IrError as error:
        log.warning("%s; it is converted again", error.what)
        xml.unlink(missing_ok=True)
        return None


def _download(config: ModelConfig, folder: Path, lookup: Lookup) -> SourceFiles:
    from ov_mobilenet.downloads.cache import default_root
    from ov_mobilenet.downloads.fetch import download

    # Beside the IR, under its lock and digest: another description of this name has its own sources.
    return download(
        config, folder / "sources", cache_root=lookup.cache_dir or default_root(), offline=lookup.offline
    )  # fmt: skip


@contextmanager
def _locked_folder(config: ModelConfig, lookup: Lookup) -> Iterator[Path]:
    """The cache folder of a description, for this version of the toolkit and of OpenVINO; locked meanwhile."""
    import filelock
    import openvino as ov

    from ov_mobilenet.downloads.cache import default_root

    # The digest of the description covers the digests of its files.
    identity = "\0".join((config.name, config.digest, __version__, ov.get_version()))
    folder = (lookup.cache_dir or default_root()) / "ir" / hashlib.sha256(identity.encode()).hexdigest()[:24]
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / ".lock"):
        yield folder
