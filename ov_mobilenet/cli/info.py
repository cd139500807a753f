"""`info`: the details of a model of the zoo, or of an IR."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ov_mobilenet.cli import options
from ov_mobilenet.cli.list_models import SCHEMA_VERSION, summary
from ov_mobilenet.cli.options import print_json
from ov_mobilenet.cli.selection import (
    SelectedConfigs,
    Selection,
    is_ir,
    model_selection,
    print_names,
    report_broken,
    selected,
)
from ov_mobilenet.downloads import cache
from ov_mobilenet.downloads.fetch import sources_of
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.ir.trial_reading import Isolation
from ov_mobilenet.zoo import labels
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.geometry import geometry_of_dataset
from ov_mobilenet.zoo.model import ModelConfig
from ov_mobilenet.zoo.normalisation import Normalisation

if TYPE_CHECKING:
    import openvino as ov

    from ov_mobilenet.ir.record import IrRecord

log = logging.getLogger(__name__)


@click.command("info")
@model_selection
@options.format_option("table", "json")
@options.cache_root
@options.offline
@options.isolate
def info_command(
    selection: Selection, output_format: str, cache_dir: Path | None, offline: bool, isolate: bool | None
) -> int:
    """Show the details of a MODEL: a zoo name, a model.yml, an IR .xml, or a Hugging Face repository hf:OWNER/NAME,
    whose weights are not downloaded.

    For a model of the zoo, --format json includes all fields of the Open Model Zoo's omz_info_dumper. It prints one
    object for one MODEL, and a list with --name, --list, --all or several MODELs.

    \b
    Examples:
      ov-mobilenet info mobilenet-v2-pytorch
      ov-mobilenet info public/mine/FP16/mine.xml --format json
      ov-mobilenet info hf:timm/mobilenetv4_conv_small.e2400_r224_in1k
      ov-mobilenet info --all --format json
    """
    if selection.print_all:
        print_names(selection.config_dirs)
        return 0
    irs = [model for model in selection.models if is_ir(model)]
    others = replace(selection, models=tuple(model for model in selection.models if model not in irs))
    found = (
        selected(others, cache_dir=cache_dir, offline=offline) if others.ways or not irs else SelectedConfigs([], {})
    )
    described = [(config_facts(config), open_model_zoo_facts(config)) for config in found.configs]
    described += [(ir_facts(Path(xml), Isolation(isolate, cache_dir)), {}) for xml in irs]
    if output_format == "json":
        values = [{"schema_version": SCHEMA_VERSION, **dumped, **facts} for facts, dumped in described]
        if len(selection.models) > 1 or not selection.models or len(values) > 1:
            print_json(values)
        elif values:
            print_json(values[0])
        return report_broken(found)
    from ov_mobilenet.cli.tables import print_facts

    for number, (facts, _) in enumerate(described):
        if number:
            click.echo()
        print_facts(facts)
    return report_broken(found)


def config_facts(config: ModelConfig) -> dict[str, Any]:
    """The contents of a description by name; None for values that it does not have."""
    plan = plan_conversion(config)
    check = config.accuracy_check
    geometry = geometry_of_dataset(config.dataset) if config.dataset is not None else None
    names = labels.config_labels(config)
    return {
        **summary(config),
        "description": config.description,
        "task_type": config.task_type,
        "license": config.license,
        "model_yml": str(config.path),
        "files": [
            {
                "name": file.name,
                "size": file.size,
                "checksum": file.checksum and f"{file.checksum.algorithm}:{file.checksum.value}",
                "sources": [str(source) for source in sources_of(config, file, None)],
            }
            for file in config.files
        ],
        "input": {"name": plan.input.name, "shape": list(plan.input.shape), "layout": plan.input.layout},
        "output": plan.output,
        "architecture": plan.model_name,
        **_normalisation_facts(plan.normalisation),
        "geometry": str(geometry) if geometry is not None else None,
        "classes": config.details.classes or (len(names) if names else None),
        "background_class": labels.background_class(config),
        "labels_digest": labels.labels_digest(names) if names else None,
        "reference_top1": check.reference(1) if check is not None else None,
        "reference_top5": check.reference(5) if check is not None else None,
        "notes": list(config.details.notes),
    }


def open_model_zoo_facts(config: ModelConfig) -> dict[str, Any]:
    """The values that `omz_info_dumper` prints for a model, under the same keys.

    `subdirectory` is the folder of the IRs below the output folder of `convert`. No model of this zoo has several
    stages.
    """
    from ov_mobilenet.conversion.converter import default_precisions

    return {
        "name": config.name,
        "composite_model_name": None,
        "description": config.description,
        "framework": config.framework,
        "license_url": config.license,
        "accuracy_config": str(config.folder.absolute() / "accuracy-check.yml") if config.accuracy_check else None,
        "model_config": str(config.path.absolute()),
        "precisions": sorted(default_precisions(plan_conversion(config))),
        "subdirectory": f"public/{config.name}",
        "task_type": config.task_type,
        "input_info": [
            {"name": info.name, "shape": list(info.shape), "layout": info.layout} for info in config.input_info
        ],
        "model_stages": [],
    }


def ir_facts(xml: Path, isolation: Isolation) -> dict[str, Any]:
    """The contents of an IR by name; None for values that it does not have.

    Raises:
        IrError: it cannot be read, does not take images, or its record is damaged or of a newer format version.
    """
    from ov_mobilenet.conversion.complexity import complexity
    from ov_mobilenet.ir.files import read_ir
    from ov_mobilenet.ir.mo_record import conversion_parameters, read_mo_record
    from ov_mobilenet.ir.record import SECTION, read_record

    network = read_ir(xml, isolation)
    record = read_record(network, xml)
    files = [_file_facts(path) for path in (xml, xml.with_suffix(".bin"))]
    facts: dict[str, Any] = {"xml": str(xml), "size": sum(file["size"] for file in files), "files": files}
    for name, ports in (("inputs", network.inputs), ("outputs", network.outputs)):
        facts[name] = [
            {
                "names": sorted(port.get_names()),
                "shape": str(port.get_partial_shape()),
                "type": port.get_element_type().get_type_name(),
            }
            for port in ports
        ]
    facts["layout"] = str(network.get_parameters()[0].layout)
    facts["layers"] = _layers(network)
    try:
        counted = complexity(network)
        facts |= {"gflops": float(f"{counted.gflops:.4g}"), "mparams": float(f"{counted.mparams:.4g}")}
    except ConversionError:  # dynamic image size: the other facts are known
        facts |= {"gflops": None, "mparams": None}
    if record is not None:
        facts["format_version"] = int(network.get_rt_info([SECTION, "format_version"]).astype(str))
        facts |= _record_facts(record)
    elif (made := read_mo_record(network)) is not None:
        facts |= {"record": None, "model_optimizer": made.facts()}
    else:
        facts["record"] = None
        log.warning("%s: no record of ov-mobilenet: its normalisation and geometry are unknown", xml)
    if parameters := conversion_parameters(network):
        facts["conversion_parameters"] = parameters
    return facts


def _file_facts(path: Path) -> dict[str, Any]:
    return {"name": path.name, "size": path.stat().st_size, "checksum": f"sha256:{cache.digest(path, 'sha256')}"}


def _layers(network: ov.Model) -> dict[str, int]:
    """The number of operations of each type, the most frequent first."""
    counts = Counter(node.get_type_name() for node in network.get_ops())
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def _record_facts(record: IrRecord) -> dict[str, Any]:
    """The record of ov-mobilenet, with long values shortened."""
    facts: dict[str, Any] = msgspec.to_builtins(record)
    facts["normalisation"] = str(record.normalisation)
    facts |= _normalisation_facts(record.normalisation)
    facts["geometry"] = str(record.geometry) if record.geometry is not None else None
    facts["labels"] = f"{len(record.labels)} class names" if record.labels else None
    facts["labels_digest"] = labels.labels_digest(record.labels) if record.labels else None
    return facts


def _normalisation_facts(normalisation: Normalisation) -> dict[str, Any]:
    return {
        "mean_values": list(normalisation.mean),
        "scale_values": list(normalisation.scale),
        "reverse_input_channels": normalisation.reverse_input_channels,
    }
