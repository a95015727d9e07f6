"""Rows of stored tables for scripts: as CSV and as JSON."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click
import pyarrow as pa

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.text import terminal_text

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a text of a CSV file that begins so as a formula."""


def dated_rows(day: Day, table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows of a day's table with plain values, and `date` before them."""
    for row in table.to_pylist():
        yield {"date": str(day), **{name: plain(value) for name, value in row.items()}}


def plain(value: Any) -> Any:
    """A value for scripts: a time in ISO form with a Z, a date in ISO form, everything else as it is."""
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, dt.date) else value


def print_csv(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """RFC 4180 in UTF-8. Texts stay unchanged, also where a spreadsheet would run them; a warning says so."""
    to_terminal = sys.stdout.isatty()
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    is_risky = False
    for row in rows:
        texts = {name: value for name, value in row.items() if isinstance(value, str)}
        is_risky = is_risky or any(value.startswith(_FORMULA_STARTS) for value in texts.values())
        flags = {name: str(value).lower() for name, value in row.items() if isinstance(value, bool)}
        shown = {name: terminal_text(value) for name, value in texts.items()} if to_terminal else {}
        writer.writerow(row | flags | shown)
    click.echo(text.getvalue().encode(), nl=False)
    if is_risky:
        starts = "=, +, -, @ or a control character"
        click.echo(f"A text begins with {starts}: import the file's columns as text, or a spreadsheet may run it.", err=True)


def print_json(rows: Iterable[dict[str, Any]]) -> None:
    """One JSON list, in ASCII: it can hold no control character for a terminal."""
    click.echo(json.dumps(list(rows), indent=1))
