"""`ticket-events report`: makes or finds the morning report of a day, prints its path, and opens it on request.

Needs no credentials. Only the path goes to standard output, for scripts; everything else goes to standard error.
"""

from __future__ import annotations

import os
import tempfile
import webbrowser
from dataclasses import dataclass
from pathlib import Path

import click

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.errors import DayNotFetchedError, UsageError
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.report.builder import report_reader
from ticket_events_pipeline.report.files import read_report, report_days, report_path, write_report
from ticket_events_pipeline.report.model import DayReport
from ticket_events_pipeline.root import is_object_store
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_metadata, stored_days
from ticket_events_pipeline.storage.store import Store


@dataclass(frozen=True)
class _Page:
    """A stored page; `report` is None where it was found and not made."""

    day: Day
    url: str
    report: DayReport | None


def run_report(date: str | None, *, is_to_open: bool, is_week: bool = False, output: str | None = None, port: int | None = None) -> None:
    """Make or find the report of `date`, or of the newest complete day; print its path, and open it on request.

    Raises:
        click.UsageError: `date` is none.
        UsageError: there is no such report and nothing to make it from; or the root can't be read or written.
        DamagedFileError: a stored file can't be read.
    """
    pipeline = pipeline_of(os.environ)
    settings, store = pipeline.root_settings, pipeline.store
    page = _page(store, _day(store, date, settings), settings)
    click.echo(page.url)
    if is_to_open:
        _open(page if not is_object_store(settings.root) else _local_copy(store, page))


def _day(store: Store, date: str | None, settings: RootSettings) -> Day:
    if date is not None:
        try:
            return Day.parse(date, settings.timezone)
        except ValueError as error:
            raise click.UsageError(f"--date: {error}.") from None
    summarised = stored_days(store, SUMMARY, settings.timezone)
    for day in reversed(summarised):
        if (read_metadata(store, SUMMARY, day) or {}).get("complete") == "true":
            return day
    days = summarised or report_days(store, settings.timezone)
    if not days:
        raise UsageError(f"There is no summary of any day below {store.location}. {_how_to_make(store, None)}")
    return days[-1]


def _page(store: Store, day: Day, settings: RootSettings) -> _Page:
    try:
        report = _read(store, day, settings)
    except DayNotFetchedError:
        if read_report(store, day) is None:
            raise UsageError(
                f"There is no summary of {day} with its targets below {store.location}. {_how_to_make(store, day)}"
            ) from None
        click.echo(f"The SLA tables of {day} are no longer stored: this report was made before.", err=True)
        return _Page(day, store.url(report_path(day)), None)
    return _Page(day, write_report(store, report).url, report)


def _read(store: Store, day: Day, settings: RootSettings) -> DayReport:
    return report_reader(store, settings, [day]).read(day)


def _how_to_make(store: Store, day: Day | None) -> str:
    partition = day or "YYYY-MM-DD"
    how = (
        "Make it in the UI, or run: dagster asset materialize -m ticket_events_pipeline.definitions "
        f"--select '*' --partition {partition}"
    )
    if store.paths(f"sandbox/{SUMMARY}"):
        how += ". The sandbox's reports need ZENDESK_SANDBOX=1."
    return how


def _local_copy(store: Store, page: _Page) -> _Page:
    """The page in its own folder that only its owner may read: a browser can't open a file in a bucket."""
    folder = FolderStore(Path(tempfile.mkdtemp(prefix="sla_breach_report.")))
    if page.report is not None:
        url = write_report(folder, page.report).url
    else:
        with folder.writer(report_path(page.day)) as file:
            file.write(read_report(store, page.day) or b"")
        url = folder.url(report_path(page.day))
    click.echo(f"Opening a copy, which you can remove: {folder.location}", err=True)
    return _Page(page.day, url, page.report)


def _open(page: _Page) -> None:
    if not webbrowser.open(Path(page.url).as_uri()):
        click.echo("No browser was found: open the path yourself, or set BROWSER.", err=True)
