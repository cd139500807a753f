"""Files of Hugging Face repositories: listed and fetched with `huggingface_hub`, whose cache other tools share.

The client accepts wrong bytes of the right size, so every file is hashed after it has arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ov_mobilenet.downloads.events import OnEvent, ignore
from ov_mobilenet.errors import DownloadError
from ov_mobilenet.zoo.hub_reference import HubReference


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
    """

    name: str
    commit: str
    files: Mapping[str, HubFile]
    licence: str | None


def read_repository(reference: HubReference, *, offline: bool = False) -> HubRepository:
    """Resolve the revision to a commit, and list the files of that commit.

    Args:
        offline: do not use the network: what the cache of `huggingface_hub` holds. HF_HUB_OFFLINE=1 does the same.

    Raises:
        DownloadError: there is no such repository or revision, access is refused, or the hub cannot be reached.
        OfflineError: the cache does not hold it.
        MissingDependencyError: huggingface_hub is not installed.
    """
    raise DownloadError("not implemented", where=reference, got=offline)


def fetch_hub_file(repository: HubRepository, path: str, *, offline: bool = False, on_event: OnEvent = ignore) -> Path:
    """The path of a verified file in the cache of `huggingface_hub`, downloaded if it is missing.

    Args:
        path: one of `repository.files`.
        on_event: called with the events of the download.

    Raises:
        HashMismatchError: the bytes differ from the hub's digest, also after a second download.
        DownloadError, OfflineError, MissingDependencyError: see `read_repository`.
    """
    raise DownloadError("not implemented", where=repository.name, got=(path, offline, on_event))
