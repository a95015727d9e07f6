"""`ticket-events plan`: estimates rows, requests, time and disk of a backfill, and shows how to start it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack

import click

from ticket_events_pipeline.day import Day, day_ranges, days_between, wall_clock
from ticket_events_pipeline.ingest.plan import StreamPlan, plan_stream
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.settings import Settings
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.text import estimated_duration_text, plural, ranges_text, size_text
from ticket_events_pipeline.zendesk.client import ZendeskClient

_MOST_RANGES = 5


def run_plan(first: str, last: str) -> None:
    """Print rows, requests, time and disk of a backfill from `first` through `last`.

    Raises:
        click.UsageError: the dates are no range that can be fetched.
        SettingsError: variables are missing, malformed or contradict each other.
        AccountError, TransientError: a probe request fails.
    """
    pipeline = pipeline_of(os.environ, log=_note)
    settings = pipeline.settings
    now = wall_clock()
    days = _days(first, last, settings, now=now)
    store = pipeline.store
    with ExitStack() as opened:
        clients: list[ZendeskClient] = []

        def source() -> ZendeskClient:
            if not clients:
                clients.append(opened.enter_context(pipeline.client(_note)))
            return clients[0]

        plans = [plan_stream(store, stream, days, now=now, source=source) for stream in STREAMS.values()]
    click.echo(
        f"{settings.account}, {days[0]} to {days[-1]} ({plural(len(days), 'day')} of {days[0].timezone}), "
        f"below {store.location}"
    )
    click.echo("An estimate:")
    for plan in plans:
        _print_stream(plan)
    _print_sum(plans, pipeline.quota.known_per_minute())
    _print_stored(plans, days)
    _print_start(days)


def _days(first: str, last: str, settings: Settings, *, now: float) -> list[Day]:
    """The range, up to today."""
    today = Day.containing(now, settings.timezone)
    try:
        begin, end = Day.parse(first, settings.timezone), Day.parse(last, settings.timezone)
    except ValueError as error:
        raise click.UsageError(f"START END: {error}.") from None
    if end < begin:
        raise click.UsageError(f"START END: {last} is before {first}.")
    if begin > today:
        raise click.UsageError(f"START: {first} is in the future in {settings.timezone}.")
    if begin.date < settings.start_date:
        raise click.UsageError(
            f"START: {first} is before the first partition; set TICKET_EVENTS_START_DATE, now {settings.start_date}, to it."
        )
    return days_between(begin, min(end, today))


def _print_stream(plan: StreamPlan) -> None:
    click.echo(f"  {plan.stream:<21} {plan.rows.rows:>11,} rows {plan.requests:>7,} requests {size_text(plan.size_bytes):>9}")
    click.echo(f"    rows {plan.rows.basis}; size by {plan.size_basis}")


def _print_sum(plans: list[StreamPlan], per_minute: int) -> None:
    requests = sum(plan.requests for plan in plans)
    size = size_text(sum(plan.size_bytes for plan in plans))
    click.echo(
        f"Together about {plural(requests, 'request')} and {size}: {estimated_duration_text(requests * 60 / per_minute)} at "
        f"the account's {plural(per_minute, 'request')} a minute, if nothing else uses them."
    )


def _print_stored(plans: list[StreamPlan], days: list[Day]) -> None:
    for plan in plans:
        stored = plan.stored
        for found, fate in (
            (list(stored.complete), "stored and complete, fetched again if requested"),
            (stored.open, "stored and open: fetched to their end"),
            (stored.damaged, "damaged: fetched again"),
        ):
            if found:
                click.echo(f"{plan.stream}: {plural(len(found), 'day')} {fate}: {_ranges_text(found)}")
    lacking = [day for day in days if any(day not in plan.stored.complete for plan in plans)]
    if not lacking:
        click.echo("Nothing is missing.")
    elif len(lacking) < len(days):
        click.echo(f"Missing in a stream: {_ranges_text(lacking)}; each range can be fetched by itself.")


def _print_start(days: list[Day]) -> None:
    click.echo("To start it:")
    click.echo(
        "  dagster asset materialize -m ticket_events_pipeline.definitions --select 'group:zendesk' "
        f"--partition-range {days[0]}...{days[-1]}"
    )
    click.echo(
        f"  or in the UI: Lineage, select {' and '.join(STREAMS)}, Materialize selected, partitions {days[0]} to {days[-1]}"
    )


def _ranges_text(days: Iterable[Day]) -> str:
    found = day_ranges(sorted(days))
    more = len(found) - _MOST_RANGES
    return ranges_text(found[:_MOST_RANGES]) + (f" and {plural(more, 'more range')}" if more > 0 else "")


def _note(line: str) -> None:
    click.echo(line, err=True)
