"""`ticket-events due`: the open targets that breach next, soonest first, from the stored tables."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.cli.due_rows import (
    AGENT,
    COLUMNS,
    GROUP,
    DueRow,
    as_record,
    due_rows,
    print_due,
    without_estimate_line,
)
from ticket_events_pipeline.cli.due_sheets import due_sheets
from ticket_events_pipeline.cli.row_formats import print_csv, print_json
from ticket_events_pipeline.cli.sandbox_hint import sandbox_hint
from ticket_events_pipeline.cli.workbook import checked_output, write_workbook
from ticket_events_pipeline.credentials import SANDBOX_ACCOUNT
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.report.dimension_table import none_text
from ticket_events_pipeline.report.holders import Party
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import duration_text, plural, terminal_text, zoned_text
from ticket_events_pipeline.tickets.due_targets import DueTargets, read_due_targets
from ticket_events_pipeline.tickets.fields import NAMES_OF
from ticket_events_pipeline.tickets.names import Names, read_names
from ticket_events_pipeline.tickets.ticket_facts import TicketFactsReader

PASSED_SECONDS = 24 * 3600
"""An estimate that passed longer ago without a breach from Zendesk is counted, not listed: its clock is a left-over."""

_UNITS = {"m": 60, "h": 3600, "d": 86_400}
_WITHIN = re.compile(r"([1-9][0-9]{0,4})(m|h|d)", re.ASCII)

_MOST_NAMES = 20


@dataclass(frozen=True)
class Wanted:
    """Which targets are listed: those of one of the groups, of one of the agents and of one of the metrics; all without any.

    A group or an agent is named by its name or its id; `none` (a group), `nobody` (an agent) and `unknown` are names too.
    """

    groups: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


def parse_within(text: str) -> int:
    """The seconds of `30m`, `2h` or `1d`.

    Raises:
        click.UsageError: it is none of these.
    """
    found = _WITHIN.fullmatch(text.strip().lower())
    if found is None:
        raise click.UsageError(f"--within {text}: give minutes, hours or days, as in 30m, 2h or 1d.")
    return int(found[1]) * _UNITS[found[2]]


def run_due(*, within_seconds: int, wanted: Wanted, output: str, path: str | None = None) -> None:
    """Print the open targets whose estimated breach is at most so far ahead, and those whose estimate has just passed.

    Args:
        within_seconds: from now.
        wanted: which targets.
        output: table, csv, json, or xlsx, which has the late ones, too.
        path: the file of a workbook.

    Raises:
        click.UsageError: nothing has a name of `wanted`, or `path` doesn't fit `output`.
        UsageError: no targets of today or yesterday are stored, or the root can't be read.
        DamagedFileError: the stored targets can't be read.
    """
    workbook = checked_output(output, path)
    pipeline = pipeline_of(os.environ)
    store, settings, now = pipeline.store, pipeline.root_settings, wall_clock()
    found = read_due_targets(store, Day.containing(now, settings.timezone)) or _complain(store, settings)
    names = read_names(store, kinds=(NAMES_OF[GROUP], NAMES_OF[AGENT]), log=_say)
    for sentence in found.unreadable:
        _say(sentence)
    targets = _chosen(found, names, wanted)
    due_at = targets["due_at"]
    is_listed = pc.and_(pc.greater(due_at, int(now) - PASSED_SECONDS), pc.less_equal(due_at, int(now) + within_seconds))
    listed = targets.filter(pc.fill_null(is_listed, False))
    late = _late(store, found.day, names, wanted) if workbook is not None else listed.slice(0, 0)
    tickets = {ticket for part in (listed, late) for ticket in part["ticket_id"].to_pylist()}
    facts = TicketFactsReader(store).facts(found.day, tickets)
    rows = due_rows(listed, names, facts)
    _print(rows, found, settings, now=now, output=output)
    if workbook is not None:
        sheets = due_sheets(rows, due_rows(late, names, facts), settings, as_of=found.as_of)
        account, as_of = settings.account or "unknown", zoned_text(found.as_of, settings.timezone)
        about = {"Account": account, "As of": as_of, "Due times": "are estimates"}
        write_workbook(workbook, sheets, about, timezone=settings.timezone)
        counts = ", ".join(f"{sheet.name}: {plural(len(sheet.rows), 'target')}" for sheet in sheets)
        click.echo(f"{workbook}: {counts}", err=True)
    for line in _notes(targets, found, settings, now=now, within_seconds=within_seconds):
        click.echo(line, err=output != "table")


def _late(store: Store, day: Day, names: Names, wanted: Wanted) -> pa.Table:
    """The targets that breached, whenever that was, and are still open; the longest late first."""
    found = read_due_targets(store, day, breached_since=0)
    if found is None:  # removed just now
        raise UsageError(f"{TARGETS} of {day} was removed while it was read. Start the command again.")
    targets = _chosen(found, names, wanted)
    return targets.filter(pc.equal(targets["outcome"], "breached_open")).sort_by("breached_at")


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def _complain(store: Store, settings: RootSettings) -> DueTargets:
    """Say that nothing is stored.

    Raises:
        UsageError: always.
    """
    hint = sandbox_hint(store, TARGETS)
    if not hint and settings.account in (None, SANDBOX_ACCOUNT):
        hint = f"\nTo see those of a simulated account: {program()} demo, then set ZENDESK_SANDBOX=1."
    raise UsageError(
        f"No SLA targets of today or yesterday are stored below {store.location}. "
        f"To make some: {program()} backfill yesterday, then {program()} backfill today{hint}"
    )


def _print(rows: Sequence[DueRow], found: DueTargets, settings: RootSettings, *, now: float, output: str) -> None:
    said, is_stale = _as_of(found, settings, now=now)
    click.echo(click.style(said, fg="red" if is_stale else None, bold=is_stale), err=output != "table")
    if output == "table":
        print_due(rows, settings, now=now)
    elif output != "xlsx":
        records = (as_record(row, settings, as_of=found.as_of, now=now) for row in rows)
        if output == "csv":
            print_csv(COLUMNS, records)
        else:
            print_json(records)


def _as_of(found: DueTargets, settings: RootSettings, *, now: float) -> tuple[str, bool]:
    """What the list is as of, and whether that is too long ago to trust it."""
    age = max(now - found.as_of, 0)
    account = settings.account or "an unknown account"
    as_of = f"{zoned_text(found.as_of, settings.timezone)}, {duration_text(age)} ago"
    said = f"Open targets of {account} as of {as_of}. Due times are estimates."
    if age <= 2 * settings.fetch_every_minutes * 60:
        return said, False
    today = Day.containing(now, settings.timezone)
    advice = f"turn on frequent_fetch (in the UI: Automation), or run {program()} backfill {_span(found.day, today)}"
    return f"{said}\nSTALE: what happened since is not in this list. To have it, {advice}", True


def _span(first: Day, last: Day) -> str:
    return "today" if first == last else f"{first}..{last}"


def _chosen(found: DueTargets, names: Names, wanted: Wanted) -> pa.Table:
    """The targets that are wanted.

    Raises:
        click.UsageError: nothing has one of the names; the message lists those that exist.
    """
    targets = found.targets
    if (wanted.groups or wanted.agents) and not found.has_holders:
        raise click.UsageError(
            f"Who holds a ticket is not stored of {found.day}: leave out --group and --agent. TICKET_EVENTS_TICKET_TABLES, "
            "and a run that made the ticket tables of that day, would tell."
        )
    for option, dimension, words in (("--group", GROUP, wanted.groups), ("--agent", AGENT, wanted.agents)):
        if words:
            targets = targets.filter(_is_held_by(targets, names, dimension, words, option=option))
    if wanted.metrics:
        metrics = set(found.targets["sla_metric"].to_pylist())
        for word in wanted.metrics:
            if word not in metrics:
                raise click.UsageError(_no_such("--metric", word, metrics))
        targets = targets.filter(pc.is_in(targets["sla_metric"], pa.array(wanted.metrics)))
    return targets


def _is_held_by(targets: pa.Table, names: Names, dimension: str, words: Sequence[str], *, option: str) -> pa.Array:
    """Which targets one of the named groups or agents holds.

    One that exists and holds none is no error, nor is a word for none or unknown: that changes all the time.
    """
    ids, known = (targets[column].to_pylist() for column in _columns_of(dimension))
    parties = [Party.of(names, dimension, id_, is_known=is_known) for id_, is_known in zip(ids, known, strict=True)]
    named = names.all_of(NAMES_OF[dimension])
    always = {none_text(dimension, is_known=is_known) for is_known in (True, False)}
    shown = {party.shown for party in parties} | set(named.values()) | always
    for word in words:
        if word not in named and not any(_is_named(word, name) for name in shown):
            raise click.UsageError(_no_such(option, word, shown))
    return pa.array([_is_one_of(words, party) for party in parties], pa.bool_())


def _columns_of(dimension: str) -> tuple[str, str]:
    return ("group_id", "group_is_known") if dimension == GROUP else ("assignee_id", "assignee_is_known")


def _is_one_of(words: Sequence[str], party: Party) -> bool:
    number = None if party.number is None else str(party.number)
    return any(_is_named(word, party.shown) or word == number for word in words)


def _is_named(word: str, name: str) -> bool:
    return word.casefold() == name.casefold()


def _no_such(option: str, word: str, there: set[str]) -> str:
    shown = sorted(there, key=str.casefold)
    more = f", and {len(shown) - _MOST_NAMES:,} more" if len(shown) > _MOST_NAMES else ""
    listed = ", ".join(terminal_text(name) for name in shown[:_MOST_NAMES]) or "none"
    return f"{option} {terminal_text(word)}: there is none. There are: {listed}{more}"


def _notes(targets: pa.Table, found: DueTargets, settings: RootSettings, *, now: float, within_seconds: int) -> list[str]:
    """What the list leaves out, of the targets that are wanted."""
    due_at = targets["due_at"]
    notes = []
    if later := _count(pc.greater(due_at, int(now) + within_seconds)):
        notes.append(f"{plural(later, 'more target')} {_is(later)} due later.")
    if passed := _count(pc.less_equal(due_at, int(now) - PASSED_SECONDS)):
        estimate = "its estimate" if passed == 1 else "their estimates"
        because = "without a breach from Zendesk: left-over clocks, as of deleted or merged tickets"
        notes.append(f"{plural(passed, 'more target')} passed {estimate} more than a day ago {because}.")
    if late := _count(pc.equal(targets["outcome"], "breached_open")):
        notes.append(f"{plural(late, 'more target')} breached on {found.day} and {_is(late)} still open.")
    without = without_estimate_line(targets, has_holders=found.has_holders, is_off=not settings.has_ticket_tables)
    return notes if without is None else [*notes, without]


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _count(mask: Any) -> int:
    counted: int = pc.sum(mask, min_count=0).as_py()
    return counted
