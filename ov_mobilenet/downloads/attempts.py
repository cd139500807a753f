"""One file from one URL: attempts with back-off, resumed where the last one broke off.

What came in is kept in `NAME.part` beside the target, with the URL and the server's validator in `NAME.part.json`.
A later attempt, or a later run, asks for the rest of the same file; a server that ignores this sends all of it.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ov_mobilenet.downloads.cache import CHUNK_BYTES, check_bytes, new_hasher
from ov_mobilenet.downloads.transport import Stream, TransientError, Transport
from ov_mobilenet.errors import HashMismatchError
from ov_mobilenet.zoo.model import ModelFile

log = logging.getLogger(__name__)

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 60.0
LONGEST_RETRY_AFTER_S = 300.0


@dataclass(frozen=True)
class Retry:
    """How often to try one URL, and how to wait; `sleep` and `jitter` are replaced in tests.

    Attributes:
        attempts: at least 1.
        sleep: waits for seconds.
        jitter: gives a number in [0, 1), so that many clients do not come back at once.
    """

    attempts: int = 4
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def delay_s(self, attempt: int, retry_after_s: float | None) -> float:
        """Seconds to wait after failed attempt 0, 1, …: doubled each time, halved by chance, never less than asked."""
        backoff = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0**attempt) * (1 + self.jitter()) / 2
        return max(backoff, min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S))


DEFAULT_RETRY = Retry()


def fetch_url(
    url: str,
    target: Path,
    file: ModelFile,
    *,
    transport: Transport,
    retry: Retry,
    on_size: Callable[[int], None],
) -> None:
    """Fetch a URL into `target`, which appears complete and verified or not at all.

    Args:
        on_size: called with the bytes that are here; fewer than before when an attempt begins anew.

    Raises:
        HashMismatchError: the server has other bytes than the description names.
        DownloadError: it refuses, or every attempt failed.
        OSError: the disk is full, the folder read-only.
    """
    part = target.with_name(f"{target.name}.part")
    for attempt in range(retry.attempts):
        try:
            _attempt(url, part, file, transport, on_size)
            # The note first: who is killed in between leaves a part that the next run writes anew, not a lone note.
            _note(part).unlink(missing_ok=True)
            part.replace(target)
            return
        except TransientError as error:
            if attempt + 1 == retry.attempts:
                raise
            delay_s = retry.delay_s(attempt, error.retry_after_s)
            log.info("%s; attempt %d of %d in %.1f s", error, attempt + 2, retry.attempts, delay_s)
            retry.sleep(delay_s)


def _attempt(url: str, part: Path, file: ModelFile, transport: Transport, on_size: Callable[[int], None]) -> None:
    start, validator = _resumable(url, part, file)
    begun: int | None = None  # where the answer began; None without one
    try:
        with transport(url, start=start, validator=validator) as stream:
            begun = stream.start
            _receive(stream, url, part, file, on_size)
    except TransientError as error:
        # The server was asked for the rest and did not give it: the next attempt begins anew. One that could not
        # be asked, or was too busy to answer, says nothing about what is kept.
        if error.restart or (begun is not None and _resumable(url, part, file)[0] <= begun):
            discard(part)
        raise
    except HashMismatchError:
        discard(part)
        if not begun:
            raise
        log.info("%s: what was kept of an earlier attempt does not fit; from the beginning", url)
        _attempt(url, part, file, transport, on_size)


def _receive(stream: Stream, url: str, part: Path, file: ModelFile, on_size: Callable[[int], None]) -> None:
    if stream.size is not None and stream.size != file.size:
        raise HashMismatchError("the server announces another size", where=url, expected=file.size, got=stream.size)
    hasher = new_hasher(file)
    size = 0
    if stream.start:
        with part.open("rb") as kept:
            while chunk := kept.read(CHUNK_BYTES):
                hasher.update(chunk)
                size += len(chunk)
    on_size(size)
    part.parent.mkdir(parents=True, exist_ok=True)
    note = {"url": url, "validator": stream.validator, "digest": _identity(file)}
    with part.open("ab" if stream.start else "wb") as out:
        _note(part).write_text(json.dumps(note), "utf-8")
        for chunk in stream.chunks:
            size += len(chunk)
            if size > file.size:
                raise HashMismatchError("too many bytes", where=url, expected=file.size, got="more")
            hasher.update(chunk)
            out.write(chunk)
            on_size(size)
    if size < file.size:
        raise TransientError("the connection ended early", where=url, expected=file.size, got=size)
    check_bytes(file, size, hasher.hexdigest())


def _resumable(url: str, part: Path, file: ModelFile) -> tuple[int, str | None]:
    """Where to go on, and the validator to name; (0, None) to begin anew."""
    try:
        note = json.loads(_note(part).read_text("utf-8"))
        size = part.stat().st_size
        same = note["url"] == url and note["digest"] == _identity(file)
        validator = note["validator"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0, None
    if same and isinstance(validator, str) and validator and 0 < size < file.size:
        return size, validator
    return 0, None


def _identity(file: ModelFile) -> str:
    return file.checksum.value if file.checksum is not None else f"{file.size} bytes"


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def discard(part: Path) -> None:
    """Drop what is left of an unfinished file."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)
