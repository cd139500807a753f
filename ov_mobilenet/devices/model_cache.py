"""The model cache: a folder of compiled models; OpenVINO writes those of GPUs and NPUs, `cpu_blobs` those of the CPU.

OpenVINO never deletes any; pruning is done here.
"""

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
# Devices with a long compilation, for which the cache is on by default. A CPU compiles a MobileNet in 0.1 s, which only
# matters if the process ends soon.
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
        used: time of the last access, in seconds since 1970; of the last write if the file system records no access
            times.
    """

    path: Path
    size: int
    used: float


def folder(wanted: Path | Literal["on", "off"] | None, families: Iterable[str]) -> Path | None:
    """The folder for compiled models, created if missing; None for no cache.

    Args:
        wanted: see `DeviceSettings.model_cache`.
        families: CPU, GPU, NPU: the kinds of devices that may run the model.

    Raises:
        UsageError: the requested folder cannot be created.
    """
    is_slow = bool(set(families) & set(SLOW_TO_COMPILE))
    if wanted == "off" or (wanted is None and not is_slow):
        return None
    path = wanted if isinstance(wanted, Path) else default_folder()
    level = logging.WARNING if is_slow else logging.INFO  # without the cache, a CPU starts only a little later
    try:
        str(path).encode()
    except UnicodeEncodeError:  # OpenVINO takes no other names
        if path is wanted:
            raise UsageError("invalid model cache", where=path, expected="a name in UTF-8") from None
        log.log(level, "%s: its name is not UTF-8; running without the model cache", path)
        return None
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if path is wanted:
            raise UsageError("cannot create the model cache", where=path, got=error.strerror) from error
        log.log(level, "%s: cannot create the model cache, running without it: %s", path, error.strerror)
        return None
    return path


def default_folder(root: Path | None = None) -> Path:
    """The folder of compiled models in a cache; the user's cache if `root` is None."""
    from ov_mobilenet.downloads.cache import default_root

    return (root or default_root()) / "compiled"


def models(path: Path) -> list[CachedModel]:
    """The compiled models in a folder, least recently used first; other files are ignored."""
    return sorted(_files(path), key=lambda model: (model.used, str(model.path)))


def prune(path: Path, *, max_bytes: int = MAX_BYTES, max_age_days: float = MAX_AGE_DAYS) -> int:
    """Delete models unused for `max_age_days`, then the least recently used until the rest fits into `max_bytes`.

    The most recently used model is kept whatever its size, and so is a file that cannot be deleted.

    Returns:
        The number of bytes deleted.
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
        with suppress(OSError):  # another process has just deleted it, or the folder is another user's
            if file.suffix in SUFFIXES and not file.is_symlink():
                stat = file.stat()
                yield CachedModel(file, stat.st_size, max(stat.st_atime, stat.st_mtime))
