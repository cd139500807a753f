"""Fetch, verify and unpack the files of one description."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ov_mobilenet.downloads import cache
from ov_mobilenet.downloads.archive import unpack
from ov_mobilenet.downloads.transport import Transport, https
from ov_mobilenet.errors import ConfigError, DownloadError, HashMismatchError, OfflineError
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.model import FileSource, HttpSource, ModelConfig, ModelFile, RegexReplace, UnpackArchive

log = logging.getLogger(__name__)

Progress = Callable[[ModelFile, int], None]
"""Called with the file and the number of bytes that came in since the last call."""


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
    transport: Transport = https,
    on_progress: Progress = lambda file, count: None,
) -> SourceFiles:
    """Bring all files of a description into `folder`, verified, and unpack what it refers to.

    Files that are there and valid are left alone. Others come from the cache, else from the sources in order;
    what was there before stays until the new file is known to be right.

    Args:
        folder: the model's own download folder.
        cache_root: of the content-addressed cache; None for the user's.
        offline: take no source over the network.

    Raises:
        HashMismatchError: the last source gave other bytes than the description names.
        OfflineError: a file is missing and only the network has it.
        DownloadError: no source worked; names URL, destination, size, hash, and how to fetch by hand. Or the
            folder cannot be written.
        ArchiveError: an archive is broken or hostile.
        ConfigError: a `regex_replace` does not fit the file.
    """
    context = _Context(config, folder, cache_root or cache.default_root(), offline, transport, on_progress)
    patched = {step.file for step in config.postprocessing if isinstance(step, RegexReplace)}
    try:
        for file in config.files:
            _bring(context, file, patched=file.name in patched)
        for step in config.postprocessing:
            if isinstance(step, UnpackArchive):
                _unpack(config, step, folder)
            else:
                _replace(step, folder)
    except OSError as error:
        where = error.filename or folder
        raise DownloadError("cannot be read or written", where=where, got=error.strerror or error) from error
    digests = {file.name: f"{file.checksum.algorithm}:{file.checksum.value}" for file in config.files}
    return SourceFiles(config, folder, digests)


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
    if cache.is_valid(cache.entry(root, file.checksum), file):
        return "copy"
    return "fetch"


@dataclass(frozen=True)
class _Context:
    config: ModelConfig
    folder: Path
    cache_root: Path
    offline: bool
    transport: Transport
    on_progress: Progress


def _bring(context: _Context, file: ModelFile, *, patched: bool) -> None:
    target = context.folder / file.name
    action = plan_file(file, target, context.cache_root, patched=patched)
    log.debug("%s: %s %s", context.config.name, action, file.name)
    if action == "restore":
        _original(target).replace(target)
    elif action == "copy":
        _copy(cache.entry(context.cache_root, file.checksum), target, file)
    elif action == "fetch":
        _fetch(context, file, target)
    if patched:
        _original(target).unlink(missing_ok=True)  # of another version; the patch writes it anew


def _copy(source: Path, target: Path, file: ModelFile, on_bytes: Callable[[int], None] = lambda n: None) -> None:
    cache.write_verified(cache.read_chunks(source), target, file, on_bytes=on_bytes)


def _fetch(context: _Context, file: ModelFile, target: Path) -> None:
    failures: list[DownloadError | OSError] = []
    for source in file.sources:
        try:
            if isinstance(source, FileSource):
                path = context.config.folder / source.path
                _copy(path, target, file, lambda n: context.on_progress(file, n))
                return
            if not context.offline:
                _fetch_url(context, source.url, file, target)
                return
        except (DownloadError, OSError) as error:
            log.info("%s: %s failed: %s", context.config.name, _source_name(context.config, source), error)
            failures.append(error)
    raise _failure(context, file, target, failures)


def _fetch_url(context: _Context, url: str, file: ModelFile, target: Path) -> None:
    with context.transport(url) as stream:
        if stream.size is not None and stream.size != file.size:
            raise HashMismatchError("the server announces another size", expected=file.size, got=stream.size)
        cache.write_verified(stream.chunks, target, file, on_bytes=lambda n: context.on_progress(file, n))
    try:
        _copy(target, cache.entry(context.cache_root, file.checksum), file)
    except OSError as error:  # a cache that cannot be written is no reason to fail
        log.info("%s: %s is not cached: %s", context.config.name, file.name, error)


def _source_name(config: ModelConfig, source: HttpSource | FileSource) -> str:
    return source.url if isinstance(source, HttpSource) else str(config.folder / source.path)


def _failure(
    context: _Context, file: ModelFile, target: Path, failures: list[DownloadError | OSError]
) -> DownloadError:
    urls = [source.url for source in file.sources if isinstance(source, HttpSource)]
    sources = ", ".join(_source_name(context.config, source) for source in file.sources)
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
        expected=f"{file.size} bytes with {file.checksum.algorithm} {file.checksum.value} at {target}",
        got=tried or "nothing",
        fix=f"By hand: curl -L -o {shlex.quote(str(target))} {shlex.quote(urls[-1])}" if urls else "Put the file there",
    )


def _unpack(config: ModelConfig, step: UnpackArchive, folder: Path) -> None:
    source = plan_conversion(config).source
    if source.root == "dl_dir" and source.path not in {file.name for file in config.files}:
        unpack(folder / step.file, step.format, source.path, folder)


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
    original, temporary = _original(path), path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(replaced, "utf-8")
        if not original.exists():
            original.write_bytes(path.read_bytes())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
