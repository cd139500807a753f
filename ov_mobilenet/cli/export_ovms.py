"""`export ovms`: a model repository for OpenVINO Model Server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.export_failures import SCHEMA_VERSION, failure_rows, print_errors, print_summary
from ov_mobilenet.cli.named_models import named_models
from ov_mobilenet.resolve import Lookup

if TYPE_CHECKING:
    from ov_mobilenet.exporting.ovms import OvmsExport


@click.command("ovms")
@named_models
@click.option(
    "-o", "--output", "output", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR",
    help="Folder to write: DIR/models/NAME/1/NAME.xml, DIR/config.json and DIR/README.md.",
)  # fmt: skip
@click.option(
    "--batch", metavar="N|N:M",
    help="Images in a request: a number, or a range with an upper limit, such as 1:8 (default: 1, or 1 to the batch "
    "size of --profile).",
)  # fmt: skip
@click.option(
    "--bake-geometry", is_flag=True,
    help="Add crop and resize to the graph: one image of any size per request. Without it the server stretches the "
    "whole image.",
)  # fmt: skip
@click.option(
    "--geometry", metavar="STEPS",
    help="Crop and resize for --bake-geometry, such as 'resize 256, crop 224', instead of the model's own.",
)  # fmt: skip
@click.option(
    "--labels", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="File with one class name per line, instead of the model's labels.",
)  # fmt: skip
@click.option(
    "-d", "--device", metavar="DEVICE", help="Target device of the server (default: CPU, or that of --profile)."
)
@options.profile("Profile written by `tune`, for a single model: becomes plugin_config, nireq and the batch range.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in DIR.")
@options.format_option("table", "json")
@options.lookup
@click.pass_context
def ovms_command(
    context: click.Context,
    models: dict[str, str],
    output: Path,
    batch: str | None,
    bake_geometry: bool,
    geometry: str | None,
    labels: Path | None,
    device: str | None,
    profile: Path | None,
    overwrite: bool,
    output_format: str,
    lookup: Lookup,
) -> int:
    """Export models to a model repository for OpenVINO Model Server.

    MODEL is a zoo name, a model.yml, hf:OWNER/NAME or an IR .xml. Clients use the zoo name, the name of the file, or
    NAME; --name gives another one.

    DIR/README.md has the commands to start the server and to send it images, and says what differs from `classify`. A
    model that cannot be exported is reported and left out of config.json; the exit code is then 1.

    \b
    Examples:
      ov-mobilenet export ovms mobilenet-v2-pytorch -o repository
      ov-mobilenet export ovms mobilenet-v2-pytorch -o repository --bake-geometry
      ov-mobilenet export ovms --name signs=public/mine/FP16/mine.xml mobilenet-v3-small-1.0-224-tf -o repository
      ov-mobilenet export ovms mobilenet-v2-pytorch -o repository --profile mobilenet-v2-pytorch.profile.yml
    """
    from ov_mobilenet.exporting.ovms import export_ovms

    exported = export_ovms(
        models, output, batch=batch, bake_geometry=bake_geometry, geometry=geometry,
        labels=options.read_label_file(labels), device=device, profile=profile, overwrite=overwrite,
        **lookup.as_options(),
    )  # fmt: skip
    print_errors(exported.failures)
    _print(exported, output_format)
    if exported.failures:
        print_summary(exported.failures, given=len(models), consequence="are not in config.json")
        return 1
    if not options.quiet(context):
        click.echo(f"how to run the server: {exported.folder / 'README.md'}", err=True)
    return 0


def _print(exported: OvmsExport, output_format: str) -> None:
    if output_format == "json":
        rows: list[dict[str, Any]] = [
            {
                "schema_version": SCHEMA_VERSION, "model": one.name, "source": one.source, "xml": str(one.xml),
                "config": str(exported.config), "precision": one.precision, "batch": one.batch,
                "input_size": one.input_size, "geometry_baked": one.input_size is None,
            }
            for one in exported.models
        ]  # fmt: skip
        options.print_json([*rows, *failure_rows(exported.failures)])
        return
    from ov_mobilenet.cli.tables import print_table

    cells = [
        (
            one.name, one.precision or "-", one.batch,
            "any" if one.input_size is None else "{}x{}".format(*one.input_size), str(one.xml),
        )
        for one in exported.models
    ]  # fmt: skip
    print_table(("model", "precision", "batch", "input size", "xml"), cells)
