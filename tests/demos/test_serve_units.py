"""The systemd unit and the Dockerfile of `serve`."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from running import DEMOS, ROOT

from ov_mobilenet import ServerSettings
from ov_mobilenet.cli.main import cli

UNIT, DOCKERFILE = DEMOS / "edge" / "ov-mobilenet-serve.service", DEMOS / "edge" / "serve.Dockerfile"


def parse(words: list[str], token: Path) -> dict[str, object]:
    """The values of the options of `serve`; the token file is replaced by one that exists."""
    command = cli.get_command(click.Context(cli), "serve")
    assert command is not None
    at = words.index("--token-file") + 1
    return command.make_context("serve", [*words[:at], str(token), *words[at + 1 :]]).params


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("0123456789abcdef")
    path.chmod(0o600)
    return path


def test_the_unit_starts_reloads_and_stops_the_server(token: Path) -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    program, command, *words = shlex.split(service["ExecStart"])
    assert (program.removeprefix("/opt/ov-mobilenet/"), command) == (".venv/bin/ov-mobilenet", "serve")
    given = parse(words, token)
    assert words[words.index("--token-file") + 1] == "%d/token"
    assert service["LoadCredential"].startswith("token:")
    assert ServerSettings(host=str(given["host"])).is_loopback
    assert float(service["TimeoutStopSec"]) > float(str(given["drain_timeout_s"]))
    assert (service["Type"], service["ExecReload"]) == ("notify", "/bin/kill -HUP $MAINPID")
    assert float(service["WatchdogSec"]) > 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "trial.service"
    unit.write_text(UNIT.read_text().replace("/opt/ov-mobilenet/.venv/bin/ov-mobilenet", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert unit.name not in done.stderr, done.stderr


def test_hadolint_reports_nothing_for_the_dockerfile() -> None:
    linter = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if linter is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([linter, str(DOCKERFILE)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_container_is_unprivileged_and_needs_a_token(token: Path) -> None:
    lines = DOCKERFILE.read_text().splitlines()
    (command,) = [json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
    given = parse(command, token)
    assert (given["host"], given["insecure_no_auth"]) == ("0.0.0.0", False)
    assert given["port"] == 8000
    assert {"USER 10001", "STOPSIGNAL SIGTERM", 'ENTRYPOINT ["ov-mobilenet", "serve"]'} <= set(lines)
    check = "\n".join(lines).partition("HEALTHCHECK")[2]
    assert "http://127.0.0.1:8000/v2/health/ready" in check
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
