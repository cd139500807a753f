"""Nothing outside of the room `operating_system` depends on one system, except for what is listed with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOM = ROOT / "ov_mobilenet" / "operating_system"
SOURCES = [path for folder in ("ov_mobilenet", "demos") for path in sorted((ROOT / folder).rglob("*.py"))]

MODULES = {"fcntl", "grp", "msvcrt", "posix", "pty", "pwd", "resource", "termios", "tty", "winreg"}
NAMES = {
    "os": {
        "O_CLOEXEC", "O_NONBLOCK", "chown", "fchmod", "fork", "forkpty", "geteuid", "getgid", "getloadavg", "getuid",
        "kill", "killpg", "mkfifo", "name", "register_at_fork", "rename", "replace", "sched_getaffinity",
        "sched_setaffinity", "set_blocking", "setsid", "statvfs", "sysconf", "umask", "uname", "wait", "waitpid",
    },
    "sys": {"platform"},
    "signal": {
        "ITIMER_REAL", "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2", "alarm",
        "pthread_sigmask", "setitimer", "sigwait",
    },
    "select": {"epoll", "kqueue", "poll"},
    "socket": {"AF_UNIX", "SO_REUSEADDR", "SO_REUSEPORT", "recv_fds", "send_fds"},
    "platform": {"system"},
}  # fmt: skip
METHODS = {"add_signal_handler", "remove_signal_handler"}

EXCEPTIONS = {
    "ov_mobilenet/isolation/fork_server.py": "runs on Linux only: `can_isolate` asks the room",
    "ov_mobilenet/isolation/isolated_function.py": "starts fork_server.py, on Linux only",
    "ov_mobilenet/isolation/forked_call.py": "forks on Linux only: `can_isolate` asks the room",
    "ov_mobilenet/devices/processors.py": "asks with hasattr which functions of affinity there are",
    "ov_mobilenet/benchmarking/conditions.py": "the name of the system is part of a report",
    "ov_mobilenet/cli/env.py": "the name of the system is part of a report",
    "demos/display.py": "a demo imports the public package only: X11 and Wayland are asked for on Linux",
    "demos/edge_api_demo.py": "a demo imports the public package only: it answers systemd, on Linux",
}


def uses(tree: ast.Module) -> Iterator[str]:
    """What a module uses that not every system has, or that acts differently."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            if node.module in MODULES:
                yield str(node.module)
            yield from (
                f"{node.module}.{one.name}" for one in node.names if one.name in NAMES.get(str(node.module), ())
            )
        elif isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.attr in NAMES.get(node.value.id, ()):
                yield f"{node.value.id}.{node.attr}"
            elif node.attr in METHODS:
                yield node.attr
        elif isinstance(node, ast.keyword) and node.arg in ("start_new_session", "preexec_fn"):
            yield str(node.arg)
        elif _is_renaming(node):
            yield "Path.replace or Path.rename"


def _is_renaming(node: ast.AST) -> bool:
    """Whether it is `path.replace(target)`; that of a text has two arguments, that of a value has names."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("replace", "rename")
        and len(node.args) == 1
        and not node.keywords
        and not isinstance(node.args[0], ast.Starred)
    )


def test_only_the_room_and_the_listed_files_depend_on_one_system() -> None:
    found = {}
    for path in SOURCES:
        name = path.relative_to(ROOT).as_posix()
        used = sorted(set(uses(ast.parse(path.read_text("utf-8")))))
        if used and ROOM not in path.parents and name not in EXCEPTIONS:
            found[name] = used
    assert found == {}, "use ov_mobilenet/operating_system"


def test_every_exception_is_needed() -> None:
    present = [name for name in EXCEPTIONS if (ROOT / name).exists()]
    unused = [name for name in present if not list(uses(ast.parse((ROOT / name).read_text("utf-8"))))]
    assert unused == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import fcntl", ["fcntl"]), ("from os import killpg", ["os.killpg"]),
        ("from resource import getrlimit", ["resource"]), ("if os.name == 'nt': pass", ["os.name"]),
        ("a.replace(b)", ["Path.replace or Path.rename"]), ("a.replace('b', 'c')", []), ("replace(a, b=1)", []),
        ("signal.SIGTERM", []), ("from importlib import resources", []),
        ("a.rename(b)", ["Path.replace or Path.rename"]),
        ("Popen(a, start_new_session=True)", ["start_new_session"]), ("sys.platform", ["sys.platform"]),
    ],
)  # fmt: skip
def test_the_rule_finds_what_it_is_for(code: str, found: list[str]) -> None:
    assert list(uses(ast.parse(code))) == found
