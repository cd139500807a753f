"""README's list of system packages, which `make test-containers` installs, and what else names them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from containers.readme_packages import FOR_OPENCV, system_packages

from ov_mobilenet.errors import MissingDependencyError
from ov_mobilenet.images.decode import cv2

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILES = ("demos/edge/Dockerfile", "demos/edge/serve.Dockerfile")


def test_readme_names_make_venv_and_the_libraries_of_opencv() -> None:
    packages = system_packages((ROOT / "README.md").read_text("utf-8"))
    assert packages == ["make", "python3-venv", *FOR_OPENCV]


def test_a_readme_without_packages_is_an_error() -> None:
    with pytest.raises(ValueError, match="apt-get install"):
        system_packages("Nothing is needed: `apt-get update`.")


def test_every_other_place_names_the_same_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)  # as without libGL: the import fails
    with pytest.raises(MissingDependencyError) as error:
        cv2()
    libraries = " ".join(FOR_OPENCV)
    assert f"apt install {libraries})" in str(error.value)
    assert f"apt-get install {libraries}\n" in (ROOT / "docs" / "how-to" / "install.md").read_text("utf-8")


def test_the_build_context_has_what_the_dockerfiles_copy_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in lines
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        source
        for dockerfile in DOCKERFILES
        for line in (ROOT / dockerfile).read_text("utf-8").splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert sent == copied
