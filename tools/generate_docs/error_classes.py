"""The tree of the errors with their exit codes, from `ov_mobilenet/errors.py`."""

from __future__ import annotations

import inspect

from generate_docs.models import as_table

from ov_mobilenet import errors
from ov_mobilenet.errors import OvMobilenetError

HEAD = ("Error", "Exit code", "Meaning")
RULE = ("---", "---:", "---")


def table() -> str:
    """The table as Markdown, one row per error, in the order of the module."""
    found = [one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, OvMobilenetError)]
    return as_table(HEAD, RULE, map(_row, found))


def _row(error: type[OvMobilenetError]) -> tuple[str, ...]:
    base = error.__base__
    name, meaning = error.__name__, (error.__doc__ or "").partition(".")[0]
    kind = f" A kind of {base.__name__}." if base not in (None, Exception, OvMobilenetError) else ""
    return (f"[{name}](python/errors.md#ov_mobilenet.{name})", str(error.exit_code), f"{meaning}.{kind}")
