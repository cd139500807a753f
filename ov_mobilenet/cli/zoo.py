"""`list` and `info`."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from ov_mobilenet.cli import options
from ov_mobilenet.cli.options import FORMATS, human_size, print_json
from ov_mobilenet.errors import ConversionError
from ov_mobilenet.zoo import labels
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.geometry import from_dataset
from ov_mobilenet.zoo.model import HttpSource, ModelConfig
from ov_mobilenet.zoo.registry import find_config, list_models

SCHEMA_VERSION = 1


@click.command("list")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]…")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "jsonl", "csv"]), default="table", show_default=True
)
@options.config_dirs
def list_command(patterns: tuple[str, ...], form: str, config_dirs: tuple[Path, ...]) -> None:
    """The models of the zoo, or those that match a wildcard.

    Example: ov-mobilenet list 'mobilenet-v2*' --format json
    """
    configs = list_models(*patterns, config_dirs=config_dirs)
    if form == "json":
        print_json({"schema_version": SCHEMA_VERSION, "models": [_summary(config) for config in configs]})
        return
    if form == "jsonl":
        for config in configs:
            click.echo(msgspec.json.encode(_summary(config)).decode())
        return
    if form == "csv":
        writer = csv.DictWriter(sys.stdout, list(_summary(configs[0])), lineterminator="\n")
        writer.writeheader()
        for config in configs:
            summary = _summary(config)
            shape = "x".join(map(str, summary["input_shape"] or ()))
            writer.writerow({**summary, "input_shape": shape})
        return
    from ov_mobilenet.cli.tables import print_table

    rows = []
    for config in configs:
        details = config.details
        accuracy = details.accuracy
        rows.append(
            (
                config.name,
                config.framework,
                "x".join(map(str, config.input_info[0].shape)) if config.input_info else "",
                f"{details.gflops:g}" if details.gflops else "",
                f"{details.mparams:g}" if details.mparams else "",
                f"{accuracy.top1:.2%}" if accuracy else "",
                f"{accuracy.top5:.2%}" if accuracy else "",
                human_size(sum(file.size for file in config.files)),
            )
        )
    print_table(("model", "source", "input", "GFLOPs", "MParams", "top-1", "top-5", "download"), rows, numbers_from=3)


def _summary(config: ModelConfig) -> dict[str, Any]:
    details = config.details
    return {
        "name": config.name,
        "framework": config.framework,
        "input_shape": list(config.input_info[0].shape) if config.input_info else None,
        "gflops": details.gflops,
        "mparams": details.mparams,
        "top1": details.accuracy.top1 if details.accuracy else None,
        "top5": details.accuracy.top5 if details.accuracy else None,
        "download_bytes": sum(file.size for file in config.files),
    }


@click.command("info")
@click.argument("model")
@click.option("--format", "form", type=FORMATS, default="table", show_default=True)
@options.config_dirs
def info_command(model: str, form: str, config_dirs: tuple[Path, ...]) -> None:
    """Everything known of one MODEL: a zoo name, a model.yml, or an IR .xml.

    Example: ov-mobilenet info mobilenet-v2-pytorch
    """
    facts = (
        _ir_facts(Path(model)) if model.endswith(".xml") else _config_facts(find_config(model, config_dirs=config_dirs))
    )
    if form == "json":
        print_json({"schema_version": SCHEMA_VERSION, **facts})
        return
    from ov_mobilenet.cli.tables import print_facts

    print_facts(facts)


def _config_facts(config: ModelConfig) -> dict[str, Any]:
    plan = plan_conversion(config)
    check = config.accuracy_check
    geometry = from_dataset(config.dataset) if config.dataset is not None else None
    names = labels.config_labels(config)
    return {
        **_summary(config),
        "description": config.description,
        "task_type": config.task_type,
        "license": config.license,
        "model_yml": str(config.path),
        "files": [
            {
                "name": file.name,
                "size": file.size,
                "checksum": file.checksum and f"{file.checksum.algorithm}:{file.checksum.value}",
                "sources": [s.url if isinstance(s, HttpSource) else str(config.folder / s.path) for s in file.sources],
            }
            for file in config.files
        ],
        "input": {"name": plan.input.name, "shape": list(plan.input.shape), "layout": plan.input.layout},
        "output": plan.output,
        "mean_values": list(plan.normalisation.mean),
        "scale_values": list(plan.normalisation.scale),
        "reverse_input_channels": plan.normalisation.reverse_input_channels,
        "geometry": str(geometry) if geometry is not None else None,
        "classes": config.details.classes or (len(names) if names else None),
        "background_class": labels.background_class(config),
        "reference_top1": check.reference(1) if check is not None else None,
        "reference_top5": check.reference(5) if check is not None else None,
        "notes": list(config.details.notes),
    }


def _ir_facts(xml: Path) -> dict[str, Any]:
    import msgspec

    from ov_mobilenet.conversion import ir
    from ov_mobilenet.conversion.complexity import complexity
    from ov_mobilenet.conversion.mo_record import read_mo_record

    network = ir.read_ir(xml)
    record = ir.read_record(network, xml)
    facts: dict[str, Any] = {"xml": str(xml), "size": xml.with_suffix(".bin").stat().st_size}
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
    try:
        counted = complexity(network)
        facts |= {"gflops": float(f"{counted.gflops:.4g}"), "mparams": float(f"{counted.mparams:.4g}")}
    except ConversionError:  # pictures of any size: the rest of the facts is known all the same
        facts |= {"gflops": None, "mparams": None}
    if record is None:
        made = read_mo_record(network)
        return {**facts, "record": None} | ({"model_optimizer": made.facts()} if made is not None else {})
    values = msgspec.to_builtins(record)
    values["geometry"] = str(record.geometry) if record.geometry is not None else None
    values["normalisation"] = str(record.normalisation)
    values["labels"] = f"{len(record.labels)} class names" if record.labels else None
    return {**facts, **values}
