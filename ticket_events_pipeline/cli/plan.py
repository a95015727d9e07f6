"""`ticket-events plan`: estimates rows, requests, time and disk of a backfill, and shows how to start it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import click

from ticket_events_pipeline.cli.dates import outside_note, parse_days
from ticket_events_pipeline.day import Day, day_ranges, days_between, wall_clock
from ticket_events_pipeline.ingest.plan import StreamPlan, plan_stream, requests_for
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.settings import Settings
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.text import estimated_duration_text, plural, ranges_text, size_text
from ticket_events_pipeline.zendesk.client import ZendeskClient

_MOST_RANGES = 5


@dataclass(frozen=True)
class _Effort:
    """What fetching some of the days takes.

    Attributes:
        seconds: if nothing else uses the quota.
    """

    requests: int
    size_bytes: int
    seconds: float

    def __str__(self) -> str:
        duration = estimated_duration_text(self.seconds)
        return f"about {plural(self.requests, 'request')} and {size_text(self.size_bytes)}: {duration}"


@dataclass(frozen=True)
class _Plan:
    """What a backfill of the days takes.

    Attributes:
        location: the root.
        streams: one plan a stream, of the days that may be fetched; none where all days are closed.
        per_minute: requests, the account's quota.
        closed: the first of the days, as far as they are neither fetched nor made again since days before them were pruned.
    """

    account: str
    location: str
    days: list[Day]
    streams: list[StreamPlan]
    per_minute: int
    closed: list[Day]

    @property
    def fetchable(self) -> list[Day]:
        """The days that aren't closed."""
        return self.days[len(self.closed) :]

    @property
    def all_days(self) -> _Effort:
        """If every day that may be fetched is fetched, stored or not."""
        requests, size = sum(plan.requests for plan in self.streams), sum(plan.size_bytes for plan in self.streams)
        return _Effort(requests, size, requests * 60 / self.per_minute)

    @property
    def backfill(self) -> _Effort:
        """Of the commands."""
        if not self.missing:
            return _Effort(0, 0, 0)
        fetched = [day for first, last in self.ranges for day in days_between(first, last)]
        left_out = set(self.fetchable).difference(fetched)
        rows = [plan.rows_without(left_out) for plan in self.streams]
        requests = sum(requests_for(count, fetches=len(self.ranges)) for count in rows)
        size = round(sum(count * plan.bytes_per_row for plan, count in zip(self.streams, rows, strict=True)))
        return _Effort(requests, size, requests * 60 / self.per_minute)

    @property
    def missing(self) -> list[Day]:
        """The days that aren't complete in every stream, and may be fetched."""
        return [day for day in self.fetchable if any(day not in plan.stored.complete for plan in self.streams)]

    @property
    def ranges(self) -> list[tuple[Day, Day]]:
        """What to fetch: the ranges of missing days; of many, one over them all."""
        found = day_ranges(self.missing)
        return found if len(found) <= _MOST_RANGES else [(found[0][0], found[-1][1])]

    @property
    def commands(self) -> list[str]:
        """What fetches the ranges."""
        return [f"{program()} backfill {first if first == last else f'{first}..{last}'}" for first, last in self.ranges]


def run_plan(words: Sequence[str], *, is_json: bool) -> None:
    """Print rows, requests, time and disk of a backfill of the days (none: of all that are over), as text or as JSON.

    Raises:
        click.UsageError: the words name no days that can be fetched.
        SettingsError: variables are missing, malformed or contradict each other.
        AccountError, TransientError: a probe request fails.
    """
    pipeline = pipeline_of(os.environ, log=_note)
    settings = pipeline.settings
    now = wall_clock()
    days = _days(words, settings, now=now)
    store = pipeline.store
    pruned = read_pruned_days(store)
    closed = [day for day in days if pruned.is_closed(day)]
    fetchable = days[len(closed) :]
    with ExitStack() as opened:
        clients: list[ZendeskClient] = []

        def source() -> ZendeskClient:
            if not clients:
                clients.append(opened.enter_context(pipeline.client(_note)))
            return clients[0]

        planned = STREAMS.values() if fetchable else ()
        streams = [plan_stream(store, stream, fetchable, now=now, source=source) for stream in planned]
    plan = _Plan(settings.account, store.location, days, streams, pipeline.quota.known_per_minute(), closed)
    if is_json:
        click.echo(json.dumps(_document(plan), indent=1))
    else:
        _print(plan)


def _days(words: Sequence[str], settings: Settings, *, now: float) -> list[Day]:
    """The days, up to today; of no words, those that are over, as a long backfill had better end with yesterday."""
    today = Day.containing(now, settings.timezone)
    first = Day(settings.start_date, settings.timezone)
    days = parse_days(words, today) if words else days_between(first, max(first, today.plus(-1)))
    if not days or days[0] > today or days[0] < first:
        raise click.UsageError(outside_note(days or [first], settings.start_date, today) or "")
    return [day for day in days if day <= today]


def _document(plan: _Plan) -> dict[str, Any]:
    """The plan for scripts. A contract: keys may be added, and none changes."""
    return {
        "account": plan.account,
        "root": plan.location,
        "timezone": plan.days[0].timezone,
        "first_day": str(plan.days[0]),
        "last_day": str(plan.days[-1]),
        "days": len(plan.days),
        "streams": [_stream_document(stream) for stream in plan.streams],
        **_effort_document(plan.all_days),
        "requests_per_minute": plan.per_minute,
        "backfill": _effort_document(plan.backfill),
        "missing_days": [str(day) for day in plan.missing],
        "closed_days": [str(day) for day in plan.closed],
        "commands": plan.commands,
    }


def _effort_document(effort: _Effort) -> dict[str, int]:
    return {"requests": effort.requests, "size_bytes": effort.size_bytes, "seconds": round(effort.seconds)}


def _stream_document(plan: StreamPlan) -> dict[str, Any]:
    return {
        "stream": plan.stream,
        "rows": plan.rows.rows,
        "rows_basis": plan.rows.basis,
        "requests": plan.requests,
        "size_bytes": plan.size_bytes,
        "size_basis": plan.size_basis,
        "complete_days": [str(day) for day in plan.stored.complete],
        "open_days": [str(day) for day in plan.stored.open],
        "damaged_days": [str(day) for day in plan.stored.damaged],
    }


def _print(plan: _Plan) -> None:
    days = plan.days
    span = str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]} ({plural(len(days), 'day')})"
    click.echo(f"{plan.account}, {span}, timezone {days[0].timezone}, below {plan.location}")
    if plan.closed:
        click.echo(f"Closed, so neither fetched nor made again, since earlier days were pruned: {_ranges_text(plan.closed)}.")
    if not plan.fetchable:
        return
    some_stored = len(plan.missing) < len(plan.fetchable)
    these = "the other days" if plan.closed else "all these days"
    click.echo(f"An estimate of {these}, those that are stored, too:" if some_stored else "An estimate:")
    for stream in plan.streams:
        _print_stream(stream)
    pace = f"at the account's {plural(plan.per_minute, 'request')} a minute, if nothing else uses them."
    click.echo(f"Together {plan.all_days} {pace}")
    _print_stored(plan)
    _print_start(plan)


def _print_stream(plan: StreamPlan) -> None:
    rows, requests = plural(plan.rows.rows, "row"), plural(plan.requests, "request")
    click.echo(f"  {plan.stream:<21} {rows:>16} {requests:>16} {size_text(plan.size_bytes):>9}")
    click.echo(f"    rows {plan.rows.basis}; size by {plan.size_basis}")


def _print_stored(plan: _Plan) -> None:
    for stream in plan.streams:
        stored = stream.stored
        for found, fate in (
            (list(stored.complete), "stored and complete, fetched again if requested"),
            (stored.open, "stored in part, the backfill fetches the rest"),
            (stored.damaged, "damaged: fetched again"),
        ):
            if found:
                click.echo(f"{stream.stream}: {plural(len(found), 'day')} {fate}: {_ranges_text(found)}")
    if len(plan.missing) < len(plan.fetchable):
        click.echo(f"Missing in a stream: {_ranges_text(plan.missing)}." if plan.missing else "Nothing is missing.")


def _print_start(plan: _Plan) -> None:
    if not plan.missing:
        return
    if len(plan.missing) < len(plan.fetchable):
        click.echo(f"The backfill of the missing days takes {plan.backfill}. To start it:")
    else:
        click.echo("To start it:")
    for command in plan.commands:
        click.echo(f"  {command}")
    click.echo("It makes the SLA tables, too. In the UI instead: Lineage, select")
    click.echo(f"  {' and '.join(STREAMS)}, Materialize selected, partitions {plan.missing[0]} to {plan.missing[-1]};")
    click.echo("  the sensor new_event_partitions_sensor then makes the SLA tables.")


def _ranges_text(days: Iterable[Day]) -> str:
    found = day_ranges(sorted(days))
    more = len(found) - _MOST_RANGES
    return ranges_text(found[:_MOST_RANGES]) + (f" and {plural(more, 'more range')}" if more > 0 else "")


def _note(line: str) -> None:
    click.echo(line, err=True)
