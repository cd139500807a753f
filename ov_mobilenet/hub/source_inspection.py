"""Inspect any source network: a file, the folder of a SavedModel, a snapshot folder, or a reference `hf:…`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ov_mobilenet.conversion.inspection import SourceFacts, inspect_source
from ov_mobilenet.downloads.events import OnEvent, ignore
from ov_mobilenet.downloads.hub_client import read_repository
from ov_mobilenet.errors import ConversionError, UsageError
from ov_mobilenet.hub.declaration import NOTHING_SETTLED, SettledByUser
from ov_mobilenet.hub.network_file import is_weights
from ov_mobilenet.hub.repository import find_hub_network, inspect_hub_network
from ov_mobilenet.hub.snapshot import inspect_snapshot, is_snapshot
from ov_mobilenet.zoo.hub_reference import SizeProtocol, check_size_protocol, is_hub_reference, parse_hub_reference

_FOR_BARE_WEIGHTS = ("architecture", "weights_key", "head")


def is_repository(source: str | Path) -> bool:
    """Whether a source is a reference to a repository, or a folder with the files of one."""
    return is_hub_reference(source) or is_snapshot(Path(source))


def inspect_any_source(
    source: str | Path,
    *,
    size: SizeProtocol = "train",
    settled: SettledByUser = NOTHING_SETTLED,
    offline: bool = False,
    on_event: OnEvent = ignore,
    **inspected: Any,
) -> SourceFacts:
    """The facts of a network, whose files are on disk afterwards.

    Args:
        size, settled: for a repository, see `inspect_snapshot`.
        offline, on_event: for a reference.
        inspected: arguments of `inspect_source`.

    Raises:
        UsageError: an option does not fit the source; or as `inspect_source`, `inspect_snapshot`.
        ConfigError, ConversionError, MissingDependencyError: as `inspect_source`, `inspect_snapshot`.
        DownloadError, OfflineError: as `read_repository`.
    """
    if not is_repository(source):
        check_size_protocol(size, source)
        return _inspect_file(Path(source), inspected)
    for name in _FOR_BARE_WEIGHTS:
        if inspected.get(name) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} can only be used with a file of weights", where=source,
                expected="what config.json says", got=inspected[name],
            )  # fmt: skip
    output = inspected.get("output")
    if not is_hub_reference(source):
        return inspect_snapshot(Path(source), size=size, settled=settled, output=output)
    reference = parse_hub_reference(str(source))
    repository = read_repository(reference, offline=offline)
    network = find_hub_network(reference, repository, offline=offline, on_event=on_event)
    return inspect_hub_network(network, size=size, settled=settled, output=output, fetch_all=True)


def _inspect_file(source: Path, inspected: Mapping[str, Any]) -> SourceFacts:
    """As `inspect_source`; an error of weights that lie beside a config.json names the folder."""
    try:
        return inspect_source(source, **inspected)
    except ConversionError as error:
        if not is_weights(source.name) or not is_snapshot(source.parent):
            raise
        fix = f"The config.json beside the file describes the network: give the folder, {source.parent}"
        raise ConversionError(error.what, where=error.where, expected=error.expected, got=error.got, fix=fix) from error
