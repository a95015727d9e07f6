"""A page read in columns against the same page read row by row."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from ticket_events_pipeline.decoding.decode import decode_rows
from ticket_events_pipeline.decoding.fast_lane import ColumnarRows
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.zendesk.answers import Unreadable
from ticket_events_pipeline.zendesk.page import EventPage, PageRequest, decode_page

TIMES = st.one_of(
    st.sampled_from(
        [
            *("2026-03-02T09:00:00Z", "2026-03-02 09:00:00Z", "2026-03-02T09:00:00", "2026-03-02T09:00:00.5Z", "2026-03-02"),
            *(
                "2026-03-02T09:00:00.123Z",
                "2026-03-02T09:00:00.123456Z",
                "2026-03-02T09:00:00+02:00",
                "2026-03-02T09:00:00-0130",
            ),
            *(
                "2026-03-02T09:00:60Z",
                "2026-02-30T09:00:00Z",
                "0000-01-01T00:00:00Z",
                "0001-01-01T00:00:00Z",
                "9999-12-31T23:59:59Z",
            ),
            *(
                "0001-01-01T00:00:00+05:00",
                "9999-12-31T23:59:59-05:00",
                "2026-03-02T24:00:00Z",
                "20260302",
                "1772442000",
                "",
                "Z",
            ),
        ]
    ),
    st.from_regex(
        r"\A[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9](:[0-5][0-9](:[0-6][0-9](\.[0-9]{1,7})?)?)?"
        r"(Z|[+-][0-2][0-9]:?[0-9]{2})?\Z"
    ),
)
"""Texts that are times, or nearly."""


def page_of(stream: Stream, body: bytes) -> EventPage | str:
    """The page, or the error message."""
    try:
        return decode_page(PageRequest(stream, 1772440000), 200, {}, body)
    except Unreadable as error:
        return str(error)


def read_row_by_row(stream: Stream, body: bytes) -> EventPage | str:
    """The same page; a member of the envelope that is unknown makes the row lane read it."""
    body = body.rstrip()[:-1] + b',"unheard_of":1}' if body.rstrip().endswith(b"}") else body
    page = page_of(stream, body)
    assert isinstance(page, str) or not isinstance(page.rows, ColumnarRows)
    return page


def assert_read_alike(stream: Stream, body: bytes) -> None:
    """Assert that the page is the same page and makes the same table either way, or is unreadable either way."""
    page, other = page_of(stream, body), read_row_by_row(stream, body)
    if isinstance(page, str) or isinstance(other, str):
        assert isinstance(page, str)
        assert isinstance(other, str)
        return
    assert page == other
    assert np.array_equal(page.seconds, other.seconds)
    batch, expected = decode_rows(stream.name, page.rows), decode_rows(stream.name, other.rows)
    assert batch.table.schema.equals(expected.table.schema)
    assert batch.table.to_pylist() == expected.table.to_pylist()
    assert batch.rejected == expected.rejected
    batch.table.validate(full=True)
