"""The model of a bulk run as a value: it is sent to other machines by content, and compiled there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.bulk_classification.settings import BulkSettings
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.ir.files import open_ir
from ov_mobilenet.ir.trial_reading import Isolation
from ov_mobilenet.load import check_has_classes
from ov_mobilenet.runtime.defaults import settings_for
from ov_mobilenet.runtime.runnable import Runnable, make_runnable

if TYPE_CHECKING:
    from ov_mobilenet.ir.files import OpenedIr
    from ov_mobilenet.runtime.classifier import Classifier
    from ov_mobilenet.runtime.profile import Profile


@dataclass(frozen=True)
class ModelPackage:
    """The files of an IR, and how to compile it.

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
        """Write the files to a folder and compile the model. The files are not needed afterwards.

        Args:
            cpus: CPUs that the model may use; None for all of this machine.

        Raises:
            OvMobilenetError: as `load_classifier`.
        """
        xml = folder / f"{self.name}.xml"
        xml.write_bytes(self.xml)
        xml.with_suffix(".bin").write_bytes(self.weights)
        # The program that packed it has read these bytes before.
        runnable = bulk_runnable(open_ir(xml, Isolation(isolate=False)), self.settings)
        return compile_for_bulk(runnable, self.settings, self.device, self.profile, cpus)


def pack_model(
    runnable: Runnable, settings: BulkSettings, device: DeviceSettings, profile: Profile | None
) -> ModelPackage:
    """The package of a network that was opened from its file."""
    xml = runnable.xml
    return ModelPackage(
        xml.stem, xml.read_bytes(), xml.with_suffix(".bin").read_bytes(), settings, device, profile
    )  # fmt: skip


def bulk_runnable(ir: OpenedIr, settings: BulkSettings) -> Runnable:
    """Adapt an IR. Raises: OvMobilenetError, as `load_classifier`."""
    runnable = make_runnable(ir, geometry=settings.geometry, labels=settings.labels, output_kind=settings.output_kind)
    check_has_classes(runnable)
    return runnable


def compile_for_bulk(
    runnable: Runnable,
    settings: BulkSettings,
    device: DeviceSettings,
    profile: Profile | None,
    cpus: int | None = None,
) -> Classifier:
    """Compile a network to classify many images. For `cpus` and the errors see `ModelPackage.load`."""
    from ov_mobilenet.devices.compile import compile_model

    if profile is not None:
        from ov_mobilenet.runtime.profile import check_profiled_device

        check_profiled_device(profile, "profile", runnable.xml)
        chosen, batch_size = profile.device_settings(), profile.settings.batch_size
    else:
        # As for many images, also if there are few: a resumed run must not use another batch size.
        chosen, batch_size = settings_for(device, None)  # type: ignore[assignment]
    if cpus is not None:
        # Otherwise OpenVINO uses all cores in each process, and pins all processes to the same ones.
        chosen = replace(
            chosen, threads=chosen.threads or cpus, pinning=False if chosen.pinning is None else chosen.pinning
        )
    return runnable.compile(compile_model, chosen, batch_size=batch_size, decode=settings.decode)
