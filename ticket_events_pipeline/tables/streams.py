"""The streams of the API that are fetched: all that is known of each, in one place.

A further incremental export that pages by start time is one more `Stream` here and one more table in `registry`.
https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stream:
    """An incremental export that pages by start time: one endpoint, one table, one asset, all of the same name.

    Attributes:
        name: the last part of the endpoint's path, the member of an answer that holds the rows, the table and the asset.
        doc: what it holds, for the catalog.
        grain: what one row is.
        note: what its owner and its readers should know.
        query: of DuckDB, to start with, in the folder that holds `data` (TICKET_EVENTS_ROOT).
        api_page: Zendesk's page about the endpoint.
        lag_seconds: how long after its own time a row may still turn up.
        takes_per_page: whether a request can set the size of a page.
        takes_choices: whether ZENDESK_INCLUDE_COMMENTS and ZENDESK_SUPPORT_TYPE_SCOPE apply to it.
        has_metric_events: whether it holds rows of the metric-event shape, from which the SLA tables are made.
        has_audits: whether it holds audits, from which the SLA tables know of deleted and merged tickets.
        has_personal_data: whether a stored row may say who did something, or what people wrote.
        typical_bytes_per_row: of a stored file without comments, for an estimate where nothing is stored yet.
    """

    name: str
    doc: str
    grain: str
    note: str
    query: str
    api_page: str
    lag_seconds: int
    takes_per_page: bool = False
    takes_choices: bool = False
    has_metric_events: bool = False
    has_audits: bool = False
    has_personal_data: bool = True
    typical_bytes_per_row: int = 100


_STREAMS = (
    Stream(
        "ticket_events",
        doc="Every change of a ticket (audits): who changed what, when, and through which channel",
        grain="one row per audit, unique by `id`. If the account's export also holds metric events, one row per event: "
        "`metric` is set on those.",
        note="holds personal data (who did something; what people wrote only with ZENDESK_INCLUDE_COMMENTS). To delete a "
        "person's data see `docs/how-to/delete-personal-data.md`.",
        query="""
-- Changes by day and channel
SELECT date, via, count(*) AS changes
FROM read_parquet('data/ticket_events/date=*/*.parquet', hive_partitioning = true)
WHERE event_type = 'Audit'
GROUP BY ALL ORDER BY date DESC, changes DESC;
""",
        api_page="https://developer.zendesk.com/api-reference/ticketing/ticket-management/incremental_exports/"
        "#incremental-ticket-event-export",
        lag_seconds=120,
        takes_per_page=True,
        takes_choices=True,
        has_metric_events=True,
        has_audits=True,
        typical_bytes_per_row=100,  # the simulated account's; real audits are up to some times as long
    ),
    Stream(
        "ticket_metric_events",
        doc="Every event of Zendesk's ticket clocks: started, paused, fulfilled, SLA applied, breached",
        grain="one row per metric event, unique by `id`.",
        note="Zendesk sends events late and takes some back (`deleted`), so the last days are fetched again every night.",
        query="""
-- Events by day, metric and type
SELECT date, metric, type, count(*) AS events
FROM read_parquet('data/ticket_metric_events/date=*/*.parquet', hive_partitioning = true)
WHERE NOT deleted
GROUP BY ALL ORDER BY date DESC, metric, type;
""",
        api_page="https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_metric_events/",
        # One connector that trusted the newest minutes of this stream lost most of its rows: they come late, behind newer ones.
        lag_seconds=300,
        has_metric_events=True,
        has_personal_data=False,
        typical_bytes_per_row=10,
    ),
)

STREAMS: dict[str, Stream] = {stream.name: stream for stream in _STREAMS}
"""By name, in the order of requests, assets and messages."""

SLA_STREAMS = tuple(stream.name for stream in _STREAMS if stream.has_metric_events)
"""The streams that the SLA tables are made from."""

(AUDITS,) = (stream.name for stream in _STREAMS if stream.has_audits)
"""The stream that knows of deleted tickets and of subjects. It may hold metric events, too."""

(METRIC_EVENTS,) = (stream.name for stream in _STREAMS if stream.has_metric_events and not stream.has_audits)
"""The stream whose every row is a metric event: once it has landed, a day can be summarised."""
