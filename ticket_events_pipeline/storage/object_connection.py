"""How an object store is reached: endpoint, patience, credentials. What is then asked of it is `object_store`'s.

Region and endpoint are the provider's own variables (AWS_REGION, AWS_ENDPOINT_URL, …), which the library reads itself.
https://developmentseed.org/obstore/
"""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import obstore.store

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.root import ObjectRoot

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3CredentialProvider

_S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

# botocore renews what expires ten minutes ahead at the latest: its answer may be kept for less than that.
_CREDENTIALS_LAST = dt.timedelta(minutes=5)


class Patience(NamedTuple):
    """How long the store is waited for.

    Attributes:
        request_seconds: for one request, its body included.
        retries: how often one is made again after a network failure, a 5xx or a 429.
        retry_seconds: after which none is made again.
    """

    request_seconds: int
    retries: int
    retry_seconds: int


PATIENT = Patience(request_seconds=120, retries=8, retry_seconds=180)
"""For files: four parts of 8 MiB at once pass within the time at 280 kB/s; a store that is out of order for half a minute is
waited for."""

PROMPT = Patience(request_seconds=10, retries=3, retry_seconds=10)
"""For what processes agree upon: an answer that comes late is worse than none."""


class Connections(NamedTuple):
    """To one root; `prompt` for small files."""

    patient: obstore.store.ObjectStoreMethods
    prompt: obstore.store.ObjectStoreMethods


def connect(root: ObjectRoot, *, patient: Patience = PATIENT, prompt: Patience = PROMPT) -> Connections:
    """The ways to the root. The store itself is not asked yet, but for S3 the provider's chain for credentials is.

    Raises:
        UsageError: plain http to another machine, no credentials, or variables that the library can't read.
    """
    options = _s3_options(root) if root.provider.library_scheme == "s3" else {}
    may_use_http = options.pop("may_use_http", False)

    def open_one(patience: Patience) -> obstore.store.ObjectStoreMethods:
        client = {"allow_http": may_use_http, "timeout": dt.timedelta(seconds=patience.request_seconds)}
        from_url: Any = obstore.store.from_url  # its type knows the kinds of store, and nothing that they share
        opened: obstore.store.ObjectStoreMethods = from_url(
            root.library_url, client_options=client, retry_config=_retries(patience), **options
        )
        return opened

    try:
        return Connections(open_one(patient), open_one(prompt))
    except (obstore.exceptions.BaseError, ValueError) as error:  # an account that isn't set, a number that is none
        told = str(error).partition("\n")[0]
        raise UsageError(f"TICKET_EVENTS_ROOT: {root} can't be opened ({told}). Check the provider's variables.") from None


def _retries(patience: Patience) -> RetryConfig:
    backoff = {"init_backoff": dt.timedelta(milliseconds=100), "max_backoff": dt.timedelta(seconds=15), "base": 2}
    return {
        "max_retries": patience.retries,
        "retry_timeout": dt.timedelta(seconds=patience.retry_seconds),
        "backoff": backoff,  # type: ignore[typeddict-item]  # it is one
    }


def _s3_options(root: ObjectRoot) -> dict[str, Any]:
    options: dict[str, Any] = {
        "may_use_http": _may_use_http(),
        # One object at a time is removed here, and not every S3-compatible store knows the bulk request.
        "disable_bulk_delete": True,
    }
    if not _is_set("AWS_SKIP_SIGNATURE"):
        options["credential_provider"] = _chain(root)  # it brings a profile's region along
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return {**options, "region": region} if region else options


def _may_use_http() -> bool:
    """Whether the S3 endpoint is a plain http one that may be used.

    Raises:
        UsageError: it is one that may not.
    """
    variable = next((name for name in _S3_ENDPOINTS if os.environ.get(name)), "")
    endpoint = urlsplit(os.environ.get(variable, ""))
    if endpoint.scheme != "http":
        return False
    if endpoint.hostname not in _LOOPBACK and not _is_set("AWS_ALLOW_HTTP"):
        raise UsageError(
            f"{variable} is plain http to {endpoint.hostname}: everybody on the way could read the events. Use https, or set "
            "AWS_ALLOW_HTTP=true if the way is yours alone."
        )
    return True


def _chain(root: ObjectRoot) -> S3CredentialProvider | None:
    """What boto3 finds: variables, profiles, SSO, roles of containers and machines.

    Without boto3 the library looks itself, but knows neither profiles nor SSO.
    """
    try:
        import boto3
        import botocore.exceptions
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ModuleNotFoundError:
        return None
    try:
        provider: S3CredentialProvider = Boto3CredentialProvider(boto3.Session(), ttl=_CREDENTIALS_LAST)
        return provider
    except botocore.exceptions.BotoCoreError as error:
        raise UsageError(
            f"TICKET_EVENTS_ROOT: no credentials for {root} ({_one_line(error)}). Check the profile, or set others: "
            f"{root.provider.credential_variables}."
        ) from None
    except ValueError:
        raise UsageError(
            f"TICKET_EVENTS_ROOT: no credentials for {root}. Set {root.provider.credential_variables}; or run where a role "
            "gives them."
        ) from None


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes", "on")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
