"""Call a function in a fork of this process, to learn whether it crashes.

A fork needs about 0.01 s, because what this process has imported is there already; a `fork_server` imports it again.
Threads of this process do not exist in the fork. If one of them holds a lock meanwhile, the fork may wait for it for
ever: after a time limit the caller has to ask a fork server.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress

_FATAL = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGTERM)


def call_in_fork(function: Callable[[], object], limit_s: float) -> int | None:
    """Call a function in a fork of this process; its result, its exceptions and its output are dropped.

    Only where `can_isolate()`.

    Args:
        limit_s: after this time the kernel ends the fork, whatever a library does meanwhile.

    Returns:
        0 if the function returned or raised an exception; otherwise how the fork ended, as in `subprocess`: below
        0 for a signal. None if it took too long, if this process cannot know, because it ignores SIGCHLD, or if the
        system refused the fork: it may have no memory for a copy of a large process.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later warn of threads
        try:
            child = os.fork()
        except OSError:
            return None
    if child == 0:
        _call(function, limit_s)
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except ChildProcessError:
        return None
    except BaseException:  # Ctrl-C
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        raise
    return None if code == -signal.SIGALRM else code


def _call(function: Callable[[], object], limit_s: float) -> None:
    """In the fork: call the function, and end."""
    code = 1
    try:
        _prepare(limit_s)
        with suppress(Exception):
            function()
        code = 0
    finally:
        os._exit(code)


def _prepare(limit_s: float) -> None:
    import faulthandler
    import resource

    faulthandler.disable()  # it would write to the terminal
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal; the caller ends us
    for number in (*_FATAL, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
