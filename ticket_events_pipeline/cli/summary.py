"""`ticket-events summary`: prints the stored breach summaries of some days, for a terminal or for a script."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click
import pyarrow as pa
from rich.console import Console

from ticket_events_pipeline.cli.breach_table import print_breaches
from ticket_events_pipeline.cli.dates import outside_note, parse_day, parse_days, pruned_notes, words_of
from ticket_events_pipeline.cli.row_formats import dated_rows, plain, print_csv, print_json
from ticket_events_pipeline.cli.sandbox_hint import sandbox_hint
from ticket_events_pipeline.cli.sheet_columns import sheet_column
from ticket_events_pipeline.cli.workbook import Sheet, checked_output, write_workbook
from ticket_events_pipeline.day import Day, day_ranges, days_between, wall_clock
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.pipeline import Pipeline, pipeline_of
from ticket_events_pipeline.report.stored import newest_summary
from ticket_events_pipeline.settings import partition_settings
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition, stored_days
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.table import TIMESTAMP, Column
from ticket_events_pipeline.text import plural, ranges_text, terminal_text, zoned_text

Summaries = Mapping[Day, pa.Table]

_NEWEST = "newest"

_UNCERTAIN_DAYS = 7
"""After the first stored day: most targets that were open before it are closed by then."""


@dataclass(frozen=True)
class Filter:
    """Which rows are shown: those of one of the metrics and of one of the policies (title or id); all where none is named."""

    metrics: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()

    def __call__(self, row: Mapping[str, Any]) -> bool:
        """Whether the row is shown."""
        return (not self.metrics or row["sla_metric"] in self.metrics) and (
            not self.policies or not {row["policy_title"], row["policy_id"]}.isdisjoint(self.policies)
        )


def old_options(days: Sequence[str], first: str | None, last: str | None) -> tuple[str, ...]:
    """The days of `--from` and `--to`, as words of DAYS; `newest` stands for the newest stored day.

    Raises:
        click.UsageError: there are days already, or the first one is missing.
    """
    if days:
        raise click.UsageError("DAYS and --from, --to both name days: leave out --from and --to.")
    if first is None:
        raise click.UsageError("--to needs --from, the first day to show.")
    return (first, last or _NEWEST)


def run_summary(words: Sequence[str], *, wanted: Filter, output: str, path: str | None = None) -> bool:
    """Print the summaries of the days (none: of the newest complete day, else of the newest); whether each of the days has one.

    Args:
        words: the days, see `cli.dates`.
        wanted: which rows.
        output: one of `FORMATS`, or xlsx.
        path: the file of a workbook.

    Raises:
        click.UsageError: the words name no days, no row is of a metric or policy of `wanted`, or `path` doesn't fit `output`.
        UsageError: there is no summary at all, or the root can't be read.
        DamagedFileError: a stored file can't be read.
    """
    workbook = checked_output(output, path)
    pipeline = pipeline_of(os.environ)
    store, timezone = pipeline.store, pipeline.root_settings.timezone
    today = Day.containing(wall_clock(), timezone)
    newest = newest_summary(store, timezone) or complain_of_no_summary(store)
    days = _days(words, stored_days(store, SUMMARY, timezone)[-1], today) if words else [newest]
    read = {day: read_partition(store, SUMMARY, day) for day in days}
    summaries = {day: table for day, table in read.items() if table is not None}
    shown = {day: _rows_of(table, wanted) for day, table in summaries.items()}
    printed = {day: table for day, table in shown.items() if table.num_rows or not summaries[day].num_rows}
    if workbook is None:
        FORMATS[output](printed)
    else:
        write_tables(workbook, pipeline, SUMMARY, DAILY_SLA_BREACH_SUMMARY_TABLE.columns, printed)
    _note_filter(summaries, shown, wanted)
    _note_open(summaries)
    _note_first_days(summaries)
    missing = [day for day in days if day not in summaries]
    if missing:
        found, pruned = ranges_text(day_ranges(missing)), read_pruned_days(store)
        makeable = [day for day in missing if day <= today and not pruned.is_closed(day)]
        advice = f" To make it: {program()} backfill {words_of(makeable)}" if makeable else ""
        click.echo(f"No summary is stored of {found}.{advice}", err=True)
        for line in pruned_notes(pruned, missing, SUMMARY):
            click.echo(line, err=True)
        if note := outside_note(missing, partition_settings(os.environ).start_date, today):
            click.echo(note, err=True)
    return not missing


def _rows_of(table: pa.Table, wanted: Filter) -> pa.Table:
    if wanted == Filter():
        return table
    return table.filter(pa.array([wanted(row) for row in table.to_pylist()], pa.bool_()))


def _note_filter(summaries: Summaries, shown: Summaries, wanted: Filter) -> None:
    """Name the days without such a row, and what no row has: a typing error would look like a day without targets."""
    without = [day for day in summaries if summaries[day].num_rows and not shown[day].num_rows]
    if without:
        click.echo(f"No row of that metric and policy: {ranges_text(day_ranges(without))}", err=True)
    rows = [
        row for table in summaries.values() for row in table.select(["sla_metric", "policy_id", "policy_title"]).to_pylist()
    ]
    metrics = {row["sla_metric"] for row in rows}
    titles = {row["policy_title"] or row["policy_id"] for row in rows} - {None}
    names = titles | {row["policy_id"] for row in rows}
    for option, asked, known, listed in (
        ("--metric", wanted.metrics, metrics, metrics),
        ("--policy", wanted.policies, names, titles),
    ):
        for name in asked:
            if name not in known:
                there = ", ".join(terminal_text(text) for text in sorted(listed)) or "none"
                click.echo(f"{option} {terminal_text(name)}: no row of these days. There are: {there}", err=True)


def complain_of_no_summary(store: Store) -> NoReturn:
    """Say where no summary is stored, and how to make some.

    Raises:
        UsageError: always.
    """
    hint = sandbox_hint(store, SUMMARY)
    raise UsageError(f"No summary is stored below {store.location}. To make some: {program()} backfill last-7-days{hint}")


def _days(words: Sequence[str], newest: Day, today: Day) -> list[Day]:
    if words[-1] != _NEWEST:
        return parse_days(words, today)
    first = parse_day(words[0], today)
    if first > newest:
        raise click.UsageError(f"--from {first} is after the newest stored day, {newest}.")
    return days_between(first, newest)


def _note_open(summaries: Summaries) -> None:
    """Warn of days whose figures will still grow."""
    for day, table in summaries.items():
        as_of = table["as_of"][0].as_py() if table.num_rows else None
        if as_of is not None and as_of.timestamp() < day.end:
            click.echo(f"{day} has not been fetched to its end: its figures are as of {plain(as_of)}.", err=True)


def _note_first_days(summaries: Summaries) -> None:
    """Warn of days soon after the first stored one."""
    starts = {day: table["history_from"][0].as_py() for day, table in summaries.items() if table.num_rows}
    for first in sorted({first for day, first in starts.items() if (day.date - first).days <= _UNCERTAIN_DAYS}):
        text = "targets begun before are not known, so the first days' figures are less certain."
        click.echo(f"The first stored day is {first}: {text}", err=True)


def _print_table(summaries: Summaries) -> None:
    console = Console()
    shown = {day: table for day, table in summaries.items() if table.num_rows}
    if shown:
        print_breaches(console, shown)
    for day in summaries:
        if day not in shown:
            console.print(f"{day}: no SLA target was open.", highlight=False)


def _rows(summaries: Summaries) -> Iterator[dict[str, Any]]:
    for day, table in summaries.items():
        yield from dated_rows(day, table)


def _print_csv(summaries: Summaries) -> None:
    print_csv(["date", *DAILY_SLA_BREACH_SUMMARY_TABLE.schema.names], _rows(summaries))


def write_tables(path: Path, pipeline: Pipeline, asset: str, columns: Sequence[Column], tables: Summaries) -> None:
    """Write the rows of the days' tables of an asset into the sheet of a workbook.

    Raises:
        DamagedFileError: a stored file can't be read.
        UsageError: there are too many rows, or the file can't be written.
    """
    dated = [sheet_column("date", "The day that the figures are of.")]
    shown = [*dated, *(sheet_column(column.name, column.doc, is_time=column.type == TIMESTAMP) for column in columns)]
    rows = [{"date": day.date, **row} for day, table in tables.items() for row in table.to_pylist()]
    settings = pipeline.root_settings
    about = {
        "Account": settings.account or "unknown",
        "Table": asset,
        "Days": ranges_text(day_ranges(sorted(tables))) or "none",
        "As of": _as_of(pipeline.store, asset, max(tables, default=None)),
    }
    write_workbook(path, [Sheet("Summary", shown, rows)], about, timezone=settings.timezone)
    click.echo(f"{plural(len(rows), 'row')} in {path}", err=True)


def _as_of(store: Store, asset: str, day: Day | None) -> str:
    """Up to when the newest of the days is known."""
    footer = None if day is None else read_metadata(store, asset, day)
    return "unknown" if day is None or footer is None else zoned_text(int(footer["as_of"]), day.timezone)


def _print_json(summaries: Summaries) -> None:
    print_json(_rows(summaries))


FORMATS: dict[str, Callable[[Summaries], None]] = {"table": _print_table, "csv": _print_csv, "json": _print_json}
