"""An error is one line, and stays whole when it crosses a process border."""

from __future__ import annotations

import pickle

from ov_mobilenet.errors import ConfigError, HashMismatchError, OvMobilenetError, UnknownModelError


def test_an_error_renders_all_its_fields() -> None:
    error = ConfigError("bad layout", where="model.yml:3: layout", expected="4 letters", got="'NC'", fix="Use NCHW")
    assert str(error) == "model.yml:3: layout: bad layout: expected 4 letters, got 'NC'. Use NCHW"
    assert str(OvMobilenetError("failed", got=0)) == "failed: got 0"


def test_an_error_is_one_line_without_control_characters() -> None:
    error = ConfigError("a\r\nb\x1b[31m", where="x\0y", got="\udcff \u202e", fix="é ✓")
    assert str(error) == r"x\x00y: a\r\nb\x1b[31m: got \udcff \u202e. é ✓"


def test_an_error_survives_pickling() -> None:
    error = HashMismatchError("differs", where="net", expected="ab", got="cd", fix="Fetch it")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (its own bytes)
    assert type(again) is HashMismatchError
    assert (str(again), again.expected, again.got) == (str(error), "ab", "cd")


def test_exit_codes() -> None:
    codes = [kind.exit_code for kind in (OvMobilenetError, UnknownModelError, ConfigError, HashMismatchError)]
    assert codes == [1, 2, 1, 3]
