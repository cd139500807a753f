"""The classic Model Optimizer as a second converter: `mo` of openvino-dev, run as a program.

It pins an OpenVINO of its own, so it lives in an environment of its own (`tools/omz-requirements.txt`) and nothing of
it is imported. It reads the network, cuts it at the output, and bakes channel order, mean, scale and layout in. What
our converted models promise beyond that is done here as with our own conversion: the end in probabilities, the batch,
names and the record.

Weights are halved here too, not by `mo`: it would round biases, mean and scale as well.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ov_mobilenet.errors import ConversionError, MissingDependencyError, UsageError
from ov_mobilenet.ir.mo_record import MoRecord, read_mo_record
from ov_mobilenet.zoo.arguments import ConversionPlan
from ov_mobilenet.zoo.model import ModelConfig

if TYPE_CHECKING:
    import openvino as ov

    from ov_mobilenet.ir.form import Form
    from ov_mobilenet.ir.record import IrRecord

log = logging.getLogger(__name__)

FRAMEWORKS = ("onnx", "tf", "tflite")
_REALISED = ("batch", "layout", "geometry")  # fields of Form; any other one is refused
_SHOWN_LINES, _SHOWN_LETTERS = 3, 400


@dataclass(frozen=True)
class ModelOptimizer:
    """The program and what it is given beside the description's arguments.

    Attributes:
        program: its path.
        arguments: passed on as they are, behind all others, so that they win.
    """

    program: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Optimized:
    """A network as the Model Optimizer made it, normalised, ending in probabilities.

    Attributes:
        layout: of its input.
        record: what the Model Optimizer says of it.
    """

    network: ov.Model
    layout: str
    record: MoRecord


def optimize(
    config: ModelConfig, plan: ConversionPlan, path: Path, form: Form, layout: str, optimizer: ModelOptimizer
) -> Optimized:
    """Convert the network at `path` with the Model Optimizer.

    Args:
        layout: of the source network.

    Raises:
        UsageError: the form is one that the Model Optimizer cannot make.
        ConversionError: it takes no networks of this kind, or failed.
        MissingDependencyError: it cannot be run, or lacks TensorFlow.
    """
    from ov_mobilenet.conversion.sources.frontend import path_without_commas

    _check(config, path, form)
    with tempfile.TemporaryDirectory(prefix="ov-mobilenet-mo-") as folder:
        # A comma in a path would be read as a list of paths. The folder is linked, since a network may have others
        # of its files beside it.
        (Path(folder) / "source").symlink_to(path.absolute().parent, target_is_directory=True)
        with path_without_commas(Path(folder) / "source" / path.name) as source:
            _run(command_line(config, plan, source, form, layout, optimizer, folder), path)
        network, record = _read(Path(folder) / f"{config.name}.xml", path)
    return _promised(network, record, config, plan, path, form, layout)


def command_line(
    config: ModelConfig,
    plan: ConversionPlan,
    source: Path,
    form: Form,
    layout: str,
    optimizer: ModelOptimizer,
    folder: str,
) -> list[str]:
    """The program and its arguments, one string each: no shell reads them.

    Every value stands behind its option's `=`, so that a name that begins with `-` is no option.

    Args:
        source: the network, by a path without commas.
        layout: of the source network.
        folder: where the IR is to be written.
    """
    name = plan.input.name
    command = [
        optimizer.program,
        f"--framework={config.framework}",
        f"--{'saved_model_dir' if plan.source.folder else 'input_model'}={source}",
        f"--output_dir={folder}",
        f"--model_name={config.name}",
        "--compress_to_fp16=False",
    ]
    if name:
        command.append(f"--input={name}")
    if plan.input.shape:
        # A batch that the form changes is set afterwards, when what fixes it in the graph is freed.
        shape = (1 if form.batch is not None else plan.input.shape[0], *plan.input.shape[1:])
        command.append(f"--input_shape=[{','.join(map(str, shape))}]")
    target = form.layout or plan.target_layout or layout
    change = layout if target == layout else f"{layout}->{target}"
    command.append(f"--layout={name}({change.lower()})" if name else f"--layout={change.lower()}")
    if plan.output:
        command.append(f"--output={plan.output.removesuffix(':0')}")
    for option, numbers in (("mean_values", plan.normalisation.mean), ("scale_values", plan.normalisation.scale)):
        if numbers:
            command.append(f"--{option}={name}[{','.join(map(repr, numbers))}]")
    if plan.normalisation.reverse_input_channels:
        command.append("--reverse_input_channels")
    return [*command, *optimizer.arguments]


def signed(record: IrRecord, made: Optimized, path: Path) -> IrRecord:
    """Our record with what the Model Optimizer says it did, which `--add_mo_arg` may have changed.

    Raises:
        ConversionError: its weights are not of the record's precision, or its record cannot be read.
    """
    if record.precision == "FP32" and _has_halved_weights(made.network):
        raise ConversionError(
            "the Model Optimizer halved the weights", where=path, expected="FP32", got="FP16", fix="Ask for FP16 alone"
        )
    try:
        normalisation = made.record.normalisation()
    except ValueError as error:
        raise ConversionError(
            "the Model Optimizer's record cannot be read", where=path, expected="one mean and one scale", got=error
        ) from error
    versions = {**record.versions, "model_optimizer": made.record.version}
    return msgspec.structs.replace(record, normalisation=normalisation, versions=versions)


def _has_halved_weights(model: ov.Model) -> bool:
    import openvino as ov

    constants = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    return any(node.get_element_type() == ov.Type.f16 for node in constants)


def _check(config: ModelConfig, path: Path, form: Form) -> None:
    if config.framework not in FRAMEWORKS:
        raise ConversionError(
            f"the Model Optimizer takes no {config.framework} networks", where=path,
            expected=", ".join(FRAMEWORKS), got=config.framework,
            fix="Export the network to ONNX first, or convert it with --backend openvino",
        )  # fmt: skip
    for field in dataclasses.fields(form):
        if field.name not in _REALISED and getattr(form, field.name) != field.default:
            raise UsageError(
                f"--{field.name.replace('_', '-')} is not for --backend mo",
                expected=f"{field.default}: the Model Optimizer makes no other input", got=getattr(form, field.name),
                fix="Convert with --backend openvino",
            )  # fmt: skip


def _run(command: list[str], path: Path) -> None:
    """Run the program to its end; whoever interrupts us ends it too."""
    log.info("%s", shlex.join(command))
    # Its Python is another one than ours, and its telemetry sends nothing where CI is set.
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    process = None
    try:
        with _held_back(signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**kept, "CI": "true"}, encoding="utf-8", errors="replace", start_new_session=True,
            )  # fmt: skip
        out, err = process.communicate()
    except OSError as error:
        raise MissingDependencyError(
            f"the Model Optimizer cannot be run ({error.strerror})", where=command[0],
            expected="mo of openvino-dev 2024.6.0", fix="Name it with --mo PATH",
        ) from error  # fmt: skip
    finally:
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode != 0:
        raise _failure(command[0], path, process.returncode, err if err.strip() else out)


@contextmanager
def _held_back(*signals: signal.Signals) -> Iterator[None]:
    """Let signals that raise come only behind the block: one that comes while a program starts would lose it."""
    if threading.current_thread() is not threading.main_thread():  # only there they raise
        yield
        return
    held: list[int] = []
    before = {number: handler for number in signals if callable(handler := signal.getsignal(number))}
    for number in before:
        signal.signal(number, lambda signum, frame: held.append(signum))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for signum in held:
            os.kill(os.getpid(), signum)


def _failure(program: str, path: Path, code: int, text: str) -> ConversionError | MissingDependencyError:
    if "No module named 'tensorflow'" in text:
        return MissingDependencyError(
            "the Model Optimizer reads TensorFlow graphs only with tensorflow in its own environment", where=path,
            fix=f"Install it there ({Path(program).parent / 'pip'} install 'tensorflow-cpu<2.19'), "
            "or convert with --backend openvino",
        )  # fmt: skip
    if "Current type is: u8" in text or "Current type is: i8" in text:
        return _quantised(path)
    ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return ConversionError(f"the Model Optimizer failed ({last_lines(text.splitlines())})", where=path, got=ended)


def last_lines(lines: Iterable[str]) -> str:
    """The last lines that say something, without marks, rulers and traceback, as one line."""
    kept: list[str] = []
    for line in lines:
        text = re.sub(r"^\[ [A-Z]+ \]\s*", "", line.strip())
        is_noise = re.fullmatch(r"[-^~\s]*|-+ .* -+", text) or line.startswith("  ") or text.startswith("Traceback ")
        if not is_noise and text not in kept:
            kept.append(text)
    joined = " / ".join(kept[-_SHOWN_LINES:])
    return joined if len(joined) <= _SHOWN_LETTERS else "… " + joined[-_SHOWN_LETTERS:]


def _quantised(path: Path) -> ConversionError:
    return ConversionError(
        "the network takes integers, to which the Model Optimizer applies no mean or scale", where=path,
        expected="a float network", fix="Convert it with --backend openvino",
    )  # fmt: skip


def _read(xml: Path, path: Path) -> tuple[ov.Model, MoRecord]:
    import openvino as ov

    if not xml.is_file() or not xml.with_suffix(".bin").is_file():
        raise ConversionError(
            "the Model Optimizer wrote no IR where it was told to",
            where=path,
            fix="--output_dir, --model_name and the like are not for --add_mo_arg",
        )
    network = ov.Core().read_model(xml)
    record = read_mo_record(network)
    if record is None:
        raise ConversionError(
            "the Model Optimizer's IR does not say what is baked in", where=path,
            expected="conversion_parameters, as openvino-dev 2024.6.0 writes them",
        )  # fmt: skip
    return network, record


def _promised(
    network: ov.Model,
    record: MoRecord,
    config: ModelConfig,
    plan: ConversionPlan,
    path: Path,
    form: Form,
    layout: str,
) -> Optimized:
    """The network with what a converted model promises and the Model Optimizer does not do."""
    import openvino as ov

    from ov_mobilenet.conversion.shapes import free_batch, set_shape
    from ov_mobilenet.ir.ports import find_output, plain_name, single_input
    from ov_mobilenet.ir.probabilities import end_in_probabilities

    port = single_input(network, plan.input.name, path)
    if port.get_element_type() != ov.Type.f32:
        raise _quantised(path)
    # What --add_mo_arg asks for may differ from the description: the IR knows.
    written = str(network.get_parameters()[0].layout).strip("[]").replace(",", "")
    layout = written if len(written) == 4 else form.layout or plan.target_layout or layout
    model = end_in_probabilities(find_output(network, None, path), port.get_node(), config.details.output, path)
    free_batch(model)
    if form.batch is not None:
        own = model.inputs[0].get_partial_shape()
        if own.rank.is_static:
            sizes = [-1 if size.is_dynamic else size.get_length() for size in own]
            set_shape(model, (form.batch, *sizes[1:]), path)
    name = plan.input.name or plain_name(min(port.get_names(), default="input"))
    model.inputs[0].get_tensor().set_names({name})
    model.get_parameters()[0].layout = ov.Layout(layout)
    return Optimized(model, layout, record)
