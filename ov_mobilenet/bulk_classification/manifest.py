"""`_manifest.json`: what the parts of an output were made from and with, and how many images they hold."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from ov_mobilenet.bulk_classification.parts import PartFacts

MANIFEST, SUCCESS = "_manifest.json", "_SUCCESS"
SCHEMA_VERSION = 1


class BulkInputs(Struct, frozen=True, kw_only=True):
    """The inputs of a run.

    Attributes:
        given: the INPUT arguments.
        parts: number of parts.
        images: number of images; None if it is not known before they are read.
        digest: identity of all shards in their order.
    """

    given: tuple[str, ...]
    parts: int
    images: int | None
    digest: str


class Manifest(Struct, frozen=True, kw_only=True):
    """The content of `_manifest.json`.

    Attributes:
        model: MODEL as given.
        model_digest: identity of the network, SHA-256 in hexadecimal.
        settings: what the results depend on, as text by name.
        settings_digest: of `settings`.
        versions: of this package, OpenVINO, and others that the results may depend on.
        state: `complete` when every part is there.
        images, errors: sums over `parts`.
        ran_on: number of parts by device and inference precision that they really ran on.
        parts: those that are done, by name.
    """

    schema_version: int = SCHEMA_VERSION
    state: Literal["incomplete", "complete"]
    model: str
    model_digest: str
    settings: dict[str, str]
    settings_digest: str
    versions: dict[str, str]
    inputs: BulkInputs
    images: int
    errors: int
    ran_on: tuple[dict[str, str | int], ...]
    parts: tuple[PartFacts, ...]

    def encode(self) -> bytes:
        """The JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)
