"""The output of a bulk run: whether the run may be resumed, which parts are there, and the manifest."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import NoReturn

from ov_mobilenet._version import __version__
from ov_mobilenet.bulk_classification.found_parts import find_done, in_parallel
from ov_mobilenet.bulk_classification.manifest import (
    MANIFEST,
    SUCCESS,
    BulkInputs,
    Manifest,
    parse_manifest,
)
from ov_mobilenet.bulk_classification.output_advice import OTHER_OUTPUT
from ov_mobilenet.bulk_classification.output_differences import BulkIdentity, check_same_run, setting_differences
from ov_mobilenet.bulk_classification.parts import PartFacts
from ov_mobilenet.bulk_classification.shard_list import SHARD_LIST, ShardList, ShardPlace
from ov_mobilenet.bulk_classification.shards import PART_NAME, FailedShard
from ov_mobilenet.bulk_classification.stores import Store, open_store
from ov_mobilenet.errors import OutputError, printable

OTHERS = (MANIFEST, SUCCESS, SHARD_LIST)
SHOWN_NAMES = 3
# Packages that the results may depend on.
PACKAGES = ("openvino", "numpy", "opencv-python", "opencv-python-headless", "pillow", "simplejpeg", "pyarrow")

log = logging.getLogger(__name__)


@dataclass
class OutputState:
    """The parts of an output; create it with `open_output`.

    Attributes:
        versions: of the packages that the results may depend on.
        started: when the first run began, in UTC.
        clock: seconds since 1970.
        done: facts of the parts that are there, by name.
        pending: shards without a part when the run began, in order.
        failed: shards that have failed in this run.
        has_other_files: whether files that are not of the run were kept beside the parts, by `overwrite`.
    """

    store: Store
    identity: BulkIdentity
    shards: ShardList
    versions: Mapping[str, str]
    started: str
    clock: Callable[[], float] = time.time
    done: dict[str, PartFacts] = field(default_factory=dict)
    pending: list[ShardPlace] = field(default_factory=list)
    failed: list[FailedShard] = field(default_factory=list)
    has_other_files: bool = False

    def __post_init__(self) -> None:
        self._begun = self.clock()
        self._images_now = 0
        # The document in the output, as long as it says what is there.
        self._current: Manifest | None = None

    def add(self, facts: PartFacts) -> None:
        """Record a part that was written."""
        self.done[facts.name] = facts
        self._images_now += facts.images
        self._current = None

    def add_failed(self, shard: FailedShard) -> None:
        """Record a shard whose part will be missing at the end of this run."""
        self.failed.append(shard)
        self._current = None

    def resume(self, found: Manifest) -> None:
        """Take the manifest of the output, if it has the parts that are there."""
        now = self.manifest()
        self._current = found if (found.state, found.parts) == (now.state, now.parts) else None

    def save(self) -> None:
        """Write the manifest; with all parts also `_SUCCESS`. Raises: OutputError."""
        self._current = None
        manifest = self.manifest()
        self.store.write(MANIFEST, manifest.encode())
        self._current = manifest
        if manifest.state == "complete":
            self.store.write(SUCCESS, b"")

    def manifest(self) -> Manifest:
        """The manifest of the parts that are there now: the saved one, if it has all of them."""
        if self._current is not None:
            return self._current
        names = (place.part_name for place in self.shards.places)
        parts = tuple(self.done[name] for name in names if name in self.done)
        now = self.clock()
        seconds = now - self._begun
        return Manifest(
            state="complete" if len(parts) == len(self.shards.places) else "incomplete",
            model=printable(self.identity.model), model_digest=self.identity.model_digest,
            settings=dict(self.identity.settings), settings_digest=self.identity.settings_digest,
            versions=dict(self.versions),
            inputs=BulkInputs(
                given=tuple(map(printable, self.identity.given)), parts=len(self.shards.places),
                images=self.shards.images, digest=self.shards.digest,
                folder=None if self.shards.folder is None else printable(self.shards.folder),
            ),
            started=self.started, saved=utc(now),
            images_per_second=round(self._images_now / seconds, 2) if self._images_now and seconds > 0 else None,
            images=sum(part.images for part in parts), errors=sum(part.errors for part in parts),
            ran_on=_ran_on(parts), failed_parts=tuple(self.failed), has_other_files=self.has_other_files, parts=parts,
        )  # fmt: skip

    def __enter__(self) -> OutputState:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shards.close()
        self.store.end()


def open_output(
    text: str,
    identity: BulkIdentity,
    shards: ShardList,
    *,
    dry_run: bool = False,
    overwrite: bool = False,
    clock: Callable[[], float] = time.time,
) -> OutputState:
    """Open the output of a run, new or to be resumed; nothing is changed if it is refused, or with `dry_run`.

    A local folder is locked until the state is left; a bucket is not. If an error is raised, `shards` is closed.

    Args:
        text: a folder, or an s3:// or gs:// URL.
        overwrite: delete the parts and the manifest of an earlier run, whatever it was; other files are kept.
        clock: seconds since 1970.

    Raises:
        OutputError: it cannot be written; it was made with another model, other settings or other inputs; it holds
            other files; another run is writing to it.
        UsageError: `text` is an invalid URL.
    """
    store: Store | None = None
    try:
        store = open_store(text)
        if not dry_run:
            store.begin()
        return _open(store, identity, shards, dry_run, overwrite, clock)
    except BaseException:
        shards.close()
        if store is not None:
            store.end()
        raise


def utc(seconds: float) -> str:
    """A time in seconds since 1970 as text, as in `2026-01-31T12:00:00Z`."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _open(
    store: Store, identity: BulkIdentity, shards: ShardList, dry_run: bool, overwrite: bool, clock: Callable[[], float]
) -> OutputState:
    sizes = store.sizes()
    if overwrite:
        _refuse_own_inputs(store, sizes, shards)
        sizes = _without_output(store, sizes, dry_run)
    found = None
    if MANIFEST in sizes:
        found = parse_manifest(store.read(MANIFEST), f"{store.text}/{MANIFEST}")
        check_same_run(found, identity, shards, store, SHARD_LIST in sizes)
    others = _other_files(sizes, shards)
    if others and not overwrite and not (found is not None and found.has_other_files):
        _refuse_other_files(store, others)
    state = OutputState(
        store, identity, shards, _versions(), utc(clock()) if found is None else found.started, clock
    )  # fmt: skip
    state.has_other_files = bool(others)
    state.done = find_done(store, sizes, found, shards.places, identity.settings)
    state.pending = [place for place in shards.places if place.part_name not in state.done]
    if found is not None:
        state.resume(found)
    if not dry_run:
        _begin(state, sizes, found)
    return state


def _begin(state: OutputState, sizes: Mapping[str, int], found: Manifest | None) -> None:
    """Write what an output has before its first part. Of a complete output nothing is written."""
    store = state.store
    if not state.pending:
        if state.manifest() is not found or SUCCESS not in sizes:
            state.save()
        return
    if SUCCESS in sizes:
        store.delete(SUCCESS)
    if found is not None and found.parts and found.versions != dict(state.versions):
        differ = setting_differences(found.versions, dict(state.versions))
        log.warning(
            "%s: the parts that are done were made with other versions, the results may differ: %s, now %s",
            printable(store.text), ", ".join(before for before, _ in differ), ", ".join(now for _, now in differ),
        )  # fmt: skip
    if not state.shards.is_in(store, sizes.get(SHARD_LIST)):
        state.shards.write_to(store)
    state.save()


def _other_files(sizes: Mapping[str, int], shards: ShardList) -> list[str]:
    """Names that begin with a dot are left alone: readers of data sets do not read them."""
    own = {*OTHERS, *(place.part_name for place in shards.places)}
    return sorted(name for name in sizes if name not in own and not name.startswith("."))


def _refuse_other_files(store: Store, others: list[str]) -> NoReturn:
    shown = ", ".join(name if len(name) <= 100 else f"{name[:100]}…" for name in others[:SHOWN_NAMES])
    more = f" and {len(others) - SHOWN_NAMES} more" if len(others) > SHOWN_NAMES else ""
    raise OutputError(
        "the output has files that are not of this run", where=store.text, expected="parts of this run, or nothing",
        got=f"{shown}{more}", fix="Select an empty or new output with -o OUT, or keep these files with --overwrite",
    )  # fmt: skip


def _refuse_own_inputs(store: Store, sizes: Mapping[str, int], shards: ShardList) -> None:
    """Inputs may have the name of a part: they must not be deleted as one."""
    for path in shards.part_like:
        name = os.path.basename(path)  # noqa: PTH119 (may be a URL)
        if name in sizes and store.holds(path):
            raise OutputError(
                "an input is in the output, and would be deleted by --overwrite", where=path, fix=OTHER_OUTPUT
            )


def _without_output(store: Store, sizes: Mapping[str, int], dry_run: bool) -> dict[str, int]:
    """Delete the files of an earlier run, the manifest last, so that an interrupted deletion is recognised."""
    own = [name for name in sizes if PART_NAME.fullmatch(name)] + [
        name for name in (SHARD_LIST, MANIFEST) if name in sizes
    ]
    if not dry_run:
        if SUCCESS in sizes:
            store.delete(SUCCESS)
        parts, rest = [name for name in own if name not in OTHERS], [name for name in own if name in OTHERS]
        for _ in in_parallel(store, store.delete, parts):
            pass
        for name in rest:
            store.delete(name)
    return {name: size for name, size in sizes.items() if name not in (SUCCESS, *own)}


def _versions() -> dict[str, str]:
    found = {"ov_mobilenet": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _ran_on(parts: tuple[PartFacts, ...]) -> tuple[dict[str, str | int], ...]:
    counts: dict[tuple[str, str], int] = {}
    for part in parts:
        key = part.device, part.inference_precision
        counts[key] = counts.get(key, 0) + 1
    return tuple(
        {"device": device, "inference_precision": precision, "parts": count}
        for (device, precision), count in sorted(counts.items())
    )
