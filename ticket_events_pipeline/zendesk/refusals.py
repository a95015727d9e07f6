"""Refusals: what an answer that is no page means, and what to do about it.

`Retryable` and `TooRecent` stay inside this package: `client` waits them out. Everything else is for the caller, in full
sentences that name the variables. How pages are read is in `page`, how long is waited in `retry`.
https://developer.zendesk.com/api-reference/introduction/requests/#response-format
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ticket_events_pipeline.errors import (
    AccountNotFoundError,
    AuthenticationError,
    ForbiddenError,
    RequestRefusedError,
    TicketEventsError,
    TransientError,
)
from ticket_events_pipeline.zendesk.bodies import beginning, short_reason
from ticket_events_pipeline.zendesk.headers import quota_header, retry_after_seconds, server_time

MINIMUM_AGE_SECONDS = 60
"""The server refuses a start_time younger than this; older servers said five minutes."""

# Between the machine that judges a start_time and the one that dates the answer, generously.
_CLOCKS_DIFFER_SECONDS = 3600

RATE_LIMIT_WAIT_SECONDS = 60.0
"""Waited after a 429 that doesn't say how long: the quota counts per minute."""

_ALL_VARIABLES = (
    "ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET, or ZENDESK_OAUTH_TOKEN, or ZENDESK_EMAIL and ZENDESK_API_TOKEN. "
    "Zendesk ended ZENDESK_PASSWORD at the end of 2025"
)
_TOO_RECENT = re.compile(r"too recent.{0,200}", re.IGNORECASE | re.DOTALL)
_AGE = re.compile(r"([0-9]{1,6})\s*(second|sec|minute|min|hour)", re.IGNORECASE)
_UNIT_SECONDS = {"sec": 1, "min": 60, "hou": 3600}


@dataclass(frozen=True)
class Asked:
    """What messages say about the question: `what` was asked of which `host`, and the `variables` of its credentials.

    `expiry_hint` is a sentence about how credentials of that kind come to an end.
    """

    what: str
    host: str = "Zendesk"
    variables: str = _ALL_VARIABLES
    expiry_hint: str = ""


class Retryable(TransientError):  # noqa: N818 - a condition that the client waits out, not an error that callers meet
    """May clear by itself; `wait_seconds` is the server's wish, None if it has none."""

    def __init__(self, reason: str, *, wait_seconds: float | None = None) -> None:
        self.reason = reason
        self.wait_seconds = wait_seconds
        super().__init__(reason)


class Busy(Retryable):
    """408, 409, 5xx, or no connection."""


class Overtaxed(Busy):
    """A page may be too much for the server or the line: a timeout, a gateway's error, a connection lost midway."""


class RateLimited(Retryable):
    """429: the export quota is used up."""


class Unreadable(Retryable):
    """An answer that claims to be a page and is none."""


class TooLarge(Retryable):
    """A page of more bytes than we take."""


class TooRecent(TicketEventsError):  # noqa: N818 - an answer, not an error: the walk has caught up
    """The asked start_time is younger than `age_seconds` at the server's time."""

    def __init__(self, *, age_seconds: int, server_time: float | None) -> None:
        self.age_seconds = age_seconds
        self.server_time = server_time
        super().__init__(f"start_time is younger than {age_seconds} seconds")

    def contradicts(self, start_time: int) -> bool:
        """Whether the server's own time says that `start_time` (epoch seconds) is far from recent."""
        return self.server_time is not None and self.server_time - start_time > self.age_seconds + _CLOCKS_DIFFER_SECONDS


def refusal(asked: Asked, status: int, headers: Mapping[str, str], body: bytes) -> TicketEventsError:
    """The exception that an answer other than 200 stands for; returned, not raised."""
    reason = short_reason(body)
    if status in (400, 422) and (found := _TOO_RECENT.search(beginning(body))):
        return TooRecent(age_seconds=_age_seconds(found.group()), server_time=server_time(headers))
    if status == 429:
        return RateLimited(f"429 {reason}", wait_seconds=_rate_limit_wait(headers))
    if status in (408, 500, 502, 504) and retry_after_seconds(headers) is None:
        return Overtaxed(f"{status} {reason}")
    if status in (408, 409) or status >= 500:
        return Busy(f"{status} {reason}", wait_seconds=retry_after_seconds(headers))
    if 200 <= status < 300:
        return Unreadable(f"{status} instead of 200: {reason}")
    return _final_refusal(asked, status, headers, reason)


def _final_refusal(asked: Asked, status: int, headers: Mapping[str, str], reason: str) -> TicketEventsError:
    answered = f"{asked.what}: {asked.host} answered {status} ({reason})."
    if status == 401:
        return AuthenticationError(
            f"{answered} The credentials are wrong or expired; retrying cannot clear this. Check {asked.variables}."
            + (f" {asked.expiry_hint}" if asked.expiry_hint else "")
        )
    if status == 403:
        return ForbiddenError(
            f"{answered} Retrying cannot clear this. The exports need an admin's credentials; an OAuth token needs the scope "
            f"read (a misspelt scope gives a token that is refused everywhere); Zendesk also blocks exports for third-party "
            f"integrations. Check {asked.variables}."
        )
    if status == 404:
        return AccountNotFoundError(
            f"{answered} No such account, or no such export on it; retrying cannot clear this. Check ZENDESK_SUBDOMAIN, or "
            f"ZENDESK_BASE_URL if it is set."
        )
    if 300 <= status < 400:
        return RequestRefusedError(
            f"{asked.what}: {asked.host} answered {status}, a redirect to {_target_host(headers)}. It is not followed, so that "
            f"credentials go to no other host. If that is your account's host, set ZENDESK_SUBDOMAIN or ZENDESK_BASE_URL to it."
        )
    return RequestRefusedError(
        f"{answered} The request itself is refused; retrying cannot clear this. If the message doesn't say what to change, "
        f"report it with this text."
    )


def _rate_limit_wait(headers: Mapping[str, str]) -> float:
    asked_for = retry_after_seconds(headers)
    if asked_for is not None:
        return asked_for
    quota = quota_header(headers)
    return float(quota.resets_seconds) if quota and quota.resets_seconds is not None else RATE_LIMIT_WAIT_SECONDS


def _age_seconds(reason: str) -> int:
    found = _AGE.search(reason)
    return int(found.group(1)) * _UNIT_SECONDS[found.group(2)[:3].lower()] if found else MINIMUM_AGE_SECONDS


def _target_host(headers: Mapping[str, str]) -> str:
    location = next((text for name, text in headers.items() if name.lower() == "location"), "")
    try:
        return urlsplit(location).hostname or "the same host"
    except ValueError:
        return "an unreadable address"
