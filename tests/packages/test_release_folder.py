"""`make release-files` empties its folder: only one that holds nothing else."""

from __future__ import annotations

from pathlib import Path

from packages.release_files import foreign_files


def test_a_folder_with_other_files_is_not_emptied(tmp_path: Path) -> None:
    assert foreign_files(tmp_path / "missing") == foreign_files(tmp_path) == []
    for name in ("whl", "tar.gz", "cdx.json"):
        (tmp_path / f"ov_mobilenet-0.2.0.{name}").touch()
    (tmp_path / "SHA256SUMS").touch()
    assert foreign_files(tmp_path) == []
    (tmp_path / "thesis.tar.gz").touch()
    assert foreign_files(tmp_path) == ["thesis.tar.gz"]
