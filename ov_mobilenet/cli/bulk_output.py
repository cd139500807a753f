"""What `bulk` prints: progress and failed images on stderr; the plan or the summary on stdout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import click
import msgspec

from ov_mobilenet.bulk_classification.bulk_progress import BulkProgress, BulkResult
from ov_mobilenet.bulk_classification.manifest import Manifest
from ov_mobilenet.bulk_classification.ray_settings import RaySettings
from ov_mobilenet.cli import options
from ov_mobilenet.cli.progress import Progress, ProgressTask, duration
from ov_mobilenet.cli.tables import print_facts
from ov_mobilenet.errors import OvMobilenetError, printable
from ov_mobilenet.runtime.results import Failure

SCHEMA_VERSION = 1
# Failed images and failed shards that are printed, each.
MAX_SHOWN = 20


@dataclass
class BulkReporter:
    """Prints what happens during a run.

    Attributes:
        last: the last progress; None before the run begins.
    """

    progress: Progress
    last: BulkProgress | None = None

    def __post_init__(self) -> None:
        self._task: ProgressTask | None = None
        self._parts_before = self._failures = 0

    def on_progress(self, now: BulkProgress) -> None:
        """Draw the progress if that is due."""
        if self._task is None:  # not earlier: the model is loaded and the inputs are listed before
            self._task, self._parts_before = self.progress.task(), now.parts
        self.last = now
        by_images = now.total_images is not None
        self._task.update(
            now.images if by_images else now.parts, now.total_images if by_images else now.total_parts, self._describe
        )

    def on_failure(self, failure: Failure) -> None:
        """Print one of the first failed images."""
        self._failures += 1
        if self._failures <= MAX_SHOWN:
            click.echo(f"error: {printable(failure.source)}: {printable(failure.error)}", err=True)
        elif self._failures == MAX_SHOWN + 1:
            click.echo("further errors are only in the column `error` of the parts", err=True)

    def print_end(self, error: BaseException) -> None:
        """Print how much is done, after an error or a signal."""
        if self.last is not None:
            # The message of an error says itself what to do.
            rest = "" if isinstance(error, OvMobilenetError) else "; the same command does the others"
            click.echo(f"{self.last.parts} of {self.last.total_parts} parts are done{rest}", err=True)

    def _describe(self, seconds: float) -> str:
        """One line, such as `3 of 40 parts, 6200 of 80000 images, 812.0/s, 91 s left, 1 error`."""
        now = self.last
        assert now is not None
        images = f"{now.images} images" if now.total_images is None else f"{now.images} of {now.total_images} images"
        rate = now.images_now / seconds if seconds > 0 else 0.0
        facts = [f"{now.parts} of {now.total_parts} parts", images, f"{rate:.1f}/s"]
        if now.total_images is not None:
            left = (now.total_images - now.images) / rate if rate > 0 else None
        else:
            parts = now.parts - self._parts_before
            left = (now.total_parts - now.parts) * seconds / parts if parts else None
        if left is not None:
            facts.append(f"{duration(left)} left")
        if now.errors:
            facts.append(f"{now.errors} error{'s' if now.errors > 1 else ''}")
        if now.failed_parts:
            facts.append(f"{now.failed_parts} failed part{'s' if now.failed_parts > 1 else ''}")
        return ", ".join(facts)


def print_failed_shards(result: BulkResult) -> None:
    """Print which parts are missing and why, on stderr."""
    for failed in result.failed_shards[:MAX_SHOWN]:
        click.echo(f"error: {failed.part} is not written: {failed.source}: {failed.reason}", err=True)
    if result.failed_shards:
        count = len(result.failed_shards)
        click.echo(f"{count} of {result.manifest.inputs.parts} parts are missing; the same command tries them again",
                   err=True)  # fmt: skip


def print_result(result: BulkResult, output: str, output_format: Literal["table", "json"]) -> None:
    """Print the summary of a run on stdout."""
    facts = {
        **_counts(result.manifest, output), "images_now": result.images_now, "seconds": round(result.seconds, 3),
        "images_per_second": result.images_per_second and round(result.images_per_second, 1),
        "failed_shards": [
            {name: getattr(failed, name) for name in ("index", "part", "shard", "source", "reason")}
            for failed in result.failed_shards
        ],
        "ran_on": msgspec.to_builtins(result.manifest.ran_on),
    }  # fmt: skip
    if output_format == "json":
        options.print_json(facts)
        return
    rate = result.images_per_second
    now = f"{result.images_now} images in {duration(result.seconds)}, {rate:.1f}/s" if rate else "nothing to do"
    print_facts({**_count_lines(result.manifest, output), "this run": now, "ran on": list(facts["ran_on"])})


def print_plan(
    plan: Manifest, output: str, device: str, ray: RaySettings | None, output_format: Literal["table", "json"]
) -> None:
    """Print on stdout what a run would do."""
    where: dict[str, Any] = {"engine": "here", "device": device}
    if ray is not None:
        where = {
            "engine": "ray", "device": device, "address": ray.address, "workers": ray.workers,
            "cpus_per_worker": ray.cpus_per_worker,
        }  # fmt: skip
    if output_format == "json":
        settings = {"settings_digest": plan.settings_digest, "settings": plan.settings, "runs_on": where}
        options.print_json({**_counts(plan, output), **settings})
        return
    shown = f"this machine, device {device}"
    if ray is not None:
        count = "as many workers as its CPUs allow" if ray.workers is None else f"{ray.workers} workers"
        shown = f"Ray cluster {ray.address}, {count}, CPUs per worker {ray.cpus_per_worker}, device {device}"
    print_facts({**_count_lines(plan, output), "would run on": shown, **plan.settings})


def _counts(manifest: Manifest, output: str) -> dict[str, Any]:
    """The keys that plan and summary have in common."""
    return {
        "schema_version": SCHEMA_VERSION, "output": output, "state": manifest.state, "model": manifest.model,
        "model_digest": manifest.model_digest, "parts": len(manifest.parts), "total_parts": manifest.inputs.parts,
        "images": manifest.images, "total_images": manifest.inputs.images, "errors": manifest.errors,
    }  # fmt: skip


def _count_lines(manifest: Manifest, output: str) -> dict[str, str]:
    total = manifest.inputs.images
    return {
        "output": output, "model": manifest.model,
        "parts": f"{len(manifest.parts)} of {manifest.inputs.parts} are done",
        "images": f"{manifest.images} of {'an unknown number' if total is None else total}",
        "errors": str(manifest.errors),
    }  # fmt: skip
