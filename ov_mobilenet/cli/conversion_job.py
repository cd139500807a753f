"""Convert and verify one model, here or in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click

from ov_mobilenet.cli.interruption import Gate, Interrupted, block_sigint, ignore_sigint
from ov_mobilenet.conversion.converter import IrModel, Precision, convert
from ov_mobilenet.conversion.model_optimizer import ModelOptimizer
from ov_mobilenet.downloads.fetch import SourceFiles
from ov_mobilenet.errors import ConversionError, OvMobilenetError
from ov_mobilenet.ir.form import Form

# Whoever ends a service sends SIGTERM to all its processes: a child may be gone before this one has taken it in.
_SAME_SIGNAL_S = 2.0


@dataclass(frozen=True)
class Job:
    """One model to convert.

    Attributes:
        target: its output folder.
        verify: compare with the source network afterwards.
        verify_images: to verify on; None for drawn noise.
        quiet: say nothing of the verification.
        optimizer: the classic Model Optimizer, if it is to convert.
    """

    sources: SourceFiles
    target: Path
    precisions: tuple[Precision, ...] | None
    form: Form
    verify: bool
    verify_images: list[Path] | None
    quiet: bool
    optimizer: ModelOptimizer | None = None


@dataclass(frozen=True)
class ConversionOutcome:
    """One row for each IR, as the JSON output has them, and the first thing that went wrong."""

    rows: list[dict[str, Any]]
    failure: OvMobilenetError | OSError | None = None


def run_job(job: Job) -> ConversionOutcome:
    """Convert and verify; what goes wrong is in the outcome."""
    name = job.sources.config.name
    try:
        converted = convert(job.sources, job.target, precisions=job.precisions, form=job.form, optimizer=job.optimizer)
    except (OvMobilenetError, OSError) as error:
        return failed(name, error)
    rows: list[dict[str, Any]] = []
    failure: OvMobilenetError | None = None
    for model in converted:
        row: dict[str, Any] = {"model": name, "precision": model.precision, "xml": str(model.xml)}
        rows.append(row)
        if job.verify:
            mismatch = _verify(job, model, row)
            failure = failure or mismatch
    return ConversionOutcome(rows, failure)


def failed(name: str, error: OvMobilenetError | OSError) -> ConversionOutcome:
    """The outcome of a model of which there is no IR."""
    return ConversionOutcome([{"model": name, "precision": None, "error": " ".join(str(error).split())}], error)


def _verify(job: Job, model: IrModel, row: dict[str, Any]) -> OvMobilenetError | None:
    """Verify one IR and put the outcome into its row; a failure is given back, so that the others are verified."""
    import msgspec

    from ov_mobilenet.accuracy.verification import check, verify

    try:
        result = verify(job.sources, model, job.verify_images)
        row["verification"] = msgspec.to_builtins(result)
        if not job.quiet:
            click.echo(
                f"verified {row['model']} {model.precision} on {result.images} "
                f"{'images' if job.verify_images else 'drawings'}: largest difference {result.max_difference:.2g} "
                f"(tolerance {result.tolerance:g}), top-1 agreement {result.top1_agreement:.1%} "
                f"(least {result.least_agreement:.0%})"
                + (f", {result.skipped} unreadable" if result.skipped else "")
                + (f"; not covered: {result.not_covered}" if result.not_covered else ""),
                err=True,
            )
        check(result, model.xml)
    except OvMobilenetError as error:
        row["error"] = str(error)
        return error
    return None


def run_apart(job: Job, gate: Gate) -> ConversionOutcome:
    """`run_job` in a process of its own: OpenVINO converts one network at a time in a process.

    A process that dies (of memory, of a broken file) is this model's failure and nobody else's.

    Raises:
        Interrupted: the command is being ended.
    """
    context = multiprocessing.get_context("spawn")  # a fork would take the threads' locks along
    receiver, sender = context.Pipe(duplex=False)
    level = logging.getLogger("ov_mobilenet").level
    process = context.Process(target=_child, args=(sender, level, job), daemon=True)
    with gate.starting(), block_sigint():
        process.start()
    sender.close()
    try:
        outcome: ConversionOutcome = receiver.recv()
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGTERM and gate.is_closed(within_s=_SAME_SIGNAL_S):
            raise Interrupted from None
        name = job.sources.config.name
        return failed(name, ConversionError("the converting process died", where=name, got=_ending(process.exitcode)))
    process.join()
    return outcome


def _ending(code: int | None) -> str:
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"


def _child(sender: Connection, level: int, job: Job) -> None:
    from ov_mobilenet.cli.verbosity import set_up_logging

    ignore_sigint()
    if job.optimizer is not None:
        # Unwind, so that the Model Optimizer does not outlive us.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    set_up_logging(level)
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        sender.send(run_job(job))
