"""`devices`: the available devices, and why others are missing."""

from __future__ import annotations

import platform
from typing import Any

import click

from ov_mobilenet._version import __version__
from ov_mobilenet.cli import options
from ov_mobilenet.devices.machine import DeviceFacts, MachineReport, machine
from ov_mobilenet.errors import printable

SCHEMA_VERSION = 1


@click.command("devices")
@options.format_option("table", "json")
@click.pass_context
def devices_command(context: click.Context, output_format: str) -> None:
    """List the available devices with their capabilities, and the reasons why others are not available.

    With -v, also list the properties of each device with their values. If a plugin fails, its error is shown.

    \b
    Examples:
      ov-mobilenet devices
      ov-mobilenet devices -v
      ov-mobilenet devices --format json
    """
    found = machine()
    if output_format == "json":
        options.print_json(_document(found))
        return
    from ov_mobilenet.cli.tables import print_facts, print_table

    print_table(
        ("device", "name", "precisions", "streams", "latency", "throughput", "capabilities"), map(_row, found.devices)
    )
    click.echo()
    print_facts(_facts(found))
    if options.verbose(context):
        for device in found.devices:
            click.echo()
            rows = [(name, access, value or "-") for name, (access, value) in device.properties.items()]
            print_table((f"property of {device.name}", "", "value"), rows)


def _row(device: DeviceFacts) -> tuple[str, ...]:
    if device.trouble is not None and device.full_name is None:
        return (device.name, f"plugin failed: {printable(device.trouble)}", "", "", "", "", "")
    streams = "-" if device.streams is None else f"{device.streams[0]} to {device.streams[1]}"
    hints = [_requests(device, hint) for hint in ("latency", "throughput")]
    return (
        device.name, printable(device.full_name or "-"), ", ".join(device.inference_precisions) or "-", streams,
        *hints, ", ".join(device.capabilities),
    )  # fmt: skip


def _requests(device: DeviceFacts, hint: str) -> str:
    found = device.optimal.get(hint)
    return "-" if found is None else f"nireq {found['nireq']}"


def _facts(found: MachineReport) -> dict[str, Any]:
    facts: dict[str, Any] = {"openvino": found.openvino, "ov-mobilenet": __version__, "cpu": found.cpu}
    flags = found.cpu_flags
    facts["cpu features"] = None if flags is None else ", ".join(name for name, has in flags.items() if has) or "none"
    facts["missing cpu features"] = None if flags is None else ", ".join(name for name, has in flags.items() if not has)
    for device in found.devices:
        if device.trouble is not None:
            facts[f"{device.name} error"] = device.trouble
    for one in found.missing:
        facts[f"no {one.name}"] = [one.reason, f"symptoms of a missing driver: {one.looks_like}", one.advice]
    return facts


def _document(found: MachineReport) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "versions": {"ov_mobilenet": __version__, "openvino": found.openvino, "python": platform.python_version()},
        "cpu": {"name": found.cpu, "flags": found.cpu_flags},
        "devices": [
            {
                "name": device.name,
                "full_name": device.full_name,
                "plugin_version": device.version,
                "capabilities": device.capabilities,
                "inference_precisions": device.inference_precisions,
                "streams": device.streams,
                "optimal": device.optimal,
                "properties": {
                    name: {"access": access, "value": value} for name, (access, value) in device.properties.items()
                },
                "trouble": device.trouble,
            }
            for device in found.devices
        ],
        "missing": [
            {
                "name": one.name,
                "reason": one.reason,
                "looks_like": one.looks_like,
                "advice": one.advice,
                "page": one.page,
            }
            for one in found.missing
        ],
    }
