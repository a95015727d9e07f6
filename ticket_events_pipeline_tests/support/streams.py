"""The two streams that tests speak of by name."""

from ticket_events_pipeline.tables.streams import STREAMS

TICKET_EVENTS, TICKET_METRIC_EVENTS = STREAMS["ticket_events"], STREAMS["ticket_metric_events"]
