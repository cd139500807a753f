"""README.md: short, in the promised order, with links that exist. Its blocks are run by `make test-docs`."""

from __future__ import annotations

import re

from page_blocks import DOCS, ROOT, blocks_of

README = (ROOT / "README.md").read_text("utf-8")


def test_the_readme_has_at_most_150_lines_and_names_what_a_newcomer_needs() -> None:
    assert len(README.splitlines()) <= 150
    headings = re.findall(r"^## (.*)$", README, re.MULTILINE)
    assert headings[:4] == ["Install", "Five lines of Python", "Six commands", "Models"]
    assert {"What was measured where", "Limits", "Telemetry"} <= set(headings) and "licence" in headings[-1]
    for target in ("make demo", "make test", "make docs"):
        assert f"`{target}`" in README


def test_the_first_block_installs_and_the_python_has_five_lines() -> None:
    blocks = blocks_of(README)
    assert blocks[0].text.startswith("pip install . && ov-mobilenet demo")
    (python,) = (block for block in blocks if block.language == "python")
    assert len([line for line in python.text.splitlines() if line]) <= 5
    commands = [line for block in blocks[1:] if block.language == "sh" for line in block.text.splitlines()]
    assert len([line for line in commands if line.startswith("ov-mobilenet ")]) == 6


def test_linked_files_exist() -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", README):
        assert "://" in link or (ROOT / link.partition("#")[0]).exists(), link


def test_the_installation_page_says_what_each_extra_takes() -> None:
    page = (DOCS / "how-to" / "install.md").read_text("utf-8")
    installed = "\n".join(block.text for block in blocks_of(page) if block.language == "sh")
    torch = "pip install torch --index-url https://download.pytorch.org/whl/cpu"
    assert installed.index(torch) < installed.index(".[pytorch]"), "before anything needs torch"
    for extra in ("pytorch", "tensorflow", "quantize", "parquet", "report", "hub", "serve", "bulk", "all"):
        assert re.search(rf"^\|.*`\.\[.*\b{extra}\b.*\]`.*\| [\d.]+ GB \|$", page, re.MULTILINE), extra
