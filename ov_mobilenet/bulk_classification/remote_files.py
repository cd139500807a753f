"""Files in S3 and Google Cloud Storage, through `pyarrow.fs`: URLs, file systems and the meaning of their errors.

A URL is `s3://BUCKET/KEY` or `gs://BUCKET/KEY`, optionally with options after it: `?region=eu-central-1`. The key is
taken literally, as the programs of both services do: `%20` is not a space.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from ov_mobilenet.errors import MissingDependencyError, UsageError, install_extra, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyarrow.fs import FileSystem

SCHEMES = ("s3", "gs")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "s3": ("region", "scheme", "endpoint_override", "force_virtual_addressing", "tls_ca_file_path", "anonymous"),
    "gs": ("scheme", "endpoint_override", "anonymous"),
}
# All attempts of one request together take about 2 s if a connection is refused, and 45 s if a host does not answer.
CONNECT_TIMEOUT_S, REQUEST_TIMEOUT_S, ATTEMPTS = 5.0, 10.0, 4
GCS_RETRY_S = 30
MAX_REASON = 300

_URL = re.compile(r"(s3|gs)://", re.IGNORECASE)
# A wildcard `?` is not followed by a name and `=`.
_OPTIONS = re.compile(r"\?([A-Za-z_]+=[^&?*]*(?:&[A-Za-z_]+=[^&?*]*)*)$")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_AWS_ERROR = re.compile(r"AWS Error (\w+)(?: \(HTTP status (\d+)\))?")
_GCS_ERROR = re.compile(r"google::cloud::Status\((\w+):")
# A request without an answer body (HEAD) only has a status: an expired session is a 400 there.
_DENIED = frozenset((
    "ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "INVALID_CLIENT_TOKEN_ID",
    "MISSING_AUTHENTICATION_TOKEN", "UNRECOGNIZED_CLIENT", "REQUEST_EXPIRED", "400", "401", "403",
    "PERMISSION_DENIED", "UNAUTHENTICATED",
))  # fmt: skip
_MISSING = frozenset(("NO_SUCH_KEY", "RESOURCE_NOT_FOUND", "NO_SUCH_UPLOAD", "404", "NOT_FOUND"))

RemoteProblem = Literal["missing", "no bucket", "denied", "wrong region", "invalid", "lost"]


@dataclass(frozen=True)
class RemoteUrl:
    """A URL in its parts.

    Attributes:
        scheme: `s3` or `gs`.
        key: without the slash before it; empty for the bucket itself.
        options: the text from `?` on; empty if there is none.
    """

    scheme: str
    bucket: str
    key: str
    options: str

    @property
    def path(self) -> str:
        """Bucket and key, as `pyarrow.fs` names files."""
        return f"{self.bucket}/{self.key}" if self.key else self.bucket

    @property
    def name(self) -> str:
        """The URL without options, for results and messages."""
        return f"{self.scheme}://{self.path}"

    @property
    def text(self) -> str:
        """The URL with its options."""
        return self.name + self.options

    def sibling(self, path: str) -> RemoteUrl:
        """Another file of the same bucket, from its path in `pyarrow.fs`."""
        return RemoteUrl(self.scheme, self.bucket, path.removeprefix(self.bucket).removeprefix("/"), self.options)


def is_remote(text: str) -> bool:
    """Whether a text is an s3:// or gs:// URL."""
    return _URL.match(text) is not None


def parse_url(text: str) -> RemoteUrl:
    """Split a URL. Raises: UsageError, if it has no bucket, a user name or password, or unknown options."""
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    found = _OPTIONS.search(rest)
    options = "" if found is None else found[0]
    rest = rest if found is None else rest[: found.start()]
    bucket, _, key = rest.partition("/")
    if "@" in bucket:
        raise UsageError(
            "a URL cannot contain a user name or password, because it is stored with the results",
            where=f"{scheme}://***@{bucket.rpartition('@')[2]}",
            fix="Give them in the environment, as AWS_ACCESS_KEY_ID or GOOGLE_APPLICATION_CREDENTIALS, or in the "
            "configuration file of the service; ?anonymous=true uses none",
        )
    url = RemoteUrl(scheme, bucket, key, options)
    if not bucket:
        raise UsageError("the URL has no bucket", expected=f"{scheme}://BUCKET/KEY", got=repr(text))
    _values(url)
    return url


def file_system(url: str | RemoteUrl) -> tuple[FileSystem, str]:
    """The file system of a URL, and the path in it. The same object is returned for all files of a bucket.

    Raises:
        UsageError: the URL is invalid; see `parse_url`.
        MissingDependencyError: pyarrow is not installed.
        OSError: the region of the bucket cannot be found out; see `problem_of`.
    """
    url = parse_url(url) if isinstance(url, str) else url
    return _connected(url.scheme, url.bucket, url.options), url.path


def problem_of(error: BaseException) -> RemoteProblem:
    """The kind of an error of `pyarrow.fs`; `lost` is everything that another attempt may solve."""
    if isinstance(error, FileNotFoundError):
        return "missing"
    if isinstance(error, PermissionError):
        return "denied"
    if isinstance(error, ValueError):  # as for a key with two slashes in a row
        return "invalid"
    codes: set[str] = set()
    for pattern in (_AWS_ERROR, _GCS_ERROR):
        if (found := pattern.search(str(error))) is not None:
            codes.update(code for code in found.groups() if code)
    if "NO_SUCH_BUCKET" in codes:
        return "no bucket"
    if codes & _DENIED:
        return "denied"
    if codes & _MISSING:
        return "missing"
    return "wrong region" if codes & {"301", "307"} else "lost"


def reason_of(error: BaseException) -> str:
    """An error of `pyarrow.fs` in a few words, for messages."""
    problem = problem_of(error)
    detail = printable(str(error))
    detail = detail if len(detail) <= MAX_REASON else detail[:MAX_REASON] + "…"
    if problem == "missing":
        return "it does not exist"
    if problem == "no bucket":
        return "the bucket does not exist"
    if problem == "denied":
        return f"access denied, or the credentials are missing or expired: {detail}"
    if problem == "wrong region":
        return f"the bucket is in another region: give it as ?region=REGION: {detail}"
    return detail


def _values(url: RemoteUrl) -> dict[str, str]:
    values: dict[str, str] = {}
    for option in url.options[1:].split("&") if url.options else ():
        name, _, value = option.partition("=")
        if name not in OPTIONS[url.scheme]:  # the value may be a secret: it is not shown
            raise UsageError(
                "unknown option in a URL", where=url.name, expected=", ".join(OPTIONS[url.scheme]), got=name
            )
        if name in ("anonymous", "force_virtual_addressing") and value.lower() not in _TRUTH:
            raise UsageError(f"invalid option {name}", where=url.name, expected="true or false", got=repr(value))
        values[name] = value
    return values


@lru_cache(maxsize=64)
def _connected(scheme: str, bucket: str, options: str) -> FileSystem:
    try:
        from pyarrow import fs
    except ImportError as error:
        raise MissingDependencyError("s3:// and gs:// need pyarrow", fix=install_extra("bulk")) from error
    values = _values(RemoteUrl(scheme, bucket, "", options))
    anonymous = _TRUTH[values.pop("anonymous", "false").lower()]
    if scheme == "gs":
        from datetime import timedelta

        return fs.GcsFileSystem(anonymous=anonymous, retry_time_limit=timedelta(seconds=GCS_RETRY_S), **values)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint and "endpoint_override" not in values:  # pyarrow only reads it for `from_uri`
        values["scheme"], _, values["endpoint_override"] = endpoint.rstrip("/").rpartition("://")
        values["scheme"] = values["scheme"] or "https"
    region = values.pop("region", None)
    if region is None and "endpoint_override" not in values:
        region = fs.resolve_s3_region(bucket)
    virtual = _TRUTH[values.pop("force_virtual_addressing", "false").lower()]
    return fs.S3FileSystem(
        anonymous=anonymous, region=region, connect_timeout=CONNECT_TIMEOUT_S, request_timeout=REQUEST_TIMEOUT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS), force_virtual_addressing=virtual, **values,
    )  # fmt: skip
