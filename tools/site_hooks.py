"""Hooks of MkDocs: the cards of the models and the changelog, which are outside of docs, are pages of the site."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add `models/NAME.md` and `changelog.md`."""
    for card in sorted((ROOT / "model_configs").glob("*/README.md")):
        files.append(File.generated(config, f"models/{card.parent.name}.md", abs_src_path=str(card)))
    files.append(File.generated(config, "changelog.md", abs_src_path=str(ROOT / "CHANGELOG.md")))
    return files
