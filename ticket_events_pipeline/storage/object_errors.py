"""Translation of an object store's errors into ours, each with what to do.

The library's messages quote the request's address and the response body, which may contain a signature or a key's name. Only
the status, the store's error code and message, and the kind of failure are repeated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError

from ticket_events_pipeline.errors import TicketEventsError, TransientError, UsageError
from ticket_events_pipeline.root import ObjectRoot, Provider

_STATUS = re.compile(r"(?:status code: |\(code: )(\d{3})")  # of an answer, or of one in Azure's answer to a batch of deletes
_CODE = re.compile(r"<Code>(\w{1,100})</Code>")
_SENTENCE = re.compile(r"<Message>([^<]{1,300})")
_CREDENTIALS = re.compile(r"External \w+ credential provider: ([^\n]{1,500})")
_KINDS = {
    "dns error": "its name can't be resolved",
    "TimedOut": "it didn't answer in time",
    "tcp connect error": "no connection to it",
    "NotImplemented": "it is not supported",
    "NotSupported": "it is not supported",
    "certificate": "its certificate isn't trusted",
    "builder error": "its address is plain http, or none",
}
_NO_TOKEN = "performing token request"  # noqa: S105  # words of an error

UNSUPPORTED = (NotSupportedError, NotImplementedError)
"""Errors for requests that the library doesn't support for a store."""

_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_OTHER_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "incorrectly configured region")
_STALE_CREDENTIALS = ("ExpiredToken", "InvalidToken", "RequestTimeTooSkewed", "invalid_grant")


class ThrottledError(TransientError):
    """The store refused because there were too many requests, also after retries."""


@contextmanager
def translated_errors(root: ObjectRoot, attempt: str, *, may_be_missing: bool = False) -> Iterator[None]:
    """Translate the library's errors into ours; `attempt` says what is tried ("write s3://…").

    Two kinds are raised unchanged: a failed precondition (AlreadyExistsError, PreconditionError), and a FileNotFoundError where
    the object, not its bucket, `may_be_missing`.

    Raises:
        UsageError: the store refuses.
        TransientError: the store can't be reached or doesn't answer.
    """
    try:
        yield
    except (AlreadyExistsError, PreconditionError):
        raise
    except (BaseError, FileNotFoundError, NotImplementedError) as error:
        if may_be_missing and isinstance(error, FileNotFoundError) and not any(words in str(error) for words in _NO_BUCKET):
            raise
        raise problem_of(error, root, attempt=attempt) from None  # its text contains more than may be repeated


def problem_of(error: Exception, root: ObjectRoot, *, attempt: str) -> TicketEventsError:
    """Our error for the library's."""
    text = str(error)
    failure = f"TICKET_EVENTS_ROOT: can't {attempt} ({_safe_text(text)})."
    if any(words in text for words in _NO_BUCKET):
        return UsageError(f"{failure} There is no bucket {root.bucket} there: create it, or correct the root.")
    if any(words in text for words in _OTHER_REGION):
        return UsageError(f"{failure} The bucket is in another region: set AWS_REGION to it.")
    if "builder error" in text:
        return UsageError(f"{failure} Check {root.provider.endpoint_variable}, and an address in the file of credentials.")
    status = int(found[1]) if (found := _STATUS.search(text)) else None
    if _NO_TOKEN in text:  # of an identity provider, or of the machine's own service where no credentials are set
        kind = UsageError if status is not None and 400 <= status < 429 else TransientError
        why = f"the request for a token failed: {_safe_text(text)}"
        return kind(f"TICKET_EVENTS_ROOT: can't {attempt} ({why}). {credential_advice(root.provider)}")
    if status in (401, 403) or _CREDENTIALS.search(text) or any(words in text for words in _STALE_CREDENTIALS):
        return UsageError(
            f"{failure} Check the credentials ({root.provider.credential_variables}, or what else the provider's own chain "
            "finds), and that they may list the bucket, and get, put and delete below the root."
        )
    if status == 429:
        return ThrottledError(
            f"{failure} It takes no more requests for now. Run it again in a minute: nothing stored was changed."
        )
    if status == 501 or isinstance(error, UNSUPPORTED):
        return UsageError(f"{failure} The store doesn't support that: use another one.")
    if status is None or status == 408 or status >= 500:
        return TransientError(
            f"{failure} It was retried for a while. Check the network and {root.provider.endpoint_variable}, "
            "then run it again: nothing stored was changed."
        )
    return UsageError(f"{failure} Check the root, {root.provider.endpoint_variable} and the bucket's settings.")


def credential_advice(provider: Provider) -> str:
    """Which variables hold credentials, and which of those that are set don't."""
    not_enough = [f" {name} {why}." for name, why in provider.not_enough.items() if os.environ.get(name)]
    advice = f"Check the credentials: {provider.credential_variables}, or a role of this machine."
    return advice + "".join(not_enough)


def _safe_text(text: str) -> str:
    """The parts of an error's text that may be repeated."""
    if found := _CREDENTIALS.search(text):
        return found[1]
    parts = [found[1] for pattern in (_STATUS, _CODE, _SENTENCE) if (found := pattern.search(text))]
    if parts:
        return ": ".join(parts)
    return next((meaning for words, meaning in _KINDS.items() if words in text), "it gave no readable answer")
