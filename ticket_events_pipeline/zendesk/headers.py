"""Response headers: the server's time, how long it asks to wait, and what is left of the rate limits.

Their names, presence and form vary; a value that can't be read is None, never an error.
https://developer.zendesk.com/api-reference/introduction/rate-limits/
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_QUOTA_HEADER_PREFIX = "zendesk-ratelimit-incremental"
_BUCKET_PREFIX = "zendesk-ratelimit-"
_TOTAL_HEADERS = ("ratelimit-limit", "x-rate-limit")
_REMAINING_HEADERS = ("ratelimit-remaining", "x-rate-limit-remaining")
_RESET_HEADER = "ratelimit-reset"
_ACCOUNT_HEADERS = (*_TOTAL_HEADERS, *_REMAINING_HEADERS, _RESET_HEADER)
_QUOTA_FIELD = re.compile(r"\b(total|remaining|resets)\s*=\s*([0-9]{1,9})", re.ASCII | re.IGNORECASE)

RATE_LIMIT_WAIT_SECONDS = 60.0
"""Wait after a 429 that doesn't say how long: the quota counts per minute."""


@dataclass(frozen=True)
class QuotaHeader:
    """`zendesk-ratelimit-incremental-exports: total=10; remaining=9; resets=2`, in requests and seconds."""

    remaining: int
    total: int | None = None
    resets_seconds: int | None = None


def server_time(headers: Mapping[str, str]) -> float | None:
    """Epoch seconds of the `Date` header."""
    return _http_date(_value(headers, "date"))


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` asks for; a date counts from the answer's own `Date`, not from our clock."""
    text = _value(headers, "retry-after")
    try:
        seconds = float(text)
    except ValueError:
        until, now = _http_date(text), server_time(headers)
        seconds = until - now if until is not None and now is not None else math.nan
    return max(0.0, seconds) if math.isfinite(seconds) else None


def rate_limit_wait_seconds(headers: Mapping[str, str]) -> float:
    """How long to wait after a 429: as `Retry-After` asks, else until the quota's reset, else RATE_LIMIT_WAIT_SECONDS."""
    requested = retry_after_seconds(headers)
    if requested is not None:
        return requested
    quota = quota_header(headers)
    return float(quota.resets_seconds) if quota and quota.resets_seconds is not None else RATE_LIMIT_WAIT_SECONDS


def quota_header(headers: Mapping[str, str]) -> QuotaHeader | None:
    """The exports' bucket, not the account's (`x-rate-limit…`); of several, the one with the fewest requests left."""
    found = [
        quota
        for name, text in headers.items()
        if name.lower().startswith(_QUOTA_HEADER_PREFIX) and (quota := _quota_header(text))
    ]
    return min(found, key=lambda quota: quota.remaining, default=None)


def account_limit(headers: Mapping[str, str]) -> QuotaHeader | None:
    """What is left of the account's ordinary rate limit; of several buckets, the one with the fewest requests left."""
    own = {name: _whole_number(_value(headers, name)) for name in _ACCOUNT_HEADERS}
    total, remaining = (
        next((own[name] for name in names if own[name] is not None), None) for names in (_TOTAL_HEADERS, _REMAINING_HEADERS)
    )
    found = [] if remaining is None else [QuotaHeader(remaining, total, own[_RESET_HEADER])]
    found += [
        bucket
        for name, text in headers.items()
        if name.lower().startswith(_BUCKET_PREFIX) and not name.lower().startswith(_QUOTA_HEADER_PREFIX)
        if (bucket := _quota_header(text))
    ]
    return min(found, key=lambda bucket: bucket.remaining, default=None)


def _whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _quota_header(text: str) -> QuotaHeader | None:
    fields = {name.lower(): int(number) for name, number in _QUOTA_FIELD.findall(text)}
    if "remaining" not in fields:
        return None
    return QuotaHeader(fields["remaining"], fields.get("total"), fields.get("resets"))


def _value(headers: Mapping[str, str], lower_name: str) -> str:
    return next((text for name, text in headers.items() if name.lower() == lower_name), "").strip()


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000" means UTC of unknown origin
        moment = moment.replace(tzinfo=dt.UTC)
    try:
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None
