"""Write the constraints files of `make test-lowest`: the oldest versions that pyproject.toml allows.

    make lowest-versions        # or: python tools/dependencies/lowest_versions.py --uv PATH

Our direct dependencies are at their lowest (uv's `lowest-direct`), for the oldest Python that we support. Only versions
with wheels count. What they depend on is not in the files: pip takes the newest that each Python can have. The files
install on Python 3.10 and 3.11: later ones have no wheels of PyYAML 6.0 and, from 3.13 on, of NumPy 1.26.

Two extras are in neither file. [pytorch]: the Makefile installs one build of torch, without CUDA. [tensorflow]:
tensorflow-cpu 2.16 needs protobuf below 5 and [serve] needs 6.33, so that they are never in one environment.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PYPROJECT = FOLDER.parents[1] / "pyproject.toml"
PYTHON = "3.10"
# NNCF needs a newer OpenVINO than the package. The first file has NNCF with an OpenVINO that is too old for it: a user
# can have both, and then quantisation must say so.
EXTRAS = {
    "lowest.txt": ("test", "report", "bulk"),
    "lowest-quantize.txt": ("test", "report", "quantize"),
}


def compiled(uv: str, extras: tuple[str, ...]) -> str:
    """Return the lines of a constraints file, `name==version`. Raises: CalledProcessError, with uv's own message."""
    command = [uv, "pip", "compile", "--quiet", "--resolution", "lowest-direct", "--python-version", PYTHON]
    command += ["--python-platform", "x86_64-manylinux_2_28"]
    command += [
        "--only-binary",
        ":all:",
        "--no-header",
        "--annotation-style=line",
        "--no-emit-index-url",
        "--no-emit-find-links",
    ]
    for extra in extras:
        command += ["--extra", extra]
    listed = subprocess.run([*command, str(PYPROJECT)], check=True, stdout=subprocess.PIPE, text=True).stdout
    # numpy==1.26.0  # via nncf, ov-mobilenet (pyproject.toml)
    return "".join(f"{line.split()[0]}\n" for line in listed.splitlines() if PYPROJECT.name in line)


def main(arguments: list[str] | None = None) -> int:
    """Write both files. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--uv", default="uv", help="the program uv")
    uv = parser.parse_args(arguments).uv
    for name, extras in EXTRAS.items():
        try:
            lines = compiled(uv, extras)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{name}: not written: {error}", file=sys.stderr)
            return 1
        header = (
            f"# Extras {', '.join(extras)} at their lowest, for Python {PYTHON}. Written by `make lowest-versions`.\n"
        )
        (FOLDER / name).write_text(header + lines, "utf-8")
        print(FOLDER / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
