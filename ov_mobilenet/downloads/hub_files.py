"""One file of a repository: from the cache of `huggingface_hub` if its bytes are right, otherwise from the hub."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

from ov_mobilenet.downloads.attempts import Retry, discard, fetch_url
from ov_mobilenet.downloads.cache import digest, is_valid
from ov_mobilenet.downloads.hub_cache import RepositoryCache
from ov_mobilenet.downloads.hub_reasons import hub_advice, hub_reasons
from ov_mobilenet.downloads.hub_settings import HubSettings
from ov_mobilenet.downloads.transport import Transport, http_transport, origin_of
from ov_mobilenet.errors import DownloadError, HashMismatchError, OfflineError
from ov_mobilenet.zoo.hub_reference import HubReference
from ov_mobilenet.zoo.model import ModelFile

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 4 << 30  # the weights of the largest MobileNet are 0.2 GB


def obtain(
    kept: RepositoryCache,
    commit: str,
    file: ModelFile,
    settings: HubSettings,
    retry: Retry,
    on_size: Callable[[int], None] = lambda size: None,
) -> Path:
    """The path of a file of a commit in the cache, whose bytes have been compared with its digest.

    Args:
        file: its name is the path in the repository; without a digest, which happens only offline, the bytes are
            whatever the cache holds.

    Raises:
        HashMismatchError: the bytes differ from the digest, also after a second download; they have been deleted.
        DownloadError: the hub refuses or cannot be reached, or the cache cannot be written.
        OfflineError: the cache does not hold the file.
    """
    pointer = kept.snapshot(commit) / file.name
    reference = HubReference(repository=kept.name, revision=commit, file=file.name)
    if is_valid(pointer, file):
        return pointer
    if file.checksum is None or (settings.offline and not kept.blob(file.checksum.value).exists()):
        raise OfflineError(
            "the cache of huggingface_hub does not hold this file", where=reference,
            fix="Run the command once without --offline and HF_HUB_OFFLINE",
        )  # fmt: skip
    blob = kept.blob(file.checksum.value)
    try:
        with kept.locked(file.checksum.value):
            if not is_valid(blob, file) and not is_valid(pointer, file):
                _delete_wrong(blob, pointer, file, reference, settings)
                _download(blob, file, reference, settings, retry, on_size)
            if not is_valid(pointer, file):
                kept.link(pointer, file.checksum.value)
    except OSError as error:
        with suppress(OSError):
            discard(blob.with_name(f"{blob.name}.part"))  # the disk may be full
        raise DownloadError(
            "the cache of huggingface_hub cannot be written", where=error.filename or kept.folder,
            got=error.strerror or error,
            fix="Free space or change its permissions, or set HF_HOME to another folder",
        ) from error  # fmt: skip
    return pointer


def hub_url(reference: HubReference, endpoint: str) -> str:
    """The URL of a file at a commit."""
    revision = quote(reference.revision or "main", safe="")
    return f"{endpoint}/{reference.repository}/resolve/{revision}/{quote(reference.file or '')}"


def _delete_wrong(blob: Path, pointer: Path, file: ModelFile, reference: HubReference, settings: HubSettings) -> None:
    """Delete a file with wrong bytes. Raises: HashMismatchError (offline), OSError."""
    wrong = next((path for path in (blob, pointer) if path.is_file()), None)
    if wrong is None:
        return
    assert file.checksum is not None
    found = digest(wrong, file.checksum.algorithm)
    log.info("%s: deleted from the cache: expected %s, got %s", reference, file.checksum.value, found)
    pointer.unlink(missing_ok=True)
    blob.unlink(missing_ok=True)
    if settings.offline:
        raise HashMismatchError(
            "the cache of huggingface_hub held wrong bytes, which have been deleted", where=reference,
            expected=f"{file.checksum.algorithm} {file.checksum.value}", got=found,
            fix="Run the command once without --offline and HF_HUB_OFFLINE",
        )  # fmt: skip


def _download(
    blob: Path,
    file: ModelFile,
    reference: HubReference,
    settings: HubSettings,
    retry: Retry,
    on_size: Callable[[int], None],
) -> None:
    blob.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(blob.parent).free
    if file.size > MAX_FILE_BYTES or file.size > free:
        raise DownloadError(
            f"a file of {file.size} bytes is too large", where=reference,
            expected=f"at most {min(MAX_FILE_BYTES, free)} bytes",
            fix="Free space, or set HF_HOME to a folder on another disk" if file.size <= MAX_FILE_BYTES else None,
        )  # fmt: skip
    url, transport = hub_url(reference, settings.endpoint), _transport(reference, settings)
    try:
        try:
            fetch_url(url, blob, file, transport=transport, retry=retry, on_size=on_size)
        except HashMismatchError as error:
            log.info("%s: %s; once more", reference, error)
            fetch_url(url, blob, file, transport=transport, retry=retry, on_size=on_size)
    except DownloadError as error:
        raise _named(error, reference) from error


def _transport(reference: HubReference, settings: HubSettings) -> Transport:
    # An http endpoint is the user's choice. The token is for the hub, not for the servers to which it redirects.
    return http_transport(
        allow_http=urlsplit(settings.endpoint).scheme == "http",
        http_advice="Only an address in HF_ENDPOINT may begin with http",
        tokens={origin_of(settings.endpoint): settings.token} if settings.token else {},
        reason=hub_reasons(reference.repository, settings),
    )


def _named(error: DownloadError, reference: HubReference) -> DownloadError:
    """The error with the reference in place of a URL, which may hold a signature; the host is kept."""
    host = urlsplit(error.where or "").hostname
    if isinstance(error, HashMismatchError):
        return HashMismatchError(
            f"the file differs from what the hub states of it: {error.what}", where=reference,
            expected=error.expected, got=error.got,
            fix="It has been deleted. Try again later, or through another network: a proxy may change files",
        )  # fmt: skip
    return DownloadError(
        error.what + (f", from {host}" if host else ""), where=reference,
        expected=error.expected, got=error.got, fix=hub_advice(error.fix or "") or None,
    )  # fmt: skip
