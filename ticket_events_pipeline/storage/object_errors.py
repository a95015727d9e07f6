"""What an object store's errors mean to the caller: one of our errors, with what to do.

The library's messages quote the request's address and the answer's body, which may hold a signature or a key's name: nothing
is taken from them but the status, the store's own code and sentence, and the kind of failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError

from ticket_events_pipeline.errors import TicketEventsError, TransientError, UsageError
from ticket_events_pipeline.root import ObjectRoot

_STATUS = re.compile(r"status code: (\d{3})")
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
}

UNSUPPORTED = (NotSupportedError, NotImplementedError)
"""What the library doesn't even ask a kind of store."""

_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_OTHER_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "incorrectly configured region")
_STALE_CREDENTIALS = ("ExpiredToken", "InvalidToken", "RequestTimeTooSkewed", "invalid_grant")


@contextmanager
def explained(root: ObjectRoot, attempt: str, *, may_be_missing: bool = False) -> Iterator[None]:
    """Make the library's errors ours; `attempt` words what is tried ("write s3://…").

    What is no fault comes through: a condition that doesn't hold (AlreadyExistsError, PreconditionError), and a
    FileNotFoundError where the object, not its bucket, `may_be_missing`.

    Raises:
        UsageError: the store refuses.
        TransientError: the store can't be reached, or doesn't answer.
    """
    try:
        yield
    except (AlreadyExistsError, PreconditionError):
        raise
    except (BaseError, FileNotFoundError, NotImplementedError) as error:
        if may_be_missing and isinstance(error, FileNotFoundError) and not any(words in str(error) for words in _NO_BUCKET):
            raise
        raise problem_of(error, root, attempt=attempt) from None  # its text holds more than may be repeated


def problem_of(error: Exception, root: ObjectRoot, *, attempt: str) -> TicketEventsError:
    """Our error for the library's."""
    text = str(error)
    said = f"TICKET_EVENTS_ROOT: can't {attempt} ({_told(text)})."
    if any(words in text for words in _NO_BUCKET):
        return UsageError(f"{said} There is no bucket {root.bucket} there: create it, or correct the root.")
    if any(words in text for words in _OTHER_REGION):
        return UsageError(f"{said} The bucket lies in another region: set AWS_REGION to it.")
    status = int(found[1]) if (found := _STATUS.search(text)) else None
    if status in (401, 403) or _CREDENTIALS.search(text) or any(words in text for words in _STALE_CREDENTIALS):
        return UsageError(
            f"{said} Check the credentials ({root.provider.credential_variables}, or what else the provider's own chain "
            "finds), and that they may list the bucket, and get, put and delete below the root."
        )
    if status == 501 or isinstance(error, UNSUPPORTED):
        return UsageError(f"{said} The store doesn't know how to do that: use another one.")
    if status is None or status in (408, 429) or status >= 500:
        return TransientError(
            f"{said} It was tried again for a while. Look at the network and at {root.provider.endpoint_variable}, "
            "then run it again: what is stored stands."
        )
    return UsageError(f"{said} Check the root, {root.provider.endpoint_variable} and the bucket's settings.")


def _told(text: str) -> str:
    """What is safe to repeat."""
    if found := _CREDENTIALS.search(text):
        return found[1]
    told = [found[1] for pattern in (_STATUS, _CODE, _SENTENCE) if (found := pattern.search(text))]
    if told:
        return ": ".join(told)
    return next((meaning for words, meaning in _KINDS.items() if words in text), "it gave no answer that can be read")
