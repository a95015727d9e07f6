"""What the account tells beside its exports: names, settings, and tickets as they are now; as answers without HTTP.

A list pages by cursor where a request has `page[size]`, and else by `page` and `per_page`; settings don't page at all.
https://developer.zendesk.com/api-reference/introduction/pagination/
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from ticket_events_pipeline.day import Clock
from ticket_events_pipeline.sandbox.answers import (
    FORBIDDEN,
    NOT_AUTHENTICATED,
    NOT_FOUND,
    Answer,
    invalid_parameter,
    json_answer,
    over_account_limit,
)
from ticket_events_pipeline.sandbox.credentials import Doorkeeper
from ticket_events_pipeline.sandbox.quota import Quota
from ticket_events_pipeline.sandbox.rows import Account, Json, Lookups

PAGE_SIZE = 100
"""Of a list, at most and by default; and most ids of one request."""

SHOW_TICKETS = "tickets/show_many"

LISTS = {
    "groups": "groups",
    "users": "users",
    "organizations": "organizations",
    "brands": "brands",
    "group_slas/policies": "group_sla_policies",
}
"""By path, the kind of objects, which is also the key in the envelope: of lists that page."""

WHOLE_LISTS = {"ticket_forms": "ticket_forms", "slas/policies": "sla_policies", "business_hours/schedules": "schedules"}
"""The same of lists that don't."""

SHOWN_BY_ID = {"users/show_many": "users", "organizations/show_many": "organizations"}

HOLIDAYS = re.compile(r"business_hours/schedules/(?P<schedule_id>\d{1,18})/holidays")

ROUTES = (*LISTS, *WHOLE_LISTS, *SHOWN_BY_ID, SHOW_TICKETS, "business_hours/schedules/{schedule_id:int}/holidays")
"""Every path below `/api/v2/`, in the server's notation."""

Query = Sequence[tuple[str, str]]
"""Names may be repeated: `role[]=agent&role[]=admin`."""


@dataclass(frozen=True, slots=True)
class LookupWorld:
    """How an account treats the requests that are no exports.

    Attributes:
        requests_per_minute: their quota.
        refused: paths below `/api/v2/` that are answered with 403, such as `SHOW_TICKETS`.
        delay_seconds: what each answer to `SHOW_TICKETS` takes.
    """

    requests_per_minute: int = 100_000
    refused: frozenset[str] = frozenset()
    delay_seconds: float = 0.0


class AccountLookups:
    """Answers them, under a quota of their own."""

    def __init__(self, account: Account, *, world: LookupWorld, doorkeeper: Doorkeeper, quota: Quota, clock: Clock) -> None:
        self._lookups = account if isinstance(account, Lookups) else _NoLookups()
        self._world = world
        self._doorkeeper = doorkeeper
        self._quota = quota
        self._clock = clock

    def answer(self, path: str, query: Query, *, authorization: str, url: str) -> Answer:
        """The answer to a GET of `path` below `/api/v2/`, without a suffix; `url` is the request's own, without its query."""
        now = self._clock()
        access = self._doorkeeper.check(authorization, now)
        if access != "granted":
            return NOT_AUTHENTICATED if access == "unknown" else FORBIDDEN
        result = self._quota.take(now)
        if not result.allowed:
            answer = over_account_limit(retry_after_seconds=result.resets_in_seconds)
        elif path in self._world.refused:
            answer = FORBIDDEN
        else:
            answer = self._found(path, query, now=now, url=url)
        return replace(answer, headers={**result.account_headers, **answer.headers})

    def _found(self, path: str, query: Query, *, now: float, url: str) -> Answer:
        if path == SHOW_TICKETS:
            return _shown("tickets", query, lambda ids: self._lookups.tickets(ids, now=now))
        if path in SHOWN_BY_ID:
            kind = SHOWN_BY_ID[path]
            known = {found["id"]: found for found in self._lookups.objects(kind)}
            return _shown(kind, query, lambda ids: [known[one] for one in ids if one in known])
        if path in WHOLE_LISTS:
            found = self._lookups.objects(WHOLE_LISTS[path])
            return json_answer(200, {WHOLE_LISTS[path]: found, "next_page": None, "previous_page": None, "count": len(found)})
        if path in LISTS:
            return _listed(LISTS[path], self._of_roles(LISTS[path], query), query, url=url)
        holidays = self._holidays(path)
        return NOT_FOUND if holidays is None else json_answer(200, {"holidays": holidays})

    def _of_roles(self, kind: str, query: Query) -> Sequence[Json]:
        roles = {value for name, value in query if name in ("role", "role[]")}
        return [found for found in self._lookups.objects(kind) if not roles or found.get("role") in roles]

    def _holidays(self, path: str) -> Sequence[Json] | None:
        asked = HOLIDAYS.fullmatch(path)
        return self._lookups.holidays(int(asked["schedule_id"])) if asked else None


class _NoLookups:
    """An account that has none of it."""

    def objects(self, kind: str) -> Sequence[Json]:
        return []

    def holidays(self, schedule_id: int) -> Sequence[Json] | None:
        return None

    def tickets(self, ids: object, *, now: float) -> Sequence[Json]:
        return []


def _shown(kind: str, query: Query, find: Callable[[list[int]], Sequence[Json]]) -> Answer:
    """Those of the ids that are known."""
    texts = [text for text in dict(query).get("ids", "").split(",") if text]
    if not texts or not all(text.isascii() and text.isdigit() and len(text) < 19 for text in texts):
        return invalid_parameter("ids", "is missing or no list of ids")
    if len(texts) > PAGE_SIZE:
        return invalid_parameter("ids", f"has more than {PAGE_SIZE} ids")
    found = find(list(dict.fromkeys(map(int, texts))))
    return json_answer(200, {kind: found, "next_page": None, "previous_page": None, "count": len(found)})


def _listed(kind: str, found: Sequence[Json], query: Query, *, url: str) -> Answer:
    asked = dict(query)
    if "page[size]" in asked:
        return _by_cursor(kind, found, query, url=url)
    number, size = _positive(asked.get("page", "1")), _positive(asked.get("per_page", str(PAGE_SIZE)))
    if number is None or size is None:
        return invalid_parameter("page", "is no positive integer")
    size = min(size, PAGE_SIZE)
    rows = found[(number - 1) * size : number * size]
    kept = [(name, value) for name, value in query if name != "page"]
    following = f"{url}?{urlencode([*kept, ('page', str(number + 1))])}" if number * size < len(found) else None
    return json_answer(200, {kind: rows, "next_page": following, "previous_page": None, "count": len(found)})


def _by_cursor(kind: str, found: Sequence[Json], query: Query, *, url: str) -> Answer:
    asked = dict(query)
    size, start = _positive(asked["page[size]"]), _place_of(asked.get("page[after]"))
    if size is None or size > PAGE_SIZE:
        return invalid_parameter("page[size]", f"is no integer from 1 to {PAGE_SIZE}")
    if start is None:
        return invalid_parameter("page[after]", "is no cursor")
    rows, end = found[start : start + size], min(start + size, len(found))
    has_more = end < len(found)
    after, before = (_cursor(end), _cursor(start)) if rows else (None, None)
    kept = [(name, value) for name, value in query if name != "page[after]"]
    following = f"{url}?{urlencode([*kept, ('page[after]', after or '')])}" if has_more else None
    meta = {"has_more": has_more, "after_cursor": after, "before_cursor": before}
    return json_answer(200, {kind: rows, "meta": meta, "links": {"prev": None, "next": following}})


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(f"place {place}".encode()).decode()


def _place_of(cursor: str | None) -> int | None:
    if cursor is None:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
    except ValueError:
        return None
    return int(number) if word == "place" and number.isdecimal() else None


def _positive(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) < 1_000_000 else None
