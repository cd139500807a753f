"""`export_kserve`: models to a model repository with an InferenceService each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ov_mobilenet.argument_types import checked
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.errors import OvMobilenetError, UsageError
from ov_mobilenet.exporting.batch_range import ONE_IMAGE, parse_batch
from ov_mobilenet.exporting.inference_service import inference_service, serving_runtime
from ov_mobilenet.exporting.kserve_export import ExportedService, KserveExport
from ov_mobilenet.exporting.kserve_readme import KSERVE, RUNTIME, kserve_readme
from ov_mobilenet.exporting.kserve_settings import KserveSettings
from ov_mobilenet.exporting.models_to_export import models_to_export
from ov_mobilenet.exporting.output_folder import finished_folder
from ov_mobilenet.exporting.ovms_config import model_entry
from ov_mobilenet.exporting.repository import (
    MODEL_FILES,
    README,
    class_names,
    model_folder,
    model_xml,
    write_class_names,
)
from ov_mobilenet.exporting.server_form import server_network
from ov_mobilenet.exporting.service_names import service_names
from ov_mobilenet.exporting.storage_uri import StorageUri
from ov_mobilenet.ir.saving import save_ir
from ov_mobilenet.resolve import Lookup, LookupOptions, open_model

if TYPE_CHECKING:
    from typing_extensions import Unpack

# The files of an export; `overwrite` replaces nothing else.
CONTENTS = (*MODEL_FILES, re.escape(README), rf"{KSERVE}/[^/]+\.yaml", re.escape(f"{KSERVE}/{RUNTIME}"))


@checked
def export_kserve(
    models: str | Path | Mapping[str, str | Path] | Sequence[str | Path],
    output: str | Path,
    *,
    storage_uri: str,
    kserve_settings: KserveSettings | None = None,
    batch: int | str | None = None,
    bake_geometry: bool = False,
    overwrite: bool = False,
    **options: Unpack[LookupOptions],
) -> KserveExport:
    """Export models to a model repository, and write an InferenceService (serving.kserve.io/v1beta1) for each.

    The export holds `models/NAME/1/NAME.xml` as `export_ovms` writes it, `kserve/SERVICE.yaml` and a README with the
    commands that copy the files, start the services and ask them. The name of a service, which is also the model's
    name for clients, is NAME in lower case with hyphens in place of other characters.

    Args:
        models: a MODEL, a list of them, or a mapping from names to MODELs, as for `export_ovms`.
        output: the folder to write; it appears complete or not at all.
        storage_uri: where KServe fetches the models from: s3://BUCKET/PATH, gs://BUCKET/PATH, pvc://VOLUME-CLAIM/PATH
            or https://HOST/PATH. Nothing is copied there: the content of `models` must be, before the services start.
            For https each model is an archive NAME.tar.gz, except in Azure's storage.
        kserve_settings: runtime, resources and authentication; None for OpenVINO Model Server with the defaults.
        batch: images in a request: a number, or a range such as `1:8`. None: 1.
        bake_geometry: add crop and resize to the graph, because OpenVINO Model Server stretches the whole image. The
            runtime `ov-mobilenet` crops and resizes by itself.
        overwrite: replace an earlier export in `output`.
        options: fields of `Lookup` (`config_dirs`, `cache_dir`, `offline`, `ir_dir`).

    Returns:
        The services. A model that cannot be exported is left out, with its error in `failures`.

    Raises:
        UsageError: an argument is invalid, or two models have the same name or give the same name of a service.
        OutputError: `output` is not empty, or cannot be written.
        OvMobilenetError: no model could be exported; the error of the first one.
    """
    lookup = Lookup.of(options)
    by_name = models_to_export(models)
    services = service_names(by_name)
    if str(output) in ("", "."):
        raise UsageError("invalid output", expected="a folder of its own", got=repr(str(output)))
    folder, storage = Path(output), StorageUri.parse(storage_uri)
    settings = kserve_settings or KserveSettings()
    batches = ONE_IMAGE if batch is None else parse_batch(batch)
    device = DeviceSettings(device=settings.device, threads=settings.threads if settings.device == "CPU" else None)
    exported: list[ExportedService] = []
    failures: dict[str, OvMobilenetError] = {}
    with finished_folder(folder, contents=CONTENTS, last=README, overwrite=overwrite) as temporary:
        for name, model in by_name.items():
            try:
                one = server_network(open_model(model, lookup), batch=batches, bake=bake_geometry)
            except OvMobilenetError as error:
                failures[name] = error
                continue
            save_ir(one.network, model_xml(temporary, name))
            write_class_names(temporary, name, one.labels)
            service, address = services[name], storage.of_model(name)
            config = model_entry(name, one, device)["config"]
            _write_yaml(temporary / KSERVE / f"{service}.yaml", inference_service(service, address, settings, config))
            exported.append(
                ExportedService(
                    name, service, str(model), folder / model_folder(name), address,
                    folder / KSERVE / f"{service}.yaml", class_names(folder, name) if one.labels else None,
                    str(one.batch), one.input_size,
                )
            )  # fmt: skip
        if not exported:
            raise next(iter(failures.values()))
        if settings.runtime == "ovms":
            _write_yaml(temporary / KSERVE / RUNTIME, serving_runtime(settings))
        (temporary / README).write_text(kserve_readme(exported, storage, settings), "utf-8", newline="\n")
    return KserveExport(folder, tuple(exported), failures)


def _write_yaml(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=False), "utf-8", newline="\n")
