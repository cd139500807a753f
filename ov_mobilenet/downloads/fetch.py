"""Fetch, verify and unpack the files of one description."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

from ov_mobilenet.argument_types import checked
from ov_mobilenet.downloads import cache, events
from ov_mobilenet.downloads.attempts import DEFAULT_RETRY, Retry, discard, fetch_url
from ov_mobilenet.downloads.events import OnEvent
from ov_mobilenet.downloads.hub_client import HubRepository
from ov_mobilenet.downloads.hub_source import browser_url, fetch_hub_source
from ov_mobilenet.downloads.postprocessing import original_of, postprocess
from ov_mobilenet.downloads.transport import Transport, http_transport
from ov_mobilenet.errors import DownloadError, HashMismatchError, MissingDependencyError, OfflineError
from ov_mobilenet.operating_system.path_texts import has_drive
from ov_mobilenet.operating_system.replacing import replace_file
from ov_mobilenet.zoo.model import FileSource, HttpSource, HubSource, ModelConfig, ModelFile, RegexReplace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceFiles:
    """Verified source files on disk.

    Attributes:
        config: the description of the files.
        folder: the model's download folder, `$dl_dir`.
        digests: the verified digest of every file of the description, as `ALGORITHM:HEXADECIMAL`.
    """

    config: ModelConfig
    folder: Path
    digests: Mapping[str, str]


@checked
def download(
    config: ModelConfig,
    folder: Path,
    *,
    cache_root: Path | None = None,
    offline: bool = False,
    mirror: str | Sequence[str] | None = None,
    retry: Retry = DEFAULT_RETRY,
    transport: Transport | None = None,
    allow_unverified: bool = False,
    on_event: OnEvent = events.ignore,
) -> SourceFiles:
    """Download all files of a description into `folder`, verify them, and apply the postprocessing.

    Valid files in the folder are kept. Other files are copied from the cache, or fetched from the sources in order. An
    existing file is replaced only once the new one is verified. Interrupted downloads are resumed. Files of the hub are
    kept in the cache of `huggingface_hub` instead.

    Args:
        config: the description.
        folder: the model's download folder.
        cache_root: folder of the content-addressed cache; None for the user's default cache.
        offline: whether downloads are forbidden; files are then only copied from the cache and from local sources.
        mirror: a folder or an https URL that holds the files as NAME/FILE, or several; tried before all other sources.
        retry: attempts for each URL, and the delays between them.
        transport: opens URLs; None for https. Files of the hub come through its own client in any case.
        allow_unverified: whether to accept files without a digest in the description.
        on_event: called with every event.

    Raises:
        HashMismatchError: a source has bytes that do not match the description, and no other source has the file.
        OfflineError: a file is missing and `offline` is set.
        DownloadError: all sources failed (the message gives the reason of each host and a command to download the
            file manually), or the folder cannot be written.
        ArchiveError: an archive is broken or unsafe.
        ConfigError: a `regex_replace` does not match the file.
    """
    root = cache_root or cache.default_root()
    context = _Context(config, folder, root, offline, mirror, retry, transport or http_transport(), on_event)
    on_event(events.ModelDownloadBegin(config.name, len(config.files)))
    successful = False
    try:
        _check_digests(config, allow_unverified)
        patched = {step.file for step in config.postprocessing if isinstance(step, RegexReplace)}
        for file in config.files:
            _obtain(context, file, patched=file.name in patched)
        successful = True
    except OSError as error:
        raise _disk_error(error, folder) from error
    finally:
        on_event(events.ModelDownloadEnd(config.name, successful))
    try:
        with cache.locked(root, folder):
            postprocess(config, folder, on_event)
    except OSError as error:
        raise _disk_error(error, folder) from error
    return SourceFiles(config, folder, {file.name: _digest(file, folder) for file in config.files})


def _check_digests(config: ModelConfig, allow_unverified: bool) -> None:
    for file in config.files:
        if file.checksum is None and not allow_unverified:
            raise DownloadError(
                f"the description has no digest of {file.name}, so the file cannot be verified",
                where=config.path,
                expected="a checksum",
                fix="Add one to the description, or accept the file with --allow-unverified",
            )


def _disk_error(error: OSError, folder: Path) -> DownloadError:
    return DownloadError(
        "file or folder cannot be read or written", where=error.filename or folder, got=error.strerror or error
    )


def _digest(file: ModelFile, folder: Path) -> str:
    if file.checksum is not None:
        return f"{file.checksum.algorithm}:{file.checksum.value}"
    return f"sha384:{cache.digest(folder / file.name, 'sha384')}"


Action = Literal["keep", "restore", "copy", "fetch"]


def plan_file(file: ModelFile, target: Path, root: Path, *, patched: bool = False) -> Action:
    """Decide how to obtain one file; nothing is changed.

    Args:
        patched: whether a `regex_replace` changes the file.

    Returns:
        `keep` the file, `restore` the original beside a patched file, `copy` it from the cache, or `fetch` it.
    """
    if cache.is_valid(target, file):
        return "keep"
    if patched and cache.is_valid(original_of(target), file):
        return "restore"
    if file.checksum is not None and cache.is_valid(cache.entry(root, file.checksum), file):
        return "copy"
    return "fetch"


@dataclass(frozen=True)
class _Context:
    config: ModelConfig
    folder: Path
    cache_root: Path
    offline: bool
    mirror: str | Sequence[str] | None
    retry: Retry
    transport: Transport
    on_event: OnEvent
    repositories: dict[HubSource, HubRepository] = field(default_factory=dict)


def _obtain(context: _Context, file: ModelFile, *, patched: bool) -> None:
    name, target = context.config.name, context.folder / file.name
    context.on_event(events.FileDownloadBegin(name, file.name, file.size))
    successful = False
    try:
        with cache.locked(context.cache_root, target):
            action = plan_file(file, target, context.cache_root, patched=patched)
            log.debug("%s: %s %s", name, action, file.name)
            if action == "restore":
                replace_file(original_of(target), target)
            elif action == "copy" and file.checksum is not None:
                stored = cache.entry(context.cache_root, file.checksum)
                with cache.locked(context.cache_root, stored):
                    _copy(stored, target, file)
                log.info("%s: %s is from the cache: %s", name, file.name, stored)
            elif action == "fetch":
                _fetch(context, file, target)
            if patched:
                original_of(target).unlink(missing_ok=True)  # may be that of another version; the patch writes it again
        successful = True
    finally:
        context.on_event(events.FileDownloadEnd(name, file.name, successful))


def _progress(context: _Context, file: ModelFile) -> Callable[[int], None]:
    return lambda size: context.on_event(events.FileDownloadProgress(context.config.name, file.name, size))


def _copy(source: Path, target: Path, file: ModelFile, on_size: Callable[[int], None] = lambda size: None) -> None:
    cache.write_verified(cache.read_chunks(source), target, file, on_size=on_size)


def sources_of(
    config: ModelConfig, file: ModelFile, mirror: str | Sequence[str] | None
) -> list[Path | str | HubSource]:
    """The sources of a file, paths, URLs and files of the hub, in the order in which they are tried."""
    found: list[Path | str | HubSource] = []
    for one in [mirror] if isinstance(mirror, str) else mirror or ():
        if "://" in one and not has_drive(one):
            found.append(f"{one.rstrip('/')}/{config.name}/{quote(file.name)}")
        else:
            found.append(Path(one) / config.name / file.name)
    for source in file.sources:
        found.append(config.folder / source.path if isinstance(source, FileSource) else _address(source))
    return found


def _address(source: HttpSource | HubSource) -> str | HubSource:
    return source.url if isinstance(source, HttpSource) else source


def _fetch(context: _Context, file: ModelFile, target: Path) -> None:
    failures: list[DownloadError | OSError] = []
    for source in sources_of(context.config, file, context.mirror):
        try:
            if isinstance(source, Path):
                _copy(source, target, file, _progress(context, file))
            elif isinstance(source, HubSource):
                _fetch_from_hub(context, source, file, target)
            elif not context.offline:
                _fetch_url(context, source, file, target)
            else:
                continue
            log.info("%s: %s is from %s", context.config.name, file.name, source)
            return
        except (DownloadError, OSError) as error:
            log.info("%s: %s", context.config.name, error)
            failures.append(error)
        except MissingDependencyError as error:  # of one kind of source; another may have the file
            failures.append(DownloadError(error.what, where=source, got=error.got, fix=error.fix))
    raise _failure(context, file, target, failures)


def _fetch_from_hub(context: _Context, source: HubSource, file: ModelFile, target: Path) -> None:
    """Copy from the cache of huggingface_hub; a copy in our own would be a third one."""
    found = fetch_hub_source(
        source, file, context.repositories,
        offline=context.offline, retry=context.retry, on_size=_progress(context, file),
    )  # fmt: skip
    _copy(found, target, file)


def _fetch_url(context: _Context, url: str, file: ModelFile, target: Path) -> None:
    """Fetch into the cache, where another run can resume the download, and copy to the target."""

    def fetch(path: Path) -> None:
        fetch_url(url, path, file, transport=context.transport, retry=context.retry, on_size=_progress(context, file))

    if file.checksum is None:  # the cache is addressed by digest
        fetch(target)
        return
    stored, beside = cache.entry(context.cache_root, file.checksum), target.with_name(f"{target.name}.part")
    with cache.locked(context.cache_root, stored):  # until it is copied, so that `cache prune` leaves it
        if _cached(context, file, stored, fetch):
            _copy(stored, target, file)
            discard(beside)  # left by an earlier run whose cache was not writable
            return
    try:
        fetch(target)
    except OSError:
        discard(beside)  # the disk may be full
        raise


def _cached(context: _Context, file: ModelFile, stored: Path, fetch: Callable[[Path], None]) -> bool:
    """Fetch a file into the cache; False if the cache cannot be written, which is not an error."""
    try:
        if not cache.is_valid(stored, file):  # another process may have fetched it by now
            fetch(stored)
    except OSError as error:
        log.info("%s: cannot cache %s: %s", context.config.name, file.name, error)
        with suppress(OSError):
            discard(stored.with_name(f"{stored.name}.part"))
        return False
    return True


def _failure(
    context: _Context, file: ModelFile, target: Path, failures: list[DownloadError | OSError]
) -> DownloadError:
    remote = [source for source in file.sources if not isinstance(source, FileSource)]
    urls = [source.url if isinstance(source, HttpSource) else browser_url(source) for source in remote]
    expected = f"{file.size} bytes with {_wanted(file)} at {target}"
    manually = f"To download it manually: {_curl(target, urls[-1])}" if urls else "Copy the file there"
    kind: type[DownloadError] = HashMismatchError
    what = f"cannot fetch {file.name} from {', '.join(map(str, sources_of(context.config, file, context.mirror)))}"
    if not any(isinstance(failure, HashMismatchError) for failure in failures):
        if not (context.offline and urls):
            return _not_fetched(context, file, failures, expected, manually)
        kind = OfflineError
        where = ", ".join(str(_address(source)) for source in remote)
        what = f"{file.name} is not on disk and cannot be downloaded in offline mode ({where})"
    tried = "; ".join(_words(failure) for failure in failures)
    return kind(what, where=context.config.name, expected=expected, got=tried or "no file", fix=manually)


def _not_fetched(
    context: _Context, file: ModelFile, failures: list[DownloadError | OSError], expected: str, manually: str
) -> DownloadError:
    """The error of a file that no source has: each host with its reason once, and what to do about the first one."""
    log.info("%s: %s: expected %s", context.config.name, file.name, expected)
    reasons = "; ".join(dict.fromkeys(map(_reason, failures)))
    advice = next((failure.fix for failure in failures if isinstance(failure, DownloadError) and failure.fix), None)
    return DownloadError(
        f"cannot download {file.name}: {reasons or 'there is no source'}",
        where=context.config.name, fix=manually if advice is None else f"{advice}. {manually}",
    )  # fmt: skip


def _reason(failure: DownloadError | OSError) -> str:
    """One failed source with the host instead of the whole URL."""
    if not isinstance(failure, DownloadError):
        return _words(failure)
    where = urlsplit(failure.where or "").hostname or failure.where
    return str(DownloadError(failure.what, where=where, expected=failure.expected, got=failure.got))


def _words(failure: DownloadError | OSError) -> str:
    """The text of an error in one line, without the number of an error of the system."""
    if isinstance(failure, OSError) and failure.filename is not None and failure.strerror:
        return f"{failure.filename}: {failure.strerror}"
    return " ".join(str(failure).split())


def _curl(target: Path, url: str) -> str:
    return f"curl --create-dirs -L -o {shlex.quote(str(target))} {shlex.quote(url)}"


def _wanted(file: ModelFile) -> str:
    return "any digest" if file.checksum is None else f"{file.checksum.algorithm} {file.checksum.value}"
