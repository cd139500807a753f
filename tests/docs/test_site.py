"""`make docs`: the site builds without a warning and loads nothing from other hosts; generated parts are up to date."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from generate_docs import __main__ as generate_docs
from page_blocks import DOCS, ROOT, pages

LOADED = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["'](?:https?:)?//[^"']+""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_has_every_page_and_loads_nothing_from_other_hosts(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        assert (site / page.relative_to(DOCS)).with_suffix(".html").is_file()
    for page in site.rglob("*.html"):
        loaded = [one for one in LOADED.findall(page.read_text("utf-8")) if 'rel="canonical"' not in one]
        assert not loaded, f"{page.name}: {loaded}"


@pytest.mark.parametrize("link", ["missing.md", "quickstart.md#no-such-heading"])
def test_a_broken_link_or_anchor_fails(link: str, tmp_path: Path) -> None:
    pytest.importorskip("material")
    (tmp_path / "docs").mkdir()
    for name in ("index.md", "quickstart.md"):
        (tmp_path / "docs" / name).write_text(f"# A page\n\n[a link]({link})\n", "utf-8")
    whole = (ROOT / "mkdocs.yml").read_text("utf-8")
    settings = re.sub(r"^(nav|plugins|extra_css|hooks|not_in_nav):.*?(?=^\w|\Z)", "", whole, flags=re.M | re.S)
    (tmp_path / "mkdocs.yml").write_text(settings, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 1 and link.partition("#")[2] in done.stderr, done.stderr
    assert "Aborted with 2 warnings in strict mode" in done.stdout


def test_generated_parts_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    code = generate_docs.main(["--check"])
    assert code == 0, capsys.readouterr().out


def test_an_outdated_part_is_reported_and_then_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    readme = tmp_path / "README.md"
    current = (ROOT / "README.md").read_text("utf-8")
    outdated = current.replace("| 71.8 % |", "| 81.8 % |")
    assert outdated != current
    readme.write_text(outdated, "utf-8")
    assert generate_docs.main(["--check", "--root", str(tmp_path)]) == 1
    assert "README.md: out of date" in capsys.readouterr().out
    assert readme.read_text("utf-8") == outdated
    assert generate_docs.main(["--root", str(tmp_path)]) == 0
    assert readme.read_text("utf-8") == current


@pytest.mark.parametrize(
    "text",
    [
        "<!-- generated: models -->\n",
        "<!-- /generated -->\n",
        "<!-- /generated -->\n<!-- generated: models -->\n",
        "<!-- generated: no-such-part -->\n<!-- /generated -->\n",
    ],
)
def test_wrong_markers_are_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"in pairs|no such part"):
        generate_docs.with_parts(text)


def test_no_page_repeats_another() -> None:
    """No sentence of more than twelve words stands in two pages."""
    sentences: dict[str, set[str]] = {}
    for page in pages():
        text = re.sub(r"^```.*?^```$|<!-- generated.*?/generated -->", "", page.read_text("utf-8"), flags=re.M | re.S)
        words = (re.sub(r"\s+", " ", one).strip() for one in re.split(r"(?<=[.:?])\s|\n\n|^\|", text, flags=re.M))
        sentences[str(page.relative_to(ROOT))] = {one for one in words if len(one.split()) > 12}
    for (one, first), (other, second) in combinations(sentences.items(), 2):
        assert not first & second, f"{one} and {other}: {first & second}"
