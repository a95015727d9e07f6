"""Pages: the request for one, and what an answer to it holds. Sans I/O: input is status, headers and body.

Rows stay as they were sent.
https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from ticket_events_pipeline.credentials import DEFAULT_SUPPORT_TYPE_SCOPE
from ticket_events_pipeline.day import LAST_EPOCH_SECOND
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.zendesk.answers import (
    MINIMUM_AGE_SECONDS,
    Asked,
    TooRecent,
    Unreadable,
    error_with_200,
    instead_of_json,
    refusal,
)
from ticket_events_pipeline.zendesk.headers import QuotaHeader, quota_header, server_time
from ticket_events_pipeline.zendesk.json_body import REPEATED_FIELDS, UnreadableJsonError, holds_more_values, parse_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAGE_LIMIT = 1000
"""Rows that the server puts on a page at most, unless a single second holds more."""

MAX_ROWS = 100 * PAGE_LIMIT
"""Rows of a page that are taken: far more than happen in a single second."""

MAX_JSON_VALUES = 4_000_000
"""Values of a page that are taken, four thousand a row: each takes about a hundred bytes of memory, three in the page."""


_WORDS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class PageRequest:
    """Asks for the rows from `start_time` (epoch seconds, inclusive) on."""

    stream: Stream
    start_time: int
    per_page: int = PAGE_LIMIT
    include_comments: bool = False
    support_type_scope: str = DEFAULT_SUPPORT_TYPE_SCOPE

    @property
    def path(self) -> str:
        """The path below the account's base URL."""
        return f"/api/v2/incremental/{self.stream.name}"

    @property
    def params(self) -> dict[str, str]:
        """The query, made from our own values only: nothing of a `next_page` but its start_time is ever used."""
        params = {"start_time": str(self.start_time)}
        if self.stream.takes_per_page:
            params["per_page"] = str(self.per_page)
        if self.stream.takes_choices:
            # Also the default: files record what was requested, and Zendesk's default may change.
            params["support_type_scope"] = self.support_type_scope
            if self.include_comments:
                params["include"] = "comment_events"
        return params

    @property
    def page_limit(self) -> int:
        """The most rows that the answer holds, unless a single second holds more."""
        return self.per_page if self.stream.takes_per_page else PAGE_LIMIT

    def __str__(self) -> str:
        return f"GET {self.path}?" + "&".join(f"{name}={value}" for name, value in self.params.items())


@dataclass(frozen=True)
class EventPage:
    """One page as sent.

    Attributes:
        start_time: the requested start, epoch seconds.
        count: the server's; the number of rows if it is missing or unreadable.
        end_time: the server's, epoch seconds; None if missing.
        end_of_stream: None if missing, as metric events have it.
        next_start_time: the start_time in `next_page`, all that is ever used of that URL.
        server_time: the `Date` header, epoch seconds.
        quota: the answer's header of the export quota.
        page_limit: the largest requested number of rows.
        received_at: when it came by this machine's clock, epoch seconds; None if that isn't known.
    """

    stream: Stream
    start_time: int
    rows: Sequence[dict[str, Any]] = field(repr=False)  # customers' records stay out of logs
    count: int
    end_time: int | None
    end_of_stream: bool | None
    next_start_time: int | None
    server_time: float | None
    quota: QuotaHeader | None = None
    page_limit: int = PAGE_LIMIT
    received_at: float | None = None

    @cached_property
    def seconds(self) -> NDArray[np.int64]:
        """Epoch seconds of the rows that have a readable time, in the page's order."""
        from ticket_events_pipeline.decoding.decode import row_seconds  # Arrow: who only names streams needs none

        return row_seconds(self.stream.name, self.rows)

    @property
    def newest(self) -> int | None:
        """Epoch second of the newest row, which may be dated ahead; None if no row has a readable time."""
        return int(self.seconds.max()) if len(self.seconds) else None


def decode_page(
    request: PageRequest, status: int, headers: Mapping[str, str], body: bytes, *, asked: Asked | None = None
) -> EventPage:
    """The page that an answer holds. `asked` is for messages.

    Raises:
        AccountError: for an answer that retrying cannot clear.
        Retryable: the answer is worth a retry (a subclass of TransientError).
        TooRecent: the stream has been read as far as the server allows.
    """
    asked = asked or Asked(str(request))
    if status != 200:
        error = refusal(asked, status, headers, body)
        # Taken as the end of the stream, it would silently leave every later day unread.
        if isinstance(error, TooRecent) and error.contradicts(request.start_time):
            raise Unreadable(f"{status} {error}, though by the server's own time it is far older")
        raise error
    content = _envelope(request.stream, headers, body, asked)
    rows = content[request.stream.name]
    if len(rows) > MAX_ROWS:
        raise Unreadable(f"200 with {len(rows):,} rows on one page")
    if not len(rows) and (stated := error_with_200(asked, headers, parse_json(body))) is not None:
        raise stated  # an empty list with an error is not the end of the stream
    count = _whole(content.get("count"))
    return EventPage(
        stream=request.stream,
        start_time=request.start_time,
        rows=[_row(row) for row in rows] if isinstance(rows, list) else rows,
        count=len(rows) if count is None else count,
        end_time=_whole(content.get("end_time")),
        end_of_stream=_boolean(content.get("end_of_stream")),
        next_start_time=_next_start_time(content.get("next_page")),
        server_time=server_time(headers),
        quota=quota_header(headers),
        page_limit=request.page_limit,
    )


def _envelope(stream: Stream, headers: Mapping[str, str], body: bytes, asked: Asked) -> dict[str, Any]:
    if holds_more_values(body, MAX_JSON_VALUES):
        raise Unreadable(f"200 with more than {MAX_JSON_VALUES:,} JSON values on one page")
    from ticket_events_pipeline.decoding.fast_lane import columnar_envelope  # Arrow: who only names streams needs none

    columnar = columnar_envelope(stream.name, body, parse=parse_json)
    if columnar is not None:
        return columnar
    try:
        content = parse_json(body)
    except UnreadableJsonError as error:
        raise Unreadable(f"200 with {instead_of_json(body, error)}") from None
    if not isinstance(content, dict) or not isinstance(content.get(stream.name), list):
        raise error_with_200(asked, headers, content) or Unreadable(f"200 with JSON that holds no list {stream.name!r}")
    repeated = content.get(REPEATED_FIELDS)
    if isinstance(repeated, list) and any(isinstance(pair, list) and pair[:1] == [stream.name] for pair in repeated):
        raise Unreadable(f"200 with JSON that holds {stream.name!r} more than once")
    return content


def caught_up_page(request: PageRequest, answer: TooRecent) -> EventPage:
    """The empty page for a too recent start_time: the stream has been read to its end.

    Its server time is at most the start plus MINIMUM_AGE_SECONDS: a server may withhold rows for longer, and those are
    unread. An answer without `Date` gets that moment.
    """
    asked_at, read_until = answer.server_time, request.start_time + MINIMUM_AGE_SECONDS
    return EventPage(
        stream=request.stream,
        start_time=request.start_time,
        rows=[],
        count=0,
        end_time=None,
        end_of_stream=True,
        next_start_time=None,
        server_time=read_until if asked_at is None else min(asked_at, read_until),
        page_limit=request.page_limit,
    )


def _row(row: object) -> dict[str, Any]:
    # Wrapped, it has no id and no time: it is refused and counted where all such rows are.
    return row if isinstance(row, dict) else {"not_an_object": row}


def _whole(value: object) -> int | None:
    """A whole number from 0 to the year 9999 in epoch seconds, also as text or float; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = int(value) if len(value) <= 12 and value.isascii() and value.isdigit() else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= LAST_EPOCH_SECOND else None


def _boolean(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return _WORDS.get(str(value).lower()) if isinstance(value, str | int) else None


def _next_start_time(next_page: object) -> int | None:
    try:
        values = parse_qs(urlsplit(next_page if isinstance(next_page, str) else "").query).get("start_time", [])
    except ValueError:
        return None
    return _whole(values[0]) if values else None
