"""`ticket-events summary --by`: whose breaches they were, for a terminal or for a script."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import click
import pyarrow as pa
import pyarrow.compute as pc
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ticket_events_pipeline.cli.dates import parse_days, pruned_notes, words_of
from ticket_events_pipeline.cli.row_formats import dated_rows, print_csv, print_json
from ticket_events_pipeline.cli.summary import complain_of_no_summary, write_tables
from ticket_events_pipeline.cli.workbook import checked_output
from ticket_events_pipeline.day import Day, day_ranges, wall_clock
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.report.aggregates import reading_order
from ticket_events_pipeline.report.dimension_table import DimensionRow, dimension_rows, none_text
from ticket_events_pipeline.report.stored import newest_summary
from ticket_events_pipeline.settings import has_ticket_tables
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.tables.table import Column
from ticket_events_pipeline.tables.tickets import CUSTOM_FIELD, DAILY_SLA_BREACHES_BY_DIMENSION_TABLE
from ticket_events_pipeline.text import plural, ranges_text, rate_text, terminal_text
from ticket_events_pipeline.tickets.fields import DIMENSIONS, NAMES_OF
from ticket_events_pipeline.tickets.names import Names, read_names

BY_DIMENSION = DAILY_SLA_BREACHES_BY_DIMENSION_TABLE.name

COLUMNS = ["date", *DAILY_SLA_BREACHES_BY_DIMENSION_TABLE.schema.names]
COLUMNS.insert(COLUMNS.index("value") + 1, "name")

_NAMED_COLUMNS = [*DAILY_SLA_BREACHES_BY_DIMENSION_TABLE.columns]
_NAME = Column("name", pa.string(), "Name of the group or agent, else the value; none, nobody or unknown.")
_NAMED_COLUMNS.insert(COLUMNS.index("name") - 1, _NAME)

Tables = Mapping[Day, pa.Table]


def parse_dimension(text: str) -> str:
    """The dimension that a word names: one of `DIMENSIONS`, or a custom field.

    Raises:
        click.UsageError: it names none.
    """
    if text == "agent":  # as the report and the UI call it
        return "assignee"
    if text in DIMENSIONS or re.fullmatch(rf"{CUSTOM_FIELD}[0-9]{{1,19}}", text, re.ASCII):
        return text
    raise click.UsageError(f"--by {text}: there is no such dimension. Give one of {', '.join(DIMENSIONS)}, {CUSTOM_FIELD}ID.")


def run_summary_by(words: Sequence[str], by: str, *, metrics: Sequence[str], output: str, path: str | None = None) -> bool:
    """Print the breaches of the days by the values of a dimension; whether each of the days has its table.

    Args:
        words: the days, see `cli.dates`; none: the newest complete day, else the newest.
        by: names the dimension, see `parse_dimension`.
        metrics: only these SLA metrics; all where none is named.
        output: table, csv, json or xlsx.
        path: the file of a workbook.

    Raises:
        click.UsageError: the words name no days, `by` no dimension, or `path` doesn't fit `output`.
        UsageError: there is no summary at all, or the root can't be read.
        DamagedFileError: a stored file can't be read.
    """
    dimension = parse_dimension(by)
    workbook = checked_output(output, path)
    pipeline = pipeline_of(os.environ)
    store, timezone = pipeline.store, pipeline.root_settings.timezone
    newest = newest_summary(store, timezone)
    if newest is None:
        complain_of_no_summary(store)
    days = parse_days(words, Day.containing(wall_clock(), timezone)) if words else [newest]
    read = {day: read_partition(store, BY_DIMENSION, day) for day in days}
    tables = {day: _chosen(table, dimension, metrics) for day, table in read.items() if table is not None}
    names = read_names(store, log=lambda sentence: click.echo(sentence, err=True))
    if output == "table":
        _print_table(tables, dimension, names)
    elif workbook is not None:
        named = {day: _for_a_sheet(table, dimension, names, by) for day, table in tables.items()}
        write_tables(workbook, pipeline, BY_DIMENSION, _NAMED_COLUMNS, named)
    elif output == "csv":
        print_csv(COLUMNS, _named_rows(tables, dimension, names))
    else:
        print_json(_named_rows(tables, dimension, names))
    _note_empty(tables, dimension, metrics)
    missing = [day for day in days if day not in tables]
    if missing:
        pruned = read_pruned_days(store)
        makeable = [day for day in missing if not pruned.is_closed(day)]
        advice = f" {_how_to_make(makeable)}" if makeable else ""
        click.echo(f"No ticket tables are stored of {ranges_text(day_ranges(missing))}.{advice}", err=True)
        for line in pruned_notes(pruned, missing, BY_DIMENSION):
            click.echo(line, err=True)
    return not missing


def _how_to_make(days: Sequence[Day]) -> str:
    command = f"{program()} backfill --tickets {words_of(days)}"
    if not has_ticket_tables(os.environ):
        return f"TICKET_EVENTS_TICKET_TABLES turns them off. To have them, unset it, restart Dagster, and run {command}"
    return f"To make them: {command}"


def _chosen(table: pa.Table, dimension: str, metrics: Sequence[str]) -> pa.Table:
    chosen = pc.equal(table["dimension"], dimension)
    if metrics:
        chosen = pc.and_(chosen, pc.is_in(table["sla_metric"], pa.array(list(metrics))))
    return table.filter(chosen)


def _note_empty(tables: Tables, dimension: str, metrics: Sequence[str]) -> None:
    """A typing error would look like days without breaches."""
    without = [day for day, table in tables.items() if not table.num_rows]
    if without:
        named = f" and {' or '.join(metrics)}" if metrics else ""
        hint = ". Custom fields are tracked once TICKET_EVENTS_DIMENSIONS names them" if ":" in dimension else ""
        click.echo(f"No row of {terminal_text(dimension + named)}: {ranges_text(day_ranges(without))}{hint}", err=True)


def _for_a_sheet(table: pa.Table, dimension: str, names: Names, by: str) -> pa.Table:
    """The table with what each value is called in `name`, and the dimension as the user calls it."""
    values = zip(table["value"].to_pylist(), table["is_known"].to_pylist(), strict=True)
    found = [_name(value, dimension, names) or value or none_text(dimension, is_known=is_known) for value, is_known in values]
    called = table.set_column(table.schema.get_field_index("dimension"), "dimension", pa.array([by] * len(found), pa.string()))
    return called.append_column("name", pa.array(found, pa.string()))


def _named_rows(tables: Tables, dimension: str, names: Names) -> Iterator[dict[str, Any]]:
    for day, table in tables.items():
        for row in dated_rows(day, table):
            yield {column: row.get(column, _name(row["value"], dimension, names)) for column in COLUMNS}


def _name(value: str | None, dimension: str, names: Names) -> str | None:
    kind = NAMES_OF.get(dimension)
    return names.of(kind, int(value)) if kind and value is not None else None


def _print_table(tables: Tables, dimension: str, names: Names) -> None:
    """One row a value and metric; how many have nothing worth a line is said."""
    if not tables:
        return
    console = Console()
    rows = _summed(tables, dimension, names)
    shown = [(metric, row) for metric, row in rows if row.breaches or row.achieved or row.completed_breached or row.late]
    if shown:
        console.print(_table(shown, tables, dimension))
        if dimension == "tag":
            console.print("A target counts once under each of its tags.", highlight=False)
    _note_assumed(console, tables)
    if len(shown) < len(rows):
        count = plural(len(rows) - len(shown), "row")
        console.print(f"Left out: {count} without breaches, completions or open late targets.", highlight=False)


def _note_assumed(console: Console, tables: Tables) -> None:
    """How many of the breaches count under a value that isn't known for certain."""
    every = pa.concat_tables(tables.values())
    is_assumed = pc.and_(pc.is_valid(every["value"]), pc.invert(every["is_known"]))
    assumed = pc.sum(every["breaches"].filter(is_assumed)).as_py() or 0
    if assumed:
        text = "assumed: the audits in between aren't stored, or weren't read yet"
        console.print(f"Of {plural(assumed, 'breach', 'breaches')} the value is {text}.", highlight=False)


def _summed(tables: Tables, dimension: str, names: Names) -> list[tuple[str, DimensionRow]]:
    """By value and metric: counts summed over the days; what is late and open, as of the last day.

    The values with the most breaches come first; nobody or none, and unknown, last.
    """
    every, last = pa.concat_tables(tables.values()), tables[max(tables)]
    found: list[tuple[str, DimensionRow]] = []
    for metric in sorted(set(every["sla_metric"].to_pylist()), key=reading_order):
        late = {(row.value, row.is_known): row.late for row in dimension_rows(last, names, dimension, [metric])}
        rows = dimension_rows(every, names, dimension, [metric])
        found.extend((metric, replace(row, late=late.get((row.value, row.is_known), 0))) for row in rows)
    values = dimension_rows(every, names, dimension)
    place = {(row.value, row.is_known): number for number, row in enumerate(values)}
    return sorted(found, key=lambda row: place[row[1].value, row[1].is_known])


def _table(rows: list[tuple[str, DimensionRow]], tables: Tables, dimension: str) -> Table:
    days = list(tables)
    of_days = f"of {days[0]}" if len(days) == 1 else f"of {days[0]} to {days[-1]}"
    title = f"SLA breaches {of_days} by {terminal_text(dimension)}"
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False)
    shown.add_column(terminal_text(dimension), overflow="fold", min_width=10)
    shown.add_column("metric", no_wrap=True)
    for heading in ("breaches", "achieved", "rate", "open\nlate"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for metric, row in rows:
        rate = "" if row.achievement_rate is None else rate_text(row.achievement_rate)
        texts = [terminal_text(row.shown), terminal_text(metric), str(row.breaches), str(row.achieved), rate, str(row.late)]
        shown.add_row(*(Text(text) for text in texts))  # as text, `[red]` is no colour
    return shown
