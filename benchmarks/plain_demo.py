"""The days and tables of `ticket-events demo` without Dagster: what its assets call, in the same order, for the same variables.

python benchmarks/plain_demo.py     reads the variables of the sandbox, such as TICKET_EVENTS_ROOT
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.pipeline import Pipeline, pipeline_of
from ticket_events_pipeline.report.builder import report_reader
from ticket_events_pipeline.report.write import write_report
from ticket_events_pipeline.settings import SANDBOX_DAYS
from ticket_events_pipeline.sla.build import make_clocks, make_summaries, make_targets
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.tickets.by_dimension import make_breaches_by_dimension
from ticket_events_pipeline.tickets.changes import make_changes
from ticket_events_pipeline.tickets.dimensions import make_dimensions
from ticket_events_pipeline.tickets.durations import make_durations
from ticket_events_pipeline.tickets.fetched_names import refresh_names
from ticket_events_pipeline.tickets.fields import tracked_fields
from ticket_events_pipeline.tickets.holders import make_holders
from ticket_events_pipeline.tickets.names import read_schedules
from ticket_events_pipeline.tickets.states import make_states


def ignored(_: str) -> None:
    """A log."""


def made(pipeline: Pipeline, days: list[Day]) -> Iterator[Any]:
    """Fetch the days, and make everything of them."""
    store, settings = pipeline.store, pipeline.root_settings
    with pipeline.account_api(ignored) as api:
        yield refresh_names(store, api, pipeline.settings.names, timezone=settings.timezone, log=ignored)
    for stream in STREAMS.values():
        with pipeline.client(ignored) as client:
            ownership = pipeline.ownership(stream)
            yield from fetch_days(client, store, stream=stream, days=days, ownership=ownership, clock=wall_clock, log=ignored)
    yield from make_changes(store, days)
    for make in (make_clocks, make_targets, make_summaries):
        yield from make(store, days)
    schedules = read_schedules(store, log=ignored)
    yield from make_states(store, days, fields=tracked_fields(settings.dimensions))
    yield from make_dimensions(store, days, snapshots=pipeline.snapshots(ignored), schedules=schedules)
    yield from make_breaches_by_dimension(store, days)
    yield from make_holders(store, days, schedules=schedules, snapshots=pipeline.snapshots(ignored))
    yield from make_durations(store, days, snapshots=pipeline.snapshots(ignored))
    reader = report_reader(store, settings, days)
    for day in days:
        yield write_report(store, reader.read(day))


def main() -> None:
    """Make the days that the demo makes, and print how many files there are."""
    pipeline = pipeline_of(os.environ)
    today = Day.containing(wall_clock(), pipeline.root_settings.timezone)
    print("made", sum(1 for _ in made(pipeline, days_between(today.plus(1 - SANDBOX_DAYS), today))))


if __name__ == "__main__":
    main()
