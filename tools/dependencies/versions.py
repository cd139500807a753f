"""Print which versions of our direct dependencies an environment has, with the Python of that environment.

.venv-newest/bin/python tools/dependencies/versions.py --newest    # and what keeps the newest releases out
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
from importlib import metadata

from packaging.requirements import Requirement

OURS = "ov-mobilenet"


def canonical(name: str) -> str:
    """Return the name of a distribution as the package index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(name: str, extras: frozenset[str] = frozenset()) -> list[Requirement]:
    """Return what an installed distribution requires in this environment, with the given extras."""
    every = [Requirement(line) for line in metadata.requires(name) or ()]
    environments: list[dict[str, str]] = [{"extra": extra} for extra in ("", *extras)]
    return [one for one in every if one.marker is None or any(one.marker.evaluate(env) for env in environments)]


def direct_dependencies() -> dict[str, list[Requirement]]:
    """Return by name what this package requires, all extras included; only what is installed."""
    extras = frozenset(metadata.metadata(OURS).get_all("Provides-Extra") or ())
    found: dict[str, list[Requirement]] = {}
    for requirement in requirements(OURS, extras):
        name = canonical(requirement.name)
        if name != OURS and any(True for _ in metadata.distributions(name=requirement.name)):
            found.setdefault(name, []).append(requirement)
    return found


def newer_releases() -> dict[str, str]:
    """Ask the package index for the newest release of each installed distribution that is not at it."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "list", "--outdated", "--format=json"]
    listed = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {canonical(row["name"]): str(row["latest_version"]) for row in listed}


def limits_below(name: str, release: str) -> list[str]:
    """Return the requirements of installed distributions that exclude a release, as `pyarrow<27 (ov-mobilenet)`."""
    found = set()
    for distribution in metadata.distributions():
        owner = canonical(distribution.name)
        # Of other distributions only what they require without extras: whether an extra is in use is not recorded.
        extras = frozenset(distribution.metadata.get_all("Provides-Extra") or ()) if owner == OURS else frozenset()
        for requirement in requirements(distribution.name, extras):
            if canonical(requirement.name) == name and not requirement.specifier.contains(release, prereleases=True):
                found.add(f"{requirement.name}{requirement.specifier} ({owner})")
    return sorted(found)


def main(arguments: list[str] | None = None) -> int:
    """Print one line per dependency. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--newest", action="store_true", help="ask the package index which are not at their newest")
    newer = newer_releases() if parser.parse_args(arguments).newest else {}
    print(f"{'python':<24} {platform.python_version()}")
    for name in sorted(direct_dependencies()):
        line = f"{name:<24} {metadata.version(name)}"
        if release := newer.get(name):
            limits = ", ".join(limits_below(name, release)) or "no package here: asked for in this version"
            line += f"   {release} is kept out by {limits}"
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
