"""The breach summary as a table in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.aggregates import reading_order
from ticket_events_pipeline.text import plural, rate_text, terminal_text

_POLICY = "policy (hours)"
_POLICY_WIDTH = 10  # a policy may be broken into lines as narrow as that: (calendar)
_GAP = 2  # between two columns; the last one is followed by 1
_LATE = "open\nlate"  # on two lines, so that a policy has room for one

_WORTH_A_LINE = ("breaches", "achieved", "completed_breached", "breached_open_eod")


def print_breaches(console: Console, summaries: Mapping[Day, pa.Table]) -> None:
    """Print the days' summaries as one table; where the terminal is too narrow, it breaks lines, and no figure is cut.

    The metrics stand in reading order. A row on which nothing breached, was completed or is late is counted, not shown.
    """
    rows = {day: sorted(summary.to_pylist(), key=_place) for day, summary in summaries.items()}
    shown = {day: [row for row in of_day if any(row[name] for name in _WORTH_A_LINE)] for day, of_day in rows.items()}
    if any(shown.values()):
        table = _breach_table(shown)
        console.width = max(console.width, _least_width(table))
        console.print(table)
    if left_out := sum(len(rows[day]) - len(shown[day]) for day in rows):
        console.print(
            f"Left out: {plural(left_out, 'row')} without breaches, completions or open late targets.", highlight=False
        )


def _place(row: Mapping[str, Any]) -> tuple[int, str]:
    return reading_order(row["sla_metric"])


def _breach_table(rows: Mapping[Day, list[dict[str, Any]]]) -> Table:
    days = list(rows)
    title = f"SLA breaches of {days[0]}" if len(days) == 1 else f"SLA breaches, {days[0]} to {days[-1]}"
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, _GAP - 1, 0, 0))
    if len(days) > 1:
        shown.add_column("day", no_wrap=True)
    shown.add_column("metric", no_wrap=True)
    shown.add_column(_POLICY, overflow="fold", min_width=_POLICY_WIDTH)
    for heading in ("breaches", "achieved", "rate", _LATE):
        shown.add_column(heading, justify="right", no_wrap=True)
    for day, of_day in rows.items():
        for row in of_day:
            shown.add_row(*([f"{day.date:%m-%d}"] if len(days) > 1 else []), *_cells(row))
    return shown


def _cells(row: Mapping[str, Any]) -> list[Text]:
    rate = row["achievement_rate"]
    hours = {True: "business", False: "calendar", None: "unknown"}[row["business_hours"]]
    texts = [
        terminal_text(row["sla_metric"]),
        f"{terminal_text(row['policy_title'] or row['policy_id'] or 'unknown')} ({hours})",
        str(row["breaches"]),
        str(row["achieved"]),
        "" if rate is None else rate_text(rate),
        str(row["breached_open_eod"]),
    ]
    return [Text(text) for text in texts]  # as text, `[red]` is no colour


def _least_width(table: Table) -> int:
    widths = [
        _POLICY_WIDTH
        if column.header == _POLICY
        else max(cell_len(line) for cell in (column.header, *column.cells) for line in str(cell).splitlines() or [""])
        for column in table.columns
    ]
    return sum(widths) + _GAP * len(widths) - 1
