"""The morning digest: what a day's report says first, the groups with the most breaches, and a link, as one message.

A day that is missing or has not been read to its end gets no figures: they would be taken for the day's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import pyarrow as pa

from ticket_events_pipeline.alerts.rich_text import Line, Message, Section, bold, code, joined, link, metric, text
from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError
from ticket_events_pipeline.report.builder import report_reader
from ticket_events_pipeline.report.dimension_table import DimensionRow, dimension_rows
from ticket_events_pipeline.report.files import REPORT, report_path
from ticket_events_pipeline.report.model import DayReport
from ticket_events_pipeline.report.statements import Statement, below_goal, goal_summary, headline, total_breaches
from ticket_events_pipeline.report.ticket_tables import BY_DIMENSION, BY_DIMENSION_COLUMNS
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import date_text, plural, rate_text, zoned_text
from ticket_events_pipeline.tickets.names import read_names

WORST_GROUPS = 5


@dataclass(frozen=True)
class DigestLinks:
    """Where a digest leads to.

    Attributes:
        dagster_url: the address of Dagster's UI, without a trailing slash; None if it is not known.
        summary_path: of the summary's asset in the UI.
    """

    dagster_url: str | None
    summary_path: str


def digest_message(store: Store, settings: RootSettings, day: Day, links: DigestLinks, *, account: str = "") -> Message:
    """The digest of a day.

    Args:
        store: the root.
        settings: of the root.
        day: mostly yesterday.
        links: where it leads to.
        account: its name, where it is not that of the settings.

    Raises:
        ForeignRootError: the day was made in another timezone.
    """
    footer = _link(settings, day, links)
    name = account or settings.account
    of_account = (text(" of "), code(name)) if name else ()
    title = (bold("SLA digest"), *of_account, text(f": {date_text(day.date)}"))
    try:
        report = report_reader(store, settings, [day]).read(day, with_tickets=False)
    except DayNotFetchedError:
        return Message(title, _said("This day has no figures yet: its tables have not been made."), footer)
    except DamagedFileError:
        return Message(title, _said("This day has no figures: a file of it can't be read. Dagster and verify name it."), footer)
    if not report.data_quality.is_complete:
        as_of = zoned_text(report.data_quality.as_of, day.timezone)
        said = f"This day has not been read to its end, only to {as_of}: its figures would be too low."
        return Message(title, _said(said), footer)
    groups = _groups(store, day, settings)
    return Message(title, (Section(tuple(_lede(report))), groups), footer)


def _said(words: str) -> tuple[Section, ...]:
    return (Section(((bold(words),),)),)


def _lede(report: DayReport) -> Iterator[Line]:
    """As the report begins: how many targets breached, which metrics missed the goal, and what is late now."""
    said, goal = headline(report), goal_summary(report)
    yield (bold(f"{_signed(Statement(f'{total_breaches(report):,} {said.text}', said.sign))}."),)
    below: list[Line] = [
        (metric(figures.sla_metric), text(f" {rate_text(figures.day.achievement_rate or 0)}")) for figures in below_goal(report)
    ]
    yield (text(f"{_signed(goal)} "), *joined(below, ", "), text(".")) if below else (text(_signed(goal)),)
    late = report.work_list.target_count
    yield (text(f"{plural(late, 'target')} {'was' if late == 1 else 'were'} late and open at the end of the day."),)


def _signed(statement: Statement) -> str:
    return f"{statement.sign} {statement.text}".lstrip()


def _groups(store: Store, day: Day, settings: RootSettings) -> Section:
    """The groups with the most breaches; those of no group and of an unknown one are named besides."""
    heading: Line = (text("Most breaches by group, at the moment of the breach"),)
    try:
        table = read_partition(store, BY_DIMENSION, day, BY_DIMENSION_COLUMNS)
    except DamagedFileError:
        table = None
    if table is None:
        return Section(((text("Not known: the day's ticket tables are not made, or can't be read."),),), heading)
    rows = [row for row in _by_group(store, table) if row.breaches]
    named = [row for row in rows if row.value is not None]
    lines = [_group_line(row, settings.min_targets) for row in named[:WORST_GROUPS]]
    lines += _rest(named[WORST_GROUPS:])
    lines += [_group_line(row, settings.min_targets) for row in rows if row.value is None]
    return Section(tuple(lines) or ((text("No target breached."),),), heading)


def _by_group(store: Store, table: pa.Table) -> list[DimensionRow]:
    return dimension_rows(table, read_names(store, kinds=("groups",)), "group")


def _group_line(row: DimensionRow, min_targets: int) -> Line:
    """`EMEA: 12 breaches - First reply time: 9 of 47 targets breached, 80.9% met`: the metric with the most."""
    name: Line = (code(row.shown), text(" (deleted)" if row.is_deleted else ""))
    if row.value is None:
        name = (text("no group" if row.is_known else "unknown group"),)
    worst, counts = max(row.by_metric.items(), key=lambda item: item[1].breaches)
    share = f": {counts.breaches:,} of {plural(counts.targets, 'target')} breached"
    rate = f", {rate_text(counts.achievement_rate or 0)} met" if counts.targets >= min_targets else ""
    return joined([(*name, text(": "), bold(plural(row.breaches, "breach"))), (metric(worst), text(share + rate))])


def _rest(rows: Sequence[DimensionRow]) -> list[Line]:
    if not rows:
        return []
    breaches = sum(row.breaches for row in rows)
    return [(text(f"{plural(len(rows), 'more group')}: {plural(breaches, 'breach')}"),)]


def _link(settings: RootSettings, day: Day, links: DigestLinks) -> tuple[Line, ...]:
    """To the report, else to the summary in Dagster's UI, else none."""
    if settings.report_url is not None:
        path = report_path(day).removeprefix(f"{REPORT}/")
        return ((link("The report of the day", f"{settings.report_url}/{path}"),),)
    if links.dagster_url is not None:
        path = f"assets/{quote(links.summary_path)}?partition={day}&view=partitions"
        return ((link("The day in Dagster", f"{links.dagster_url}/{path}"),),)
    return ()
