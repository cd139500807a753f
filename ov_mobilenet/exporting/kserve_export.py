"""What `export_kserve` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ov_mobilenet.errors import OvMobilenetError


@dataclass(frozen=True)
class ExportedService:
    """A model with its InferenceService.

    Attributes:
        name: of the folder of the model.
        service: name of the service, and the model's name for clients.
        source: the MODEL that it was made of.
        folder: the files to copy to `storage_uri`, in a folder for the version.
        storage_uri: where the service fetches them from.
        yaml: the file for `kubectl apply`.
        labels: the file with the class names, one per line; None without names.
        batch: the batch sizes that OpenVINO Model Server accepts, such as 1 or 1:8.
        input_size: height and width that OpenVINO Model Server stretches images to; None if the graph crops and
            resizes.
    """

    name: str
    service: str
    source: str
    folder: Path
    storage_uri: str
    yaml: Path
    labels: Path | None
    batch: str
    input_size: tuple[int, int] | None


@dataclass(frozen=True)
class KserveExport:
    """A model repository with an InferenceService for each model.

    Attributes:
        folder: what was written.
        services: the exported models.
        failures: the errors of the other models, by name.
    """

    folder: Path
    services: tuple[ExportedService, ...]
    failures: Mapping[str, OvMobilenetError] = field(default_factory=dict)
