"""The repository that a network came from."""

from __future__ import annotations

from msgspec import Struct

from ov_mobilenet.zoo.model import HubSource, ModelConfig

UNSTATED_LICENCE = "a licence that is not stated"
_MAX_LICENCE = 100


class HubOrigin(Struct, frozen=True, kw_only=True):
    """A repository at a commit, and the licence of the weights.

    Attributes:
        repository: OWNER/NAME.
        revision: a commit: 40 hexadecimal digits.
        license: as the repository states it; None if it states none.
    """

    repository: str
    revision: str
    license: str | None = None


def clean_licence(text: object) -> str | None:
    """A licence from a file of somebody else's; None if it is not a short line of printable text."""
    stated = text.strip().strip("'\"") if isinstance(text, str) else ""
    return stated if stated.isprintable() and 0 < len(stated) <= _MAX_LICENCE else None


def origin_of(config: ModelConfig) -> HubOrigin | None:
    """The repository that the files of a description come from; None for other sources."""
    for file in config.files:
        for source in file.sources:
            if isinstance(source, HubSource):
                stated = config.license if config.license != UNSTATED_LICENCE else None
                return HubOrigin(repository=source.repository, revision=source.revision, license=stated)
    return None
