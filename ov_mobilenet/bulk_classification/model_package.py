"""The model of a bulk run as a value: it is sent to other machines by content, and loaded there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.load import load_classifier
from ov_mobilenet.runtime.defaults import settings_for

if TYPE_CHECKING:
    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.runtime.profile import Profile


@dataclass(frozen=True)
class ModelPackage:
    """The files of an IR, and how to load it.

    Attributes:
        name: stem of the IR's files.
        xml, weights: content of the `.xml` and the `.bin`.
    """

    name: str
    xml: bytes
    weights: bytes
    settings: BulkSettings
    device: DeviceSettings
    profile: Profile | None = None

    def load(self, folder: Path, cpus: int | None = None) -> Classifier:
        """Write the files to a folder, which must exist as long as the classifier, and load the model.

        Args:
            cpus: CPUs that the model may use; None for all of this machine.

        Raises:
            OvMobilenetError: as `load_classifier`.
        """
        xml = folder / f"{self.name}.xml"
        xml.write_bytes(self.xml)
        xml.with_suffix(".bin").write_bytes(self.weights)
        return load_for_bulk(xml, self.settings, self.device, self.profile, cpus)


def load_for_bulk(
    xml: Path, settings: BulkSettings, device: DeviceSettings, profile: Profile | None, cpus: int | None = None
) -> Classifier:
    """Load an IR to classify many images. For `cpus` and the errors see `ModelPackage.load`."""
    adaptation: dict[str, Any] = {
        "geometry": settings.geometry, "labels": settings.labels, "decode": settings.decode,
        "output_kind": settings.output_kind,
    }  # fmt: skip
    if profile is not None:
        return load_classifier(xml, profile=profile, **adaptation)
    if cpus is not None:
        # Otherwise OpenVINO uses all cores in each process, and pins all processes to the same ones.
        device = replace(
            device, threads=device.threads or cpus, pinning=False if device.pinning is None else device.pinning
        )
    chosen, batch_size = settings_for(device, None)
    return load_classifier(xml, settings=chosen, batch_size=batch_size, **adaptation)
