"""The files in a form (multipart/form-data), split in memory: nothing is written to a disk."""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ov_mobilenet.serving.request_errors import RequestError

MAX_FILE_NAME = 255  # characters
MAX_PART_HEADERS = 8
MAX_OPTIONS = 4096  # characters of a header with options: splitting takes time with the square of the length


def media_type_of(content_type: str) -> str:
    """The media type of a header Content-Type, in lower case and without parameters."""
    return content_type.partition(";")[0].strip().lower()


def file_name(disposition: str | None) -> str:
    """The file name in a header Content-Disposition: a label, never opened; "" if there is none."""
    if not disposition or len(disposition) > MAX_OPTIONS:
        return ""
    _, options = parse_options_header(disposition)
    return options.get(b"filename", b"").decode("utf-8", "replace")[:MAX_FILE_NAME]


def multipart_files(body: bytes, content_type: str, max_files: int) -> list[tuple[str, bytes]]:
    """The files in a form: their names and contents.

    Args:
        content_type: the header, with the boundary.

    Raises:
        RequestError: the form is broken or incomplete, has no files or too many, or fields that are not files.
    """
    if len(content_type) > MAX_OPTIONS:
        raise RequestError(
            "the header is too long", where="Content-Type", expected=f"at most {MAX_OPTIONS} characters",
            got=len(content_type),
        )  # fmt: skip
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise RequestError("the form has no boundary", where="Content-Type")
    form = _Form(body, max_files)
    try:
        parser = MultipartParser(boundary, form.callbacks(), max_header_count=MAX_PART_HEADERS)  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RequestError("the form is broken", got=str(error)[:100]) from error
    if not form.is_complete:
        raise RequestError("the form is incomplete", expected="the closing boundary")
    if not form.files:
        raise RequestError("the form has no files", expected="image files")
    return form.files


class _Form:
    """What the parser has found so far."""

    def __init__(self, body: bytes, max_files: int) -> None:
        self.files: list[tuple[str, bytes]] = []
        self.is_complete = False
        self._max_files = max_files
        self._field = self._value = b""
        self._disposition: bytes | None = None
        self._name: str | None = None
        self._pieces: list[memoryview] = []

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin, "on_part_data": self._data, "on_part_end": self._end,
            "on_header_field": self._header_field, "on_header_value": self._header_value,
            "on_header_end": self._header_end, "on_headers_finished": self._headers_finished, "on_end": self._finish,
        }  # fmt: skip

    def _begin(self) -> None:
        if len(self.files) >= self._max_files:
            raise RequestError("too many files", expected=f"at most {self._max_files}")
        self._field = self._value = b""
        self._disposition = None
        self._pieces = []

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._field.strip().lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        # Without a file name it is a field of text, as `top_k`, which belongs into the URL.
        disposition = (self._disposition or b"").decode("latin-1")
        if b"filename" not in parse_options_header(disposition)[1]:
            raise RequestError(
                "a field of the form is not a file", expected="files; parameters belong into the URL, as ?top_k=3"
            )  # fmt: skip
        self._name = file_name(disposition)

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(memoryview(data)[start:end])

    def _end(self) -> None:
        self.files.append((self._name or "", b"".join(self._pieces)))

    def _finish(self) -> None:
        self.is_complete = True
