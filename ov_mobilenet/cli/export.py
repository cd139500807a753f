"""`export`: models for other model servers."""

from __future__ import annotations

import click

from ov_mobilenet.cli.export_ovms import ovms_command


@click.group("export")
def export_group() -> None:
    """Export models for other model servers.

    \b
    Examples:
      ov-mobilenet export ovms mobilenet-v2-pytorch -o repository
    """


export_group.add_command(ovms_command)
