"""A fake `mo`: takes its arguments, bakes with OpenVINO's preprocessing, writes its record; or fails, or waits.

Run as a program. `behaviour.json` beside it makes it fail or wait:

    {"fail": [exit code, text on stderr]}
    {"wait": FIFO}                        writes its process id to the pipe and waits for a signal
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from pathlib import Path

VERSION = "2024.6.0-fake"
# The end of mo's messages after an internal error, shortened.
CRASH = """\
[ ERROR ]  -------------------------------------------------
[ ERROR ]  ----------------- INTERNAL ERROR ----------------
[ ERROR ]  Unexpected exception happened.
[ ERROR ]  Traceback (most recent call last):
  File "/somewhere/convert_impl.py", line 882, in _convert
    ov_model, legacy_path = driver(argv)
                            ^^^^^^^^^^^^^^^^
RuntimeError: {reason}

[ ERROR ]  ---------------- END OF BUG REPORT --------------
[ ERROR ]  -------------------------------------------------
"""


def install(folder: Path, **behaviour: object) -> Path:
    """Create an executable `mo` in the folder; it writes its arguments to `arguments.json` beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "behaviour.json").write_text(json.dumps(behaviour))
    program = folder / "mo"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "{folder.resolve()}" "$@"\n')
    program.chmod(0o755)
    return program


def arguments_of(program: Path) -> list[str]:
    """The arguments of the last call."""
    given: list[str] = json.loads((program.parent / "arguments.json").read_text())
    return given


def environment_of(program: Path) -> dict[str, str]:
    """The environment variables of the last call."""
    given: dict[str, str] = json.loads((program.parent / "environment.json").read_text())
    return given


def main(folder: Path, words: list[str]) -> int:
    (folder / "arguments.json").write_text(json.dumps(words))
    (folder / "environment.json").write_text(json.dumps(dict(os.environ)))
    behaviour = json.loads((folder / "behaviour.json").read_text())
    if "wait" in behaviour:
        with Path(behaviour["wait"]).open("w") as pipe:
            pipe.write(f"{os.getpid()}\n")
            pipe.flush()
            signal.pause()
    if "fail" in behaviour:
        code, text = behaviour["fail"]
        print("[ INFO ] MO command line tool is considered as the legacy conversion API")
        print(text, file=sys.stderr)
        return int(code)
    parser = argparse.ArgumentParser()
    for name in ("input_model", "output_dir", "model_name", "framework", "input", "input_shape", "layout", "output"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--mean_values")
    parser.add_argument("--scale_values")
    for name in ("reverse_input_channels", "compress_to_fp16", "static_shape"):
        parser.add_argument(f"--{name}", nargs="?", const="True")
    convert(parser.parse_args(words))
    return 0


def convert(given: argparse.Namespace) -> None:
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    def numbers(text: str) -> list[float]:
        found = [float(part) for part in re.findall(r"\[(.*)\]", text)[0].split(",")]
        return found if len(found) == 3 else found * 3

    model = ov.convert_model(given.input_model)
    model.reshape([int(part) for part in given.input_shape.strip("[]").split(",")])
    processor = PrePostProcessor(model)
    source, _, target = re.findall(r"\((.*)\)", given.layout)[0].upper().partition("->")
    processor.input().model().set_layout(ov.Layout(source))
    processor.input().tensor().set_layout(ov.Layout(target or source))
    steps = processor.input().preprocess()
    if given.reverse_input_channels == "True":
        steps.reverse_channels()
    if given.mean_values:
        steps.mean(numbers(given.mean_values))
    if given.scale_values:
        steps.scale(numbers(given.scale_values))
    model = processor.build()
    model.set_rt_info(VERSION, ["MO_version"])
    for name, value in vars(given).items():
        if value is not None and name != "compress_to_fp16":
            model.set_rt_info(value, ["conversion_parameters", name])
    xml = Path(given.output_dir) / f"{given.model_name}.xml"
    ov.save_model(model, xml, compress_to_fp16=given.compress_to_fp16 == "True")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
