"""The two incremental exports: authentication, errors and pages, as answers without HTTP.

Accepted but not simulated: `include_changes`, `exclude_deleted` and cursor paging.
https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import takewhile

from ticket_events_pipeline.day import Clock
from ticket_events_pipeline.sandbox.answers import (
    FORBIDDEN,
    NOT_AUTHENTICATED,
    TOO_RECENT,
    Answer,
    invalid_parameter,
    over_quota,
)
from ticket_events_pipeline.sandbox.credentials import Doorkeeper
from ticket_events_pipeline.sandbox.paging import PAGE_LIMIT, EndOfStream, cut_page, envelope
from ticket_events_pipeline.sandbox.quota import Quota
from ticket_events_pipeline.sandbox.rows import DEFAULT_SCOPE, TICKET_EVENTS, Account

PROTECTED_SECONDS = 60
"""`start_time` must be at least that old; the newest ticket events are withheld for as long."""

SUPPORT_TYPE_SCOPES = ("agent", "all", "ai_agent")

ACCOUNT_WIDE_HEADERS = {"x-rate-limit": "400", "ratelimit-limit": "400", "ratelimit-remaining": "384", "ratelimit-reset": "50"}
"""The account's other bucket, which says nothing about the exports and must not be taken for theirs."""


@dataclass(frozen=True, slots=True)
class World:
    """How the exports behave where Zendesk's documentation leaves it open.

    Attributes:
        end_of_stream: whether metric events carry `end_of_stream`.
        pinned: an overfull second stays capped and never ends; otherwise its page is enlarged.
        quota_headers: whether answers state what is left of the quota.
        page_limit: most rows of a page; less than the real 1000 gives small tests many pages.
    """

    end_of_stream: EndOfStream = "present"
    pinned: bool = False
    quota_headers: bool = True
    page_limit: int = PAGE_LIMIT


class Exports:
    """Answers the requests for both streams, which share one quota."""

    def __init__(self, account: Account, *, world: World, doorkeeper: Doorkeeper, quota: Quota, clock: Clock) -> None:
        self._account = account
        self._world = world
        self._doorkeeper = doorkeeper
        self._quota = quota
        self._clock = clock

    def answer(self, stream: str, query: Mapping[str, str], *, authorization: str, url: str) -> Answer:
        """The answer to a GET of `stream`; `url` is the request's own, without its query."""
        now = self._clock()
        access = self._doorkeeper.check(authorization, now)
        if access != "granted":
            return NOT_AUTHENTICATED if access == "unknown" else FORBIDDEN
        result = self._quota.take(now)
        if result.allowed:
            answer = self._page(stream, query, now=now, url=url)
        else:
            answer = over_quota(retry_after_seconds=result.resets_in_seconds)
        if not self._world.quota_headers:
            return answer
        headers = {**ACCOUNT_WIDE_HEADERS, "zendesk-ratelimit-incremental-exports": result.header}
        return replace(answer, headers={**headers, **answer.headers})

    def _page(self, stream: str, query: Mapping[str, str], *, now: float, url: str) -> Answer:
        start_time = _integer(query.get("start_time", ""))
        if start_time is None:
            return invalid_parameter("start_time", "is missing or no integer")
        if start_time > now - PROTECTED_SECONDS:
            return TOO_RECENT
        limit = self._world.page_limit
        if stream == TICKET_EVENTS and "per_page" in query:
            per_page = _integer(query["per_page"])
            if per_page is None or per_page < 1:
                return invalid_parameter("per_page", "is no positive integer")
            limit = min(limit, per_page)
        scope = query.get("support_type_scope", DEFAULT_SCOPE) if stream == TICKET_EVENTS else DEFAULT_SCOPE
        if scope not in SUPPORT_TYPE_SCOPES:
            return invalid_parameter("support_type_scope", f"is none of {', '.join(SUPPORT_TYPE_SCOPES)}")
        comments = stream == TICKET_EVENTS and "comment_events" in query.get("include", "").split(",")
        rows = self._account.rows(stream, start_time, now=now, comments=comments, scope=scope)
        if stream == TICKET_EVENTS:
            rows = takewhile(lambda row: row.time <= now - PROTECTED_SECONDS, rows)
        page = cut_page(rows, start_time, limit=limit, pinned=self._world.pinned)
        kept = {name: value for name, value in query.items() if name != "start_time"}
        return Answer(200, envelope(page, stream, url=url, parameters=kept, end_of_stream=self._world.end_of_stream))


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
