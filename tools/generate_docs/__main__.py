"""Write the generated parts of README.md and of the pages in docs: tables, the reference of the commands.

    PYTHONPATH=tools:demos python -m generate_docs            write them
    PYTHONPATH=tools:demos python -m generate_docs --check    write nothing; exit 1 if one is out of date

A part lies between `<!-- generated: NAME -->` and `<!-- /generated -->`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from generate_docs import commands, error_classes, migration, model_properties, models, performance, schemas

from ov_mobilenet.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
# What writes the part of each name; the text has no newline at the end.
GENERATORS: Mapping[str, Callable[[], str]] = {
    "models": lambda: models.table("model_configs"),
    **{f"performance-{name}": partial(performance.part, name) for name in performance.TABLES},
    **migration.GENERATORS,
    **{f"json-{name}": partial(schemas.group, name) for name in schemas.GROUPS},
    **{name: partial(schemas.description_table, name) for name in ("model-yml", "accuracy-check-yml")},
    "model-inputs": model_properties.inputs,
    "model-outputs": model_properties.outputs,
    "errors": error_classes.table,
    "commands": commands.command_list,
    "common-options": commands.common_options,
    "variables": commands.variables,
    "omz-programs": commands.omz_programs,
    **{f"command-{name}": partial(commands.command_page, name) for name in COMMANDS},
}
_PART = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[\w-]+) -->\n)(?P<text>.*?)(?P<end>\n?<!-- /generated -->)", re.S
)


def pages(root: Path = ROOT) -> list[Path]:
    """README.md and every page of docs."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def with_parts(text: str, generators: Mapping[str, Callable[[], str]] = GENERATORS) -> str:
    """The text with each part as it is generated now.

    Raises:
        ValueError: a marker without its counterpart, or a part that nothing generates.
    """
    if not len(_PART.findall(text)) == text.count("<!-- generated") == text.count("<!-- /generated"):
        raise ValueError("expected `<!-- generated: NAME -->` and, below it, `<!-- /generated -->`, in pairs")

    def replaced(match: re.Match[str]) -> str:
        if match["name"] not in generators:
            raise ValueError(f"no such part: {match['name']}; expected one of {', '.join(generators)}")
        return f"{match['begin']}{generators[match['name']]()}\n<!-- /generated -->"

    return _PART.sub(replaced, text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check all parts; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the generated parts of README.md and docs.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a part is out of date")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder of README.md and docs")
    options = parser.parse_args(arguments)
    outdated = False
    for page in pages(options.root):
        old = page.read_text("utf-8")
        new = with_parts(old)
        if new == old:
            continue
        outdated = True
        if options.check:
            print(f"{page.relative_to(options.root)}: out of date; run make generated-docs")
        else:
            page.write_text(new, "utf-8")
            print(page.relative_to(options.root))
    return int(outdated and options.check)


if __name__ == "__main__":
    sys.exit(main())
