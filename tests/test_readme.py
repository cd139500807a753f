"""README.md is the door: short, and its output is that of the demo. Its blocks are run by docs/test_pages.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ov_mobilenet.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks_of(document: str) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / document).read_text("utf-8"), re.MULTILINE | re.DOTALL)


BLOCKS = blocks_of("README.md")
PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
LINKS = re.findall(r"\]\(([^)\s]+)\)", PROSE)


def test_the_readme_begins_with_the_installation_and_says_what_the_extras_take() -> None:
    first, *_ = [text for kind, text in BLOCKS if kind == "sh"]
    assert first.startswith("pip install . && ov-mobilenet demo")
    (installation,) = [text for kind, text in BLOCKS if kind == "sh" and '".[all]"' in text]
    lines = installation.splitlines()
    assert "pip install torch --index-url https://download.pytorch.org/whl/cpu" in lines[1], (
        "before anything needs torch"
    )
    for extra in ("pytorch", "tensorflow", "quantize", "parquet", "report", "hub", "serve", "all"):
        (line,) = [line for line in lines if re.search(rf'"\.\[.*\b{extra}\b.*\]"', line)]
        assert re.search(r"# [\d.]+ GB", line), line


def test_the_demo_prints_the_output_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "-d", "CPU"]) == 0
    (shown,) = (text for kind, text in BLOCKS if kind == "text" and "\nconverted " in text)
    printed = capsys.readouterr().out
    assert _images(shown) == _images(printed) != []
    first_words = [re.findall(r"^\w+ ?\w+", text, re.MULTILINE) for text in (shown, printed.partition("Next:")[0])]
    assert first_words[0] == first_words[1]


def _images(output: str) -> list[list[str]]:
    """Name and class of each image in the demo's table; the figures differ between runs."""
    return [re.split(r"\s{2,}", line)[:2] for line in output.splitlines() if ".jpg " in line]
