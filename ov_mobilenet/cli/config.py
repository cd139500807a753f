"""`config show`: the user's defaults and where each comes from."""

from __future__ import annotations

from typing import Any

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.configuration import SETTINGS, Configured, configuration, configuration_file

SCHEMA_VERSION = 1


@click.group("config")
def config_group() -> None:
    """Show the defaults that the configuration file and the environment set.

    \b
    The keys of the file, and the variables that take precedence over it:
      device       OV_MOBILENET_DEVICE
      cache_dir    OV_MOBILENET_CACHE_DIR
      model_cache  OV_MOBILENET_MODEL_CACHE
      mirrors      OV_MOBILENET_MIRRORS
      format       OV_MOBILENET_FORMAT
      offline      OV_MOBILENET_OFFLINE

    An option on the command line takes precedence over both.

    Example: ov-mobilenet config show
    """


@config_group.command("show")
@options.format_option("table", "json")
@click.pass_context
def show_config(context: click.Context, output_format: str) -> None:
    """Show the path of the configuration file, and each setting with its value and where it comes from.

    Example: ov-mobilenet config show --format json
    """
    file = configuration_file()
    found = configuration()
    if output_format == "json":
        document = {"schema_version": SCHEMA_VERSION, "file": str(file), "file_exists": file.exists()}
        options.print_json({**document, "settings": {s.name: _row(found.get(s.name)) for s in SETTINGS}})
        return
    from ov_mobilenet.cli.tables import print_table

    rows = []
    for setting in SETTINGS:
        configured = found.get(setting.name)
        value = "-" if configured is None else _words(configured)
        rows.append((setting.name, value, "default" if configured is None else configured.origin, setting.option))
    print_table(("setting", "value", "from", "option"), rows)
    if not options.quiet(context):
        click.echo(f"{file}{'' if file.exists() else ' does not exist'}", err=True)


def _row(configured: Configured | None) -> dict[str, Any]:
    return {
        "value": None if configured is None else configured.value,
        "origin": "default" if configured is None else configured.origin,
    }


def _words(configured: Configured) -> str:
    value = configured.value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else " ".join(value)
