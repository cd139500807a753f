"""Compiled models on disk: OpenVINO writes them into a folder and never deletes one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ov_mobilenet.errors import UsageError

MAX_BYTES = 1 << 30
MAX_AGE_DAYS = 90.0
# Devices that take long to compile: on by default for them alone. A MobileNet is compiled for a CPU in 0.1 s.
SLOW_TO_COMPILE = ("GPU", "NPU")
# https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/gpu-device.html: the GPU
# writes .cl_cache files beside the .blob.
SUFFIXES = (".blob", ".cl_cache")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedModel:
    """A file of the model cache.

    Attributes:
        size: bytes.
        used: when it was last read or written, in seconds since 1970; a file system that keeps no times of reading
            gives that of writing.
    """

    path: Path
    size: int
    used: float


def folder(wanted: Path | Literal["off"] | None, families: Iterable[str]) -> Path | None:
    """The folder to keep compiled models in, made if it is not there; None for no cache.

    Args:
        wanted: as `DeviceSettings.model_cache`.
        families: of the devices that may run: CPU, GPU, NPU.

    Raises:
        UsageError: the folder that was asked for cannot be made.
    """
    if wanted == "off" or (wanted is None and not set(families) & set(SLOW_TO_COMPILE)):
        return None
    path = default_folder() if wanted is None else wanted
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if wanted is not None:
            raise UsageError("the model cache cannot be written", where=path, got=error.strerror) from error
        log.warning("%s: no model cache: %s", path, error.strerror)
        return None
    return path


def default_folder(root: Path | None = None) -> Path:
    """Where compiled models lie in a cache; `root` None for the user's."""
    from ov_mobilenet.downloads.cache import default_root

    return (root or default_root()) / "compiled"


def models(path: Path) -> list[CachedModel]:
    """What a model cache holds, the longest unused first; files of other kinds are not looked at."""
    return sorted(_files(path), key=lambda model: (model.used, str(model.path)))


def prune(path: Path, *, max_bytes: int = MAX_BYTES, max_age_days: float = MAX_AGE_DAYS) -> int:
    """Delete what was not used for long, then the longest unused until the rest is small enough; says how many bytes.

    The one used last stays, however large it is. A file that another process holds stays as well.
    """
    found = models(path)
    oldest = time.time() - max_age_days * 86_400
    total = sum(model.size for model in found)
    freed = 0
    for model in found[:-1]:
        if model.used >= oldest and total - freed <= max_bytes:
            break
        with suppress(OSError):
            model.path.unlink()
            freed += model.size
            log.info("%s: deleted from the model cache", model.path)
    return freed


def _files(path: Path) -> Iterator[CachedModel]:
    for file in path.glob("*"):
        if file.suffix in SUFFIXES and not file.is_symlink():
            with suppress(FileNotFoundError):  # another process has just deleted it
                stat = file.stat()
                yield CachedModel(file, stat.st_size, max(stat.st_atime, stat.st_mtime))
