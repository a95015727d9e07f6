"""`ticket-events summary`: prints the stored breach summaries of some days, for a terminal or for a script."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
import pyarrow as pa
from rich.console import Console

from ticket_events_pipeline.cli.breach_table import print_breaches
from ticket_events_pipeline.day import Day, day_ranges, days_between
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.sla.build import SUMMARY
from ticket_events_pipeline.storage.partition_file import read_partition, stored_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.text import ranges_text, terminal_text

Summaries = Mapping[Day, pa.Table]

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a text of a CSV file that begins so as a formula."""


def run_summary(first: str | None, last: str | None, *, output: str) -> bool:
    """Print the summaries from `first` through `last` (None: the newest stored day); whether each of the days has one.

    Args:
        first: a day, YYYY-MM-DD.
        last: a day, not before it.
        output: one of `FORMATS`.

    Raises:
        click.UsageError: the dates are no range.
        UsageError: there is no summary at all, or the root can't be read.
        DamagedFileError: a stored file can't be read.
    """
    pipeline = pipeline_of(os.environ)
    store, timezone = pipeline.store, pipeline.root_settings.timezone
    days = _days(first, last, stored_days(store, SUMMARY, timezone) or _complain(store), timezone)
    read = {day: read_partition(store, SUMMARY, day) for day in days}
    summaries = {day: table for day, table in read.items() if table is not None}
    FORMATS[output](summaries)
    _note_open(summaries)
    missing = [day for day in days if day not in summaries]
    if missing:
        found = ranges_text(day_ranges(missing))
        advice = f"Materialize {SUMMARY} of these days, with what it is made from."
        click.echo(f"No summary is stored of {found}. {advice}", err=True)
    return not missing


def _complain(store: Store) -> list[Day]:
    hint = " Set ZENDESK_SANDBOX=1 to see those of the sandbox." if store.paths(f"sandbox/{SUMMARY}") else ""
    raise UsageError(f"No summary is stored below {store.location}. Materialize {SUMMARY} of some days first.{hint}")


def _days(first: str | None, last: str | None, stored: list[Day], timezone: str) -> list[Day]:
    newest = stored[-1]
    if first is None and last is not None:
        raise click.UsageError("--to needs --from, the first day to show.")
    try:
        begin = newest if first is None else Day.parse(first, timezone)
        end = newest if last is None else Day.parse(last, timezone)
    except ValueError as error:
        raise click.UsageError(f"--from, --to: {error}.") from None
    if end < begin:
        until = "the newest stored day" if last is None else "--to"
        raise click.UsageError(f"--from {begin} is after {until}, {end}.")
    return days_between(begin, end)


def _note_open(summaries: Summaries) -> None:
    """Warn of days whose figures will still grow."""
    for day, table in summaries.items():
        as_of = table["as_of"][0].as_py() if table.num_rows else None
        if as_of is not None and as_of.timestamp() < day.end:
            click.echo(f"{day} has not been fetched to its end: its figures are as of {_plain(as_of)}.", err=True)


def _print_table(summaries: Summaries) -> None:
    console = Console()
    shown = {day: table for day, table in summaries.items() if table.num_rows}
    if shown:
        print_breaches(console, shown)
    for day in summaries:
        if day not in shown:
            console.print(f"{day}: no SLA target was open.", highlight=False)


def _print_csv(summaries: Summaries) -> None:
    """RFC 4180 in UTF-8. Texts stay unchanged, also where a spreadsheet would run them; a warning says so."""
    to_terminal = sys.stdout.isatty()
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["date", *DAILY_SLA_BREACH_SUMMARY_TABLE.schema.names])
    writer.writeheader()
    is_risky = False
    for row in _rows(summaries):
        texts = {name: value for name, value in row.items() if isinstance(value, str)}
        is_risky = is_risky or any(value.startswith(_FORMULA_STARTS) for value in texts.values())
        flags = {name: str(value).lower() for name, value in row.items() if isinstance(value, bool)}
        shown = {name: terminal_text(value) for name, value in texts.items()} if to_terminal else {}
        writer.writerow(row | flags | shown)
    click.echo(text.getvalue().encode(), nl=False)
    if is_risky:
        starts = "=, +, -, @ or a control character"
        click.echo(f"A text begins with {starts}: import the file's columns as text, or a spreadsheet may run it.", err=True)


def _print_json(summaries: Summaries) -> None:
    click.echo(json.dumps(list(_rows(summaries)), indent=1))  # ASCII: it can hold no control character for a terminal


def _rows(summaries: Summaries) -> Iterator[dict[str, Any]]:
    for day, table in summaries.items():
        for row in table.to_pylist():
            yield {"date": str(day), **{name: _plain(value) for name, value in row.items()}}


def _plain(value: Any) -> Any:
    """A value for scripts: a time in ISO form with a Z, a date in ISO form, everything else as it is."""
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, dt.date) else value


FORMATS: dict[str, Callable[[Summaries], None]] = {"table": _print_table, "csv": _print_csv, "json": _print_json}
