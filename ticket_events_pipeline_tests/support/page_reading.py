"""A page read in columns against the same page read row by row."""

from __future__ import annotations

import numpy as np

from ticket_events_pipeline.decoding.decode import decode_rows
from ticket_events_pipeline.decoding.fast_lane import ColumnarRows
from ticket_events_pipeline.tables.streams import Stream
from ticket_events_pipeline.zendesk.answers import Unreadable
from ticket_events_pipeline.zendesk.page import EventPage, PageRequest, decode_page


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
