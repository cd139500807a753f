"""Fetch one file from one URL, with retries and back-off. Interrupted downloads are resumed.

The bytes received so far are kept in `NAME.part` beside the target, and the URL and the server's validator in
`NAME.part.json`. A later attempt, or a later run, requests the rest of the same file; a server that ignores the range
sends the whole file.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ov_mobilenet.argument_types import checked
from ov_mobilenet.downloads.cache import CHUNK_BYTES, check_bytes, new_hasher
from ov_mobilenet.downloads.transport import ResponseStream, TransientError, Transport
from ov_mobilenet.errors import HashMismatchError
from ov_mobilenet.operating_system.replacing import replace_file
from ov_mobilenet.zoo.model import ModelFile

log = logging.getLogger(__name__)
T = TypeVar("T")

FIRST_DELAY_S = 0.5
LONG_DELAY_S = 10.0  # a longer one is announced, or the command would seem to hang
LONGEST_DELAY_S = 60.0
LONGEST_RETRY_AFTER_S = 300.0


@checked
@dataclass(frozen=True)
class Retry:
    """The number of attempts for one URL, and the delay between them; tests replace `sleep` and `jitter`.

    Attributes:
        attempts: at least 1.
        sleep: waits for a number of seconds.
        jitter: returns a random number in [0, 1), so that clients do not retry at the same time.
    """

    attempts: int = 4
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def delay_s(self, attempt: int, retry_after_s: float | None) -> float:
        """Seconds to wait after failed attempt 0, 1, …

        The delay doubles with each attempt, and the jitter scales it to between half and all of it. It is never shorter
        than the server's `Retry-After`, up to five minutes.
        """
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
    """Fetch a URL into `target`, which appears only once it is complete and verified.

    Args:
        on_size: called with the number of bytes received; it decreases when an attempt starts over.

    Raises:
        HashMismatchError: the server sends bytes that do not match the description.
        DownloadError: the server refuses, or every attempt failed.
        OSError: the disk is full, or the folder is read-only.
    """
    part = target.with_name(f"{target.name}.part")
    retried(retry, lambda: _attempt(url, part, file, transport, on_size))
    # The metadata first: a process killed in between leaves a part that the next run overwrites.
    _metadata(part).unlink(missing_ok=True)
    replace_file(part, target)


def retried(retry: Retry, act: Callable[[], T]) -> T:
    """The result of the first attempt that succeeds. Raises: what the last one raises, or any that is not transient."""
    for attempt in range(retry.attempts - 1):
        try:
            return act()
        except TransientError as error:
            delay_s = retry.delay_s(attempt, error.retry_after_s)
            level = logging.WARNING if delay_s >= LONG_DELAY_S else logging.INFO
            log.log(level, "%s; attempt %d of %d in %.1f s", error, attempt + 2, retry.attempts, delay_s)
            retry.sleep(delay_s)
    return act()


def _attempt(url: str, part: Path, file: ModelFile, transport: Transport, on_size: Callable[[int], None]) -> None:
    start, validator = _resumable(url, part, file)
    answered_from: int | None = None  # offset of the response's first byte; None without a response
    try:
        with transport(url, start=start, validator=validator) as stream:
            answered_from = stream.start
            _receive(stream, url, part, file, on_size)
    except TransientError as error:
        # If the server answered and the part did not grow, the next attempt starts over. A server that could not be
        # reached, or was too busy to answer, is no reason to discard the part.
        if error.restart or (answered_from is not None and _resumable(url, part, file)[0] <= answered_from):
            discard(part)
        raise
    except HashMismatchError:
        discard(part)
        if not answered_from:
            raise
        log.info("%s: the resumed file does not match the description; starting over", url)
        _attempt(url, part, file, transport, on_size)


def _receive(stream: ResponseStream, url: str, part: Path, file: ModelFile, on_size: Callable[[int], None]) -> None:
    if stream.size is not None and stream.size != file.size:
        raise HashMismatchError(
            "the size announced by the server differs from the description",
            where=url,
            expected=file.size,
            got=stream.size,
        )
    hasher = new_hasher(file)
    size = 0
    if stream.start:
        with part.open("rb") as received:
            while chunk := received.read(CHUNK_BYTES):
                hasher.update(chunk)
                size += len(chunk)
    on_size(size)
    part.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"url": url, "validator": stream.validator, "digest": _identity(file)}
    with part.open("ab" if stream.start else "wb") as out:
        _metadata(part).write_text(json.dumps(metadata), "utf-8")
        for chunk in stream.chunks:
            size += len(chunk)
            if size > file.size:
                raise HashMismatchError("too many bytes", where=url, expected=file.size, got="more")
            hasher.update(chunk)
            out.write(chunk)
            on_size(size)
    if size < file.size:
        raise TransientError("the connection was closed early", where=url, expected=file.size, got=size)
    check_bytes(file, size, hasher.hexdigest())


def _resumable(url: str, part: Path, file: ModelFile) -> tuple[int, str | None]:
    """The offset to resume at, and the validator to send; (0, None) to start over."""
    try:
        metadata = json.loads(_metadata(part).read_text("utf-8"))
        size = part.stat().st_size
        same = metadata["url"] == url and metadata["digest"] == _identity(file)
        validator = metadata["validator"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0, None
    if same and isinstance(validator, str) and validator and 0 < size < file.size:
        return size, validator
    return 0, None


def _identity(file: ModelFile) -> str:
    return file.checksum.value if file.checksum is not None else f"{file.size} bytes"


def _metadata(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def discard(part: Path) -> None:
    """Delete an unfinished file and its metadata."""
    part.unlink(missing_ok=True)
    _metadata(part).unlink(missing_ok=True)
