"""The account's ordinary API: lists of what its ids mean, and some objects by their ids. No request counts as an export.

Answers come whole, or in pages that a cursor connects; only the cursor is taken from an answer, never an address.
https://developer.zendesk.com/api-reference/introduction/pagination/
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit

from ticket_events_pipeline.credentials import Credentials
from ticket_events_pipeline.day import Clock, wall_clock
from ticket_events_pipeline.errors import DataError, TicketEventsError, TransientError
from ticket_events_pipeline.zendesk.account_endpoints import SOME_TICKETS, Endpoint, Record
from ticket_events_pipeline.zendesk.account_pace import AccountPace, Timer
from ticket_events_pipeline.zendesk.answers import Asked, Unreadable, error_with_200, instead_of_json, refusal
from ticket_events_pipeline.zendesk.auth import AccessToken, auth_for, expiry_hint, hide_in_location, variables_of
from ticket_events_pipeline.zendesk.connection import NETWORK_ERRORS, account_session, network_failure, read_body
from ticket_events_pipeline.zendesk.headers import server_time
from ticket_events_pipeline.zendesk.json_body import UnreadableJsonError, holds_more_values, parse_json
from ticket_events_pipeline.zendesk.retry import Log, Patience, Sleep, call_with_retries

MAX_PAGES = 1000
"""Of one list: a hundred thousand objects."""

READ_SECONDS = 30.0
"""A list of a hundred objects that takes longer won't come."""

_ATTEMPTS = 4
_REMEDY = "Nothing stored was changed. Check https://status.zendesk.com and the network; a later run asks again."
_MOST_BYTES = 64 * 2**20
_MOST_VALUES = 4_000_000
_LOGGED_WAIT_SECONDS = 1.0

_PAGE_NUMBER = re.compile(r"[?&]page=([0-9]{1,6})(?![0-9])", re.ASCII)

_Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answer:
    """The objects of one answer, and when it was given: epoch seconds by the server's clock, else by ours."""

    records: list[Record]
    answered_at: float
    content: Record


class AccountApi:
    """Reads lists of one account. Close it, or use it in a `with`; it serves one thread.

    `pace` and `token` may be those of the connection before: each token that is fetched may end the others of the OAuth client.
    `log` gets a line for every wait of a second or more. All requests together, waits included, take `total_seconds` at most
    and one exchange with the server.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        pace: AccountPace,
        token: AccessToken | None = None,
        total_seconds: float,
        timeout_seconds: float = READ_SECONDS,
        sleep: Sleep = time.sleep,
        timer: Timer = time.monotonic,
        clock: Clock = wall_clock,
        log: Log = lambda _: None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._host = urlsplit(base_url).hostname or ""
        read_seconds = min(READ_SECONDS, float(timeout_seconds))
        self._session = account_session(base_url, read_seconds=read_seconds, exchange_seconds=2 * read_seconds)
        self._auth = auth_for(self._base_url, credentials, session=self._session, clock=clock, token=token)
        self._asked = Asked(
            "", self._host, variables_of(credentials), expiry_hint(credentials), hide=self._auth.hide, is_export=False
        )
        self._pace = pace
        self._sleep, self._timer, self._clock, self._log = sleep, timer, clock, log
        self._began, self._slept, self._total_seconds = timer(), 0.0, total_seconds
        self.requests_made = 0
        """HTTP requests so far, failed ones included."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def all(self, endpoint: Endpoint) -> Iterator[Record]:
        """Every object of a list, page by page, in the server's order.

        Raises:
            AccountError: Zendesk refuses; never retried.
            TransientError: retries or the time are exhausted.
            DataError: the pages don't end.
        """
        seen: set[_Params] = set()
        more: _Params | None = ()
        while more is not None:
            if more in seen or len(seen) >= MAX_PAGES:
                raise DataError(
                    f"{endpoint.path}: the pages don't end: {len(seen)} were read, and the next one would be "
                    f"{'one of them' if more in seen else 'one too many'}. Nothing stored was changed."
                )
            seen.add(more)
            answer = self._answer(endpoint, (*endpoint.params, *more))
            yield from answer.records
            more = _next_page(endpoint, answer.content)

    def some(self, endpoint: Endpoint, ids: Sequence[int]) -> Answer:
        """The objects with these ids, PAGE_LIMIT at most. Those that don't exist, or may not be seen, are left out.

        Raises:
            AccountError, TransientError: see `all`.
        """
        return self._answer(endpoint, (("ids", ",".join(map(str, ids))),))

    def tickets(self, ids: Sequence[int]) -> Answer:
        """The tickets with these ids; see `some`."""
        return self.some(SOME_TICKETS, ids)

    @property
    def seconds_left(self) -> float:
        """How long it may still take."""
        # Where sleep is injected, no real time passes.
        return self._total_seconds - max(self._slept, self._timer() - self._began)

    def _answer(self, endpoint: Endpoint, params: _Params) -> Answer:
        what = f"GET {endpoint.path}"

        def attempt() -> Answer:
            self._await_turn(what)
            answer = self._send(endpoint, params)
            if answer[0] == 401 and self._auth.renew():  # once: a token may end before its time
                answer = self._send(endpoint, params)
            return self._decoded(endpoint, *answer)

        patience = Patience(_ATTEMPTS, max(0.0, self.seconds_left), _REMEDY)
        return call_with_retries(attempt, what=what, sleep=self._pause, log=self._log, patience=patience)

    def _await_turn(self, what: str) -> None:
        wait = self._pace.wait(self._timer())
        if wait is None and self.seconds_left > 0:
            return
        if wait is None or wait.seconds > self.seconds_left:
            reason = f"{wait.reason}; " if wait else ""
            raise TransientError(f"{what}: {reason}the {self._total_seconds:.0f} s that it may take are over. {_REMEDY}")
        if wait.seconds >= _LOGGED_WAIT_SECONDS:
            self._log(f"{what}: {wait.reason}; waiting {wait.seconds:.0f} s")
        self._pause(wait.seconds)

    def _pause(self, seconds: float) -> None:
        self._slept += seconds
        self._sleep(seconds)

    def _send(self, endpoint: Endpoint, params: _Params) -> tuple[int, dict[str, str], bytes]:
        self.requests_made += 1
        url = self._base_url + endpoint.path
        try:
            with self._session.exchange("GET", url, params=params, auth=self._auth) as response:
                headers = dict(response.headers)
                self._pace.note(headers, self._timer())
                body = read_body(response, limit_bytes=_MOST_BYTES)
        except NETWORK_ERRORS as error:
            raise network_failure(f"GET {endpoint.path}", error, read_seconds=self._session.read_seconds) from None
        if response.status_code != 200:
            headers, body = hide_in_location(self._auth.hide, headers), self._auth.hide(body)
        return response.status_code, headers, body

    def _decoded(self, endpoint: Endpoint, status: int, headers: dict[str, str], body: bytes) -> Answer:
        asked = replace(self._asked, what=f"GET {endpoint.path}")
        if status != 200:
            raise refusal(asked, status, headers, body)
        content = _content(body, self._auth.hide)
        records = content.get(endpoint.member) if isinstance(content, dict) else None
        if not isinstance(content, dict) or not isinstance(records, list):
            error: TicketEventsError | None = error_with_200(asked, headers, content)
            raise error or Unreadable(f"200 without a list of {endpoint.member}")
        answered_at = server_time(headers)
        return Answer(
            [record for record in records if isinstance(record, dict)],
            self._clock() if answered_at is None else answered_at,
            content,
        )


def _content(body: bytes, hide: Callable[[bytes], bytes]) -> object:
    if holds_more_values(body, _MOST_VALUES):
        raise Unreadable(f"200 with more than {_MOST_VALUES} JSON values")
    try:
        return parse_json(body)
    except UnreadableJsonError as error:
        raise Unreadable(f"200 with {instead_of_json(hide(body), error)}") from None


def _next_page(endpoint: Endpoint, content: Record) -> _Params | None:
    """The parameters of the next page; None after the last one, and where an answer is whole."""
    meta = content.get("meta")
    if not isinstance(meta, dict):
        return _numbered_page(content.get("next_page"))
    if meta.get("has_more") is not True:
        return None
    cursor = meta.get("after_cursor")
    if not isinstance(cursor, str) or not cursor:
        raise DataError(f"{endpoint.path}: an answer promises more pages and has no cursor. Nothing stored was changed.")
    return (("page[after]", cursor),)


def _numbered_page(next_page: object) -> _Params | None:
    """The number in an address: some lists have no cursor. Nothing else is taken from the address."""
    found = _PAGE_NUMBER.search(next_page) if isinstance(next_page, str) else None
    return None if found is None else (("page", found[1]),)
