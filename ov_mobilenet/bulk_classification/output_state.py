"""The output of a bulk run: which parts are there, whether the run may be resumed, and the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from ov_mobilenet._version import __version__
from ov_mobilenet.bulk_classification.manifest import MANIFEST, SUCCESS, BulkInputs, Manifest
from ov_mobilenet.bulk_classification.parts import PartFacts
from ov_mobilenet.bulk_classification.shard_list import SHARD_LIST, ShardList, ShardPlace
from ov_mobilenet.bulk_classification.stores import Store, open_store
from ov_mobilenet.errors import OutputError

if TYPE_CHECKING:
    from ov_mobilenet.outputs.run_settings import RunSettings


@dataclass(frozen=True)
class BulkIdentity:
    """What a run must have in common with an earlier one that it resumes.

    Attributes:
        model: MODEL as given; not compared.
        model_digest: identity of the network.
        settings: what the results depend on, as text by name; see `LoadedModel.result_settings`.
        given: the INPUT arguments; not compared.
    """

    model: str
    model_digest: str
    settings: RunSettings
    given: tuple[str, ...]

    @property
    def settings_digest(self) -> str:
        """SHA-256 of the settings, in hexadecimal."""
        return hashlib.sha256(msgspec.json.encode(dict(self.settings), order="sorted")).hexdigest()


@dataclass
class OutputState:
    """The parts of an output; create it with `open_output`.

    Attributes:
        done: facts of the parts that are there, by name.
        pending: shards without a part, in order.
    """

    store: Store
    identity: BulkIdentity
    shards: ShardList
    versions: Mapping[str, str]
    done: dict[str, PartFacts] = field(default_factory=dict)
    pending: list[ShardPlace] = field(default_factory=list)

    def add(self, facts: PartFacts) -> None:
        """Record a part that was written."""
        self.done[facts.name] = facts

    def save(self) -> None:
        """Write the manifest; with all parts also `_SUCCESS`. Raises: OutputError."""
        manifest = self.manifest()
        self.store.write(MANIFEST, manifest.encode())
        if manifest.state == "complete":
            self.store.write(SUCCESS, b"")

    def manifest(self) -> Manifest:
        """The manifest of the parts that are there now."""
        parts = tuple(sorted(self.done.values(), key=lambda facts: facts.name))
        return Manifest(
            state="complete" if len(parts) == len(self.shards.places) else "incomplete",
            model=self.identity.model, model_digest=self.identity.model_digest,
            settings=dict(self.identity.settings), settings_digest=self.identity.settings_digest,
            versions=dict(self.versions),
            inputs=BulkInputs(
                given=self.identity.given, parts=len(self.shards.places), images=self.shards.images,
                digest=self.shards.digest,
            ),
            images=sum(part.images for part in parts), errors=sum(part.errors for part in parts),
            ran_on=_ran_on(parts), parts=parts,
        )  # fmt: skip

    def __enter__(self) -> OutputState:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shards.close()


def open_output(
    text: str, identity: BulkIdentity, shards: ShardList, *, dry_run: bool = False, overwrite: bool = False
) -> OutputState:
    """Open the output of a run, new or to be resumed; nothing is changed if it is refused, or with `dry_run`.

    Raises:
        OutputError: it cannot be written; it was made with another model, other settings or other inputs; it holds
            other files; another run is writing to it.
    """
    import openvino as ov

    store = open_store(text)
    sizes = store.sizes()
    state = OutputState(store, identity, shards, {"ov_mobilenet": __version__, "openvino": ov.get_version()})
    if MANIFEST in sizes:
        found = msgspec.json.decode(store.read(MANIFEST), type=Manifest)
        if (found.model_digest, found.settings_digest, found.inputs.digest) != (
            identity.model_digest, identity.settings_digest, shards.digest,
        ):  # fmt: skip
            raise OutputError("the parts were made with another model, other settings or other inputs", where=text)
        state.done = {part.name: part for part in found.parts if sizes.get(part.name) == part.bytes}
    elif not dry_run:
        store.write(SHARD_LIST, b"".join(shards.chunks()))
        state.save()
    state.pending = [place for place in shards.places if f"part-{place.index:05}.parquet" not in state.done]
    return state


def _ran_on(parts: tuple[PartFacts, ...]) -> tuple[dict[str, str | int], ...]:
    counts: dict[tuple[str, str], int] = {}
    for part in parts:
        key = part.device, part.inference_precision
        counts[key] = counts.get(key, 0) + 1
    return tuple(
        {"device": device, "inference_precision": precision, "parts": count}
        for (device, precision), count in sorted(counts.items())
    )
