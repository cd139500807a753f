"""The blocks of README.md and docs: each is run by one of the test files beside this one, or says why it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from page_blocks import RUN, Block, blocks_of, name_of, pages
from page_groups import HOME, HOW_TO_NETWORKS, HOW_TO_RUNNING, TUTORIALS, runnable
from page_preparations import PREPARATIONS
from page_run import matches, page_run, with_default_ports

PAGES = {name_of(page): blocks_of(page.read_text("utf-8")) for page in pages()}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_says_why_not(page: str) -> None:
    for block in PAGES[page]:
        assert block.language, f"{page}, line {block.line}: a block without a language"
        assert block.language not in ("bash", "console", "shell", "py", "pycon"), (
            f"{page}, line {block.line}: sh, python"
        )
        if block.language not in (*RUN, "text"):
            assert block.file or block.reason, f"{page}, line {block.line}: a title or `<!-- not run: REASON -->`"


def test_every_page_that_runs_is_in_one_test_file() -> None:
    tested = [page for group in (HOME, TUTORIALS, HOW_TO_NETWORKS, HOW_TO_RUNNING) for page in runnable(group)]
    assert sorted(tested) == sorted(page for page, blocks in PAGES.items() if any(block.runs for block in blocks))


def test_preparations_are_of_pages_that_exist() -> None:
    assert set(PREPARATIONS) <= set(PAGES)


@pytest.mark.parametrize(
    ("shown", "printed", "figures_vary", "same"),
    [
        ("a 1.5 ms\n", "a 1.5 ms\n", False, True),
        ("a 1.5 ms\n", "a 1.6 ms\n", False, False),
        ("a   1.5 ms\n", "a 12.25 ms\n", True, True),
        ("a 1.5 ms\n", "b 1.5 ms\n", True, False),
        ("a\n…\nc\n", "a\nb\nb\nc\n", False, True),
        ("a\n…\n", "a\nb\n", False, True),
        ("a\n…\nc\n", "a\nb\n", False, False),
        ("a\n", "a\nb\n", False, False),
        ("a … c\n", "a b c\n", False, True),
        ("a … c\n", "a b\nb c\n", False, False),
    ],
)
def test_outputs_are_compared(shown: str, printed: str, figures_vary: bool, same: bool) -> None:
    assert matches(shown, printed, figures_vary=figures_vary) is same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ov-mobilenet serve mine.xml\n", "ov-mobilenet serve --port 8000 --grpc-port 8001 mine.xml\n"),
        ("ov-mobilenet serve mine.xml \\\n  --port 8080 --no-grpc &\n", None),
        ("ov-mobilenet serve a.xml --port 0 && ls", "ov-mobilenet serve --grpc-port 8001 a.xml --port 0 && ls"),
        (
            "sh -c 'exec ov-mobilenet serve a.xml' --port",
            "sh -c 'exec ov-mobilenet serve --port 8000 --grpc-port 8001 a.xml' --port",
        ),
        ("ov-mobilenet classify mine.xml images/\n", None),
    ],
)
def test_serve_gets_ports_that_can_be_replaced(text: str, expected: str | None) -> None:
    assert with_default_ports(text) == (expected or text)


def test_an_output_may_have_stderr_but_no_progress(tmp_path: Path) -> None:
    commands = "echo guess >&2; echo 'verify: 3 of 60 images, 1.0/s' >&2; echo out"
    with page_run(tmp_path) as run:
        assert run.run(Block("sh", commands, 1, ("with stderr",))) == "guess\nout\n"
        assert run.run(Block("sh", commands, 1)) == "out\n"


def test_blocks_are_found_with_their_marks_and_outputs() -> None:
    text = (
        "<!-- not run: needs a camera -->\n```sh\nls\n```\n\n```python\nprint(1)\n```\n\n<!-- figures vary -->\n"
        '```text\n1\n```\n\n- a list\n\n    ```yaml title="a.yml"\n    a: 1\n    ```\n'
    )
    assert blocks_of(text) == [
        Block("sh", "ls\n", 2, ("not run: needs a camera",)),
        Block("python", "print(1)\n", 6, printed="1\n", figures_vary=True),
        Block("yaml", "a: 1\n", 17, file="a.yml"),
    ]
    with pytest.raises(ValueError, match="not rum"):
        blocks_of("<!-- not rum: x -->\n```sh\n```\n")
