"""`export`: models for other model servers."""

from __future__ import annotations

import click

from ov_mobilenet.cli.export_kserve import kserve_command
from ov_mobilenet.cli.export_ovms import ovms_command


@click.group("export")
def export_group() -> None:
    """Export models for other model servers.

    \b
    Examples:
      ov-mobilenet export ovms mobilenet-v2-pytorch -o repository
      ov-mobilenet export kserve mobilenet-v2-pytorch -o services --storage-uri s3://bucket/models
    """


export_group.add_command(ovms_command)
export_group.add_command(kserve_command)
