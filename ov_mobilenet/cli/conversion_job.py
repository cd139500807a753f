"""Convert and verify one model, in this process or in a separate one."""

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

from ov_mobilenet.cli.interruption import Gate, Interrupted, ignore_sigint
from ov_mobilenet.cli.library_warnings import warnings_in_log
from ov_mobilenet.conversion.converter import IrModel, WeightPrecision, convert_network
from ov_mobilenet.conversion.local_network import LocalNetwork
from ov_mobilenet.conversion.mo_program import ModelOptimizer
from ov_mobilenet.errors import ConversionError, OvMobilenetError
from ov_mobilenet.ir.form import Form
from ov_mobilenet.operating_system.signals import exit_reason, sigint_blocked

# A service manager sends SIGTERM to all processes of a service; a child may end before this process handles the signal.
_SAME_SIGNAL_S = 2.0


@dataclass(frozen=True)
class ConversionJob:
    """One model to convert.

    Attributes:
        folder: output folder of the model.
        precisions: weight precisions; None for the default of the description.
        verify: compare the IRs with the source network afterwards.
        verify_images: images to verify on; None for generated noise.
        quiet: do not report the verification on stderr.
        optimizer: the classic Model Optimizer, to convert with it.
        isolate: whether the network is read in a child process first; None: if its description has no digest of it.
    """

    network: LocalNetwork
    folder: Path
    precisions: tuple[WeightPrecision, ...] | None
    form: Form
    verify: bool
    verify_images: list[Path] | None
    quiet: bool
    optimizer: ModelOptimizer | None = None
    isolate: bool | None = None


@dataclass(frozen=True)
class ConversionOutcome:
    """One row per IR for the JSON output, and the first error."""

    rows: list[dict[str, Any]]
    failure: OvMobilenetError | OSError | None = None


def run_job(job: ConversionJob) -> ConversionOutcome:
    """Convert and verify; an error is returned in the outcome."""
    name = job.network.config.name
    try:
        converted = convert_network(
            job.network,
            job.folder,
            precisions=job.precisions,
            form=job.form,
            optimizer=job.optimizer,
            isolate=job.isolate,
        )
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
    """The outcome for a model that was not converted."""
    return ConversionOutcome([{"model": name, "precision": None, "error": " ".join(str(error).split())}], error)


def _verify(job: ConversionJob, model: IrModel, row: dict[str, Any]) -> OvMobilenetError | None:
    """Verify one IR and add the result to its row; an error is returned, so that the other IRs are verified too."""
    import msgspec

    from ov_mobilenet.accuracy.verification import verify
    from ov_mobilenet.accuracy.verification_result import check, judged_figures

    try:
        result = verify(job.network.sources, model, job.verify_images)
        row["verification"] = msgspec.to_builtins(result)
        if not job.quiet:
            images = "images" if job.verify_images else "noise images"
            click.echo(
                f"verified {row['model']} {model.precision} on {result.images} {images}: {judged_figures(result)}"
                + (f", {result.skipped} unreadable" if result.skipped else "")
                + (f"; not covered: {result.not_covered}" if result.not_covered else ""),
                err=True,
            )
        for warning in result.warnings:  # also with -q: it may mean that all answers are wrong
            click.echo(f"warning: {row['model']} {model.precision}: {warning}", err=True)
        check(result, model.xml)
    except OvMobilenetError as error:
        row["error"] = str(error)
        return error
    return None


def run_in_process(job: ConversionJob, gate: Gate) -> ConversionOutcome:
    """`run_job` in a separate process, because OpenVINO converts only one network at a time per process.

    A process that dies, for example for lack of memory, fails only this model.

    Raises:
        Interrupted: the command is being interrupted.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that other threads hold
    receiver, sender = context.Pipe(duplex=False)
    level = logging.getLogger("ov_mobilenet").level
    process = context.Process(target=_child, args=(sender, level, job), daemon=True)
    with gate.starting(), sigint_blocked():
        process.start()
    sender.close()
    try:
        outcome: ConversionOutcome = receiver.recv()
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGTERM and gate.is_closed(within_s=_SAME_SIGNAL_S):
            raise Interrupted from None
        name = job.network.config.name
        error = ConversionError("the conversion process died", where=name, got=exit_reason(process.exitcode))
        return failed(name, error)
    process.join()
    return outcome


def _child(sender: Connection, level: int, job: ConversionJob) -> None:
    from ov_mobilenet.cli.verbosity import set_up_logging

    ignore_sigint()
    if job.optimizer is not None:
        # Raise SystemExit, so that the Model Optimizer is ended too.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    set_up_logging(level)
    with contextlib.suppress(BrokenPipeError), warnings_in_log():  # BrokenPipeError: the parent has ended
        sender.send(run_job(job))
