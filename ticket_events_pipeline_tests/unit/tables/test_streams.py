"""The list of streams agrees with the tables, and with what is derived from it."""

import pyarrow as pa
import pytest

from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.streams import AUDITS, METRIC_EVENTS, SLA_STREAMS, STREAMS
from ticket_events_pipeline.tables.ticket_metric_events import METRIC_SHAPE, metric_shaped
from ticket_events_pipeline.zendesk.page import PageRequest


def test_streams_and_tables_without_a_source_table_match():
    assert set(STREAMS) == {name for name, table in TABLES.items() if not table.made_from}


def test_the_sla_tables_are_made_from_the_streams_with_metric_events():
    assert SLA_STREAMS == ("ticket_events", "ticket_metric_events")
    assert (AUDITS, METRIC_EVENTS) == SLA_STREAMS
    assert all(set(METRIC_SHAPE) <= set(TABLES[stream].schema.names) for stream in SLA_STREAMS)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("ticket_events", {"per_page": "100", "support_type_scope": "all", "include": "comment_events"}),
        ("ticket_metric_events", {}),
    ],
)
def test_a_request_has_the_parameters_that_its_stream_takes(name, params):
    request = PageRequest(STREAMS[name], 1772440000, per_page=100, include_comments=True, support_type_scope="all")
    assert (request.path, request.params) == (f"/api/v2/incremental/{name}", {"start_time": "1772440000", **params})


def test_no_row_of_a_table_without_metric_columns_has_the_shape_of_a_metric_event():
    assert metric_shaped(pa.table({"id": [1, 2]})).to_pylist() == [False, False]
