"""`serve`: models over the Open Inference Protocol."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.device import DeviceFlags, device_options
from ov_mobilenet.cli.exactness import exact_option, exact_settings
from ov_mobilenet.cli.named_models import named_models, pairs
from ov_mobilenet.cli.serve_options import ServerFlags, server_options
from ov_mobilenet.devices.settings import DeviceSettings
from ov_mobilenet.images.load_image import DECODE_MODES, DecodeMode
from ov_mobilenet.resolve import Lookup

if TYPE_CHECKING:
    from ov_mobilenet.runtime.model_names import Model
    from ov_mobilenet.serving.server import Server

SCHEMA_VERSION = 1


@click.command("serve")
@partial(named_models, repositories=True)
@click.option(
    "--model-device", "model_devices", multiple=True, callback=pairs, metavar="NAME=DEVICE",
    help="The device of one model, instead of --device; repeatable.",
)  # fmt: skip
@server_options
@click.option(
    "--batch-size", type=click.IntRange(1, 65536), metavar="N",
    help="Largest number of images that run together (default: chosen for the model and device).",
)  # fmt: skip
@options.profile("Profile written by `tune`, instead of the device options and --batch-size; for a single model.")
@options.geometry_and_labels
@click.option(
    "--decode", type=click.Choice(DECODE_MODES), default="auto", show_default=True,
    help="How image files are decoded, see `classify --help`.",
)  # fmt: skip
@exact_option
@device_options
@options.lookup
@click.pass_context
def serve_command(
    context: click.Context,
    models: dict[str, Model],
    model_devices: tuple[tuple[str, str], ...],
    server_flags: ServerFlags,
    batch_size: int | None,
    profile: Path | None,
    geometry: str | None,
    labels: Path | None,
    decode: DecodeMode,
    exact: bool,
    device_options: DeviceFlags,
    lookup: Lookup,
) -> int:
    """Serve models over the Open Inference Protocol (KServe v2), REST and gRPC.

    MODEL is a zoo name, a model.yml, hf:OWNER/NAME or an IR .xml. Clients use the zoo name, the name of the file, or
    NAME; --name gives another one. A folder that `export` wrote, or any with NAME/VERSION/NAME.xml, stands for all
    models in it, each in its highest version.

    POST /v1/classify takes image files. When all models are ready, one line of JSON with the addresses and the names
    of the models is printed on stdout, unless that is a terminal. SIGHUP loads all models again without an
    interruption. SIGTERM and Ctrl-C finish the running requests; the exit code is 0.

    \b
    Examples:
      ov-mobilenet serve mobilenet-v2-pytorch
      curl --data-binary @cat.jpg http://127.0.0.1:8000/v1/classify
      ov-mobilenet serve --name signs=public/mine/FP16/mine.xml --port 8080 --reload
      ov-mobilenet serve repository
      ov-mobilenet serve signs.xml large.xml --device CPU --model-device large=GPU
      ov-mobilenet serve mobilenet-v2-pytorch --host 0.0.0.0 --token-file token --tls-cert cert.pem --tls-key key.pem
    """
    device = device_options.settings()
    if exact:
        decode, device = exact_settings(context, decode, device, profile)
    settings = server_flags.settings()
    # gRPC writes notes about forks and its name resolver on stderr.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from ov_mobilenet.serving.server import Server

    server = Server(
        models, settings, profile=profile, batch_size=batch_size, geometry=geometry,
        settings=None if profile is not None and device == DeviceSettings() else device,
        labels=options.read_label_file(labels), decode=decode, devices=dict(model_devices),
        **lookup.as_options(),
    )  # fmt: skip
    level = logging.DEBUG if options.verbose(context) else logging.INFO
    server.run(on_ready=lambda: _announce(server), log_level=logging.ERROR if options.quiet(context) else level)
    return 0


def _announce(server: Server) -> None:
    """Tell the program that started this one where the server is; a person reads it in the log."""
    if sys.stdout.isatty():
        return
    import msgspec

    line = {
        "schema_version": SCHEMA_VERSION, "url": server.url, "grpc": server.grpc_address,
        "models": server.repository.names,
    }  # fmt: skip
    with suppress(OSError):  # nobody reads it
        click.echo(msgspec.json.encode(line).decode())
