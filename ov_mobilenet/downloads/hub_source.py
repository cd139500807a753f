"""A file of a description that comes from a repository of the hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ov_mobilenet.downloads.attempts import Retry
from ov_mobilenet.downloads.cache import is_valid
from ov_mobilenet.downloads.events import Event, FileDownloadProgress
from ov_mobilenet.downloads.hub_cache import RepositoryCache
from ov_mobilenet.downloads.hub_client import HubRepository, fetch_hub_file, read_repository
from ov_mobilenet.downloads.hub_files import hub_url
from ov_mobilenet.downloads.hub_settings import hub_settings
from ov_mobilenet.zoo.model import HubSource, ModelFile


def fetch_hub_source(
    source: HubSource,
    file: ModelFile,
    repositories: dict[HubSource, HubRepository],
    *,
    offline: bool,
    retry: Retry,
    on_size: Callable[[int], None],
) -> Path:
    """The path of a file in the cache of `huggingface_hub`; without the network if it has the digest of `file`.

    Args:
        file: what the description states of the file.
        repositories: those that have been read so far; one is added, so that each is read once.
        on_size: called with the number of bytes received.

    Raises:
        HashMismatchError, DownloadError, OfflineError, MissingDependencyError: see `fetch_hub_file`.
    """
    kept = RepositoryCache(hub_settings(offline=True).cache, source.repository).snapshot(source.revision) / source.path
    if file.checksum is not None and is_valid(kept, file):
        return kept

    def pass_on(event: Event) -> None:
        if isinstance(event, FileDownloadProgress):
            on_size(event.size)

    reference = source.reference
    commit = HubSource(repository=source.repository, revision=source.revision, path="")
    if commit not in repositories:
        repositories[commit] = read_repository(reference, offline=offline, retry=retry)
    return fetch_hub_file(repositories[commit], source.path, offline=offline, retry=retry, on_event=pass_on)


def browser_url(source: HubSource) -> str:
    """The URL of a file, to download it by other means. Raises: DownloadError (HF_ENDPOINT is not a URL)."""
    return hub_url(source.reference, hub_settings(offline=True).endpoint)
