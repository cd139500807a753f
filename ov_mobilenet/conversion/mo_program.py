"""Run the classic Model Optimizer: build its command line, shorten its messages, stop it on interruption."""

from __future__ import annotations

import logging
import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ov_mobilenet.argument_types import checked
from ov_mobilenet.errors import ConversionError, MissingDependencyError
from ov_mobilenet.operating_system.child_programs import kill_group, own_group
from ov_mobilenet.operating_system.signals import exit_reason

if TYPE_CHECKING:
    from ov_mobilenet.conversion.local_network import LocalNetwork
    from ov_mobilenet.ir.form import Form

log = logging.getLogger(__name__)

# How much of the program's messages an error shows.
_SHOWN_LINES, _SHOWN_CHARACTERS = 3, 400


@checked
@dataclass(frozen=True)
class ModelOptimizer:
    """The program `mo` and additional arguments for it.

    Attributes:
        program: path of the program.
        arguments: appended to the arguments of the description unchanged, so that they take precedence.
    """

    program: str
    arguments: tuple[str, ...] = ()


def command_line(
    network: LocalNetwork, source: Path, form: Form, optimizer: ModelOptimizer, output_folder: str
) -> list[str]:
    """The program and its arguments, to be run without a shell.

    Every value follows its option's `=`, so that a value that begins with `-` is not taken for an option.

    Args:
        source: path of the network; it must not contain commas.
        output_folder: where the IR is written.
    """
    config, plan, layout = network.config, network.plan, network.layout
    name = plan.input.name
    command = [
        optimizer.program,
        f"--framework={config.framework}",
        f"--{'saved_model_dir' if plan.source.folder else 'input_model'}={source}",
        f"--output_dir={output_folder}",
        f"--model_name={config.name}",
        "--compress_to_fp16=False",
    ]
    if name:
        command.append(f"--input={name}")
    if plan.input.shape:
        # A requested batch is set afterwards, when no reshape of the graph fixes the batch any more.
        shape = (1 if form.batch is not None else plan.input.shape[0], *plan.input.shape[1:])
        command.append(f"--input_shape=[{','.join(map(str, shape))}]")
    target = form.layout or plan.target_layout or layout
    layouts = layout if target == layout else f"{layout}->{target}"
    command.append(f"--layout={name}({layouts.lower()})" if name else f"--layout={layouts.lower()}")
    if plan.output:
        command.append(f"--output={plan.output.removesuffix(':0')}")
    for option, numbers in (("mean_values", plan.normalisation.mean), ("scale_values", plan.normalisation.scale)):
        if numbers:
            command.append(f"--{option}={name}[{','.join(map(repr, numbers))}]")
    if plan.normalisation.reverse_input_channels:
        command.append("--reverse_input_channels")
    return [*command, *optimizer.arguments]


def run(command: list[str], path: Path) -> None:
    """Run the program and wait for it; it is killed if this process is interrupted.

    Args:
        path: the source network, for messages.

    Raises:
        ConversionError: the program failed.
        MissingDependencyError: the program cannot be run, or its environment lacks TensorFlow.
    """
    log.info("%s", shlex.join(command))
    # The program runs in another Python environment. Its telemetry is off if CI is set.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    process = None
    try:
        with _deferred(signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**environment, "CI": "true"}, encoding="utf-8", errors="replace", **own_group(),
            )  # fmt: skip
        out, err = process.communicate()
    except OSError as error:
        raise MissingDependencyError(
            f"the Model Optimizer cannot be started ({error.strerror})", where=command[0],
            expected="mo of openvino-dev 2024.6.0", fix="Give its path with --mo PATH",
        ) from error  # fmt: skip
    finally:
        if process is not None and process.poll() is None:
            kill_group(process)
            process.communicate()
    if process.returncode != 0:
        raise _failure(command[0], path, process.returncode, err if err.strip() else out)


@contextmanager
def _deferred(*signals: signal.Signals) -> Iterator[None]:
    """Deliver signals after the block: an exception while a program starts would lose the process."""
    if threading.current_thread() is not threading.main_thread():  # signal handlers run in the main thread only
        yield
        return
    received: list[int] = []
    handlers = {number: handler for number in signals if callable(handler := signal.getsignal(number))}
    for number in handlers:
        signal.signal(number, lambda signum, frame: received.append(signum))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for signum in received:
            signal.raise_signal(signum)


def _failure(program: str, path: Path, code: int, text: str) -> ConversionError | MissingDependencyError:
    if "No module named 'tensorflow'" in text:
        return MissingDependencyError(
            "the Model Optimizer needs tensorflow in its own environment to read TensorFlow graphs", where=path,
            fix=f"Install it there ({Path(program).parent / 'pip'} install 'tensorflow-cpu<2.19'), "
            "or convert with --backend openvino",
        )  # fmt: skip
    if "Current type is: u8" in text or "Current type is: i8" in text:
        return integer_input_error(path)
    reason = _last_lines(text.splitlines())
    return ConversionError(f"the Model Optimizer failed ({reason})", where=path, got=exit_reason(code))


def _last_lines(lines: Iterable[str]) -> str:
    """The last informative lines as one line, without log prefixes, rulers and tracebacks."""
    kept: list[str] = []
    for line in lines:
        text = re.sub(r"^\[ [A-Z]+ \]\s*", "", line.strip())
        is_noise = re.fullmatch(r"[-^~\s]*|-+ .* -+", text) or line.startswith("  ") or text.startswith("Traceback ")
        if not is_noise and text not in kept:
            kept.append(text)
    joined = " / ".join(kept[-_SHOWN_LINES:])
    return joined if len(joined) <= _SHOWN_CHARACTERS else "… " + joined[-_SHOWN_CHARACTERS:]


def integer_input_error(path: Path) -> ConversionError:
    """The error for a network with an integer input."""
    return ConversionError(
        "the network has an integer input, to which the Model Optimizer cannot apply mean and scale", where=path,
        expected="a float input", fix="Convert it with --backend openvino",
    )  # fmt: skip
