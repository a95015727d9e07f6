"""How a stream is cut into pages, and the JSON around the rows: as recorded from Zendesk's incremental exports.

https://developer.zendesk.com/documentation/ticketing/managing-tickets/using-the-incremental-export-api/
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal
from urllib.parse import urlencode

from ticket_events_pipeline.sandbox.rows import TICKET_METRIC_EVENTS, Row

PAGE_LIMIT = 1000
"""Rows that the API puts on a page at most, and by default."""

EndOfStream = Literal["present", "absent"]
"""`absent`: the world in which metric events come without `end_of_stream`; ticket events always have it."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer, the time (epoch seconds) to continue at, and whether nothing followed."""

    rows: tuple[Row, ...]
    end_time: int
    end_of_stream: bool


def cut_page(rows: Iterable[Row], start_time: int, *, limit: int = PAGE_LIMIT, pinned: bool = False) -> Page:
    """The page for a request from `start_time`, given the rows from there on in order of time.

    A page of several seconds ends with its last row's second, which the next page repeats. When one second holds more rows
    than `limit`, the page is enlarged to hold them all and ends one second later; in the `pinned` world it stays capped and
    ends with that second, for ever. The page after which nothing follows ends with its last row's second too.
    """
    ahead = iter(rows)
    taken = list(islice(ahead, limit))
    following = next(ahead, None)
    if following is None:
        return Page(tuple(taken), taken[-1].time if taken else start_time, end_of_stream=True)
    second = taken[-1].time
    if taken[0].time != second or pinned:
        return Page(tuple(taken), second, end_of_stream=False)
    while following is not None and following.time == second:
        taken.append(following)
        following = next(ahead, None)
    # The server looks no further than the second it enlarged for, so such a page never says that it was the last.
    return Page(tuple(taken), second + 1, end_of_stream=False)


def envelope(page: Page, stream: str, *, url: str, parameters: dict[str, str], end_of_stream: EndOfStream = "present") -> bytes:
    """The answer's JSON. `url` and `parameters` are the request's own; `next_page` is never null, not even on the last page."""
    next_page = f"{url}?{urlencode({**parameters, 'start_time': page.end_time})}"
    fields: dict[str, object] = {"count": len(page.rows), "end_time": page.end_time, "next_page": next_page}
    if end_of_stream == "present" or stream != TICKET_METRIC_EVENTS:
        fields["end_of_stream"] = page.end_of_stream
    rest = json.dumps(fields, separators=(",", ":")).encode()
    return b'{"' + stream.encode() + b'":[' + b",".join(row.json for row in page.rows) + b"]," + rest[1:]
