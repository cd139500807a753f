"""Where KServe fetches an exported model from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ov_mobilenet.errors import UsageError

SCHEMES = ("s3", "gs", "pvc", "https")
_AZURE = re.compile(r"[a-z0-9]{3,24}\.(?:blob|file)\.core\.windows\.net")
_EXPECTED = "s3://BUCKET/PATH, gs://BUCKET/PATH, pvc://VOLUME-CLAIM/PATH or https://HOST/PATH"


@dataclass(frozen=True)
class StorageUri:
    """The place that the content of the folder `models` of an export is copied to.

    Attributes:
        text: without a slash at the end.
        takes_folders: whether KServe fetches whole folders from there; otherwise each model is an archive.
    """

    text: str
    takes_folders: bool

    @classmethod
    def parse(cls, text: str) -> StorageUri:
        """Check an address. Raises: UsageError."""
        try:
            parts = urlsplit(text)
            host = parts.hostname or ""
        except ValueError:
            raise UsageError("invalid storage_uri", expected=_EXPECTED, got=_shown(text)) from None
        wrong = (
            not text.isascii() or not text.isprintable() or any(sign in text for sign in " \"'\\$`{}<>|^")
            or parts.scheme not in SCHEMES or not host or parts.query or parts.fragment or ".." in parts.path.split("/")
        )  # fmt: skip
        if wrong:
            raise UsageError("invalid storage_uri", expected=_EXPECTED, got=_shown(text))
        if "@" in parts.netloc:
            raise UsageError(
                "the storage URI holds a user name", expected=_EXPECTED,
                fix="Give the credentials to KServe as a secret of the service account",
            )  # fmt: skip
        takes_folders = parts.scheme != "https" or _AZURE.fullmatch(host) is not None
        return cls(text.rstrip("/"), takes_folders)

    def of_model(self, name: str) -> str:
        """The address of one model: its folder, which holds the folder of the version, or an archive of that."""
        if self.text.startswith("s3:"):
            # KServe fetches all objects whose names begin with the path: without the slash those of `signs2` become
            # version 2 of `signs`. Some releases also drop the folder of a file whose name begins as the last folder.
            return f"{self.text}/{name}/"
        return f"{self.text}/{name}" if self.takes_folders else f"{self.text}/{name}.tar.gz"


def _shown(text: str) -> str:
    """An address for a message, without its credentials: a password, or the signature in a query."""
    without_query = re.sub(r"[?#].+", lambda found: f"{found[0][0]}…", text, flags=re.DOTALL)
    return repr(re.sub(r"//.*@", "//…@", without_query, flags=re.DOTALL))[:200]
