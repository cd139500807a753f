"""What a bulk run needs before it classifies anything: the model, not compiled; the list of shards; the output."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.bulk_classification.found_inputs import find_shards
from ov_mobilenet.bulk_classification.manifest import MANIFEST
from ov_mobilenet.bulk_classification.model_package import bulk_runnable
from ov_mobilenet.bulk_classification.output_differences import BulkIdentity
from ov_mobilenet.bulk_classification.output_state import OutputState, open_output
from ov_mobilenet.bulk_classification.ray_settings import RaySettings
from ov_mobilenet.bulk_classification.settings import BulkSettings, class_choice
from ov_mobilenet.bulk_classification.shard_list import ShardList
from ov_mobilenet.bulk_classification.shards import PART_NAME
from ov_mobilenet.bulk_classification.stores import Store, open_store
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import MissingDependencyError, UsageError, install_extra
from ov_mobilenet.load import RunOptions, split_options
from ov_mobilenet.resolve import open_model
from ov_mobilenet.zoo.labels import read_labels

if TYPE_CHECKING:
    from ov_mobilenet.runtime.profile import Profile
    from ov_mobilenet.runtime.runnable import Runnable

DEVICES_CHOICE = "device's own"


@dataclass(frozen=True)
class BulkModel:
    """A model, not compiled, and how it is to run.

    Attributes:
        settings: with the labels read from their file.
    """

    runnable: Runnable
    settings: BulkSettings
    device: DeviceSettings
    profile: Profile | None

    def result_settings(self) -> dict[str, str]:
        """What the rows depend on, as text by name; known without compiling."""
        device = self.device if self.profile is None else self.profile.device_settings()
        precision = device.requested_properties().get("INFERENCE_PRECISION_HINT", DEVICES_CHOICE)
        settings = self.settings
        return {
            **self.runnable.result_settings(precision, settings.decode),
            **class_choice(settings, self.runnable.output_kind).settings(),
            "images per part": str(settings.images_per_part),
            "image column": settings.image_column or "found",
            "source column": settings.source_column or "none",
        }


@dataclass(frozen=True)
class PreparedRun:
    """A run that may begin."""

    model: BulkModel
    state: OutputState


def check_packages(ray: RaySettings | None) -> None:
    """Check that the packages are installed, without importing them. Raises: MissingDependencyError."""
    needed = {"pyarrow": "parquet" if ray is None else "bulk", **({} if ray is None else {"ray": "bulk"})}
    for package, extra in needed.items():
        if find_spec(package) is None:
            raise MissingDependencyError(f"bulk needs {package}, which is not installed", fix=install_extra(extra))


def own_parts_of(store: Store) -> Callable[[str], bool]:
    """Whether a path is that of a part in the output, which a pattern for inputs may match when a run is resumed.

    Without a manifest nothing says that a file with the name of a part is one.
    """
    has_manifest: list[bool] = []

    def is_own_part(path: str) -> bool:
        if PART_NAME.fullmatch(os.path.basename(path)) is None:  # noqa: PTH119 (may be a URL)
            return False
        if not has_manifest:
            has_manifest.append(MANIFEST in store.sizes())
        return has_manifest[0] and store.holds(path)

    return is_own_part


@contextmanager
def prepared(
    model: str | Path,
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    settings: BulkSettings,
    profile: Profile | Path | str | None,
    options: RunOptions,
    *,
    dry_run: bool,
    overwrite: bool,
) -> Iterator[PreparedRun]:
    """Open the model, list the inputs and open the output. Nothing is compiled. For the errors see `bulk`.

    Args:
        options: keyword arguments of `bulk`.
        dry_run: change nothing in the output.
    """
    store = open_store(str(output))  # an invalid or unreachable URL is found before the inputs are listed
    chosen = _open_model(model, settings, profile, options)
    texts = tuple(str(text) for text in ([inputs] if isinstance(inputs, str | Path) else inputs))
    identity = BulkIdentity(str(model), chosen.runnable.identity().digest, chosen.result_settings(), texts)
    with (
        closing(ShardList(find_shards(texts, settings, own_parts_of(store)))) as shards,
        open_output(str(output), identity, shards, dry_run=dry_run, overwrite=overwrite) as state,
    ):
        yield PreparedRun(chosen, state)


def _open_model(
    model: str | Path, settings: BulkSettings, profile: Profile | Path | str | None, options: RunOptions
) -> BulkModel:
    device, lookup = split_options(None, options)
    if profile is not None and device != DeviceSettings():
        raise UsageError("device settings are given twice", expected="a profile, or device settings")
    if isinstance(settings.labels, Path):  # another machine may not have the file
        settings = replace(settings, labels=read_labels(settings.labels))
    tuned, ir = None, None
    if profile is not None:
        from ov_mobilenet.runtime.profile import check_profiled_network, named_profile

        tuned, where = named_profile(profile)
        ir = open_model(model, lookup)
        check_profiled_network(tuned, where, ir)
    return BulkModel(bulk_runnable(ir or open_model(model, lookup), settings), settings, device, tuned)
