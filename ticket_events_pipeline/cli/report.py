"""`ticket-events report`: makes or finds the report of a day or of a week, prints its path, and opens or serves it on request.

Needs no credentials. Only the path goes to standard output, for scripts; everything else goes to standard error.
"""

from __future__ import annotations

import os
import tempfile
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from ticket_events_pipeline.cli.dates import outside_note, parse_day, pruned_notes, words_of
from ticket_events_pipeline.credentials import SANDBOX_ACCOUNT
from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.errors import DayNotFetchedError, UsageError
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.report.builder import report_reader
from ticket_events_pipeline.report.files import put_page, read_page, report_days, report_path
from ticket_events_pipeline.report.model import DayReport
from ticket_events_pipeline.report.server import ReportServer
from ticket_events_pipeline.report.stored import newest_summary
from ticket_events_pipeline.report.week import Week, WeekReport, newest_week, read_week
from ticket_events_pipeline.report.week_page import week_path, write_week
from ticket_events_pipeline.report.write import put_explained, write_report
from ticket_events_pipeline.root import is_object_store
from ticket_events_pipeline.settings import RootSettings, partition_settings
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.storage.store import HALF_WRITTEN, INFLIGHT, Store


@dataclass(frozen=True)
class _Page:
    """A page to store: where, below a root, and what writes it there with the pages that it links to."""

    path: str
    write: Callable[[Store], None]

    def written(self, store: Store) -> str:
        """Write it; returns where people find it."""
        self.write(store)
        return store.url(self.path)


def run_report(word: str | None, *, is_week: bool, is_to_open: bool, output: str | None, port: int | None) -> None:
    """Make or find the report of a day, or of its week; print its path, and open or serve it on request.

    Args:
        word: the day; None for the newest complete one, or the newest week that is over.
        is_week: whether to make the week's.
        is_to_open: whether to open it in the browser.
        output: the folder to write it to, in place of the root.
        port: of the server to start; None for none.

    Raises:
        click.UsageError: `word` is no day, or the options contradict each other.
        UsageError: there is no such report and nothing to make it from; the root can't be read or written; the port is taken.
        DamagedFileError: a stored file can't be read.
    """
    if output is not None and port is not None:
        raise click.UsageError("--output and --serve exclude each other: --serve serves the reports of the root.")
    if output is not None and (not output.strip() or is_object_store(output)):
        raise click.UsageError(f"--output {output!r} is no folder.")
    pipeline = pipeline_of(os.environ)
    settings, store = pipeline.root_settings, pipeline.store
    day = None if word is None else parse_day(word, Day.containing(wall_clock(), settings.timezone))
    page = _week(store, day, settings) if is_week else _day(store, day, settings)
    url = page.written(store) if output is None else _written_to(Path(output).absolute(), page)
    click.echo(url)
    if settings.account == SANDBOX_ACCOUNT:
        click.echo("Its ticket numbers are no links: the sandbox has no tickets to open. With an account they are.", err=True)
    if port is not None:
        _serve(store, port, page, is_to_open=is_to_open)
    elif is_to_open:
        _open(Path(url if output is not None or not is_object_store(settings.root) else _local_copy(page)).as_uri())


def _day(store: Store, day: Day | None, settings: RootSettings) -> _Page:
    day = day or _newest_day(store, settings)
    path = report_path(day)
    try:
        report: DayReport = report_reader(store, settings, [day]).read(day)
    except DayNotFetchedError:
        found = read_page(store, path)
        if found is None:
            raise UsageError(
                f"There is no summary of {day} with its targets below {store.location}. {_how_to_make(store, day)}"
            ) from None
        click.echo(f"The SLA tables of {day} are no longer stored: this report was made before.", err=True)
        return _found(path, found)
    return _Page(path, lambda target: _write_day(target, report))


def _write_day(store: Store, report: DayReport) -> None:
    write_report(store, report)


def _newest_day(store: Store, settings: RootSettings) -> Day:
    day = newest_summary(store, settings.timezone) or max(report_days(store, settings.timezone), default=None)
    if day is None:
        raise UsageError(f"There is no summary of any day below {store.location}. {_how_to_make(store, None)}")
    return day


def _week(store: Store, day: Day | None, settings: RootSettings) -> _Page:
    today = Day.containing(wall_clock(), settings.timezone)
    week = newest_week(store, today) if day is None else Week.of(day)
    if week is None:
        raise UsageError(f"There is no summary of a week that is over below {store.location}. {_how_to_make(store, None)}")
    path = week_path(week)
    try:
        report: WeekReport = read_week(store, settings, week)
    except DayNotFetchedError as error:
        found = read_page(store, path)
        if found is None:
            raise UsageError(f"{error} {_how_to_make(store, week.days[0], week.days[-1])}") from None
        click.echo(f"The SLA tables of {week} are no longer stored: this report was made before.", err=True)
        return _found(path, found)
    return _Page(path, lambda target: _write_week(target, report))


def _write_week(store: Store, report: WeekReport) -> None:
    write_week(store, report)


def _found(path: str, content: bytes) -> _Page:
    """A page that is stored, and can't be made any more."""

    def write(store: Store) -> None:
        put_explained(store)
        put_page(store, path, content)

    return _Page(path, write)


def _how_to_make(store: Store, first: Day | None, last: Day | None = None) -> str:
    """What makes the days; where they are pruned or closed, that they can't be made."""
    if store.paths(f"sandbox/{SUMMARY}"):
        return "The sandbox's reports need ZENDESK_SANDBOX=1."
    if first is None:
        return f"To make some: {program()} backfill last-7-days"
    today = Day.containing(wall_clock(), first.timezone)
    if note := outside_note([first], partition_settings(os.environ).start_date, today):
        return note
    days, pruned = days_between(first, first if last is None else min(last, today)), read_pruned_days(store)
    makeable = [day for day in days if not pruned.is_closed(day)]
    advice = [f"To make it: {program()} backfill {words_of(makeable)}"] if makeable else []
    return "\n".join([*pruned_notes(pruned, days, SUMMARY, TARGETS), *advice])


def _written_to(folder: Path, page: _Page) -> str:
    """The page in a folder to be sent around, with nothing but pages in it."""
    try:
        url = page.written(FolderStore(folder))
    except UsageError as error:
        raise UsageError(str(error).replace("TICKET_EVENTS_ROOT", "--output")) from error
    with suppress(OSError):  # another command is writing there
        (folder / HALF_WRITTEN).rmdir()
        (folder / INFLIGHT).rmdir()
    return url


def _serve(store: Store, port: int, page: _Page, *, is_to_open: bool) -> None:
    server = ReportServer(store, port=port)
    shown = f"{server.url}/{page.path.partition('/')[2]}"
    click.echo(f"Serving the reports of {store.location} on this machine: {server.url}", err=True)
    click.echo(f"This one: {shown}", err=True)
    click.echo(f"For links from the Dagster UI and alerts: TICKET_EVENTS_REPORT_URL={server.url}", err=True)
    click.echo("Ctrl-C ends it.", err=True)
    if is_to_open:
        _open(shown)
    try:
        server.serve()
    except KeyboardInterrupt:
        click.echo("", err=True)


def _local_copy(page: _Page) -> str:
    """The page in its own folder that only its owner may read: a browser can't open a file in a bucket."""
    folder = FolderStore(Path(tempfile.mkdtemp(prefix="sla_breach_report.")))
    click.echo(f"Opening a copy, which you can remove: {folder.location}", err=True)
    return page.written(folder)


def _open(address: str) -> None:
    if not webbrowser.open(address):
        click.echo("No browser was found: open it yourself, or set BROWSER.", err=True)
