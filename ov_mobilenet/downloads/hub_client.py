"""Files of Hugging Face repositories, in the cache of `huggingface_hub`, which other tools share.

`huggingface_hub` resolves revisions, lists files and knows the token. The bytes come through the transport of all
downloads, because its own download starts over in every run, follows redirects to http, and accepts wrong bytes of the
right size. Every file is compared with the hub's digest whenever it is used.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ov_mobilenet.downloads.attempts import DEFAULT_RETRY, Retry
from ov_mobilenet.downloads.events import FileDownloadBegin, FileDownloadEnd, FileDownloadProgress, OnEvent, ignore
from ov_mobilenet.downloads.hub_cache import RepositoryCache, is_commit, is_safe_path
from ov_mobilenet.downloads.hub_files import obtain
from ov_mobilenet.downloads.hub_listing import DEFAULT_REVISION, request_listing
from ov_mobilenet.downloads.hub_settings import hub_settings
from ov_mobilenet.errors import DownloadError, OfflineError
from ov_mobilenet.zoo.hub_origin import clean_licence
from ov_mobilenet.zoo.hub_reference import HubReference
from ov_mobilenet.zoo.model import Checksum, ModelFile

log = logging.getLogger(__name__)

MAX_FILES = 100_000
MAX_CARD_BYTES = 1 << 20
_CARD = "README.md"
_SHA256, _SHA1 = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    Attributes:
        path: path in the repository, with `/`.
        size: size in bytes.
        sha256: of a file in large-file storage (LFS); None for a file that is stored in git itself.
        blob_id: the SHA-1 that git gives the file, or its LFS pointer; None if it is not known offline.
    """

    path: str
    size: int
    sha256: str | None
    blob_id: str | None


@dataclass(frozen=True)
class HubRepository:
    """A repository at one commit.

    Attributes:
        name: OWNER/NAME.
        commit: 40 hexadecimal digits.
        files: by path.
        licence: the licence that its card states; None if it states none.
        is_complete: whether `files` are all files of the commit; offline, they are those that the cache holds.
    """

    name: str
    commit: str
    files: Mapping[str, HubFile]
    licence: str | None
    is_complete: bool = True


def read_repository(reference: HubReference, *, offline: bool = False, retry: Retry = DEFAULT_RETRY) -> HubRepository:
    """Resolve the revision to a commit, and list the files of that commit.

    Online, all files are listed; files with names that are not safe on every system are left out. The card is kept in
    the cache, because it states the licence. Offline, the files in the cache are listed.

    Args:
        offline: do not use the network: what the cache of `huggingface_hub` holds. HF_HUB_OFFLINE=1 does the same.
        retry: attempts, and the delays between them.

    Raises:
        DownloadError: there is no such repository or revision, access is refused, or the hub cannot be reached.
        OfflineError: the cache does not hold it.
        MissingDependencyError: huggingface_hub is not installed.
    """
    settings = hub_settings(offline=offline)
    revision = reference.revision or DEFAULT_REVISION
    if not is_safe_path(revision):
        raise DownloadError("not the name of a revision", where=reference, got=repr(revision))
    kept = RepositoryCache(settings.cache, reference.repository)
    if settings.offline:
        try:
            return _cached_repository(reference, revision, kept)
        except OSError as error:
            raise DownloadError("the cache cannot be read", where=kept.folder, got=error.strerror or error) from error
    try:
        repository = _listed(request_listing(reference, settings, retry), reference, revision)
    except DownloadError as error:
        if "--offline" in (error.fix or "") or not _is_kept(kept, revision):
            raise
        raise type(error)(
            error.what, where=error.where, expected=error.expected, got=error.got,
            fix=". ".join(filter(None, (error.fix, "The cache holds files of this revision: --offline uses them"))),
        ) from error  # fmt: skip
    with suppress(OSError):  # a cache that cannot be written
        kept.remember(revision, repository.commit)
    card = repository.files.get(_CARD)
    if card is not None and card.size <= MAX_CARD_BYTES:
        try:
            obtain(kept, repository.commit, _expected(card), settings, Retry(attempts=1))
        except DownloadError as error:
            log.info("%s: %s", reference, error)
    return repository


def fetch_hub_file(
    repository: HubRepository,
    path: str,
    *,
    offline: bool = False,
    retry: Retry = DEFAULT_RETRY,
    on_event: OnEvent = ignore,
) -> Path:
    """The path of a verified file in the cache of `huggingface_hub`, downloaded if it is missing.

    Args:
        path: one of `repository.files`.
        retry: attempts, and the delays between them.
        on_event: called with the events of the file.

    Raises:
        HashMismatchError: the bytes differ from the hub's digest, also after a second download.
        DownloadError, OfflineError, MissingDependencyError: see `read_repository`.
    """
    file = repository.files.get(path)
    reference = HubReference(repository=repository.name, revision=repository.commit, file=path)
    settings = hub_settings(offline=offline)
    if file is None:
        kind = OfflineError if settings.offline else DownloadError
        near = difflib.get_close_matches(path, list(repository.files)[:2000], n=3, cutoff=0.5)
        listed = near or list(repository.files)[:5]
        what = "the cache of huggingface_hub does not hold this file" if settings.offline else "there is no such file"
        raise kind(what, where=reference, fix=f"There is: {', '.join(listed)}" if listed else None)
    expected = _expected(file)
    if expected.checksum is None:
        if not settings.offline:
            raise DownloadError("the hub states no digest of this file, so it cannot be verified", where=reference)
        log.warning("%s: its digest is not known offline, so it is not verified", reference)
    on_event(FileDownloadBegin(repository.name, path, file.size))
    successful = False
    try:
        kept = RepositoryCache(settings.cache, repository.name)
        found = obtain(
            kept, repository.commit, expected, settings, retry,
            lambda size: on_event(FileDownloadProgress(repository.name, path, size)),
        )  # fmt: skip
        successful = True
        return found
    finally:
        on_event(FileDownloadEnd(repository.name, path, successful))


def _expected(file: HubFile) -> ModelFile:
    checksum = None
    if file.sha256 is not None:
        checksum = Checksum("sha256", file.sha256)
    elif file.blob_id is not None:
        checksum = Checksum("git-sha1", file.blob_id)
    return ModelFile(name=file.path, size=file.size, checksum=checksum, sources=())


def _listed(info: Any, reference: HubReference, revision: str) -> HubRepository:
    """The repository from the answer of the hub, in which nothing is trusted. Raises: DownloadError."""
    commit, siblings = info.sha, info.siblings
    if not is_commit(commit) or not isinstance(siblings, list):
        raise DownloadError("the answer of the hub names no commit or no files", where=reference, got=repr(commit))
    if is_commit(revision) and revision != commit:
        raise DownloadError("the hub answers with another commit", where=reference, expected=revision, got=commit)
    if len(siblings) > MAX_FILES:
        raise DownloadError(
            "the repository has too many files", where=reference, expected=f"at most {MAX_FILES}", got=len(siblings)
        )
    files = {file.path: file for file in map(_file, siblings) if file is not None}
    if len(files) < len(siblings):
        log.info("%s: %d files are left out: unsafe names, or no size", reference, len(siblings) - len(files))
    return HubRepository(reference.repository, commit, files, _stated_licence(info))


def _file(sibling: Any) -> HubFile | None:
    path, size, lfs = sibling.rfilename, sibling.size, sibling.lfs
    sha256, blob_id = getattr(lfs, "sha256", None), sibling.blob_id
    if not is_safe_path(path) or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        return None
    if lfs is not None and not _matches(_SHA256, sha256):
        return HubFile(path, size, None, None)  # its blob id is that of the pointer
    return HubFile(path, size, sha256, blob_id if _matches(_SHA1, blob_id) else None)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _stated_licence(info: Any) -> str | None:
    stated = [getattr(info.card_data, "license", None)]
    tags = info.tags if isinstance(info.tags, list) else []
    stated += [tag.removeprefix("license:") for tag in tags if isinstance(tag, str) and tag.startswith("license:")]
    return next(filter(None, map(clean_licence, stated)), None)


def _cached_repository(reference: HubReference, revision: str, kept: RepositoryCache) -> HubRepository:
    """What the cache holds of a revision. Raises: OfflineError, OSError."""
    commit = kept.commit_of(revision)
    files = dict(_cached_files(kept, commit)) if commit is not None else {}
    if commit is None or not files:
        raise OfflineError(
            "the cache of huggingface_hub does not hold this revision", where=reference, expected=kept.folder,
            fix="Run the command once without --offline and HF_HUB_OFFLINE",
        )  # fmt: skip
    return HubRepository(reference.repository, commit, files, _card_licence(kept.snapshot(commit) / _CARD), False)


def _cached_files(kept: RepositoryCache, commit: str) -> Iterator[tuple[str, HubFile]]:
    for path, on_disk, digest in kept.files(commit):
        sha256 = digest if digest and len(digest) == 64 else None
        blob_id = digest if digest and len(digest) == 40 else None
        yield path, HubFile(path, on_disk.stat().st_size, sha256, blob_id)


def _card_licence(card: Path) -> str | None:
    """The licence in the header of a card."""
    try:
        with card.open("rb") as stream:
            header = stream.read(MAX_CARD_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return None
    found = re.match(r"---\s*\n(.*?)\n---", header, re.DOTALL)
    line = re.search(r"^license:[ \t]*([^\n#]+)", found[1], re.MULTILINE) if found else None
    return clean_licence(line[1]) if line else None


def _is_kept(kept: RepositoryCache, revision: str) -> bool:
    with suppress(OSError):
        commit = kept.commit_of(revision)
        return commit is not None and any(kept.files(commit))
    return False
