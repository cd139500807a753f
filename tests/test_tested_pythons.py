"""`tools/pythons`: which Pythons it finds and what it reads from pytest; and where the tested versions are named."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import pythons.__main__ as pythons
from pythons.__main__ import VERSIONS, counts_of
from pythons.find import FoundPython, find_here, find_in_debian
from roots import debian_root
from roots.debian_root import NotPossibleError

ROOT = Path(__file__).resolve().parents[1]
OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def no_pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path / 'first'}:{tmp_path / 'second'}")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def test_a_shim_without_its_python_is_passed_over(no_pythons: Path) -> None:
    program(no_pythons / "first" / f"python{OWN}", "echo 'pyenv: command not found' >&2; exit 127")
    assert find_here(OWN) is None
    program(no_pythons / "second" / f"python{OWN}", f'exec "{sys.executable}" "$@"')
    assert find_here(OWN) == FoundPython(OWN, Path(sys.executable))


def test_a_program_of_another_version_is_not_taken(no_pythons: Path) -> None:
    program(no_pythons / "first" / "python3.1", f'exec "{sys.executable}" "$@"')
    assert find_here("3.1") is None


def test_pyenv_has_no_3_1_because_it_has_3_10_and_its_newest_patch_is_taken_first(no_pythons: Path) -> None:
    for patch, answer in (("9", "exit 1"), ("10", f"echo '{OWN} /newest'"), ("2", f"echo '{OWN} /oldest'")):
        program(no_pythons / "pyenv" / "versions" / f"{OWN}.{patch}" / "bin" / f"python{OWN}", answer)
    program(no_pythons / "pyenv" / "versions" / "3.10.1" / "bin" / "python3.1", "echo '3.1 /wrong'")
    assert find_here(OWN) == FoundPython(OWN, Path("/newest"))
    assert find_here("3.1") is None


def test_a_version_that_is_nowhere_is_skipped_with_a_sentence() -> None:
    assert find_in_debian("3.99") == (
        "Python 3.99 is skipped: it does not run here, and Debian forky does not have it."
    )


def test_a_debian_root_that_is_not_possible_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: object) -> Path:
        raise NotPossibleError("missing: debootstrap")

    monkeypatch.setattr(debian_root, "build", build)
    found = find_in_debian("3.14")
    assert isinstance(found, str)
    assert found.startswith("Python 3.14 is skipped: it does not run here") and "missing: debootstrap" in found


def test_numbers_come_from_the_last_line_of_pytest() -> None:
    output = (
        "1 passed in the text\n" + "=" * 9 + " 2 failed, 10 passed, 3 skipped, 1 error in 12.34s (0:00:12) " + "=" * 9
    )
    assert counts_of(output + "\nmake: *** [test-fast] Error 1\n") == {
        "failed": 2, "passed": 10, "skipped": 3, "error": 1,
    }  # fmt: skip
    assert counts_of("Killed\n") == {}


@pytest.mark.parametrize("failing", [None, "test-fast", "demo"])
def test_steps_run_in_a_copy_of_the_last_commit_until_one_fails(
    failing: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    project = tmp_path / "project"
    project.mkdir()
    (project / "committed").touch()
    git = ["git", "-C", str(project), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "m"]):
        subprocess.run([*git, *arguments], check=True)
    (project / "not-committed").touch()
    program(
        tmp_path / "bin" / "make",
        f"""echo "$3 $4 $(cd "$2" && ls)"
        test "$3" != test-fast || echo '==== 1 failed, 7 passed, 2 skipped in 3.10s (0:00:03) ===='
        test "$3" != "{failing}" """,
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(pythons, "PROJECT", project)
    monkeypatch.setattr(pythons, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(
        pythons, "find_here", lambda version: FoundPython(version, Path("/p")) if version == "3.7" else None
    )
    monkeypatch.setattr(sys, "argv", ["pythons", "3.7", "3.99"])
    assert pythons.main() == (failing is not None)
    ran = ["venv", "demo"] if failing == "demo" else ["venv", "demo", "test-fast"]
    log = (tmp_path / "logs" / "3.7.log").read_text("utf-8")
    assert [line for line in log.splitlines() if "PYTHON" in line] == [f"{step} PYTHON=/p committed" for step in ran]
    skipped, _, row = capsys.readouterr().out.splitlines()[:3]
    assert skipped.startswith("Python 3.99 is skipped")
    assert row.split()[:2] + row.split()[3:7] == {
        None: ["3.7", "/p", "passed", "7", "1", "2"],
        "test-fast": ["3.7", "/p", "passed", "7", "1", "2"],
        "demo": ["3.7", "/p", "failed", "-", "-", "-"],
    }[failing]  # fmt: skip


def test_classifiers_platforms_and_requires_python_name_the_same_pythons() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    classifiers = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', pyproject)
    assert f'requires-python = ">={VERSIONS[0]}"' in pyproject
    assert set(classifiers) <= set(VERSIONS)
    platforms = (ROOT / "docs" / "reference" / "platforms.md").read_text("utf-8")
    tested = [line.split("|")[1] for line in platforms.splitlines() if line.startswith("| Linux x86-64, Python ")]
    assert sorted(version for names in tested for version in re.findall(r"\b3\.\d+", names)) == sorted(classifiers)
