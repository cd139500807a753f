"""Ask the hub for the commit of a revision, the files of that commit and the licence, with `huggingface_hub`."""

from __future__ import annotations

import logging
from typing import Any

from ov_mobilenet._version import __version__
from ov_mobilenet.downloads.attempts import Retry, retried
from ov_mobilenet.downloads.hub_reasons import hub_connection_reason, hub_reason
from ov_mobilenet.downloads.hub_settings import HubSettings, import_hub, quiet_hub
from ov_mobilenet.downloads.transport import READ_TIMEOUT_S, TRANSIENT_STATUS, TransientError, retry_after_s
from ov_mobilenet.errors import DownloadError, OfflineError
from ov_mobilenet.zoo.hub_reference import HubReference

log = logging.getLogger(__name__)

DEFAULT_REVISION = "main"


def request_listing(reference: HubReference, settings: HubSettings, retry: Retry) -> Any:
    """The `ModelInfo` of huggingface_hub: `sha`, `siblings`, `card_data`, `tags`; nothing in it has been checked.

    Raises:
        DownloadError: the hub refuses, cannot be reached, or sends something else.
        MissingDependencyError: huggingface_hub is not installed.
    """
    import_hub()
    from huggingface_hub import HfApi

    # Without a token, False: otherwise huggingface_hub looks for one itself. The name of the program is all that its
    # user agent says.
    api = HfApi(
        endpoint=settings.endpoint,
        token=settings.token or False,
        headers={"user-agent": f"ov-mobilenet/{__version__}"},
    )
    return retried(retry, lambda: _request(api, reference, settings))


def _request(api: Any, reference: HubReference, settings: HubSettings) -> Any:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    # Of httpx up to huggingface_hub 2.0, of httpx2 since then: the base of all errors of a connection.
    connection_error: type[Exception] = HfHubHTTPError.__bases__[0]
    revision = reference.revision or DEFAULT_REVISION
    try:
        with quiet_hub():
            return api.model_info(reference.repository, revision=revision, files_metadata=True, timeout=READ_TIMEOUT_S)
    except OfflineModeIsEnabled as error:
        raise OfflineError(
            "huggingface_hub was told at its start not to use the network", where=reference, fix="Unset HF_HUB_OFFLINE"
        ) from error
    except HfHubHTTPError as error:
        status, headers = error.response.status_code, error.response.headers
        reason = hub_reason(status, headers, reference.repository, settings)
        if status not in TRANSIENT_STATUS:
            raise DownloadError(reason.words, where=reference, fix=reason.advice) from error
        transient = TransientError(reason.words, where=reference, fix=reason.advice)
        transient.retry_after_s = retry_after_s(headers)
        raise transient from error
    except (connection_error, OSError) as error:
        log.info("%s: %r", reference, error)
        reason = hub_connection_reason(error)
        raise TransientError(
            f"{settings.endpoint} cannot be reached: {reason.words}", where=reference, fix=reason.advice
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        # A name that the hub does not allow, or an answer that is not JSON or not that of a hub.
        text = " ".join(str(error).split())
        raise DownloadError(
            "the hub gives no list of files for this name", where=reference, got=f"{type(error).__name__}: {text:.200}",
            fix=f"Check the name, and HF_ENDPOINT: {settings.endpoint}",
        ) from error  # fmt: skip
