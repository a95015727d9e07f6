"""Prefetch: the request for the next page goes out while the last page is being decoded.

The members of a page around its rows state where the next page starts. They are read from the two ends of the body, and only
where they are as documented. Then they are compared with what the decoded rows prove. If those prove another start, the answer
that was requested ahead is discarded.
https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from ticket_events_pipeline.zendesk.headers import server_time
from ticket_events_pipeline.zendesk.json_body import REPEATED_FIELDS, parse_json
from ticket_events_pipeline.zendesk.page import PAGE_LIMIT, PageRequest
from ticket_events_pipeline.zendesk.walk import NEAR_NOW_SECONDS, Continue, End


class Answer(NamedTuple):
    """An answer as it came.

    Attributes:
        received_at: by this machine's clock, epoch seconds. An answer that was requested ahead may be used much later.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    received_at: float


Wanted = Callable[[int], bool]
"""Whether the reader needs a page from that start_time (epoch seconds) on, before it has seen the page before."""

_ENDS_BYTES = 2048  # the members around the rows take about three hundred
_INTERRUPT_AGAIN_SECONDS = 0.05

_SPACE = rb"[ \t\r\n]*"
_TEXT = rb'"(?:[ !#-\[\]-~]|\\/|\\u[0-9a-fA-F]{4})*"'
_VALUE = rb"(?:0|[1-9][0-9]{0,11}|true|false|null|%b)" % _TEXT
_MEMBER = rb'%b"(?:count|end_time|end_of_stream|next_page)"%b:%b%b%b' % (_SPACE, _SPACE, _SPACE, _VALUE, _SPACE)
# The bracket ends a list: inside a text, the next quote would end the text, and no name of a member could follow.
_AFTER_ROWS = re.compile(rb"\]%b((?:,%b)*)\}%b\Z" % (_SPACE, _MEMBER, _SPACE))


class Prefetch:
    """The next page of a walk, requested ahead.

    A statement is trusted once the one before it was right, and never again after an answer was discarded. So a server that
    states other starts than its rows prove costs one request a walk at most, and none if it always does.
    """

    def __init__(
        self, begin: Callable[[PageRequest], Callable[[], Answer] | None], interrupt: Callable[[], None], *, wanted: Wanted
    ) -> None:
        """`begin` returns what sends a request, in another thread, or None if it would have to wait for its turn.

        `interrupt` breaks off what that thread sends or receives.
        """
        self._begin = begin
        self._interrupt = interrupt
        self._wanted = wanted
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
        self._sent: tuple[PageRequest, Future[Answer]] | None = None
        self._stated: int | None = None
        self._is_trusted = self._has_failed = False

    @property
    def requests_under_way(self) -> int:
        """1 while a request was sent whose answer was neither taken nor discarded, else 0."""
        return 0 if self._sent is None else 1

    def send_after(self, request: PageRequest, answer: Answer) -> None:
        """Send the request that follows `request`, if `answer` states its start and the reader wants it."""
        self._stated = stated_start(request, answer)
        if self._stated is None or not self._is_trusted or self._has_failed or not self._wanted(self._stated):
            return
        following = replace(request, start_time=self._stated)
        send = self._begin(following)
        if send is not None:
            self._sent = following, self._thread.submit(send)

    def check(self, step: Continue | End) -> None:
        """Compare the stated start with `step`, which the rows prove; discard what was sent if they differ."""
        if self._stated is not None:
            self._is_trusted = step == Continue(self._stated)
        if not self._is_trusted:
            self.discard()

    def answer_to(self, request: PageRequest) -> Answer | None:
        """The answer to `request` if that was sent ahead. Raises what sending it raised."""
        if self._sent is None or self._sent[0] != request:
            return None
        future, self._sent = self._sent[1], None
        return future.result()

    def discard(self) -> None:
        """Break off and forget the request that was sent, if any. Then no other one is sent ahead."""
        if self._sent is None:
            return
        future, self._sent, self._has_failed = self._sent[1], None, True
        while not wait([future], timeout=0).done:
            self._interrupt()  # more than once: fetching a token is an exchange of its own
            wait([future], timeout=_INTERRUPT_AGAIN_SECONDS)

    def stop(self) -> None:
        """Discard what was sent, and end the thread."""
        self.discard()
        self._thread.shutdown()


def stated_start(request: PageRequest, answer: Answer) -> int | None:
    """The next start_time (epoch seconds) that a page states, without decoding its rows.

    None unless the page is as documented, more follows, and all of that is some minutes old: near the end of the stream, the
    rows decide. Where it doesn't say whether more follows, a full page means so.
    """
    now = server_time(answer.headers) if answer.status == 200 else None
    members = None if now is None else _members_around(request.stream.name, answer.body)
    if now is None or members is None or request.page_limit < PAGE_LIMIT:
        return None
    count, end_time = members.get("count"), members.get("end_time")
    if type(count) is not int or type(end_time) is not int:
        return None
    if "end_of_stream" not in members and b'"end_of_stream"' in answer.body:  # before a further list
        return None
    if members.get("end_of_stream", count < PAGE_LIMIT) is not False:
        return None
    return end_time if request.start_time < end_time <= now - NEAR_NOW_SECONDS else None


def _members_around(name: str, body: bytes) -> dict[str, Any] | None:
    """The members of a page but for its rows, the list `name`; None if any isn't as documented, or comes twice."""
    before = _before_rows(name).match(body, 0, _ENDS_BYTES)
    after = _AFTER_ROWS.search(body, max(0, len(body) - _ENDS_BYTES))
    if before is None or after is None:
        return None
    members: Any = parse_json(b'{%b"%b":0%b}' % (before[1], name.encode(), after[1]))
    return None if REPEATED_FIELDS in members else members


@cache
def _before_rows(name: str) -> re.Pattern[bytes]:
    return re.compile(rb'%b\{((?:%b,)*)%b"%b"%b:%b\[' % (_SPACE, _MEMBER, _SPACE, name.encode(), _SPACE, _SPACE))
