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
        doc: what a row is, for the catalog.
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
        doc="Every change of a ticket (audits), and metric events if the account's export holds them",
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
        doc="Events of the tickets' clocks: SLA policies applied, breaches, fulfilments",
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
