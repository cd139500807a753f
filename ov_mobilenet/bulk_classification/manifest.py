"""`_manifest.json`: what the parts of an output were made from and with, and how many images they hold.

The keys of the document are the attributes of `Manifest`, each always present, with a value of null where it is not
known. A later version may add keys, which are ignored here; a document with a greater `schema_version` is refused. It
names the model and the inputs as they were given, and holds neither credentials nor environment variables.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from ov_mobilenet.bulk_classification.output_advice import START_AGAIN
from ov_mobilenet.bulk_classification.parts import PartFacts
from ov_mobilenet.bulk_classification.shards import FailedShard
from ov_mobilenet.errors import OutputError

MANIFEST, SUCCESS = "_manifest.json", "_SUCCESS"
SCHEMA_VERSION = 1


class BulkInputs(Struct, frozen=True, kw_only=True):
    """The inputs of a run.

    Attributes:
        given: the INPUT arguments.
        parts: number of parts.
        images: number of images; None if it is not known before they are read.
        digest: identity of all shards in their order.
        folder: current folder of the run, which relative paths start from; None if no image has one.
    """

    given: tuple[str, ...]
    parts: int
    images: int | None
    digest: str
    folder: str | None = None


class Manifest(Struct, frozen=True, kw_only=True):
    """The content of `_manifest.json`.

    Attributes:
        schema_version: 1.
        state: `complete` when every part is there.
        model: MODEL as given.
        model_digest: identity of the network, SHA-256 in hexadecimal.
        settings: what the results depend on, as text by name.
        settings_digest: of `settings`.
        versions: of the packages that the results may depend on, and of Python, in the last run.
        inputs: see `BulkInputs`.
        started: when the first run began, in UTC as in `2026-01-31T12:00:00Z`.
        saved: when this document was written; of a complete output, the end.
        images_per_second: throughput of the last run, from its start to `saved`; None if it has finished no part.
        images, errors: sums over `parts`; an image that failed counts in both.
        ran_on: number of parts by device and inference precision that they really ran on.
        failed_parts: missing parts whose images could not be read, or whose worker ended, in the last run.
        has_other_files: whether the output also holds files that are not of the run, kept by `--overwrite`.
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
    started: str
    saved: str
    images_per_second: float | None
    images: int
    errors: int
    ran_on: tuple[dict[str, str | int], ...]
    failed_parts: tuple[FailedShard, ...]
    has_other_files: bool = False
    parts: tuple[PartFacts, ...]

    def encode(self) -> bytes:
        """The JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)


class _SchemaVersion(Struct):
    schema_version: int


def parse_manifest(data: bytes, where: str) -> Manifest:
    """The inverse of `Manifest.encode`.

    Args:
        where: named in errors.

    Raises:
        OutputError: it was written by a newer version, or is damaged.
    """
    try:
        version = msgspec.json.decode(data, type=_SchemaVersion).schema_version
        if version <= SCHEMA_VERSION:
            return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OutputError(
            f"the manifest is damaged, or is not one of bulk ({error})", where=where,
            fix=f"Delete it to resume: the parts that are whole are recognised without it. {START_AGAIN}",
        ) from error  # fmt: skip
    raise OutputError(
        "the manifest was written by a newer version of ov-mobilenet", where=where,
        expected=f"schema_version {SCHEMA_VERSION} or less", got=version, fix=f"Install that version. {START_AGAIN}",
    )  # fmt: skip
