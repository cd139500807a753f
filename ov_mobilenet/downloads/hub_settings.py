"""Where the hub is, who asks, and where its cache lies: the environment variables of `huggingface_hub`.

They are read at each call: `huggingface_hub` reads most of them only when it is imported.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import get_ident
from types import ModuleType
from urllib.parse import urlsplit

from ov_mobilenet.errors import DownloadError, MissingDependencyError, install_extra

log = logging.getLogger(__name__)

DEFAULT_ENDPOINT = "https://huggingface.co"
_TRUE = ("1", "ON", "YES", "TRUE")
_NO_TELEMETRY = "HF_HUB_DISABLE_TELEMETRY"


@dataclass(frozen=True)
class HubSettings:
    """How to reach the hub.

    Attributes:
        endpoint: URL without a slash at its end.
        token: None without one, and if it must not be sent.
        token_withheld: whether there is a token that is not sent, because the connection is not encrypted.
        offline: whether the network must not be used.
        cache: the folder with one folder per repository.
    """

    endpoint: str
    token: str | None = field(repr=False)
    token_withheld: bool
    offline: bool
    cache: Path


def hub_settings(*, offline: bool = False) -> HubSettings:
    """The settings of this moment. Raises: DownloadError, MissingDependencyError."""
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    offline = offline or _is_true(os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE"))
    encrypted = _check_endpoint(endpoint)
    token = None if offline or _is_true(os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN")) else _token()
    withheld = token is not None and not encrypted
    if withheld:
        log.info("the token is not sent to %s: the connection is not encrypted", endpoint)
    return HubSettings(endpoint, None if withheld else token, withheld, offline, _cache())


def import_hub() -> ModuleType:
    """huggingface_hub, without its telemetry unless the user asks for it. Raises: MissingDependencyError."""
    asked = os.environ.get(_NO_TELEMETRY)
    os.environ.setdefault(_NO_TELEMETRY, "1")  # read at the first import only
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of settings that it no longer knows
            import huggingface_hub.constants

            return huggingface_hub  # type: ignore[no-any-return]
    except ImportError as error:
        raise MissingDependencyError(
            "files of the hub are fetched with huggingface_hub", got=error, fix=install_extra("hub")
        ) from error
    finally:
        if asked is None:
            os.environ.pop(_NO_TELEMETRY, None)


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Keep what huggingface_hub logs in this thread from the terminal."""
    thread = get_ident()
    handlers = list(logging.getLogger("huggingface_hub").handlers)

    def drop(record: logging.LogRecord) -> bool:
        return record.thread != thread

    for handler in handlers:
        handler.addFilter(drop)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(drop)


def _check_endpoint(endpoint: str) -> bool:
    """Whether nobody between this machine and the hub can read a token. Raises: DownloadError."""
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or not endpoint.isprintable() or " " in endpoint:
        raise DownloadError(
            "invalid address of the hub", where="HF_ENDPOINT", expected="https://HOST", got=repr(endpoint)
        )
    return parts.scheme == "https" or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    import ipaddress

    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _token() -> str | None:
    """HF_TOKEN, or the token of the user who is logged in."""
    hub = import_hub()
    try:
        with quiet_hub():
            token = hub.get_token()
    except Exception as error:
        raise DownloadError(
            "huggingface_hub cannot read the token", got=" ".join(str(error).split()), fix="Run: hf auth login"
        ) from error
    return token if isinstance(token, str) and token.isascii() and token.isprintable() else None


def _cache() -> Path:
    # The order of huggingface_hub.
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if not named:
        home = os.environ.get("HF_HOME")
        home = home or str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
        named = str(Path(home) / "hub")
    return Path(os.path.expandvars(named)).expanduser().absolute()


def _is_true(value: str | None) -> bool:
    return value is not None and value.upper() in _TRUE
