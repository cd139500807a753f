"""The same answers on every processor: tests that compare with answers and pixels recorded on x86-64.

They run on x86-64 in `make test`, on an emulated Arm in `make test-arm`, and on any board on which the package is
installed: `python -m pytest tests/portability`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import ov_mobilenet as ovm
from ov_mobilenet.cli.demo import SAMPLE

_MEASURED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_MEASURED] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_MEASURED, []):
        terminalreporter.write_line(f"measured: {line}")


@pytest.fixture
def measured(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Takes a line about what really differs, which pytest shows at its end (not with xdist)."""
    return pytestconfig.stash[_MEASURED].append


@pytest.fixture(scope="session")
def sample_ir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample model, converted on this machine to FP32."""
    folder = tmp_path_factory.mktemp("sample")
    sources = ovm.download(ovm.find_config(SAMPLE), folder / "dl", cache_root=folder / "cache", offline=True)
    return ovm.convert(sources, folder / "ir", precisions=("FP32",))[0].xml
