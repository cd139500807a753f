"""`serve`: models over the Open Inference Protocol."""

from __future__ import annotations

import asyncio

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.device import DeviceFlags, device_options
from ov_mobilenet.resolve import Lookup


@click.command("serve")
@click.argument("models", nargs=-1, metavar="MODEL…")
@click.option("--name", "named", multiple=True, metavar="NAME=MODEL", help="A model under another name; repeatable.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port of HTTP.")
@click.option("--grpc-port", type=click.IntRange(0, 65535), default=8001, show_default=True, help="Port of gRPC.")
@device_options
@options.lookup
def serve_command(
    models: tuple[str, ...],
    named: tuple[str, ...],
    host: str,
    port: int,
    grpc_port: int,
    device_options: DeviceFlags,
    lookup: Lookup,
) -> int:
    """Serve models over the Open Inference Protocol (KServe v2), REST and gRPC.

    \b
    Examples:
      ov-mobilenet serve mobilenet-v2-pytorch
      ov-mobilenet serve --name signs=public/mine/FP16/mine.xml --port 8080
    """
    from ov_mobilenet.serving.server import Server
    from ov_mobilenet.serving.settings import ServerSettings

    chosen = {model: model for model in models} | dict(one.split("=", 1) for one in named)
    server = Server(
        chosen, ServerSettings(host=host, port=port, grpc_port=grpc_port), settings=device_options.settings(),
        **lookup.as_options(),
    )  # fmt: skip
    asyncio.run(server.serve())
    return 0
