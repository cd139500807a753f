"""Read an IR of unknown origin in a child process first: OpenVINO's reader crashes on some.

Crashes were looked for in 15,000 damaged IRs, by OpenVINO alone: it ended with SIGSEGV while it read 38 of them, and
never while it compiled or ran one. So the child process only reads: 0.04 s of CPU time for MobileNet V2.

    ROOT/accepted/…    an empty file per IR that was read without a crash; its name is a digest of its contents and of
                       the version of OpenVINO
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ov_mobilenet.downloads.cache import default_root
from ov_mobilenet.errors import ConversionError, IrError
from ov_mobilenet.isolation.availability import reads_apart

log = logging.getLogger(__name__)

FORK_LIMIT_S = 5.0
READING_LIMIT_S = 30.0
MAX_ACCEPTED = 1000


@dataclass(frozen=True)
class Isolation:
    """Which IRs are read in a child process first.

    Attributes:
        isolate: True for every IR, False for none; None for those whose contents are not as ov-mobilenet wrote them,
            where the system can.
        cache_root: the cache that remembers which IRs were read without a crash; None for the user's.
    """

    isolate: bool | None = None
    cache_root: Path | None = None

    def applies(self, *, is_ours: bool) -> bool:
        """Whether an IR is read in a child process first. Raises: UsageError, if the system cannot do it."""
        return (self.isolate is not None or not is_ours) and reads_apart(self.isolate)


def try_to_read(text: bytes, weights: bytes, xml: Path, cache_root: Path | None, content: str) -> None:
    """Read an IR in a child process, unless one with these contents was read before.

    Args:
        content: the digest of both files.

    Raises:
        IrError: reading it crashes or does not end, or the other process cannot be started.
    """
    from ov_mobilenet.isolation.forked_call import call_in_fork

    accepted = _accepted_file(content, len(weights), cache_root)
    with suppress(OSError):
        os.utime(accepted)  # the last time that it was used
        return
    code = call_in_fork(reader(text, weights), FORK_LIMIT_S)
    if code is None:
        _read_in_server(text, weights, xml)
    elif code:
        from ov_mobilenet.operating_system.signals import exit_reason  # imports asyncio: 0.05 s

        raise IrError(
            "reading the IR crashed", where=xml, got=exit_reason(code),
            fix="The file is probably damaged: download or export it again",
        )  # fmt: skip
    _remember(accepted)


def reader(text: bytes, weights: bytes) -> Callable[[], object]:
    """A function that reads an IR; what it needs is imported before."""
    import openvino as ov

    return lambda: ov.Core().read_model(text, weights)


def read_once(text: bytes, weights: bytes) -> Callable[[bytes], bytes]:
    """In a worker of a fork server: read an IR; an error is the caller's to find."""
    with suppress(RuntimeError, MemoryError):
        reader(text, weights)()
    return bytes


def _read_in_server(text: bytes, weights: bytes, xml: Path) -> None:
    from ov_mobilenet.isolation.isolated_function import IsolatedFunction, Task

    task = Task(f"{__name__}.read_once", (text, weights), ("openvino",), "reading the IR", xml)
    try:
        IsolatedFunction(task, READING_LIMIT_S).close()
    except ConversionError as error:
        raise IrError(error.what, where=xml, expected=error.expected, got=error.got, fix=error.fix) from error
    except OSError as error:
        raise IrError(
            f"no process can be started to read the IR ({error.strerror})", where=xml,
            fix="If you trust the file, use --no-isolate (isolate=False)",
        ) from error  # fmt: skip


def _accepted_file(content: str, weights_size: int, cache_root: Path | None) -> Path:
    import openvino as ov

    # With the size: the digest alone does not tell where one file ends and the other begins.
    name = hashlib.sha256(f"{content} {weights_size} {ov.get_version()}".encode()).hexdigest()
    return (cache_root or default_root()) / "accepted" / name


def _remember(accepted: Path) -> None:
    """Note an IR; those that were not used for the longest time are forgotten."""
    try:
        accepted.parent.mkdir(parents=True, exist_ok=True)
        accepted.touch()
        noted = [(file.stat().st_mtime, file) for file in accepted.parent.iterdir()]
        for _, file in sorted(noted)[:-MAX_ACCEPTED]:
            file.unlink(missing_ok=True)
    except OSError as error:  # also if another process deletes one meanwhile
        log.debug("%s: not remembered: %s", accepted, error)
