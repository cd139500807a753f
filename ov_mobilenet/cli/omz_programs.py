"""The Open Model Zoo's programs `omz_downloader`, `omz_converter`, `omz_quantizer`, `omz_info_dumper`, made of ours."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click

from ov_mobilenet.cli import options
from ov_mobilenet.cli.classic_options import ClassicTable, MappedOption, translated
from ov_mobilenet.cli.invocation import PROGRAM
from ov_mobilenet.cli.main import main
from ov_mobilenet.cli.selection import Selection, model_selection, print_names, report_broken, selected
from ov_mobilenet.cli.signals import EXIT_CODES
from ov_mobilenet.cli.verbosity import add_common_options
from ov_mobilenet.errors import UsageError


@dataclass(frozen=True)
class OmzProgram:
    """A program of the Open Model Zoo that one of our commands replaces.

    Attributes:
        command: our command, and the options that it always gets.
        classic: its options that our command does not take.
        help: its options, and what each does here.
    """

    name: str
    command: tuple[str, ...]
    help: Mapping[str, str]
    classic: ClassicTable = field(default_factory=dict)

    def run(self, arguments: list[str]) -> int:
        """Run our command. Returns its exit code."""
        if "-h" in arguments or "--help" in arguments:
            return main([], click.Command(self.name, callback=partial(_print_help, self)))
        try:
            words, _ = translated(arguments, self.classic, self.name)
        except click.UsageError as error:
            click.echo(f"Error: {error.format_message()}", err=True)
            return 2
        if "-v" in arguments or "--verbose" in arguments:
            click.echo(f"{self.name}: running {shlex.join((PROGRAM, *self.command, *words))}", err=True)
        return main([*self.command, *words])


_SELECTION = {
    "--name PAT[,PAT]": "select models by name or wildcard",
    "--list FILE.lst": "select the models in a file; names that are not in this zoo are skipped with a warning",
    "--all": "select all models",
    "--print_all": "print the names of all models",
}
DOWNLOADER = OmzProgram(
    "omz_downloader", ("download",),
    {
        **_SELECTION,
        "-o, --output_dir DIR": "download to DIR/public/NAME (default: the current folder)",
        "--cache_dir DIR": "cache of downloads",
        "--num_attempts N": "number of attempts for each URL",
        "--progress_format text|json": "json: print events to stdout",
        "-j, --jobs N": "number of models to download in parallel",
        "--precisions PREC[,PREC]": "no effect: source files do not depend on the precision",
    },
)  # fmt: skip
CONVERTER = OmzProgram(
    "omz_converter", ("convert",),
    {
        **_SELECTION,
        "-d, --download_dir DIR": "source files in DIR/public/NAME; missing ones are downloaded",
        "-o, --output_dir DIR": "write IRs to DIR/public/NAME/PRECISION (default: the download folder)",
        "--precisions PREC[,PREC]": "FP16, FP32; INT8 is made by omz_quantizer",
        "-j, --jobs N|auto": "number of models to convert in parallel",
        "--dry_run": "print what would be converted",
        "--mo MO": "convert with the classic Model Optimizer at this path: `--backend mo --mo MO`",
        "--add_mo_arg ARG": "convert with the classic Model Optimizer: `--backend mo --add_mo_arg ARG`",
        "-p, --python PYTHON": "no effect: the program of --mo runs with its own Python",
    },
    {
        "--mo": MappedOption(lambda path: ("--backend", "mo", "--mo", path or "")),
        **dict.fromkeys(
            ("--add_mo_arg", "--add-mo-arg"),
            MappedOption(lambda argument: ("--backend", "mo", f"--add_mo_arg={argument}")),
        ),
    },
)  # fmt: skip
INFO_DUMPER = OmzProgram("omz_info_dumper", ("info", "--format", "json"), _SELECTION)


def _print_help(program: OmzProgram) -> None:
    click.echo(f"Usage: {program.name} [OPTIONS]\n\n  Runs `{shlex.join((PROGRAM, *program.command))}`.\n")
    formatter = click.HelpFormatter(max_width=110)
    with formatter.section("Options"):
        formatter.write_dl([*program.help.items(), ("-v, --verbose", "print the command that runs")])
    click.echo(formatter.getvalue().rstrip("\n"))
    click.echo(f"\nAll other options of the command are accepted too: {PROGRAM} {program.command[0]} --help")


@click.command(
    "omz_quantizer",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@model_selection
@click.option(
    "--model_dir", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="DIR",
    help="Folder with DIR/public/NAME/FP32 or FP16 (quantize --ir-dir; default: the current folder).",
)  # fmt: skip
@click.option("--dataset_dir", metavar="DIR", help="Folder of calibration images (quantize --calibration).")
@click.option(
    "-o", "--output_dir", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Write to DIR/public/NAME/FP16-INT8 (quantize -o; default: the folder of --model_dir).",
)  # fmt: skip
@click.option("--precisions", default="FP16-INT8", metavar="PREC[,PREC]", help="FP16-INT8; FP32-INT8 is skipped.")
@click.option("--target_device", metavar="DEVICE", help="Device that the model will run on (quantize --device).")
@click.option("--dry_run", is_flag=True, help="Print the commands without running them.")
@click.option("-p", "--python", expose_value=False, help="No effect: NNCF runs in this process.")
@click.option("--pot", expose_value=False, help="No effect: NNCF replaces the Post-Training Optimization Toolkit.")
@options.cache_dir
@click.pass_context
def omz_quantizer_command(
    context: click.Context, selection: Selection, model_dir: Path, dataset_dir: str | None, output_dir: Path | None,
    precisions: str, target_device: str | None, dry_run: bool, cache_dir: Path | None, offline: bool,
    mirror: tuple[str, ...],
) -> int:  # fmt: skip
    """Run the command `quantize` for each selected model.

    MODEL is a zoo name, a wildcard, the path of a model.yml, or a Hugging Face repository hf:OWNER/NAME.
    """
    if selection.print_all:
        print_names(selection.config_dirs)
        return 0
    if dataset_dir is None:
        raise UsageError("no calibration images", expected="--dataset_dir DIR")
    wanted = {name.strip() for name in precisions.split(",")}
    if unknown := wanted - {"FP16-INT8", "FP32-INT8"}:
        raise UsageError("unknown precision", expected="FP16-INT8", got=", ".join(sorted(unknown)))
    if "FP16-INT8" not in wanted:
        raise UsageError("FP32-INT8 is not made", expected="FP16-INT8, with the same 8-bit weights")
    common = ["--calibration", dataset_dir, "--ir-dir", str(model_dir), "-o", str(output_dir or model_dir)]
    if target_device is not None and target_device.upper() != "ANY":
        common += ["--device", target_device]
    common += [word for folder in selection.config_dirs for word in ("--config-dir", str(folder))]
    common += ["--cache-dir", str(cache_dir)] if cache_dir is not None else []
    common += ["--offline"] if offline else []
    common += [word for source in mirror for word in ("--mirror", source)]
    common += ["-q"] if options.quiet(context) else []
    found = selected(selection, cache_dir=cache_dir, offline=offline)
    codes = [report_broken(found)]
    for config in found.configs:
        words = ["quantize", str(config.path) if _is_path(config.name, selection) else config.name, *common]
        if dry_run:
            click.echo(shlex.join((PROGRAM, *words)))
            continue
        if options.verbose(context):
            click.echo(f"omz_quantizer: running {shlex.join((PROGRAM, *words))}", err=True)
        codes.append(main(words))
        if codes[-1] in EXIT_CODES.values():
            break
    return max(codes)


def _is_path(name: str, selection: Selection) -> bool:
    """Whether a model was not selected by its name, so that its name alone would not find it."""
    from ov_mobilenet.zoo.registry import model_names

    return name not in model_names(config_dirs=selection.config_dirs)


def _run_quantizer(arguments: list[str]) -> int:
    return main(arguments, add_common_options(omz_quantizer_command))


# From the arguments to the exit code. The entry points are in `__main__`.
PROGRAMS: dict[str, Callable[[list[str]], int]] = {
    "omz_downloader": DOWNLOADER.run,
    "omz_converter": CONVERTER.run,
    "omz_quantizer": _run_quantizer,
    "omz_info_dumper": INFO_DUMPER.run,
}
