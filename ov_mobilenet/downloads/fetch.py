"""Fetch, verify and unpack the files of one description."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import quote

from ov_mobilenet.downloads import cache, events
from ov_mobilenet.downloads.archive import unpack
from ov_mobilenet.downloads.attempts import DEFAULT_RETRY, Retry, discard, fetch_url
from ov_mobilenet.downloads.events import OnEvent
from ov_mobilenet.downloads.transport import Transport, http_transport
from ov_mobilenet.errors import ConfigError, DownloadError, HashMismatchError, OfflineError
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.model import HttpSource, ModelConfig, ModelFile, RegexReplace, UnpackArchive

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceFiles:
    """Verified source files on disk.

    Attributes:
        config: the description they belong to.
        folder: the model's download folder, `$dl_dir`.
        digests: for every file of the description, `algorithm:hexadecimal digest` as verified.
    """

    config: ModelConfig
    folder: Path
    digests: Mapping[str, str]


def download(
    config: ModelConfig,
    folder: Path,
    *,
    cache_root: Path | None = None,
    offline: bool = False,
    mirror: str | None = None,
    retry: Retry = DEFAULT_RETRY,
    transport: Transport | None = None,
    allow_unverified: bool = False,
    on_event: OnEvent = events.ignore,
) -> SourceFiles:
    """Bring all files of a description into `folder`, verified, and unpack what it refers to.

    Files that are there and valid are left alone. Others come from the cache, else from the sources in order;
    what was there before stays until the new file is known to be right.

    Args:
        folder: the model's own download folder.
        cache_root: of the content-addressed cache; None for the user's.
        offline: take no source over the network.
        mirror: a folder or an https URL that has the files as NAME/FILE; asked before all other sources.
        retry: how often each URL is tried.
        transport: what opens URLs; https by default.
        allow_unverified: take files for which the description has no digest.
        on_event: told of everything that happens.

    Raises:
        HashMismatchError: the last source gave other bytes than the description names.
        OfflineError: a file is missing and only the network has it.
        DownloadError: no source worked; names URL, destination, size, hash, and how to fetch by hand. Or the
            folder cannot be written.
        ArchiveError: an archive is broken or hostile.
        ConfigError: a `regex_replace` does not fit the file.
    """
    root = cache_root or cache.default_root()
    context = _Context(config, folder, root, offline, mirror, retry, transport or http_transport(), on_event)
    on_event(events.ModelDownloadBegin(config.name, len(config.files)))
    successful = False
    try:
        _check_digests(config, allow_unverified)
        patched = {step.file for step in config.postprocessing if isinstance(step, RegexReplace)}
        for file in config.files:
            _bring(context, file, patched=file.name in patched)
        successful = True
    except OSError as error:
        raise _disk_error(error, folder) from error
    finally:
        on_event(events.ModelDownloadEnd(config.name, successful))
    try:
        with cache.locked(root, folder):
            _postprocess(context)
    except OSError as error:
        raise _disk_error(error, folder) from error
    return SourceFiles(config, folder, {file.name: _digest(file, folder) for file in config.files})


def _check_digests(config: ModelConfig, allow_unverified: bool) -> None:
    for file in config.files:
        if file.checksum is None and not allow_unverified:
            raise DownloadError(
                f"the description has no digest of {file.name}, so nobody can tell whether it is the right file",
                where=config.path,
                expected="a checksum",
                fix="Add one to the description, or take the file as it is with --allow-unverified",
            )


def _disk_error(error: OSError, folder: Path) -> DownloadError:
    return DownloadError("cannot be read or written", where=error.filename or folder, got=error.strerror or error)


def _digest(file: ModelFile, folder: Path) -> str:
    if file.checksum is not None:
        return f"{file.checksum.algorithm}:{file.checksum.value}"
    return f"sha384:{cache.digest(folder / file.name, 'sha384')}"


def _postprocess(context: _Context) -> None:
    config = context.config
    if not config.postprocessing:
        return
    context.on_event(events.PostprocessingBegin(config.name))
    for step in config.postprocessing:
        if isinstance(step, UnpackArchive):
            _unpack(config, step, context.folder)
        else:
            _replace(step, context.folder)
    context.on_event(events.PostprocessingEnd(config.name))


Action = Literal["keep", "restore", "copy", "fetch"]


def plan_file(file: ModelFile, target: Path, root: Path, *, patched: bool = False) -> Action:
    """Decide what to do for one file, without doing it.

    Returns:
        `keep` what is there, `restore` the original beside a patched file, `copy` from the cache or `fetch`.
    """
    if cache.is_valid(target, file):
        return "keep"
    if patched and cache.is_valid(_original(target), file):
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
    mirror: str | None
    retry: Retry
    transport: Transport
    on_event: OnEvent


def _bring(context: _Context, file: ModelFile, *, patched: bool) -> None:
    name, target = context.config.name, context.folder / file.name
    context.on_event(events.FileDownloadBegin(name, file.name, file.size))
    successful = False
    try:
        with cache.locked(context.cache_root, target):
            action = plan_file(file, target, context.cache_root, patched=patched)
            log.debug("%s: %s %s", name, action, file.name)
            if action == "restore":
                _original(target).replace(target)
            elif action == "copy" and file.checksum is not None:
                stored = cache.entry(context.cache_root, file.checksum)
                with cache.locked(context.cache_root, stored):
                    _copy(stored, target, file)
            elif action == "fetch":
                _fetch(context, file, target)
            if patched:
                _original(target).unlink(missing_ok=True)  # of another version; the patch writes it anew
        successful = True
    finally:
        context.on_event(events.FileDownloadEnd(name, file.name, successful))


def _progress(context: _Context, file: ModelFile) -> Callable[[int], None]:
    return lambda size: context.on_event(events.FileDownloadProgress(context.config.name, file.name, size))


def _copy(source: Path, target: Path, file: ModelFile, on_size: Callable[[int], None] = lambda size: None) -> None:
    cache.write_verified(cache.read_chunks(source), target, file, on_size=on_size)


def sources_of(config: ModelConfig, file: ModelFile, mirror: str | None) -> list[Path | str]:
    """Where a file may come from, in the order in which it is tried: paths and URLs."""
    found: list[Path | str] = []
    if mirror is not None and "://" in mirror:
        found.append(f"{mirror.rstrip('/')}/{config.name}/{quote(file.name)}")
    elif mirror is not None:
        found.append(Path(mirror) / config.name / file.name)
    found += [s.url if isinstance(s, HttpSource) else config.folder / s.path for s in file.sources]
    return found


def _fetch(context: _Context, file: ModelFile, target: Path) -> None:
    failures: list[DownloadError | OSError] = []
    for source in sources_of(context.config, file, context.mirror):
        try:
            if isinstance(source, Path):
                _copy(source, target, file, _progress(context, file))
                return
            if not context.offline:
                _fetch_url(context, source, file, target)
                return
        except (DownloadError, OSError) as error:
            log.info("%s: %s failed: %s", context.config.name, source, error)
            failures.append(error)
    raise _failure(context, file, target, failures)


def _fetch_url(context: _Context, url: str, file: ModelFile, target: Path) -> None:
    """Into the cache, where other runs find what is unfinished, and from there to the target."""

    def fetch(place: Path) -> None:
        fetch_url(url, place, file, transport=context.transport, retry=context.retry, on_size=_progress(context, file))

    if file.checksum is None:  # no address to keep it under
        fetch(target)
        return
    stored, beside = cache.entry(context.cache_root, file.checksum), target.with_name(f"{target.name}.part")
    with cache.locked(context.cache_root, stored):  # until it is copied: nobody prunes it meanwhile
        if _cached(context, file, stored, fetch):
            _copy(stored, target, file)
            discard(beside)  # of an earlier run whose cache could not be written
            return
    try:
        fetch(target)
    except OSError:
        discard(beside)  # a full disk is not to be left fuller
        raise


def _cached(context: _Context, file: ModelFile, stored: Path, fetch: Callable[[Path], None]) -> bool:
    """Bring a file into the cache; False if the cache cannot be written, which is no reason to fail."""
    try:
        if not cache.is_valid(stored, file):  # another process may have brought it meanwhile
            fetch(stored)
    except OSError as error:
        log.info("%s: %s is not cached: %s", context.config.name, file.name, error)
        with suppress(OSError):
            discard(stored.with_name(f"{stored.name}.part"))
        return False
    return True


def _failure(
    context: _Context, file: ModelFile, target: Path, failures: list[DownloadError | OSError]
) -> DownloadError:
    urls = [source.url for source in file.sources if isinstance(source, HttpSource)]
    sources = ", ".join(map(str, sources_of(context.config, file, context.mirror)))
    tried = "; ".join(" ".join(str(failure).split()) for failure in failures)
    kind: type[DownloadError] = DownloadError
    what = f"could not fetch {file.name} from {sources}"
    if any(isinstance(failure, HashMismatchError) for failure in failures):
        kind = HashMismatchError
    elif context.offline and urls:
        kind, what = (
            OfflineError,
            f"{file.name} is not here and the network is not to be used ({', '.join(urls)})",
        )
    return kind(
        what,
        where=context.config.name,
        expected=f"{file.size} bytes with {_wanted(file)} at {target}",
        got=tried or "nothing",
        fix=f"By hand: {_curl(target, urls[-1])}" if urls else "Put the file there",
    )


def _curl(target: Path, url: str) -> str:
    return f"curl --create-dirs -L -o {shlex.quote(str(target))} {shlex.quote(url)}"


def _wanted(file: ModelFile) -> str:
    return "any digest" if file.checksum is None else f"{file.checksum.algorithm} {file.checksum.value}"


def _unpack(config: ModelConfig, step: UnpackArchive, folder: Path) -> None:
    source = plan_conversion(config).source
    if source.root == "dl_dir" and source.path not in {file.name for file in config.files}:
        # Beside the archive, as the Open Model Zoo does.
        beside = PurePosixPath(step.file).parent
        wanted = PurePosixPath(source.path)
        if wanted.is_relative_to(beside):
            unpack(folder / step.file, step.format, str(wanted.relative_to(beside)), folder / beside)


MAX_PATCHED_BYTES = 8 << 20


def _original(path: Path) -> Path:
    return path.with_name(path.name + ".orig")


def _replace(step: RegexReplace, folder: Path) -> None:
    """As in the Open Model Zoo: the unpatched file stays beside the patched one as `NAME.orig`."""
    path = folder / step.file
    try:
        if path.stat().st_size > MAX_PATCHED_BYTES:
            raise ConfigError(
                "regex_replace on a large file", where=path, expected=f"at most {MAX_PATCHED_BYTES} bytes"
            )
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("regex_replace needs a UTF-8 text file", where=path, got=error) from error
    try:
        replaced, count = re.subn(step.pattern, step.replacement, text, count=step.count)
    except (re.error, IndexError) as error:
        raise ConfigError(f"regex_replace: bad replacement ({error})", where=path, got=step.replacement) from error
    if count == 0 or (step.count and count != step.count):
        raise ConfigError(
            "regex_replace does not fit",
            where=path,
            expected=f"{step.count or 'at least 1'} matches",
            got=count,
        )
    original = _original(path)
    with cache.replacing(path) as temporary:
        temporary.write_text(replaced, "utf-8")
        if not original.exists():
            original.write_bytes(path.read_bytes())
