"""`export_ovms`: models to a model repository for OpenVINO Model Server."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ov_mobilenet.argument_types import checked
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import OvMobilenetError, UsageError
from ov_mobilenet.exporting.batch_range import ONE_IMAGE, BatchRange, parse_batch
from ov_mobilenet.exporting.example import EXAMPLE, expected_answer, write_example
from ov_mobilenet.exporting.models_to_export import models_to_export
from ov_mobilenet.exporting.output_folder import finished_folder
from ov_mobilenet.exporting.ovms_config import config_json, model_entry
from ov_mobilenet.exporting.ovms_readme import DescribedModel, readme
from ov_mobilenet.exporting.repository import CLIENTS, CONFIG, MODEL_FILES, README, model_xml, write_class_names
from ov_mobilenet.exporting.server_form import ServerNetwork, server_network
from ov_mobilenet.ir.saving import save_ir
from ov_mobilenet.resolve import Lookup, LookupOptions, open_model
from ov_mobilenet.runtime.profile import Profile, check_profiled_network, named_profile
from ov_mobilenet.zoo.geometry import Geometry, parse_geometry

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ov_mobilenet.ir.files import OpenedIr

# The files of an export; --overwrite replaces nothing else.
CONTENTS = (*MODEL_FILES, *map(re.escape, (CONFIG, README, EXAMPLE)), rf"{CLIENTS}/classify\.(py|sh)")


@dataclass(frozen=True)
class ExportedModel:
    """A model in a model repository.

    Attributes:
        name: the name that clients use.
        source: the MODEL that it was made of.
        xml: the IR.
        batch: the batch sizes that it accepts, such as 1 or 1:8.
        input_size: height and width that the server stretches images to; None if the graph crops and resizes.
        precision: weight precision; None if it is unknown.
    """

    name: str
    source: str
    xml: Path
    batch: str
    input_size: tuple[int, int] | None
    precision: str | None


@dataclass(frozen=True)
class OvmsExport:
    """A model repository for OpenVINO Model Server.

    Attributes:
        folder: the repository.
        config: its `config.json`, with the models below and no others.
        models: the exported models.
        failures: the errors of the other models, by name.
    """

    folder: Path
    config: Path
    models: tuple[ExportedModel, ...]
    failures: Mapping[str, OvMobilenetError] = field(default_factory=dict)


@checked
def export_ovms(
    models: str | Path | Mapping[str, str | Path] | Sequence[str | Path],
    output: str | Path,
    *,
    batch: int | str | None = None,
    bake_geometry: bool = False,
    geometry: str | Geometry | None = None,
    labels: tuple[str, ...] | Path | None = None,
    device: str | None = None,
    profile: Profile | Path | str | None = None,
    overwrite: bool = False,
    **options: Unpack[LookupOptions],
) -> OvmsExport:
    """Export models to a model repository for OpenVINO Model Server.

    The repository holds `models/NAME/1/NAME.xml`, `config.json` and a README with the commands to run the server and
    its clients. The models take uint8 NHWC BGR frames, as the server decodes image files. `ov-mobilenet serve` and
    `load_classifier` give the same answers with the exported IRs as with the models that they were made of.

    The server stretches an image to the input, without the crop that most models were trained with: bake the geometry,
    or crop in the client.

    Args:
        models: a MODEL, a list of them, or a mapping from names to MODELs; each a zoo name, the path of a `model.yml`
            or of an IR `.xml`, or `hf:OWNER/NAME`.
        output: the folder to write; it appears complete or not at all.
        batch: images in a request: a number, or a range such as `1:8`. None: 1, or 1 to the batch size of the profile.
        bake_geometry: add crop and resize to the graph; the model then takes one image of any size per request.
        geometry: crop and resize in words to bake, instead of the geometry that the IR records; for a single model.
        labels: class names, or a file with one per line, instead of the labels that the IR records; for a single model.
        device: target device of the server, as OpenVINO names it. None: CPU, or the device of the profile.
        profile: the profile that `tune` returned, or the path of its file; for a single model. Its settings become
            `plugin_config` and `nireq`.
        overwrite: replace an earlier export in `output`.
        options: fields of `Lookup` (`config_dirs`, `cache_dir`, `offline`, `ir_dir`).

    Returns:
        The repository. A model that cannot be exported is left out, with its error in `failures`.

    Raises:
        UsageError: an argument is invalid, or two exclude each other; two models have the same name.
        OutputError: `output` is not empty, or cannot be written.
        ConfigError: the profile is invalid.
        OvMobilenetError: no model could be exported; the error of the first one.
    """
    lookup = Lookup.of(options)
    by_name = models_to_export(models)
    single = {"profile": profile, "geometry": geometry, "labels": labels}
    if len(by_name) > 1 and (given := [name for name, value in single.items() if value is not None]):
        raise UsageError(f"{given[0]} is for a single model", expected="one model", got=", ".join(by_name))
    request = _request(batch, bake_geometry, geometry, labels)
    tuned = None if profile is None else named_profile(profile)
    if tuned is not None and device is not None:
        raise UsageError("the device is given twice", expected="a profile or a device", got=f"device {device}")
    settings = DeviceSettings(device="CPU" if device is None else device)
    if str(output) in ("", "."):
        raise UsageError("invalid output", expected="a folder of its own", got=repr(str(output)))
    folder = Path(output)
    exported: dict[str, DescribedModel] = {}
    entries: list[dict[str, Any]] = []
    failures: dict[str, OvMobilenetError] = {}
    with finished_folder(folder, contents=CONTENTS, last=CONFIG, overwrite=overwrite) as temporary:
        for name, model in by_name.items():
            try:
                ir = open_model(model, lookup)
                if tuned is not None:
                    settings, request = _tuned(*tuned, ir, request)
                made = request.network(ir)
                answer = expected_answer(made, ir.xml)
            except OvMobilenetError as error:
                failures[name] = error
                continue
            exported[name] = DescribedModel(made, answer, settings.device)
            entries.append(model_entry(name, made, settings))
            save_ir(made.network, model_xml(temporary, name))
            write_class_names(temporary, name, made.labels)
        if not exported:
            raise next(iter(failures.values()))
        _write_client_files(temporary)
        (temporary / README).write_text(readme(exported), "utf-8", newline="\n")
        (temporary / CONFIG).write_text(config_json(entries), "utf-8", newline="\n")
    rows = tuple(
        _row(name, str(by_name[name]), model_xml(folder, name), one.exported) for name, one in exported.items()
    )
    return OvmsExport(folder, folder / CONFIG, rows, failures)


def _row(name: str, source: str, xml: Path, one: ServerNetwork) -> ExportedModel:
    return ExportedModel(name, source, xml, str(one.batch), one.input_size, one.precision)


def _write_client_files(folder: Path) -> None:
    write_example(folder / EXAMPLE)
    (folder / CLIENTS).mkdir()
    for path in (Path(__file__).parent / "clients").glob("classify.*"):
        (folder / CLIENTS / path.name).write_bytes(path.read_bytes())


def _request(
    batch: int | str | None,
    bake: bool,
    geometry: str | Geometry | None,
    labels: tuple[str, ...] | Path | None,
) -> ExportRequest:
    """What to make of each IR. Raises: UsageError: two arguments exclude each other."""
    parsed = None if batch is None else parse_batch(batch)
    if bake and parsed not in (None, ONE_IMAGE):
        raise UsageError(
            "a model that crops and resizes in the graph runs one image per request, because images differ in size",
            expected="batch 1", got=f"batch {parsed}",
        )  # fmt: skip
    if geometry is not None and not bake:
        raise UsageError(
            "without crop and resize in the graph the server stretches the whole image, whatever the geometry is",
            expected="--bake-geometry", got=f"geometry {geometry}",
        )  # fmt: skip
    chosen = parse_geometry(geometry) if isinstance(geometry, str) else geometry
    return ExportRequest(parsed, bake, chosen, labels)


@dataclass(frozen=True)
class ExportRequest:
    """What to make of each IR; `batch` is None for the default."""

    batch: BatchRange | None
    bake: bool
    geometry: Geometry | None
    labels: tuple[str, ...] | Path | None

    def network(self, ir: OpenedIr) -> ServerNetwork:
        """The network to export. Raises: as `server_network`."""
        return server_network(
            ir, batch=self.batch or ONE_IMAGE, bake=self.bake, geometry=self.geometry, labels=self.labels
        )


def _tuned(profile: Profile, where: str, ir: OpenedIr, request: ExportRequest) -> tuple[DeviceSettings, ExportRequest]:
    """The settings of a profile, and the request with its batch size. Raises: ConfigError, for another network."""
    check_profiled_network(profile, where, ir)
    if request.batch is None and not request.bake and not (ir.record is not None and ir.record.geometry_baked):
        # A range, because a client that has a single image could not fill a fixed batch.
        request = replace(request, batch=BatchRange(1, profile.settings.batch_size))
    return profile.device_settings(), request
