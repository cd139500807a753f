"""`convert --dry-run`: print the IRs that would be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ov_mobilenet.cli import options
from ov_mobilenet.conversion.converter import WeightPrecision, default_precisions
from ov_mobilenet.conversion.sources import planned_network_path
from ov_mobilenet.downloads.cache import default_root
from ov_mobilenet.downloads.fetch import plan_file
from ov_mobilenet.zoo.arguments import plan_conversion
from ov_mobilenet.zoo.geometry import geometry_of_dataset
from ov_mobilenet.zoo.model import ModelConfig


def show_plan(
    download_dir: Path,
    output_dir: Path,
    precisions: tuple[WeightPrecision, ...] | None,
    cache_dir: Path | None,
    output_format: str,
    rows: list[dict[str, Any]],
    config: ModelConfig,
) -> None:
    """Collect a row for each IR that would be written; with `--format table`, also print how it would be made."""
    plan = plan_conversion(config)
    folder = download_dir / "public" / config.name
    actions = {f.name: plan_file(f, folder / f.name, cache_dir or default_root()) for f in config.files}
    fetched = [name for name, action in actions.items() if action == "fetch"]
    network = str(planned_network_path(config, plan, folder))
    geometry = geometry_of_dataset(config.dataset) if config.dataset is not None else None
    for precision in precisions or default_precisions(plan):
        xml = output_dir / "public" / config.name / precision / f"{config.name}.xml"
        rows.append(
            {"model": config.name, "precision": precision, "xml": str(xml), "network": network, "fetch": fetched}
        )
        if output_format == "table":
            click.echo(xml)
    if output_format == "table":
        size = options.human_size(sum(file.size for file in config.files if file.name in fetched))
        status = f"{size} to download" if fetched else "files are already downloaded"
        click.echo(f"  from {config.framework} {network}, {status}")
        click.echo(
            f"  input {plan.input.name} {list(plan.input.shape)} {plan.input.layout}; baked in: {plan.normalisation}"
        )
        click.echo(f"  geometry {geometry or 'not known'}; output {plan.output or 'the only one of the network'}")
