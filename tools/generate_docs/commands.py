"""The reference of the commands, from click: one page per command, and the list of all."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import click
from generate_docs.classic_spellings import OWN_OPTIONS, classic_table, program_parts
from generate_docs.command_options import definition, entry, filled, grouped, prose

from ov_mobilenet.cli.configuration import SETTINGS
from ov_mobilenet.cli.invocation import PROGRAM
from ov_mobilenet.cli.main import COMMANDS, WITHOUT_CONFIGURATION, cli
from ov_mobilenet.cli.omz_programs import omz_quantizer_command
from ov_mobilenet.cli.options import CONFIG_DIR_VARIABLE

COMMON_LINE = (
    "`-v`, `-q`, `--debug` and `-h` are [options of every command](../commands.md#options-of-every-command). For the "
    "exit code see [Exit codes](../exit-codes.md)."
)
NOT_RUN = "<!-- not run: examples, whose files the reader has -->"


def command_list() -> str:
    """The commands as a table, with links to their pages."""
    rows = [f"| [{name}](commands/{name}.md) | {prose(text)} |" for name, (_, _, text) in COMMANDS.items()]
    return "\n".join(["| Command | What it does |", "| --- | --- |", *rows])


def common_options() -> str:
    """The options that every command has, and those of the program itself."""
    return "\n\n".join(entry(option) for option in _options(_context(cli, PROGRAM)))


def variables() -> str:
    """The environment variables that set the defaults of options, as a definition list."""
    found = {
        setting.variable: f"Default of `{setting.option}`: {prose(setting.expected)}."
        + (f" Not used with {' or '.join(f'`{name}`' for name in setting.replaced_by)}." if setting.replaced_by else "")
        for setting in SETTINGS
    }
    found[CONFIG_DIR_VARIABLE] = "Default of `--config-dir`: one or more folders, separated as in `PATH`."
    return "\n\n".join(definition(f"`{name}`", text) for name, text in found.items())


def command_page(name: str) -> str:
    """Usage, description, examples and options of a command and of its subcommands; begins with an empty line."""
    root = _context(cli, PROGRAM)
    command = cli.get_command(root, name)
    assert command is not None, name
    text = described(command, _context(command, name, root), configurable=name not in WITHOUT_CONFIGURATION)
    return f"\n{text}\n\n## Other options\n\n{filled(COMMON_LINE)}"


def omz_programs() -> str:
    """Usage and options of the four programs with names of the Open Model Zoo."""
    parts = [part for program in OWN_OPTIONS for part in (f"## {program.name}", *program_parts(program))]
    quantizer = omz_quantizer_command
    context = _context(quantizer, str(quantizer.name))
    return "\n\n".join([*parts, f"## {quantizer.name}", described(quantizer, context, 3, configurable=False)])


def described(command: click.Command, context: click.Context, level: int = 2, *, configurable: bool = True) -> str:
    """A command as Markdown.

    Args:
        level: of its headings.
        configurable: whether the user's configuration may set the defaults of its options.
    """
    heading = "#" * level
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    text, examples = _help(command)
    parts = [f"```text\n{usage}\n```", *text]
    if examples:
        parts += [f"{heading} Examples", f"{NOT_RUN}\n```sh\n{examples}\n```"]
    for title, options in grouped(_options(context)).items():
        parts += [f"{heading} {title}", *(entry(option, configurable=configurable) for option in options)]
    parts += classic_table(command, heading)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, name
            inner = _context(below, name, context)
            parts += [f"{heading} {inner.command_path}", described(below, inner, level + 1, configurable=configurable)]
    return "\n\n".join(parts)


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    settings: Mapping[str, object] = command.context_settings
    return click.Context(command, info_name=name, parent=parent, **settings)  # type: ignore[arg-type]


def _options(context: click.Context) -> list[click.Option]:
    return [one for one in context.command.get_params(context) if isinstance(one, click.Option)]


def _help(command: click.Command) -> tuple[list[str], str]:
    """The paragraphs of the help text, and the examples in it without their indentation."""
    text: list[str] = []
    examples: list[str] = []
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    for paragraph in paragraphs:
        first, _, rest = paragraph.strip("\b\n").partition("\n")
        if first.startswith(("Example:", "Examples:")):
            inline = first.partition(":")[2].strip()
            examples += [inline] if inline else []
            examples += inspect.cleandoc("\n" + rest).splitlines()
        elif "\b" in paragraph:  # lines that click does not join either
            text += [filled(prose(first)), f"```text\n{inspect.cleandoc(chr(10) + rest)}\n```"]
        elif paragraph:
            text.append(filled(prose(paragraph)))
    return text, "\n".join(examples)
