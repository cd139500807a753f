"""In what a run differs from the one that made an existing output: all differences, in one message."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from ov_mobilenet.bulk_classification.manifest import Manifest
from ov_mobilenet.bulk_classification.output_advice import START_AGAIN
from ov_mobilenet.bulk_classification.shard_list import SHARD_LIST, ShardList
from ov_mobilenet.bulk_classification.shards import Shard
from ov_mobilenet.bulk_classification.stores import Store
from ov_mobilenet.errors import OutputError, printable

if TYPE_CHECKING:
    from ov_mobilenet.outputs.run_settings import RunSettings

MAX_SOURCE = 200
# Settings with this prefix identify the network; they are not listed if its digest differs.
_NETWORK = "network "


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


def check_same_run(found: Manifest, wanted: BulkIdentity, shards: ShardList, store: Store, has_list: bool) -> None:
    """Check that a run may add its parts to an existing output.

    Args:
        found: the manifest of the output.
        has_list: whether the output has a list of shards.

    Raises:
        OutputError: the model, a setting or the inputs differ.
    """
    pairs: list[tuple[str, str]] = []
    settings, recorded = dict(wanted.settings), found.settings
    if found.model_digest != wanted.model_digest:
        pairs.append(
            (f"model {found.model} ({found.model_digest[:12]})", f"model {wanted.model} ({wanted.model_digest[:12]})")
        )
        settings, recorded = _without_network(settings), _without_network(recorded)
    pairs += setting_differences(recorded, settings)
    if found.inputs.digest != shards.digest:
        pairs.append(
            (_counts(found.inputs.images, found.inputs.parts), _counts(shards.images, len(shards.places))),
        )
        difference = shards.first_difference(store) if has_list else None
        if difference is not None:
            pairs.append(shard_difference(*difference))
    folder = None if shards.folder is None else printable(shards.folder)
    if found.inputs.digest == shards.digest and found.inputs.folder != folder:
        pairs.append((f"paths from the folder {found.inputs.folder}", f"from {folder}"))
    if pairs:
        raise OutputError(
            "the output was made with another model, other settings or other inputs", where=store.text,
            expected=", ".join(recorded for recorded, _ in pairs), got=", ".join(given for _, given in pairs),
            fix=f"Use the same model, settings and inputs. {START_AGAIN}",
        )  # fmt: skip


def setting_differences(recorded: RunSettings, given: RunSettings) -> list[tuple[str, str]]:
    """The settings that differ, with their names: what is recorded, and what is given."""
    return [
        (f"{name} {recorded.get(name, 'not set')}", f"{name} {given.get(name, 'not set')}")
        for name in {**recorded, **given}
        if recorded.get(name) != given.get(name)
    ]


def shard_difference(recorded: Shard | None, given: Shard | None) -> tuple[str, str]:
    """The first difference of the two forms of a shard, in words; None if there is no such shard."""
    shard = recorded or given
    if shard is None:
        return f"{SHARD_LIST} as written", "a damaged one"
    if recorded is None or given is None:
        return _of_part(recorded, shard), _of_part(given, shard)
    for place, (old, new) in enumerate(zip(recorded.paths, given.paths, strict=False), 1):
        if old != new:
            where = f"image {place} of {shard.part_name}" if shard.kind == "images" else shard.part_name
            return f"{where} from {_shown(old)}", _shown(new)
    if len(recorded.paths) != len(given.paths):
        return f"{len(recorded.paths)} images in {shard.part_name}", str(len(given.paths))
    for name, before, now in (
        ("bytes", recorded.size, given.size), ("row groups", recorded.row_groups, given.row_groups),
        ("images", recorded.images, given.images),
    ):  # fmt: skip
        if before != now:
            return f"{_shown(shard.paths[0])} with {name} {before}", f"{name} {now}"
    return f"the content of {shard.part_name} as recorded", "a different one"


def _of_part(shard: Shard | None, other: Shard) -> str:
    return f"no {other.part_name}" if shard is None else f"{shard.part_name} from {_shown(shard.paths[0])}"


def _shown(source: str) -> str:
    return source if len(source) <= MAX_SOURCE else f"…{source[-MAX_SOURCE:]}"


def _counts(images: int | None, parts: int) -> str:
    in_parts = "1 part" if parts == 1 else f"{parts} parts"
    return in_parts if images is None else f"{images} images in {in_parts}"


def _without_network(settings: RunSettings) -> dict[str, str]:
    return {name: value for name, value in settings.items() if not name.startswith(_NETWORK)}
