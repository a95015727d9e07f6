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
from ticket_events_pipeline.sla.footer_cache import MADE_AFTER_SUMMARY, SLA_TABLES, TICKET_TABLES, FooterCache
from ticket_events_pipeline.sla.staleness import compare
from ticket_events_pipeline.storage.partition_file import partition_path, stored_days
from ticket_events_pipeline.storage.pruned_days import read_pruned_days, refuse_closed_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import AUDITS, STREAMS
from ticket_events_pipeline.text import estimated_duration_text, plural, ranges_text
from ticket_events_pipeline.tickets.changes import CHANGES
from ticket_events_pipeline.tickets.staleness import changes_problem, compare_tickets, days_without_tables

if TYPE_CHECKING:
    from dagster import DagsterInstance

FETCHED = (*STREAMS, CHANGES)
"""The assets of the job that fetches; `ticket_field_changes` is made from the stored audits."""

MADE = (*SLA_TABLES, *MADE_AFTER_SUMMARY, REPORT)
"""The assets of the other job, in the order in which they are made."""

DAYS_PER_RUN = 30
"""Of the ticket tables of past days: a run of a year would show its first day when it is over."""

_MOST_RANGES = 5
_MOST_PARTS = 4


@dataclass(frozen=True)
class Step:
    """Assets of one job that are made over some days, one run a range of days.

    Attributes:
        days: in order.
        assets: all of FETCHED or all of MADE.
    """

    days: tuple[Day, ...]
    assets: tuple[str, ...]

    @property
    def streams(self) -> tuple[str, ...]:
        """Those that are fetched."""
        return tuple(name for name in self.assets if name in STREAMS)

    @property
    def tables(self) -> tuple[str, ...]:
        """Those that are made from stored files."""
        return tuple(name for name in self.assets if name not in STREAMS)

    @property
    def is_of_fetch_job(self) -> bool:
        """Which of the two jobs makes them."""
        return self.assets[0] in FETCHED


@dataclass(frozen=True)
class Backfill:
    """What is to be done, in order."""

    steps: tuple[Step, ...]

    @property
    def day_files(self) -> int:
        """How many files it writes."""
        return sum(len(step.days) * len(step.assets) for step in self.steps)


def run_backfill(words: Sequence[str], *, assets: Collection[str], only_missing: bool, only_tickets: bool = False) -> None:
    """Fetch and make the days that `words` name; or only make their ticket tables, of all days if they name none.

    Raises:
        click.UsageError: they name no days, or days that are no partitions.
        SettingsError: variables are missing, malformed or contradict each other.
        UsageError: DAGSTER_HOME is not set, or the root can't be read.
        TicketEventsError: a run failed; the message says why.
    """
    pipeline = pipeline_of(os.environ).checked()
    known = _known_assets(pipeline)
    unknown = sorted(set(assets) - set(known))
    if unknown:
        raise click.UsageError(f"--asset {unknown[0]}: there is no such asset. Give one of {', '.join(known)}.")
    if only_tickets:
        _refuse_ticket_tables(pipeline, assets)
    elif not words:
        raise click.UsageError("Missing argument 'DAYS...'.")
    # An import of seconds, which a wrong word should not wait for.
    days = _open(_days(words, pipeline), pipeline.store, only_missing=only_missing) if words else []
    from ticket_events_pipeline.defs.in_process import deployment_instance

    with deployment_instance() as instance:
        if only_tickets:
            plan = plan_tickets(pipeline, days, only_missing=only_missing)
        else:
            asked = tuple(name for name in known if name in assets) or known
            plan = _plan(pipeline, days, asked, only_missing=only_missing)
        console = Console()
        if not plan.steps:
            console.print(_nothing_text(days, only_tickets=only_tickets), soft_wrap=True)
            return
        console.print(_plan_text(plan, pipeline), soft_wrap=True)
        try:
            _run(instance, plan, console)
        except KeyboardInterrupt:
            raise TicketEventsError(
                "Stopped. Finished days stay; the same command, within 24 hours, resumes where this one stopped."
            ) from None
    _conclude(console, pipeline.store, plan)


def _known_assets(pipeline: Pipeline) -> tuple[str, ...]:
    has_tickets = pipeline.settings.has_ticket_tables
    return tuple(name for name in (*FETCHED, *MADE) if has_tickets or name not in TICKET_TABLES)


def _refuse_ticket_tables(pipeline: Pipeline, assets: Collection[str]) -> None:
    if assets:
        raise click.UsageError("--tickets names its assets itself: leave out --asset.")
    if not pipeline.settings.has_ticket_tables:
        raise click.UsageError("--tickets: TICKET_EVENTS_TICKET_TABLES turns the ticket tables off. Unset it.")


def _nothing_text(days: Sequence[Day], *, only_tickets: bool) -> str:
    if only_tickets:
        return "Nothing is missing: every day with SLA tables has its ticket tables."
    return f"Nothing is missing: {_days_text(days)} are stored, complete and up to date."


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


def _open(days: list[Day], store: Store, *, only_missing: bool) -> list[Day]:
    """The days that may be made; of those that are only filled up, without the closed ones.

    Raises:
        ClosedDayError: a day is closed, or all are.
    """
    pruned = read_pruned_days(store)
    found = [day for day in days if not pruned.is_closed(day)]
    if len(found) < len(days) and not (only_missing and found):
        refuse_closed_days(store, days)
    return found


def _plan(pipeline: Pipeline, days: list[Day], assets: Sequence[str], *, only_missing: bool) -> Backfill:
    streams = tuple(name for name in STREAMS if name in assets)
    tables = tuple(name for name in MADE if name in assets)
    fetched = (_incomplete(pipeline.store, streams, days) if only_missing else days) if streams else []
    steps = [Step(tuple(fetched), tuple(name for name in FETCHED if name in assets))] if fetched else []
    if not only_missing:
        if CHANGES in assets and AUDITS not in streams:
            steps.append(Step(tuple(_with_audits(pipeline, days)), (CHANGES,)))
        steps.append(Step(tuple(days) if tables else (), tables))
        return Backfill(tuple(step for step in steps if step.days))
    stored = _Stored(pipeline, days)
    made = stored.to_make(tables, fetched=fetched)
    if made:
        steps.append(Step(tuple(made), tables))
    if asked := tuple(name for name in assets if name in TICKET_TABLES):
        steps += _ticket_steps(stored, stored.without_tickets(leaving_out={*made, *fetched}), asked)
    return Backfill(tuple(steps))


def plan_tickets(pipeline: Pipeline, days: list[Day], *, only_missing: bool) -> Backfill:
    """Make the ticket tables of the days, if `only_missing` where they are missing or old; of all days without any, so too."""
    stored = _Stored(pipeline, days)
    is_all = bool(days) and not only_missing
    needed = sorted(stored.usable) if is_all else stored.without_tickets()
    return Backfill(tuple(_ticket_steps(stored, needed, TICKET_TABLES, with_all_changes=is_all)))


def _ticket_steps(stored: _Stored, days: Sequence[Day], assets: Sequence[str], *, with_all_changes: bool = False) -> list[Step]:
    """The newest days first, since people look at those; days that have tables already in order: each follows from the last.

    The first day of a run begins with the audits of the thirty days before it, so that older days don't make it stale.
    """
    tables = tuple(name for name in (*MADE_AFTER_SUMMARY, REPORT) if name in assets or name == REPORT)
    chunks = [chunk for first, last in day_ranges(days) for chunk in _from_the_end(days_between(first, last))]
    steps: list[Step] = []
    for chunk in chunks if stored.has_tickets(days) else reversed(chunks):
        changes = stored.with_audits(chunk) if with_all_changes else stored.without_changes(chunk)
        if changes and CHANGES in assets:
            steps.append(Step(tuple(changes), (CHANGES,)))
        steps.append(Step(tuple(chunk), tables))
    return steps


def _incomplete(store: Store, streams: Sequence[str], days: list[Day]) -> list[Day]:
    """The days that are not stored to their end in each of the streams."""
    files, versions = CompleteFiles(), {stream: store.versions(stream) for stream in streams}

    def is_complete(stream: str, day: Day) -> bool:
        return files.is_complete(store, stream, day, versions[stream].get(partition_path(stream, day)))

    return [day for day in days if not all(is_complete(stream, day) for stream in streams)]


def _from_the_end(days: Sequence[Day]) -> list[Sequence[Day]]:
    """In order, runs of DAYS_PER_RUN days; the first one may be shorter."""
    ends = range(len(days), 0, -DAYS_PER_RUN)
    return [days[max(0, end - DAYS_PER_RUN) : end] for end in reversed(ends)]


class _Stored:
    """What is stored, compared with what it would be made from now.

    Attributes:
        usable: those of the days whose SLA tables are stored and up to date.
    """

    def __init__(self, pipeline: Pipeline, days: Sequence[Day]) -> None:
        """Of `days`; of all partitions if there are none."""
        store, timezone = pipeline.store, pipeline.root_settings.timezone
        first, today = Day(pipeline.settings.start_date, timezone), Day.containing(wall_clock(), timezone)
        asked = set(days)
        self._days, self._reported = list(days), set(report_days(store, timezone))

        pruned = read_pruned_days(store)

        def is_asked(day: Day) -> bool:
            return day in asked if asked else first <= day <= today and not pruned.is_closed(day)

        self._footers = FooterCache().read(store, timezone)
        self._comparison = compare(self._footers, is_asked)
        self._tickets = compare_tickets(self._comparison, is_asked)
        self.usable = self._comparison.landed.keys() - self._comparison.stale.keys()

    def to_make(self, tables: Sequence[str], *, fetched: Collection[Day]) -> list[Day]:
        """From the first day whose SLA tables are missing or old, through the last that can be made: each needs the one before.

        A day without a report counts where the report is asked for.
        """
        if not set(tables) - set(TICKET_TABLES):
            return []
        landed = self._comparison.landed.keys() | set(fetched)
        stale = self._comparison.stale.keys() | set(fetched)
        needed = sorted(day for day in landed if day in stale or day not in self._reported)
        return [day for day in self._days if needed and needed[0] <= day and day in landed]

    def without_tickets(self, *, leaving_out: Collection[Day] = ()) -> list[Day]:
        """The usable days without ticket tables, or with old ones."""
        missing = {*days_without_tables(self._footers, self.usable), *self._tickets.stale} - self._tickets.blocked.keys()
        return sorted(missing - set(leaving_out))

    def has_tickets(self, days: Sequence[Day]) -> bool:
        """Whether any of the days has a ticket table."""
        return len(days_without_tables(self._footers, days)) < len(days)

    def with_audits(self, days: Sequence[Day]) -> list[Day]:
        """Those of the days whose audits have landed."""
        return [day for day in days if day in self._footers.footers[AUDITS]]

    def without_changes(self, days: Sequence[Day]) -> list[Day]:
        """Those of the days whose audits have landed and whose `ticket_field_changes` is missing or old."""
        return [day for day in self.with_audits(days) if changes_problem(self._footers, day) is not None]


def _with_audits(pipeline: Pipeline, days: Sequence[Day]) -> list[Day]:
    landed = set(stored_days(pipeline.store, AUDITS, pipeline.root_settings.timezone))
    return [day for day in days if day in landed]


def _plan_text(plan: Backfill, pipeline: Pipeline) -> str:
    parts = []
    for step in plan.steps:
        days = _days_text(step.days)
        if step.streams:
            parts.append(f"fetch {' and '.join(step.streams)} of {days}{_estimate_text(step, pipeline)}")
        if step.tables:
            parts.append(f"make {', '.join(step.tables)} of {days}")
    more = len(parts) - _MOST_PARTS
    if more > 0:
        parts = [*parts[:_MOST_PARTS], f"the same of {plural(more, 'further range')}"]
    return f"{pipeline.settings.account}: {'; then '.join(parts)}. Below {pipeline.store.location}"


def _estimate_text(step: Step, pipeline: Pipeline) -> str:
    """Requests and minutes, as far as stored days tell; no request is made for it."""
    now, requests = wall_clock(), 0
    for first, last in day_ranges(step.days):
        for stream in step.streams:
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
        for step in plan.steps:
            keys = [SCOPE.key(name) for name in step.assets]
            job = defs.resolve_job_def(FETCH if step.is_of_fetch_job else SUMMARIZE)
            for first, last in day_ranges(step.days):
                run_range(instance, job, first, last, progress=progress, assets=keys)


def _conclude(console: Console, store: Store, plan: Backfill) -> None:
    console.print(f"Done: {plural(plan.day_files, 'day file')} below {store.location}", soft_wrap=True)
    reported = [step.days[-1] for step in plan.steps if REPORT in step.assets]
    if reported:
        newest = max(reported)
        console.print(f"The report of {newest}: {store.url(report_path(newest))}", soft_wrap=True)


def _days_text(days: Sequence[Day]) -> str:
    found = day_ranges(days)
    more = len(found) - _MOST_RANGES
    return ranges_text(found[:_MOST_RANGES]) + (f" and {plural(more, 'more range')}" if more > 0 else "")
