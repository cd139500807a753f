"""`cache list` and `cache prune`: the download, IR and model caches."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ov_mobilenet.cli import options
from ov_mobilenet.devices import model_cache
from ov_mobilenet.downloads import cache

SCHEMA_VERSION = 1


@click.group("cache")
def cache_group() -> None:
    """List and prune the download, IR and model caches.

    \b
    Examples:
      ov-mobilenet cache list
      ov-mobilenet cache prune --older-than 30
    """


@cache_group.command("list")
@options.format_option("table", "json")
@options.cache_root
@click.pass_context
def list_entries(context: click.Context, output_format: str, cache_dir: Path | None) -> None:
    """List the cached files, the oldest first.

    Example: ov-mobilenet cache list --format json
    """
    root = cache_dir or cache.default_root()
    entries = _entries(root)
    if output_format == "json":
        rows = [{"kind": e.kind, "path": str(e.path), "size": e.size, "age_days": e.age_days} for e in entries]
        options.print_json({"schema_version": SCHEMA_VERSION, "root": str(root), "entries": rows})
        return
    from ov_mobilenet.cli.tables import print_table

    rows_ = [(e.kind, str(e.path.relative_to(root)), f"{e.age_days:.1f}", options.human_size(e.size)) for e in entries]
    print_table(("kind", "entry", "days", "size"), rows_, numbers_from=2)
    if not options.quiet(context):
        count = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
        click.echo(f"{count}, {options.human_size(sum(e.size for e in entries))} in {root}", err=True)


@cache_group.command("prune")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Delete only files that are older than DAYS days; for compiled models, counted from their last use.",
)
@click.option(
    "--dry-run", "--dry_run", is_flag=True, help="Print the files that would be deleted, without deleting them."
)
@options.cache_root
@click.pass_context
def prune(context: click.Context, older_than: float | None, dry_run: bool, cache_dir: Path | None) -> None:
    """Delete cached files, except those that a running command uses.

    \b
    Examples:
      ov-mobilenet cache prune --dry-run
      ov-mobilenet cache prune --older-than 30
    """
    root = cache_dir or cache.default_root()
    freed = 0
    for entry in _entries(root):
        if older_than is not None and entry.age_days < older_than:
            continue
        if dry_run or _remove(root, entry):
            click.echo(entry.path)
            freed += entry.size
    if not options.quiet(context):
        click.echo(f"{options.human_size(freed)} {'would be ' if dry_run else ''}freed", err=True)


def _entries(root: Path) -> list[cache.CacheEntry]:
    """The entries of all caches, the oldest first; the age of a compiled model counts from its last use."""
    now = time.time()
    compiled = [
        cache.CacheEntry("compiled", model.path, model.size, (now - model.used) / 86_400)
        for model in model_cache.models(model_cache.default_folder(root))
    ]
    return sorted((*cache.entries(root), *compiled), key=lambda entry: (-entry.age_days, str(entry.path)))


def _remove(root: Path, entry: cache.CacheEntry) -> bool:
    """Delete an entry. Returns False if another process uses it."""
    if entry.kind == "compiled":
        entry.path.unlink(missing_ok=True)
        return True
    return cache.remove(root, entry)
