"""Opening the connections to an object store: endpoint, timeouts and retries, credentials.

Region and endpoint are the provider's own variables (AWS_REGION, AWS_ENDPOINT_URL, …), which the library reads itself.
https://developmentseed.org/obstore/
https://docs.rs/object_store/latest/object_store/azure/enum.AzureConfigKey.html
https://docs.rs/object_store/latest/object_store/gcp/enum.GoogleConfigKey.html
"""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

import obstore.store

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.root import ObjectRoot, Provider
from ticket_events_pipeline.storage.object_errors import credential_advice
from ticket_events_pipeline.text import one_line

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3CredentialProvider

_AZURITE = "AZURITE_BLOB_STORAGE_URL"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

# botocore renews credentials at least ten minutes before they expire: they may be cached for less than that.
_CREDENTIALS_LAST = dt.timedelta(minutes=5)


class Patience(NamedTuple):
    """Timeouts and retries.

    Attributes:
        request_seconds: the most time for one request, including its body.
        retries: how often a request is retried after a network failure, a 5xx or a 429.
        retry_seconds: after which there are no more retries.
    """

    request_seconds: float
    retries: int
    retry_seconds: int


PATIENT = Patience(request_seconds=120, retries=8, retry_seconds=180)
"""For files: four concurrent parts of 8 MiB fit into the time at 280 kB/s, and an outage of half a minute is survived."""

PROMPT = Patience(request_seconds=10, retries=3, retry_seconds=10)
"""For small shared files, where a late answer is worse than none."""


class Connections(NamedTuple):
    """The connections to one root; `prompt` is for small shared files."""

    patient: obstore.store.ObjectStoreMethods
    prompt: obstore.store.ObjectStoreMethods


class S3Settings(NamedTuple):
    """What an S3 client needs to know; empty where the client's own default holds.

    Attributes:
        endpoint: URL of an S3-compatible store.
        region: of the bucket.
        key_id: with `secret` and `token`, the credentials as they are now: temporary ones end.
        secret: see `key_id`.
        token: see `key_id`.
        may_use_http: whether the endpoint may be plain http.
    """

    endpoint: str
    region: str
    key_id: str
    secret: str
    token: str
    may_use_http: bool


def connect(root: ObjectRoot, *, patient: Patience = PATIENT, prompt: Patience = PROMPT) -> Connections:
    """Connections to the root. No request is made to the store, but for S3 credentials are looked up.

    Raises:
        UsageError: plain http to another machine, no credentials, or variables that the library can't parse.
    """
    may_use_http = _may_use_http(root.provider)
    options = _s3_options(root) if root.provider.library_scheme == "s3" else {}

    def open_one(patience: Patience) -> obstore.store.ObjectStoreMethods:
        client = {"allow_http": may_use_http, "timeout": dt.timedelta(seconds=patience.request_seconds)}
        from_url: Any = obstore.store.from_url  # its type lists the kinds of store, but not what they share
        opened: obstore.store.ObjectStoreMethods = from_url(
            root.library_url, client_options=client, retry_config=_retries(patience), **options
        )
        return opened

    try:
        return Connections(open_one(patient), open_one(prompt))
    except (obstore.exceptions.BaseError, ValueError) as error:  # an account that isn't set, an invalid number
        reason = str(error).partition("\n")[0]
        raise UsageError(f"TICKET_EVENTS_ROOT: {root} can't be opened ({reason}). {credential_advice(root.provider)}") from None


def s3_settings(root: ObjectRoot) -> S3Settings:
    """What leads another library's client to the bucket of `root`, as its own connections are led.

    Raises:
        UsageError: plain http to another machine, or no credentials.
    """
    options = _s3_options(root)
    provider: S3CredentialProvider | None = options.get("credential_provider")
    found = {} if provider is None else cast(dict[str, Any], provider())
    return S3Settings(
        endpoint=next((os.environ[name] for name in root.provider.endpoint_variables if os.environ.get(name)), ""),
        region=options.get("region", ""),
        key_id=found.get("access_key_id", ""),
        secret=found.get("secret_access_key", ""),
        token=found.get("token") or "",
        may_use_http=_may_use_http(root.provider),
    )


def _retries(patience: Patience) -> RetryConfig:
    backoff = {"init_backoff": dt.timedelta(milliseconds=100), "max_backoff": dt.timedelta(seconds=15), "base": 2}
    return {
        "max_retries": patience.retries,
        "retry_timeout": dt.timedelta(seconds=patience.retry_seconds),
        "backoff": backoff,  # type: ignore[typeddict-item]  # it has that type
    }


def _s3_options(root: ObjectRoot) -> dict[str, Any]:
    # Objects are deleted one at a time, and not every S3-compatible store has the bulk request.
    options: dict[str, Any] = {"disable_bulk_delete": True}
    if not _is_set("AWS_SKIP_SIGNATURE"):
        options["credential_provider"] = _chain(root)  # it also sets a profile's region
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return {**options, "region": region} if region else options


def _may_use_http(provider: Provider) -> bool:
    """Whether the endpoint is plain http and may be used.

    Raises:
        UsageError: it is plain http and may not be used.
    """
    variables = provider.endpoint_variables
    if provider.extra == "azure" and _is_set("AZURE_STORAGE_USE_EMULATOR"):
        variables = (_AZURITE,)  # the library ignores the others then
    variable = next((name for name in variables if os.environ.get(name)), "")
    endpoint = urlsplit(os.environ.get(variable, ""))
    if endpoint.scheme != "http":
        return False
    if endpoint.hostname not in _LOOPBACK and not _is_set(provider.http_variable):
        raise UsageError(
            f"{variable} is plain http to {endpoint.hostname}: the events could be read on the way. Use https, or set "
            f"{provider.http_variable}=true if the network is private."
        )
    return True


def _chain(root: ObjectRoot) -> S3CredentialProvider | None:
    """The credentials that boto3 finds: variables, profiles, SSO, roles of containers and machines.

    Without boto3 the library finds credentials itself, but supports neither profiles nor SSO.
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
            f"TICKET_EVENTS_ROOT: no credentials for {root} ({one_line(str(error))}). Check the profile, or set others: "
            f"{root.provider.credential_variables}."
        ) from None
    except ValueError:
        raise UsageError(
            f"TICKET_EVENTS_ROOT: no credentials for {root}. Set {root.provider.credential_variables}; or run where a role "
            "gives them."
        ) from None


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes", "on")
