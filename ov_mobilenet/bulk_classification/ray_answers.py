"""What a worker on a Ray cluster answers, as JSON: reading an answer runs no code, as unpickling it would."""

from __future__ import annotations

import traceback

import msgspec
from msgspec import Struct

from ov_mobilenet.bulk_classification.parts import PartFacts
from ov_mobilenet.bulk_classification.shards import FailedShard
from ov_mobilenet.errors import OvMobilenetError, printable


class ErrorAnswer(Struct, frozen=True, kw_only=True):
    """An error that ends the run.

    Attributes:
        kind: name of the class.
        what, where, expected, got, fix: see `OvMobilenetError`.
    """

    kind: str
    what: str
    where: str | None
    expected: str | None
    got: str | None
    fix: str | None

    def error(self) -> OvMobilenetError:
        """The error; a class that is not known here gives an `OvMobilenetError`."""
        error_class = _error_classes(OvMobilenetError).get(self.kind, OvMobilenetError)
        return error_class(self.what, where=self.where, expected=self.expected, got=self.got, fix=self.fix)


class UnexpectedError(Struct, frozen=True, kw_only=True):
    """An exception that is no `OvMobilenetError`.

    Attributes:
        node: host name.
        text: the traceback.
    """

    node: str
    text: str

    def error(self) -> OvMobilenetError:
        """The error, with the traceback as its cause."""
        error = OvMobilenetError(
            "unexpected error in a worker", where=self.node, got=self.text.strip().rpartition("\n")[2]
        )
        error.__cause__ = RuntimeError(self.text)
        return error


Answer = PartFacts | FailedShard | ErrorAnswer | UnexpectedError


class _Answers(Struct, frozen=True, omit_defaults=True):
    """An `Answer`: one of these has a value."""

    part: PartFacts | None = None
    failed: FailedShard | None = None
    error: ErrorAnswer | None = None
    unexpected: UnexpectedError | None = None


def encode_answer(answer: Answer) -> bytes:
    """The JSON of an answer."""
    if isinstance(answer, PartFacts):
        return msgspec.json.encode(_Answers(part=answer))
    if isinstance(answer, FailedShard):
        return msgspec.json.encode(_Answers(failed=answer))
    if isinstance(answer, ErrorAnswer):
        return msgspec.json.encode(_Answers(error=answer))
    return msgspec.json.encode(_Answers(unexpected=answer))


def decode_answer(data: bytes) -> PartFacts | FailedShard:
    """What a shard has given.

    Raises:
        OvMobilenetError: the worker has answered an error, or something else.
    """
    try:
        found = msgspec.json.decode(data, type=_Answers)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OvMobilenetError(f"a worker of the Ray cluster has answered something else ({error})") from error
    problem = found.error or found.unexpected
    if problem is not None:
        raise problem.error()
    answer = found.part or found.failed
    if answer is None:
        raise OvMobilenetError("a worker of the Ray cluster has answered nothing")
    return answer


def error_answer(error: Exception, node: str) -> ErrorAnswer | UnexpectedError:
    """The answer for an exception; it may hold file names that are not UTF-8."""
    if not isinstance(error, OvMobilenetError):
        text = "".join(traceback.format_exception(error))
        return UnexpectedError(node=printable(node), text=text.encode("utf-8", "backslashreplace").decode())
    where, expected, got, fix = (
        None if text is None else printable(text) for text in (error.where, error.expected, error.got, error.fix)
    )
    return ErrorAnswer(
        kind=type(error).__name__, what=printable(error.what), where=where, expected=expected, got=got, fix=fix
    )


def _error_classes(base: type[OvMobilenetError]) -> dict[str, type[OvMobilenetError]]:
    """A class and all its subclasses, by name."""
    found = {base.__name__: base}
    for each in base.__subclasses__():
        found.update(_error_classes(each))
    return found
