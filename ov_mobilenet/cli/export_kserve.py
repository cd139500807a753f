"""`export kserve`: a model repository with an InferenceService for each model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.export_failures import SCHEMA_VERSION, failure_rows, print_errors, print_summary
from ov_mobilenet.cli.named_models import named_models
from ov_mobilenet.exporting.kserve_settings import (
    GpuResource,
    KserveDevice,
    KserveProtocol,
    KserveRuntime,
    KserveSettings,
)
from ov_mobilenet.resolve import Lookup

if TYPE_CHECKING:
    from ov_mobilenet.exporting.kserve_export import KserveExport

F = TypeVar("F", bound=Callable[..., Any])

_DEFAULTS = {field.name: field.default for field in fields(KserveSettings)}


def _choice(*spellings: str, choices: Any, help_text: str) -> Callable[[F], F]:
    default = _DEFAULTS[spellings[-1].removeprefix("--").replace("-", "_")]
    return click.option(
        *spellings, type=click.Choice(get_args(choices)), default=default, show_default=True, help=help_text
    )


def _text(spelling: str, metavar: str, help_text: str) -> Callable[[F], F]:
    default = _DEFAULTS[spelling.removeprefix("--").replace("-", "_")]
    return click.option(
        spelling, default=default, show_default=default is not None, metavar=metavar, help=help_text
    )  # fmt: skip


_SETTINGS = (
    _choice("--runtime", choices=KserveRuntime, help_text="OpenVINO Model Server, or `ov-mobilenet serve`."),
    _choice("--protocol", choices=KserveProtocol, help_text="REST (v2) or gRPC; a service has one port."),
    _text(
        "--image", "IMAGE",
        "Container image; required for ov-mobilenet, see demos/edge/serve.Dockerfile (default: KServe's own for ovms).",
    ),
    _text("--namespace", "NAME", "Namespace (default: the current one of kubectl)."),
    _text("--service-account", "NAME", "Service account with the credentials of the storage."),
    _choice("-d", "--device", choices=KserveDevice, help_text="Device that the models run on."),
    _choice("--gpu-resource", choices=GpuResource, help_text="Resource of an Intel GPU, by its kernel driver."),
    _text("--cpu-request", "CPUS", "CPUs that a pod is given, such as 2 or 500m."),
    _text("--cpu-limit", "CPUS", "CPUs that a pod may use; inference runs as many threads."),
    _text("--memory-request", "SIZE", "Memory that a pod is given, such as 512Mi."),
    _text("--memory-limit", "SIZE", "Memory that a pod may use."),
    _text("--token-secret", "NAME", "Secret whose key `token` is the token for clients of ov-mobilenet."),
    click.option("--insecure-no-auth", is_flag=True, help="No token for ov-mobilenet; needs --allowed-host."),
    click.option(
        "--allowed-host", "allowed_hosts", multiple=True, metavar="HOST",
        help="Name of a service in clients' addresses, without a token; repeatable.",
    ),
)  # fmt: skip


def _settings_options(function: F) -> F:
    """Add the options; the command receives them as one `KserveSettings`."""
    function = options.collect_into(KserveSettings, "kserve_settings")(function)
    for option in reversed(_SETTINGS):
        function = option(function)
    return function


@click.command("kserve")
@named_models
@click.option(
    "-o", "--output", "output", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR",
    help="Folder to write: DIR/models/NAME/1/NAME.xml, DIR/kserve/SERVICE.yaml and DIR/README.md.",
)  # fmt: skip
@click.option(
    "--storage-uri", required=True, metavar="URI",
    help="Where KServe fetches the models from: s3://, gs://, pvc:// or https://. Copy the content of DIR/models "
    "there; this command copies nothing.",
)  # fmt: skip
@_settings_options
@click.option("--batch", metavar="N|N:M", help="Images in a request: a number, or a range such as 1:8 (default: 1).")
@click.option(
    "--bake-geometry", is_flag=True,
    help="Add crop and resize to the graph: one image of any size per request. Without it OpenVINO Model Server "
    "stretches the whole image.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in DIR.")
@options.format_option("table", "json")
@options.lookup
@click.pass_context
def kserve_command(
    context: click.Context,
    models: dict[str, str],
    output: Path,
    storage_uri: str,
    kserve_settings: KserveSettings,
    batch: str | None,
    bake_geometry: bool,
    overwrite: bool,
    output_format: str,
    lookup: Lookup,
) -> int:
    """Export models and write an InferenceService of KServe (v1beta1) for each.

    MODEL is a zoo name, a model.yml, hf:OWNER/NAME or an IR .xml. NAME is the zoo name, the name of the file, or that
    of --name; the service has it in lower case, with hyphens in place of other characters than letters and digits.

    DIR/README.md has the commands that copy the models, start the services and send them images. A model that cannot
    be exported is reported and left out; the exit code is then 1.

    \b
    Examples:
      ov-mobilenet export kserve mobilenet-v2-pytorch -o services --storage-uri s3://bucket/models
      ov-mobilenet export kserve mobilenet-v2-pytorch -o services --storage-uri pvc://models --runtime ov-mobilenet \\
        --image registry.example.com/ov-mobilenet-serve:0.2
      ov-mobilenet export kserve --name signs=mine.xml -o services --storage-uri gs://bucket --protocol grpc-v2
    """
    from ov_mobilenet.exporting.kserve import export_kserve

    exported = export_kserve(
        models, output, storage_uri=storage_uri, kserve_settings=kserve_settings, batch=batch,
        bake_geometry=bake_geometry, overwrite=overwrite, **lookup.as_options(),
    )  # fmt: skip
    print_errors(exported.failures)
    _print(exported, output_format)
    if exported.failures:
        print_summary(exported.failures, given=len(models), consequence="have no service")
        return 1
    if not options.quiet(context):
        click.echo(f"how to start the services: {exported.folder / 'README.md'}", err=True)
    return 0


def _print(exported: KserveExport, output_format: str) -> None:
    if output_format == "json":
        rows: list[dict[str, Any]] = [
            {
                "schema_version": SCHEMA_VERSION, "model": one.name, "source": one.source, "service": one.service,
                "yaml": str(one.yaml), "folder": str(one.folder), "storage_uri": one.storage_uri,
                "batch": one.batch, "input_size": one.input_size, "geometry_baked": one.input_size is None,
            }
            for one in exported.services
        ]  # fmt: skip
        options.print_json([*rows, *failure_rows(exported.failures)])
        return
    from ov_mobilenet.cli.tables import print_table

    cells = [(one.name, one.service, str(one.yaml), one.storage_uri) for one in exported.services]
    print_table(("model", "service", "yaml", "storage"), cells)
