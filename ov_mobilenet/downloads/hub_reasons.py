"""Why the hub refuses a request, in words, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ov_mobilenet.downloads.hub_settings import HubSettings
from ov_mobilenet.downloads.reasons import Reason, connection_reason, status_reason

_LOG_IN = "set HF_TOKEN or run: hf auth login"
_LATER = "Try again later, or use what is in the cache: --offline"


def hub_reasons(repository: str, settings: HubSettings) -> Callable[[int, Mapping[str, str]], Reason]:
    """A function from status and headers to the reason, for requests to one repository."""
    return lambda status, headers: hub_reason(status, headers, repository, settings)


def hub_connection_reason(error: BaseException) -> Reason:
    """The reason of a failed connection of huggingface_hub, whose client is httpx."""
    reason = connection_reason(error)
    if type(error).__name__ == "RemoteProtocolError":
        return Reason("the connection was closed early, or the answer is not HTTP", _LATER)
    return Reason(reason.words, hub_advice(reason.advice))


def hub_advice(advice: str) -> str:
    """What to do about a failed connection to the hub: a repository needs no mirror, and httpx is a second client."""
    if "--mirror" in advice:
        return _LATER
    return advice.replace("REQUESTS_CA_BUNDLE", "both REQUESTS_CA_BUNDLE and SSL_CERT_FILE")


def hub_reason(status: int, headers: Mapping[str, str], repository: str, settings: HubSettings) -> Reason:
    """The reason behind a status other than success; the hub names it in X-Error-Code."""
    given = {name.lower(): value for name, value in headers.items()}
    reason = _reason(status, given, f"{settings.endpoint}/{repository}", has_token=settings.token is not None)
    if settings.token_withheld and status in (401, 403, 404):
        return Reason(
            f"{reason.words}; your token was not sent, because the connection is not encrypted",
            "Use https in HF_ENDPOINT",
        )
    return reason


def _reason(status: int, headers: Mapping[str, str], url: str, *, has_token: bool) -> Reason:
    code, message = headers.get("x-error-code", ""), headers.get("x-error-message", "")
    if code == "GatedRepo":
        also = "" if has_token else f", then {_LOG_IN}"
        whose = "your account has no access to it" if has_token else "it needs an account that has access"
        return Reason(f"the repository is gated, and {whose} (status {status})", f"Request access at {url}{also}")
    if "is disabled" in message:
        return Reason(f"the hub has disabled this repository (status {status})", f"See {url}")
    if code == "RevisionNotFound":
        return Reason(f"the repository has no such revision (status {status})", f"See {url}/tree/main")
    if code == "EntryNotFound":
        return Reason(f"the repository has no such file at this commit (status {status})", f"See {url}/tree/main")
    if status == 401 and has_token and (code != "RepoNotFound" or "credentials" in message.lower()):
        return Reason(
            f"the hub does not accept your token (status {status})",
            "Check HF_TOKEN, or run: hf auth login. Tokens are listed at https://huggingface.co/settings/tokens",
        )
    if code == "RepoNotFound" or status == 401:
        advice = "Check its name, and that your token may read it" if has_token else f"Check its name, or {_LOG_IN}"
        return Reason(f"there is no such repository, or it is private (status {status})", advice)
    if status == 403:
        return Reason(f"the hub refuses access (status {status})", f"Check that your token may read {url}")
    if status == 404:
        return Reason(f"the server has no such repository (status {status})", f"Check its name, and HF_ENDPOINT: {url}")
    if status == 429:
        wait = re.search(r";\s*t=(\d{1,6})", headers.get("ratelimit", ""))
        seconds = wait[1] if wait else headers.get("retry-after", "")
        when = f"in {seconds} s" if re.fullmatch("[0-9]{1,6}", seconds) else "in a few minutes"
        more = "" if has_token else f". With an account the limit is higher: {_LOG_IN}"
        return Reason(f"the hub receives too many requests from this address (status {status})", f"Try {when}{more}")
    if status >= 500:
        return Reason(f"the hub failed (status {status})", _LATER)
    return status_reason(status)
