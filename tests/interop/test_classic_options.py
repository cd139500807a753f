"""Every option of the programs that ours replace is accepted, or refused with a message that says why.

`tools/generate_docs/classic_programs.py` lists the options; here the list is compared with the argument parsers of the
programs.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import classification_benchmark_demo
import classification_demo
import click
import pytest
from generate_docs import classic_programs as classic

from ov_mobilenet.cli import omz_programs
from ov_mobilenet.cli.classic_options import translated
from ov_mobilenet.cli.main import cli, main

ROOT = Path(__file__).resolve().parents[2]
OMZ = Path(os.environ.get("OMZ_INFO_DUMPER", ROOT / ".venv-omz" / "bin" / "omz_info_dumper")).parent


def each(options: classic.Options) -> Iterable[tuple[str, tuple[str, ...]]]:
    return ((spelling, values) for spellings, values in options.items() for spelling in spellings)


def spellings(*tables: classic.Options) -> set[str]:
    return {spelling for table in tables for spelling, _ in each(table)}


def message_of(command: click.Command, words: list[str]) -> str | None:
    """The message of a usage error when the words are parsed; None if they are accepted."""
    try:
        command.make_context(command.name, words)
    except click.UsageError as error:
        return error.format_message()
    except click.exceptions.Exit:
        return None
    return None


def check(message: str | None, spelling: str) -> None:
    """An accepted option has no message; a refused one has one of ours, with the reason after a colon."""
    if message is not None:
        assert "no such option" not in message.lower()
        reason = message.removeprefix(f"{spelling} of ").partition(" is not supported: ")[2]
        assert len(reason) > 10, message


def ours(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


COMMANDS: list[tuple[str, classic.Options]] = [
    ("download", classic.OMZ_DOWNLOADER), ("convert", classic.OMZ_CONVERTER), ("convert", classic.MO),
    ("info", classic.OMZ_INFO_DUMPER), ("benchmark-app", classic.BENCHMARK_APP),
    ("benchmark-app", classic.BENCHMARK_APP_CPP),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "spelling", "values"),
    [(name, spelling, values) for name, table in COMMANDS for spelling, values in each(table)],
)
def test_every_option_is_accepted_or_refused_with_the_reason(
    name: str, spelling: str, values: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    words = [value.format(file=tmp_path / "file") for value in values]
    needed = ["-m", "net.xml"] if name == "benchmark-app" and spelling not in ("-m", "--path_to_model") else []
    if not "".join(words).startswith("-"):  # argparse, too, takes such a value only after `=`
        check(message_of(ours(name), [*needed, spelling, *words]), spelling)
    if len(words) == 1:
        check(message_of(ours(name), [*needed, f"{spelling}={words[0]}"]), spelling)


# What has no counterpart here. All other options are accepted.
REFUSED = {
    ("convert", "--input"), ("convert", "--use_legacy_frontend"), ("convert", "--version"),
    ("convert", "--freeze_placeholder_with_value"), ("convert", "--example_input"), ("convert", "--extensions"),
    ("convert", "--transform"), ("convert", "--transformations_config"), ("convert", "--input_model_is_text"),
    ("convert", "--input_checkpoint"), ("convert", "--input_meta_graph"), ("convert", "--saved_model_tags"),
    ("convert", "--tensorflow_custom_operations_config_update"),
    ("convert", "--tensorflow_object_detection_api_pipeline_config"), ("convert", "--tensorboard_logdir"),
    ("convert", "--tensorflow_custom_layer_libraries"), ("convert", "--input_proto"),
    ("convert", "--caffe_parser_path"), ("convert", "--k"), ("convert", "--disable_omitting_optional"),
    ("convert", "--enable_flattening_nested_params"), ("convert", "--counts"), ("convert", "--remove_output_softmax"),
    ("convert", "--remove_memory"),
    ("benchmark-app", "-extensions"), ("benchmark-app", "--extensions"), ("benchmark-app", "-c"),
    ("benchmark-app", "--path_to_cldnn_config"), ("benchmark-app", "-lfile"), ("benchmark-app", "--load_from_file"),
    ("benchmark-app", "-iop"), ("benchmark-app", "--input_output_precision"), ("benchmark-app", "--mean_values"),
    ("benchmark-app", "--scale_values"), ("benchmark-app", "-pcseq"), ("benchmark-app", "--pcseq"),
    ("benchmark-app", "-imean"), ("benchmark-app", "-iscale"),
}  # fmt: skip


def test_only_these_options_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = set()
    for name, table in COMMANDS:
        for spelling, values in each(table):
            words = ["=".join([spelling, *(value.format(file=tmp_path / "file") for value in values)])]
            if name == "benchmark-app":
                words += ["-m", "net.xml"]
            if message_of(ours(name), words) is not None:
                refused.add((name, spelling))
    assert refused == REFUSED


@pytest.mark.parametrize(
    ("program", "table"),
    [
        (omz_programs.DOWNLOADER, classic.OMZ_DOWNLOADER),
        (omz_programs.CONVERTER, classic.OMZ_CONVERTER),
        (omz_programs.INFO_DUMPER, classic.OMZ_INFO_DUMPER),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_programs_of_the_open_model_zoo_accept_all_their_options(
    program: omz_programs.OmzProgram, table: classic.Options, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for spelling, values in each(table):
        given = [spelling, *(value.format(file=tmp_path / "file") for value in values)]
        if spelling in ("--add_mo_arg", "--add-mo-arg"):  # argparse, too, needs the `=`
            given = [f"{spelling}={values[0]}"]
        words, _ = translated(given, program.classic, program.name)
        assert message_of(ours(program.command[0]), [*program.command[1:], *words]) is None, spelling
    assert program.run(["--help"]) == 0
    text = capsys.readouterr().out
    hidden = {"--add-mo-arg", "--dry-run"}  # hidden in the help of omz_converter as well
    assert [spelling for spelling in sorted(spellings(table) - hidden) if not re.search(rf"{spelling}\b", text)] == []


def test_the_quantizer_accepts_all_its_options(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for spelling, values in each(classic.OMZ_QUANTIZER):
        words = [spelling, *(value.format(file=tmp_path / "file") for value in values)]
        assert message_of(omz_programs.omz_quantizer_command, words) is None, spelling


DEMOS: dict[str, tuple[Callable[[], argparse.Namespace], classic.Options]] = {
    "classification": (classification_demo.parse_options, classic.CLASSIFICATION_DEMO),
    "benchmark": (classification_benchmark_demo.parse_options, classic.CLASSIFICATION_BENCHMARK_DEMO),
}


@pytest.mark.parametrize(
    ("demo", "spelling"), [(demo, s) for demo, (_, table) in DEMOS.items() for s, _ in each(table)]
)
def test_the_demos_accept_all_options_of_theirs(demo: str, spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parse, table = DEMOS[demo]
    monkeypatch.setattr("sys.argv", [demo, spelling, *dict(each(table))[spelling]])
    parse()


def options_in(source: Path) -> set[str]:
    """The options that a Python file adds to argparse parsers, without `-h`."""
    calls = (node for node in ast.walk(ast.parse(source.read_text("utf-8"))) if isinstance(node, ast.Call))
    added = (call.args for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument")
    names = (arg.value for args in added for arg in args if isinstance(arg, ast.Constant))
    return {name for name in names if isinstance(name, str) and name.startswith("-")} - {"-h", "--help"}


def test_the_list_has_all_options_of_the_installed_benchmark_app() -> None:
    spec = importlib.util.find_spec("openvino.tools.benchmark.parameters")
    if spec is None or spec.origin is None:
        pytest.skip("this OpenVINO has no benchmark_app")
    found = options_in(Path(spec.origin))
    assert len(found) > 40
    assert sorted(found - spellings(classic.BENCHMARK_APP)) == []


def omz_packages() -> Path:
    found = list(OMZ.parent.glob("lib/python*/site-packages"))
    if not (OMZ / "omz_info_dumper").is_file() or not found:
        pytest.skip("needs openvino-dev 2024.6.0 in .venv-omz, or OMZ_INFO_DUMPER")
    return found[0]


@pytest.mark.omz
@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("omz_tools/omz_downloader.py", classic.OMZ_DOWNLOADER),
        ("omz_tools/omz_converter.py", classic.OMZ_CONVERTER),
        ("omz_tools/omz_info_dumper.py", classic.OMZ_INFO_DUMPER),
        ("openvino/tools/benchmark/parameters.py", classic.BENCHMARK_APP),
    ],
    ids=lambda value: Path(value).stem if isinstance(value, str) else "",
)
def test_the_list_is_that_of_the_wheel(path: str, table: classic.Options) -> None:
    newer = {"-max_irate", "--maximum_inference_rate", "-no_warmup"}  # of benchmark_app, since 2025
    assert options_in(omz_packages() / path) | newer & spellings(table) == spellings(table)


@pytest.mark.omz
def test_the_list_is_that_of_the_model_optimizer() -> None:
    omz_packages()
    done = subprocess.run([OMZ / "mo", "--help"], capture_output=True, text=True, timeout=120)
    heads = re.findall(r"^  (-.*?)(?:  |$)", done.stdout, re.MULTILINE)
    found = {name for head in heads for name in re.findall(r"(?:^|, )(--?\w+)", head)} - {"-h", "--help"}
    assert found | {"--data_type"} == spellings(classic.MO)


def test_an_unknown_option_is_still_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark-app", "-m", "x.xml", "-no_such_option"]) == 2
    assert "No such option" in capsys.readouterr().err
