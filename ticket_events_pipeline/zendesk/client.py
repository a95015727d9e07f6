"""The client: sends requests, waits, retries, and reads a stream page by page.

A client serves one thread; its quota may be shared.
https://developer.zendesk.com/documentation/ticketing/managing-tickets/using-the-incremental-export-api/
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, Self
from urllib.parse import urlsplit

from ticket_events_pipeline.credentials import DEFAULT_SUPPORT_TYPE_SCOPE, Credentials
from ticket_events_pipeline.day import Clock, wall_clock
from ticket_events_pipeline.errors import DataError, OverfullSecondError, TicketEventsError, TransientError
from ticket_events_pipeline.tables.streams import STREAMS, Stream
from ticket_events_pipeline.text import plural, utc_text
from ticket_events_pipeline.zendesk.answers import Asked, Overtaxed, Retryable, TooLarge, TooRecent, Unreadable
from ticket_events_pipeline.zendesk.auth import auth_for, expiry_hint, hide_in_location, variables_of
from ticket_events_pipeline.zendesk.connection import NETWORK_ERRORS, account_session, network_failure, read_body
from ticket_events_pipeline.zendesk.page import PAGE_LIMIT, EventPage, PageRequest, caught_up_page, decode_page
from ticket_events_pipeline.zendesk.prefetch import Answer, Prefetch, Wanted
from ticket_events_pipeline.zendesk.rate_limit import Wait
from ticket_events_pipeline.zendesk.retry import MAX_ATTEMPTS, RESUMES, Log, Patience, Sleep, call_with_retries
from ticket_events_pipeline.zendesk.server_time import ClockComparison
from ticket_events_pipeline.zendesk.shared_rate_limit import Quota, Turn
from ticket_events_pipeline.zendesk.token_end import CURRENT_TOKEN_PATH, TokenEnd, token_end
from ticket_events_pipeline.zendesk.walk import Continue, End, Walk, clamped_watermark

MAX_PAGE_BYTES = 256 * 2**20
"""A page is held in memory whole. A thousand audits run to several MB; one of fifty times that size is refused."""

CHECK_AGE_SECONDS = 3600
"""Old enough even if the clock is off by minutes."""

_MOST_TOKEN_BYTES = 2**20
# Soon, or a temporary problem would cost many small pages; doubled after each growth that fails.
_GOOD_PAGES_BEFORE_GROWTH = 3
# Shorter waits are not logged one by one: they would flood the log.
_LOGGED_WAIT_SECONDS = 1.0
# But a line says so when many of them have taken so long, as where other processes use up the quota.
_LOGGED_SUM_SECONDS = 10.0


class PageSize:
    """How many rows per page a walk requests: halved when a page is too large, then doubled after some good pages."""

    def __init__(self, stream: Stream) -> None:
        self._is_adjustable = stream.takes_per_page
        self._failures = self._good_pages = 0
        self._patience = _GOOD_PAGES_BEFORE_GROWTH
        self._has_grown = False
        self.rows = PAGE_LIMIT

    def reduce(self, request: PageRequest, failure: Retryable) -> bool:
        """Halve the size if that may help against `failure`; returns whether it was halved.

        Raises:
            OverfullSecondError: the page is too large, and can't be made smaller.
        """
        self._failures += 1
        # One failure may be accidental; a second one suggests that the size is the cause.
        may_be_size = isinstance(failure, TooLarge) or (isinstance(failure, Overtaxed | Unreadable) and self._failures > 1)
        if may_be_size and self._is_adjustable and self.rows > 1:
            self._halve()
            return True
        if isinstance(failure, TooLarge):
            raise OverfullSecondError(
                f"{request}: {failure.reason}, and no smaller page can be requested. The second "
                f"{utc_text(request.start_time)} holds more than this client accepts. Nothing was skipped; "
                f"retrying cannot clear this. Ask Zendesk's support to export that second."
            ) from failure
        return False

    def note_good_page(self) -> None:
        """Record that a page of this size arrived."""
        self._failures = 0
        self._good_pages += 1
        if self.rows < PAGE_LIMIT and self._good_pages >= self._patience:
            self._good_pages, self._has_grown = 0, True
            self.rows = min(PAGE_LIMIT, self.rows * 2)

    def restore(self) -> None:
        """Request full pages again."""
        self._good_pages = 0
        self.rows = PAGE_LIMIT

    def _halve(self) -> None:
        if self._has_grown:
            self._patience *= 2
        self._good_pages, self._has_grown = 0, False
        self.rows //= 2


@dataclass(frozen=True)
class WalkedPage:
    """A page of a stream, with what is known after it.

    Attributes:
        watermark: epoch seconds; everything before it that the server showed has been read. The next request's start_time, or
            the end's. May be in the future if a row is: see `checkpoint`.
        at_end: the stream was read to its end, or as far as the server allows; no page follows.
        requests: HTTP requests that the page took, failed ones included.
    """

    page: EventPage
    watermark: int
    at_end: bool
    requests: int

    @property
    def checkpoint(self) -> int:
        """Epoch seconds before which no more rows are expected: the watermark to store and resume from."""
        return clamped_watermark(self.page, self.watermark)


class PageSource(Protocol):
    """What reads a stream page by page: the client."""

    def pages(
        self, stream: Stream, start_time: int, *, most_requests: int | None = None, wanted: Wanted | None = None
    ) -> Iterator[WalkedPage]:
        """The stream's pages from `start_time` (epoch seconds, inclusive) on, as far as `most_requests` lead.

        A page from a start that is `wanted` may be requested before the last one is yielded.
        """


class ZendeskClient:
    """Reads the incremental event exports of one account.

    `log` gets a line for every wait of a second or more. Close the client, or use it in a `with`.
    """

    def __init__(
        self,
        base_url: str,
        credentials: Credentials,
        *,
        quota: Quota,
        timeout_seconds: float = 60,
        include_comments: bool = False,
        support_type_scope: str = DEFAULT_SUPPORT_TYPE_SCOPE,
        max_page_bytes: int = MAX_PAGE_BYTES,
        sleep: Sleep = time.sleep,
        clock: Clock = wall_clock,
        log: Log = lambda _: None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._host = urlsplit(base_url).hostname or ""
        self._variables, self._expiry_hint = variables_of(credentials), expiry_hint(credentials)
        self._quota = quota
        self._include_comments = include_comments
        self._support_type_scope = support_type_scope
        self._max_page_bytes = max_page_bytes
        self._sleep, self._clock, self._log = sleep, clock, log
        self._requests_made = 0
        self._request_limit = math.inf
        self._prefetches: set[Prefetch] = set()
        self._clocks = ClockComparison(self._host, log=log)
        self._session = account_session(base_url, read_seconds=float(timeout_seconds))
        self._auth = auth_for(self._base_url, credentials, session=self._session, clock=clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for prefetch in list(self._prefetches):
            prefetch.stop()
        self._session.close()

    def pages(
        self, stream: Stream, start_time: int, *, most_requests: int | None = None, wanted: Wanted | None = None
    ) -> Iterator[WalkedPage]:
        """The pages of `stream` from `start_time` (epoch seconds, inclusive) to its end; stop iterating to stop earlier.

        Rows come in the server's order and may repeat: the key is their id, the last delivery wins. After `most_requests`,
        failed ones included, no page follows, although none was `at_end`.

        With `wanted`, a page may be requested before the last one is yielded, if that one states where it starts and `wanted`
        returns true for that start. Not together with `most_requests`.

        Raises:
            AccountError: Zendesk refuses, at the first request as a rule; never retried.
            TransientError: retries are exhausted, or `most_requests` brought no page.
            OverfullSecondError, DataError: the stream can't be read on; what could be was yielded before.
        """
        walk, size = Walk(start_time, clock=self._clock), PageSize(stream)
        limit, has_page = math.inf if most_requests is None else self._requests_made + most_requests, False
        with self._prefetching(None if most_requests else wanted) as prefetch:
            while not has_page or self._requests_made < limit:
                requests_before = self._requests_made - prefetch.requests_under_way
                try:
                    page = self._fetch(stream, walk.start_time, size, limit, prefetch)
                except TransientError as error:
                    if not has_page or self._requests_made < limit:
                        raise
                    self._log(str(error))
                    return
                has_page = True
                try:
                    step = walk.take(page)
                    prefetch.check(step)
                except DataError:
                    prefetch.discard()
                    cost = self._requests_made - requests_before
                    yield WalkedPage(page, watermark=page.start_time, at_end=False, requests=cost)
                    raise
                cost = self._requests_made - prefetch.requests_under_way - requests_before
                if isinstance(step, End):
                    yield WalkedPage(page, watermark=step.watermark, at_end=True, requests=cost)
                    return
                yield WalkedPage(page, watermark=step.start_time, at_end=False, requests=cost)
                if self._requests_made < limit:
                    self._prepare_next(stream, step, size)

    @property
    def requests_made(self) -> int:
        """HTTP requests for pages so far, failed ones included."""
        return self._requests_made

    def check(self, stream: Stream | None = None, *, age_seconds: int = CHECK_AGE_SECONDS, rows: int = 1) -> EventPage:
        """One page of `stream` (or the first) from some time ago on, requested once and without retries.

        Args:
            stream: which stream the credentials must open.
            age_seconds: where the page begins, in seconds before now.
            rows: how many at most, where the stream lets a request choose.

        Raises:
            AccountError: the credentials don't open the stream.
            TransientError: it can't be checked now.
        """
        start_time = int(self._clock()) - age_seconds
        stream = stream or next(iter(STREAMS.values()))
        request = PageRequest(stream, start_time, per_page=rows, support_type_scope=self._support_type_scope)
        try:
            return self._decoded(request, self._authorized(request, self._answer(request)))
        except TooRecent as refusal:  # the wall clock is ahead; only valid credentials get this answer
            return caught_up_page(request, refusal)
        except Retryable as failure:
            raise TransientError(f"{request}: {failure.reason}. Try again in a minute.") from failure

    def token_end(self) -> TokenEnd:
        """When the access token in use ends. One request outside the export quota, without retries.

        If anything fails, the end is unknown; that is no reason to fail, since the exports are requested in any case.
        """
        try:
            with self._session.exchange("GET", self._base_url + CURRENT_TOKEN_PATH, auth=self._auth) as response:
                body = read_body(response, limit_bytes=_MOST_TOKEN_BYTES)
                return token_end(response.status_code, body)
        except (*NETWORK_ERRORS, TicketEventsError):
            return TokenEnd(is_known=False)

    @contextmanager
    def _prefetching(self, wanted: Wanted | None) -> Iterator[Prefetch]:
        prefetch = Prefetch(self._begun, self._session.interrupt, wanted=wanted or (lambda _: False))
        self._prefetches.add(prefetch)
        try:
            yield prefetch
        finally:
            self._prefetches.discard(prefetch)
            prefetch.stop()

    def _prepare_next(self, stream: Stream, step: Continue, size: PageSize) -> None:
        if step.wants_full_page:
            size.restore()
        if step.wait_seconds:
            self._log(f"{stream.name}: no progress at {utc_text(step.start_time)}; waiting {step.wait_seconds:.0f} s")
            self._sleep(step.wait_seconds)

    def _fetch(self, stream: Stream, start_time: int, size: PageSize, limit: float, prefetch: Prefetch) -> EventPage:
        def attempt() -> EventPage:
            request = PageRequest(
                stream,
                start_time,
                per_page=size.rows,
                include_comments=self._include_comments,
                support_type_scope=self._support_type_scope,
            )
            try:
                answer = self._authorized(request, prefetch.answer_to(request) or self._answer(request))
                prefetch.send_after(request, answer)
                return self._decoded(request, answer)
            except TooRecent as refusal:
                return caught_up_page(request, refusal)
            except Retryable as failure:
                prefetch.discard()
                if size.reduce(request, failure):
                    self._log(f"{stream.name}: {failure.reason}; requesting {plural(size.rows, 'row')} a page from now on")
                raise

        what = f"{stream.name} from {utc_text(start_time)}"
        patience = Patience(attempts=int(min(MAX_ATTEMPTS, limit - self._requests_made)))
        self._request_limit = limit
        try:
            page = call_with_retries(attempt, what=what, sleep=self._sleep, log=self._log, patience=patience)
        finally:
            self._request_limit = math.inf
        size.note_good_page()
        return page

    def _authorized(self, request: PageRequest, answer: Answer) -> Answer:
        """`answer`, or the one with another access token if that one was refused."""
        if answer.status == 401 and self._auth.renew():  # once: a token may end before its time
            self._log("the access token was refused; fetching another")
            return self._answer(request)
        return answer

    def _decoded(self, request: PageRequest, answer: Answer) -> EventPage:
        asked = Asked(str(request), self._host, self._variables, self._expiry_hint, hide=self._auth.hide)
        page = decode_page(request, answer.status, answer.headers, answer.body, asked=asked)
        return replace(page, received_at=answer.received_at)

    def _answer(self, request: PageRequest) -> Answer:
        if self._requests_made >= self._request_limit:  # after a renewed token
            raise TransientError(f"{request}: no request is left for it in this reading. {RESUMES}")
        turn = self._await_turn(request.stream)
        self._requests_made += 1
        return self._exchange(request, turn)

    def _begun(self, request: PageRequest) -> Callable[[], Answer] | None:
        """What sends `request`, for which a turn is taken; None if it would have to wait."""
        turn = self._quota.claim()
        if isinstance(turn, Wait):
            return None
        self._requests_made += 1
        return partial(self._exchange, request, turn)

    def _exchange(self, request: PageRequest, turn: Turn) -> Answer:
        try:
            return self._send(request, turn)
        except NETWORK_ERRORS as error:
            raise network_failure(str(request), error, read_seconds=self._session.read_seconds) from None
        finally:
            self._quota.release(turn)

    def _await_turn(self, stream: Stream) -> Turn:
        """Wait until the quota allows the next request; the log says why and how long."""
        unlogged_seconds = 0.0
        while isinstance(turn := self._quota.claim(), Wait):
            unlogged_seconds += turn.seconds
            if turn.seconds >= _LOGGED_WAIT_SECONDS:
                self._log(f"{stream.name}: {turn.reason}; waiting {turn.seconds:.0f} s")
                unlogged_seconds = 0.0
            elif unlogged_seconds >= _LOGGED_SUM_SECONDS:
                self._log(f"{stream.name}: {turn.reason}; waiting since {unlogged_seconds:.0f} s")
                unlogged_seconds = 0.0
            self._sleep(turn.seconds)
        return turn

    def _send(self, request: PageRequest, turn: Turn) -> Answer:
        url = self._base_url + request.path
        with self._session.exchange("GET", url, params=request.params, auth=self._auth) as response:
            headers, arrived_at = dict(response.headers), self._clock()
            self._quota.note(turn, headers, status=response.status_code)
            body = read_body(response, limit_bytes=self._max_page_bytes)
        if response.status_code == 200:  # other answers may be a proxy's
            self._clocks.note(headers, arrived_at)
        else:
            headers = hide_in_location(self._auth.hide, headers)
        if response.status_code != 200 or f'"{request.stream.name}"'.encode() not in body:
            body = self._auth.hide(body)  # not a page: a message may quote it
        return Answer(response.status_code, headers, body, arrived_at)
