"""`ticket-events backfill`: fetches and makes everything of some days through Dagster, in this process."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
from rich.console import Console

from ticket_events_pipeline.cli.dates import parse_days
from ticket_events_pipeline.cli.progress import day_files_bar
from ticket_events_pipeline.day import Day, day_ranges, days_between, wall_clock
from ticket_events_pipeline.errors import TicketEventsError
from ticket_events_pipeline.ingest.catch_up import CompleteFiles
from ticket_events_pipeline.ingest.plan import estimate_from_stored, requests_for
from ticket_events_pipeline.pipeline import Pipeline, pipeline_of
from ticket_events_pipeline.report.files import REPORT, report_days, report_path
from ticket_events_pipeline.sla.footer_cache import SLA_TABLES, FooterCache
from ticket_events_pipeline.sla.staleness import compare
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.text import estimated_duration_text, plural, ranges_text

if TYPE_CHECKING:
    from dagster import DagsterInstance

MADE = (*SLA_TABLES, REPORT)
"""The assets that are made from stored files, in the order in which they are made."""

ASSETS = (*STREAMS, *MADE)

_MOST_RANGES = 5


@dataclass(frozen=True)
class Backfill:
    """What is to be done: the days to fetch, one run a range, and then the days to make.

    Attributes:
        fetched: of the streams in `streams`.
        made: of the assets in `tables`, contiguous.
    """

    fetched: tuple[Day, ...]
    made: tuple[Day, ...]
    streams: tuple[str, ...]
    tables: tuple[str, ...]

    @property
    def day_files(self) -> int:
        """How many files it writes."""
        return len(self.fetched) * len(self.streams) + len(self.made) * len(self.tables)


def run_backfill(words: Sequence[str], *, assets: Collection[str], only_missing: bool) -> None:
    """Fetch and make the days that `words` name.

    Raises:
        click.UsageError: they name no days, or days that are no partitions.
        SettingsError: variables are missing, malformed or contradict each other.
        UsageError: DAGSTER_HOME is not set, or the root can't be read.
        TicketEventsError: a run failed; the message says why.
    """
    unknown = sorted(set(assets) - set(ASSETS))
    if unknown:
        raise click.UsageError(f"--asset {unknown[0]}: there is no such asset. Give one of {', '.join(ASSETS)}.")
    pipeline = pipeline_of(os.environ).checked()
    # An import of seconds, which a wrong word should not wait for.
    days = _days(words, pipeline)
    from ticket_events_pipeline.defs.in_process import deployment_instance

    with deployment_instance() as instance:
        asked = tuple(name for name in ASSETS if name in assets) or ASSETS
        plan = _plan(pipeline, days, asked, only_missing=only_missing)
        console = Console()
        if not plan.fetched and not plan.made:
            console.print(f"Nothing is missing: {_days_text(days)} are stored, complete and up to date.", soft_wrap=True)
            return
        console.print(_plan_text(plan, pipeline), soft_wrap=True)
        try:
            _run(instance, plan, console)
        except KeyboardInterrupt:
            raise TicketEventsError(
                "Stopped. Finished days stay; the same command, within 24 hours, resumes where this one stopped."
            ) from None
    _conclude(console, pipeline.store, plan)


def _days(words: Sequence[str], pipeline: Pipeline) -> list[Day]:
    timezone, first = pipeline.settings.timezone, pipeline.settings.start_date
    today = Day.containing(wall_clock(), timezone)
    days = parse_days(words, today)
    if days[0].date < first:
        raise click.UsageError(
            f"{days[0]} is before the first partition. Set TICKET_EVENTS_START_DATE, now {first}, to it or to an earlier day, "
            "and restart Dagster."
        )
    if days[-1] > today:
        raise click.UsageError(f"{days[-1]} is in the future: today is {today} in TICKET_EVENTS_TIMEZONE, {timezone}.")
    return days


def _plan(pipeline: Pipeline, days: list[Day], assets: Sequence[str], *, only_missing: bool) -> Backfill:
    streams = tuple(name for name in STREAMS if name in assets)
    tables = tuple(name for name in MADE if name in assets)
    if not only_missing:
        return Backfill(tuple(days) if streams else (), tuple(days) if tables else (), streams, tables)
    missing = _incomplete(pipeline.store, streams, days)
    return Backfill(tuple(missing), tuple(_to_make(pipeline, days, tables, fetched=missing)), streams, tables)


def _incomplete(store: Store, streams: Sequence[str], days: list[Day]) -> list[Day]:
    """The days that are not stored to their end in each of the streams."""
    files, versions = CompleteFiles(), {stream: store.versions(stream) for stream in streams}

    def is_complete(stream: str, day: Day) -> bool:
        return files.is_complete(store, stream, day, versions[stream].get(partition_path(stream, day)))

    return [day for day in days if not all(is_complete(stream, day) for stream in streams)]


def _to_make(pipeline: Pipeline, days: list[Day], tables: Sequence[str], *, fetched: Collection[Day] = ()) -> list[Day]:
    """From the first day whose tables are missing or old, through the last that can be made: each needs the one before."""
    if not tables:
        return []
    store, timezone = pipeline.store, pipeline.root_settings.timezone
    asked, reported = set(days), set(report_days(store, timezone))
    comparison = compare(FooterCache().read(store, timezone), asked.__contains__)
    landed = comparison.landed.keys() | set(fetched)
    needed = sorted(day for day in landed if day in comparison.stale or day in fetched or day not in reported)
    return [day for day in days if needed and needed[0] <= day and day in landed]


def _plan_text(plan: Backfill, pipeline: Pipeline) -> str:
    parts = []
    if plan.fetched:
        parts.append(f"fetch {' and '.join(plan.streams)} of {_days_text(plan.fetched)}{_estimate_text(plan, pipeline)}")
    if plan.made:
        parts.append(f"make {', '.join(plan.tables)} of {_days_text(plan.made)}")
    return f"{pipeline.settings.account}: {'; then '.join(parts)}. Below {pipeline.store.location}"


def _estimate_text(plan: Backfill, pipeline: Pipeline) -> str:
    """Requests and minutes, as far as stored days tell; no request is made for it."""
    now, requests = wall_clock(), 0
    for first, last in day_ranges(plan.fetched):
        for stream in plan.streams:
            rows = estimate_from_stored(pipeline.store, stream, days_between(first, last), now=now)
            if rows is None:
                return " (how many requests that takes: ticket-events plan)"
            requests += requests_for(rows.rows)
    minutes = estimated_duration_text(requests * 60 / pipeline.quota.known_per_minute())
    return f" (about {plural(requests, 'request')}, {minutes})"


def _run(instance: DagsterInstance, plan: Backfill, console: Console) -> None:
    """The runs, with a bar of day files and the lines that the pipeline logs."""
    from ticket_events_pipeline.definitions import SCOPE, defs
    from ticket_events_pipeline.defs.in_process import Progress, run_range
    from ticket_events_pipeline.defs.jobs import FETCH, SUMMARIZE

    with day_files_bar(console, total=plan.day_files) as made:
        progress = Progress(made, lambda line: console.print(line, style="dim", highlight=False, markup=False, soft_wrap=True))

        def run(job: str, days: Sequence[Day], assets: Sequence[str]) -> None:
            keys = [SCOPE.key(name) for name in assets]
            run_range(instance, defs.resolve_job_def(job), days[0], days[-1], progress=progress, assets=keys)

        for first, last in day_ranges(plan.fetched):
            run(FETCH, [first, last], plan.streams)
        for first, last in day_ranges(plan.made):
            run(SUMMARIZE, [first, last], plan.tables)


def _conclude(console: Console, store: Store, plan: Backfill) -> None:
    console.print(f"Done: {plural(plan.day_files, 'day file')} below {store.location}", soft_wrap=True)
    if REPORT in plan.tables and plan.made:
        console.print(f"The report of {plan.made[-1]}: {store.url(report_path(plan.made[-1]))}", soft_wrap=True)


def _days_text(days: Sequence[Day]) -> str:
    found = day_ranges(days)
    more = len(found) - _MOST_RANGES
    return ranges_text(found[:_MOST_RANGES]) + (f" and {plural(more, 'more range')}" if more > 0 else "")
