"""`ticket-events plan`: what a backfill would take, said before it is started, and how to start it.

The figures are `ingest.plan`'s; here they are asked for and told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

import click

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.ingest.plan import StreamPlan, plan_stream, stretches
from ticket_events_pipeline.ingest.progress import duration_text
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.settings import Settings
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.zendesk.client import ZendeskClient

_MOST_STRETCHES = 5


def run_plan(first: str, last: str) -> None:
    """Tell rows, requests, time and disk of a backfill from `first` through `last`.

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
        f"{settings.account}, {days[0]} to {days[-1]} ({_days_text(days)} of {days[0].timezone}), below {store.location}"
    )
    click.echo("An estimate:")
    for plan in plans:
        _tell_stream(plan)
    _tell_sum(plans, pipeline.quota.known_per_minute())
    _tell_stored(plans, days)
    _tell_start(days)


def _days(first: str, last: str, settings: Settings, *, now: float) -> list[Day]:
    """The range, up to today: nobody can fetch tomorrow."""
    today = Day.containing(now, settings.timezone)
    try:
        begin, end = Day.parse(first, settings.timezone), Day.parse(last, settings.timezone)
    except ValueError as error:
        raise click.UsageError(f"START END: {error}.") from None
    if end < begin:
        raise click.UsageError(f"START END: {last} lies before {first}.")
    if begin > today:
        raise click.UsageError(f"START: {first} has not begun yet in {settings.timezone}.")
    if begin.date < settings.start_date:
        raise click.UsageError(
            f"START: {first} lies before the first partition; set TICKET_EVENTS_START_DATE, now {settings.start_date}, to it."
        )
    return days_between(begin, min(end, today))


def _tell_stream(plan: StreamPlan) -> None:
    click.echo(f"  {plan.stream:<21} {plan.rows.rows:>11,} rows {plan.requests:>7,} requests {_size_text(plan.size_bytes):>9}")
    click.echo(f"    rows {plan.rows.basis}; size by {plan.size_basis}")


def _tell_sum(plans: list[StreamPlan], per_minute: int) -> None:
    requests = sum(plan.requests for plan in plans)
    size = _size_text(sum(plan.size_bytes for plan in plans))
    click.echo(
        f"Together about {requests:,} requests and {size}: {duration_text(requests * 60 / per_minute)} at the account's "
        f"{per_minute:,} requests a minute, if nobody else spends them."
    )


def _tell_stored(plans: list[StreamPlan], days: list[Day]) -> None:
    for plan in plans:
        stored = plan.stored
        for found, fate in (
            (list(stored.complete), "stored complete already, read again if asked for"),
            (stored.open, "stored open: read to their end"),
            (stored.damaged, "damaged: read again"),
        ):
            if found:
                click.echo(f"{plan.stream}: {_days_text(found)} {fate}: {_stretches_text(found)}")
    lacking = [day for day in days if any(day not in plan.stored.complete for plan in plans)]
    if not lacking:
        click.echo("Nothing is missing.")
    elif len(lacking) < len(days):
        click.echo(f"Missing in one stream or both: {_stretches_text(lacking)}; each stretch can be fetched for itself.")


def _tell_start(days: list[Day]) -> None:
    click.echo("To start it:")
    click.echo(
        "  dagster asset materialize -m ticket_events_pipeline.definitions --select 'group:zendesk' "
        f"--partition-range {days[0]}...{days[-1]}"
    )
    click.echo(
        f"  or in the UI: Lineage, select {' and '.join(STREAMS)}, Materialize selected, partitions {days[0]} to {days[-1]}"
    )


def _days_text(days: Sequence[Day]) -> str:
    return f"{len(days):,} day{'' if len(days) == 1 else 's'}"


def _stretches_text(days: Iterable[Day]) -> str:
    found = [str(first) if first == last else f"{first} to {last}" for first, last in stretches(sorted(days))]
    more = len(found) - _MOST_STRETCHES
    return ", ".join(found[:_MOST_STRETCHES]) + (f" and {more} more stretches" if more > 0 else "")


def _size_text(size_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:,.0f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:,.1f} TB"


def _note(line: str) -> None:
    click.echo(line, err=True)
