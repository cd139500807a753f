"""Runs the blocks of a page one after the other, as a reader does who copies each into a terminal."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from page_blocks import ROOT, Block, blocks_of
from page_preparations import PREPARATIONS

LIMIT_S = 300
_BETWEEN = "\x00"  # what separates the output of earlier Python blocks from that of the last one
_CLOSED_PIPE = 141  # of a command whose output `head` does not read to the end
_PORTS = ("8000", "8001", "8080")
_SERVE = re.compile(r"\bov-mobilenet serve\b(?P<options>(?:\\\n|[^\n;&|'])*)")
_FIGURE = re.compile(r"\d[\d.,]*(e[-+]\d+)?")
_PROGRESS = re.compile(r"^\w+: (?:.+: )?\d+ of \d+\b.*\n", re.MULTILINE)  # on stderr, of what takes ten seconds
_SPACE = re.compile(r"\s+|─+|-{3,}")


@dataclass
class PageRun:
    """The folder in which the blocks of a page run, and what runs in the background.

    Attributes:
        folder: where the blocks run, `work`; beside it are `demos`, `tools` and `model_configs`, as in a clone.
        environment: variables of all blocks.
        ports: the free port that each port in the page is replaced by.
    """

    folder: Path
    environment: Mapping[str, str]
    ports: Mapping[str, str]
    _python: list[str] = field(default_factory=list)
    _background: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, block: Block) -> str:
        """Run one block, and return what it prints on stdout; also on stderr if the page shows that.

        Raises:
            AssertionError: it ends with another exit code than the page says; with its text and its stderr.
        """
        text = self._with_ports(with_default_ports(block.text))
        if "in the background" in block.marks:
            self._start(text)
            return ""
        command = ["bash", "-euo", "pipefail", "-c", text]
        if block.language == "python":
            before = "\n".join(self._python) if "continues" in block.marks else ""
            self._python = [*(self._python if before else []), text]
            command = [sys.executable, "-c", f"{before}\nprint({_BETWEEN!r}, end='', flush=True)\n{text}"]
        errors = subprocess.STDOUT if "with stderr" in block.marks else subprocess.PIPE
        done = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **self.environment}, stdout=subprocess.PIPE, stderr=errors,
            timeout=LIMIT_S, text=True, encoding="utf-8", stdin=subprocess.DEVNULL,
        )  # fmt: skip
        where = f"line {block.line}: exit code {done.returncode}, expected {block.exit_code}"
        expected = (block.exit_code, _CLOSED_PIPE) if "| head" in text else (block.exit_code,)
        assert done.returncode in expected, "\n".join([where, text, done.stdout, done.stderr or ""])
        printed = _PROGRESS.sub("", done.stdout) if "with stderr" in block.marks else done.stdout
        return self._with_own_ports(printed.rpartition(_BETWEEN)[2])

    def write(self, block: Block) -> None:
        """Write a block with a title to its file."""
        assert block.file is not None
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._with_ports(block.text), "utf-8")

    def end(self) -> None:
        """End what runs in the background."""
        for process in self._background:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def _start(self, text: str) -> None:
        """Start a shell block, and wait for its first line: `serve` prints one when it is ready."""
        log = self.folder.parent / f"background-{len(self._background)}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", text], cwd=self.folder, env={**os.environ, **self.environment},
                stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._background.append(process)
        assert process.stdout is not None
        assert process.stdout.readline(), f"{text}\nended before it was ready:\n{log.read_text('utf-8', 'replace')}"

    def _with_ports(self, text: str) -> str:
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        return text

    def _with_own_ports(self, text: str) -> str:
        for port, free in self.ports.items():
            text = re.sub(rf"\b{free}\b", port, text)
        return text


@contextmanager
def page_run(folder: Path) -> Iterator[PageRun]:
    """An empty folder for a page, without network; what runs in the background ends with it."""
    work = folder / "work"
    work.mkdir(parents=True)
    for name in ("demos", "tools", "model_configs"):
        (folder / name).symlink_to(ROOT / name)
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "https_proxy": "http://127.0.0.1:9",  # no network beyond this machine
        "no_proxy": "127.0.0.1,localhost",
        "COLUMNS": "120",
        "PYTHONWARNINGS": "ignore",
    }
    run = PageRun(work, environment, dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True)))
    try:
        yield run
    finally:
        run.end()


def check_page(page: str, folder: Path) -> None:
    """Run all blocks of a page in a new folder, and compare what they print with the page.

    Args:
        page: its path from the root of the repository.

    Raises:
        AssertionError: a block fails or prints something else.
    """
    with page_run(folder) as run:
        if page in PREPARATIONS:
            PREPARATIONS[page](run.folder)
        for block in blocks_of((ROOT / page).read_text("utf-8")):
            if block.file is not None:
                run.write(block)
            elif block.runs:
                printed = run.run(block)
                if block.printed is not None:
                    same = matches(block.printed, printed, figures_vary=block.figures_vary)
                    assert same, f"{page}, line {block.line}: it printed\n{printed}"


def with_default_ports(text: str) -> str:
    """A shell block in which each `ov-mobilenet serve` says its ports, so that free ones can take their place."""

    def add_ports(match: re.Match[str]) -> str:
        options = match["options"]
        port = "" if "--port" in options else " --port 8000"
        grpc_port = "" if "--grpc-port" in options or "--no-grpc" in options else " --grpc-port 8001"
        return f"ov-mobilenet serve{port}{grpc_port}{options}"

    return _SERVE.sub(add_ports, text)


def matches(shown: str, printed: str, *, figures_vary: bool) -> bool:
    """Whether an output is as the page shows it.

    Args:
        shown: the output in the page; a line `…` stands for any lines, `…` in a line for any text.
        figures_vary: compare neither digits nor the width of columns.
    """
    lines = [[_comparable(line, figures_vary) for line in text.splitlines()] for text in (shown, printed)]
    pattern = "\n".join("(?s:.*)" if line == "…" else ".*".join(map(re.escape, line.split("…"))) for line in lines[0])
    return re.fullmatch(pattern.replace("(?s:.*)\n", "(?s:.*\n)?"), "\n".join(lines[1])) is not None


def _comparable(line: str, figures_vary: bool) -> str:
    line = line.rstrip()
    return _SPACE.sub(" ", _FIGURE.sub("0", line)).strip() if figures_vary else line


def _free_ports(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
