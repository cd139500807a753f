"""The constraints files of `make test-lowest` are those of today's pyproject.toml."""

from __future__ import annotations

import re
import sys

import pytest
from dependencies.lowest_versions import EXTRAS, FOLDER, PYPROJECT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def _pins(name: str) -> dict[str, Version]:
    """The versions of a constraints file by the name of the package."""
    lines = [line for line in (FOLDER / name).read_text("utf-8").splitlines() if not line.startswith("#")]
    assert len(lines) > 30
    for line in lines:
        # Neither a package index, nor a path, nor a hash: only versions.
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][a-z0-9.]*", line), line
    return {one: Version(version) for one, version in (line.split("==") for line in lines)}


def _required(extras: tuple[str, ...]) -> dict[str, list[Requirement]]:
    """What pyproject.toml requires for some extras, by the name of the package."""
    project = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    found: dict[str, list[Requirement]] = {}
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    for requirement in map(Requirement, lines):
        if requirement.name == project["name"]:
            for name, own in _required(tuple(sorted(requirement.extras))).items():
                found.setdefault(name, []).extend(own)
        else:
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


@pytest.mark.parametrize("name", EXTRAS)
def test_each_direct_dependency_is_at_its_lower_limit(name: str) -> None:
    pins = _pins(name)
    for package, requirements in _required(EXTRAS[name]).items():
        assert package in pins, f"{name} lacks {package}: run make lowest-versions"
        limits = [Version(one.version) for own in requirements for one in own.specifier if one.operator in (">=", "==")]
        lowest, pinned = max(limits), pins[package]
        # The first release of 4.8 may be 4.8.0.74; a limit that nothing reaches, as 1.78 where 1.81 is pinned, is none.
        same = pinned.release[: len(lowest.release)] == lowest.release
        assert same, (
            f"{name} has {package} {pinned}, pyproject.toml {lowest}: run make lowest-versions, or raise the limit"
        )
        assert all(own.specifier.contains(pinned) for own in requirements), (
            f"{name}: {package}: run make lowest-versions"
        )
