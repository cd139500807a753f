"""The network of a reference `hf:…`: which file it is, its digest, and its files on disk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ov_mobilenet.conversion.inspection import SourceFacts
from ov_mobilenet.downloads import cache
from ov_mobilenet.downloads.events import OnEvent, ignore
from ov_mobilenet.downloads.hub_cache import is_commit
from ov_mobilenet.downloads.hub_client import HubRepository, fetch_hub_file
from ov_mobilenet.errors import ConfigError, OfflineError, UsageError
from ov_mobilenet.hub import preprocessor
from ov_mobilenet.hub.declaration import NOTHING_SETTLED, SettledByUser
from ov_mobilenet.hub.documents import MAX_DOCUMENT_BYTES
from ov_mobilenet.hub.network_file import CONFIG, choose_network_file, is_weights
from ov_mobilenet.hub.snapshot import inspect_repository_file
from ov_mobilenet.zoo.hub_reference import HubReference, SizeProtocol
from ov_mobilenet.zoo.model import Checksum, DownloadSource, FileSource, HubSource, ModelFile


@dataclass(frozen=True)
class HubNetwork:
    """One network of a repository.

    Attributes:
        path: its path in the repository.
        offline: whether only the cache is used.
    """

    repository: HubRepository
    path: str
    offline: bool = False
    on_event: OnEvent = ignore

    @property
    def files(self) -> tuple[str, ...]:
        """The network, and the files with external data that begin with its name, as exporters call them."""
        return (self.path, *sorted(name for name in self.repository.files if self._is_data(name)))

    def _is_data(self, name: str) -> bool:
        return name.startswith((f"{self.path}_data", f"{self.path}.data"))

    def fetch(self, path: str) -> Path:
        """A verified file of the repository on disk. Raises: DownloadError."""
        return fetch_hub_file(self.repository, path, offline=self.offline, on_event=self.on_event)


def find_hub_network(
    reference: HubReference, repository: HubRepository, *, offline: bool = False, on_event: OnEvent = ignore
) -> HubNetwork:
    """The network of a reference, without downloading it.

    Raises:
        UsageError: there is none, or there are several.
        OfflineError: it is not in the cache.
    """
    try:
        path = choose_network_file(repository.files, reference.file, reference)
    except UsageError as error:
        if repository.is_complete:
            raise
        raise OfflineError(
            "the network is not in the cache, and cannot be downloaded in offline mode", where=reference,
            got=f"{error.what}: {error.got}",
        ) from error  # fmt: skip
    return HubNetwork(repository, path, offline, on_event)


def pinned_commit(reference: HubReference) -> str | None:
    """The commit that the reference itself gives; None for a branch or a tag."""
    return reference.revision if is_commit(reference.revision) else None


def inspect_hub_network(
    network: HubNetwork,
    *,
    size: SizeProtocol = "train",
    settled: SettledByUser = NOTHING_SETTLED,
    output: str | None = None,
    fetch_all: bool = False,
) -> SourceFacts:
    """The facts of a network. PyTorch weights are downloaded only if their digest is not known or `fetch_all` is set.

    Args:
        size, settled, output: see `inspect_snapshot`.
        fetch_all: download the network, and give its files the source beside the description as well.

    Raises:
        DownloadError, OfflineError, MissingDependencyError: see `read_repository`.
        UsageError, ConfigError, ConversionError: see `inspect_snapshot`.
    """
    files, repository = network.files, network.repository
    fetched = {path: _fetch_document(network, path) for path in (CONFIG, preprocessor.FILE) if path in repository.files}
    is_described = is_weights(network.path) and CONFIG in fetched
    for path in files:
        if fetch_all or not is_described or repository.files[path].sha256 is None:
            fetched[path] = network.fetch(path)
    folder = _snapshot_folder(fetched)
    facts = inspect_repository_file(folder, network.path, size=size, settled=settled, output=output)
    return replace(
        facts,
        known_files=tuple(_model_file(network, path, fetched.get(path), beside=fetch_all) for path in files),
        licence=repository.licence or facts.licence,
    )


def _fetch_document(network: HubNetwork, path: str) -> Path:
    """A JSON file, if it is not larger than one that is read. Raises: ConfigError, DownloadError."""
    size = network.repository.files[path].size
    if size > MAX_DOCUMENT_BYTES:
        where = f"hf:{network.repository.name}/{path}"
        raise ConfigError("file too large", where=where, expected=f"at most {MAX_DOCUMENT_BYTES} bytes", got=size)
    return network.fetch(path)


def _snapshot_folder(fetched: dict[str, Path]) -> Path:
    """The folder of the commit in the cache of `huggingface_hub`."""
    path, file = next(iter(fetched.items()))
    return file.parents[len(PurePosixPath(path).parts) - 1]


def _model_file(network: HubNetwork, path: str, file: Path | None, *, beside: bool) -> ModelFile:
    known, folder = network.repository.files[path], PurePosixPath(network.path).parent
    digest = known.sha256 if known.sha256 is not None or file is None else cache.digest(file, "sha256")
    name = PurePosixPath(path).relative_to(folder).as_posix()
    hub = HubSource(repository=network.repository.name, revision=network.repository.commit, path=path)
    sources: tuple[DownloadSource, ...] = (FileSource(name), hub) if beside else (hub,)
    checksum = None if digest is None else Checksum("sha256", digest)
    return ModelFile(name=name, size=known.size, checksum=checksum, sources=sources)
