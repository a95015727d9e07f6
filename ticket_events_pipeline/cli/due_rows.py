"""The list of `ticket-events due`: its rows with names and subjects, for a terminal and for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from ticket_events_pipeline.report.holders import Party
from ticket_events_pipeline.report.open_tickets import unforecast
from ticket_events_pipeline.report.statements import without_estimate
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.text import (
    due_text,
    hours_name,
    local_time,
    metric_name,
    plural,
    policy_name,
    shortened,
    terminal_text,
    utc_text,
)
from ticket_events_pipeline.tickets.names import Names
from ticket_events_pipeline.tickets.ticket_facts import TicketFacts

GROUP, AGENT = "group", "assignee"

COLUMNS = [
    "ticket_id",
    "ticket_url",
    "subject",
    "priority",
    "sla_metric",
    "instance_id",
    "policy_id",
    "policy_title",
    "business_hours",
    "target_seconds",
    "due_at",
    "due_by",
    "due_in_seconds",
    "group_id",
    "group_name",
    "assignee_id",
    "assignee_name",
    "as_of",
]
"""Of csv and json. A contract: columns may be added at the end, and none changes."""

MOST_SHOWN = 100
"""Lines of a terminal; csv and json have all."""

_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class DueRow:
    """A target that will breach: its row in `DueTargets.targets`, who holds its ticket, and what the ticket is."""

    target: Mapping[str, Any]
    group: Party
    agent: Party
    facts: TicketFacts

    @property
    def due_at(self) -> int:
        """Epoch seconds, an estimate."""
        due_at: int = self.target["due_at"]
        return due_at

    @property
    def group_name(self) -> str | None:
        """Of the group that holds the ticket; None for none or unknown."""
        return self.group.shown if self.group.number is not None else None

    @property
    def assignee_name(self) -> str | None:
        """Of the agent who holds the ticket; None for nobody or unknown."""
        return self.agent.shown if self.agent.number is not None else None

    def ticket_url(self, settings: RootSettings) -> str | None:
        """The ticket's page in a browser; None where the account's address isn't known."""
        return f"{settings.tickets_url}{self.target['ticket_id']}" if settings.tickets_url else None


def due_rows(targets: pa.Table, names: Names, facts: Mapping[int, TicketFacts]) -> list[DueRow]:
    """The targets with names, in their order; `facts` are of their tickets."""
    return [
        DueRow(
            row,
            Party.of(names, GROUP, row["group_id"], is_known=row["group_is_known"]),
            Party.of(names, AGENT, row["assignee_id"], is_known=row["assignee_is_known"]),
            facts.get(row["ticket_id"], TicketFacts()),
        )
        for row in targets.to_pylist()
    ]


def as_record(row: DueRow, settings: RootSettings, *, as_of: int, now: float) -> dict[str, Any]:
    """A row for scripts, with `COLUMNS`: ids and names, times as UTC in ISO form."""
    target = row.target
    added = {
        "ticket_url": row.ticket_url(settings),
        "subject": row.facts.subject,
        "priority": row.facts.priority,
        "due_at": utc_text(row.due_at),
        "due_in_seconds": row.due_at - int(now),
        "group_name": row.group_name,
        "assignee_name": row.assignee_name,
        "as_of": utc_text(as_of),
    }
    return {name: added[name] if name in added else target[name] for name in COLUMNS}


def print_due(rows: Sequence[DueRow], settings: RootSettings, *, now: float) -> None:
    """Print a table for people. Where the terminal knows links, a ticket's number is one."""
    console = Console()
    if not rows:
        console.print("No target is due in that time.", highlight=False)
        return
    shown = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("due", no_wrap=True)
    shown.add_column("ticket,\npriority", no_wrap=True)
    shown.add_column("target", overflow="fold", ratio=3)
    shown.add_column("group, agent", overflow="fold", ratio=2)
    for row in rows[:MOST_SHOWN]:
        shown.add_row(_due(row, settings, now=now), _ticket(row, settings), _target(row, console.width * 2 // 5), _holder(row))
    console.print(shown)
    if len(rows) > MOST_SHOWN:
        console.print(
            f"{plural(len(rows) - MOST_SHOWN, 'more target')} not shown: narrow the list with --within or --group, or take "
            "--format csv.",
            highlight=False,
        )
    if settings.tickets_url:
        console.print(f"A ticket: {settings.tickets_url}NUMBER", highlight=False, soft_wrap=True)


def _due(row: DueRow, settings: RootSettings, *, now: float) -> Text:
    seconds = row.due_at - int(now)
    moment = local_time(row.due_at, settings.timezone)
    at = moment.strftime("%a %H:%M" if abs(seconds) < 6 * _DAY_SECONDS else "%Y-%m-%d %H:%M")
    return Text.assemble((due_text(seconds), "bold red" if seconds <= 0 else "bold"), f"\n{at}")


def _ticket(row: DueRow, settings: RootSettings) -> Text:
    number = str(row.target["ticket_id"])
    link = Style(link=f"{settings.tickets_url}{number}") if settings.tickets_url else ""
    return Text.assemble((number, link), f"\n{terminal_text(row.facts.priority or '')}")


def _target(row: DueRow, subject_width: int) -> Text:
    target = row.target
    policy = terminal_text(policy_name(target["policy_id"], target["policy_title"]))
    lines = [
        terminal_text(metric_name(target["sla_metric"])),
        f"{policy}, {hours_name(target['business_hours'])}",
    ]
    if row.facts.subject:
        lines.insert(0, terminal_text(shortened(row.facts.subject, subject_width)))
    return Text("\n".join(lines))


def _holder(row: DueRow) -> Text:
    return Text("\n".join(terminal_text(party.shown) for party in (row.group, row.agent)))


def without_estimate_line(targets: pa.Table, *, has_holders: bool, is_off: bool) -> str | None:
    """How many open targets have no estimate, and why; None where all have one.

    Args:
        targets: of `DueTargets`.
        has_holders: whether the ticket tables of the day are there.
        is_off: whether they are turned off.
    """
    without = unforecast(targets.filter(pc.equal(targets["outcome"], "active")))
    if not without.count:
        return None
    if has_holders:
        return f"{without.count:,} {without_estimate(without)}"
    why = "TICKET_EVENTS_TICKET_TABLES turns them off" if is_off else "they are not made yet"
    business_hours = f"in business hours, which need the ticket tables ({why})"
    return f"{without.count:,} {without_estimate(without, business_hours=business_hours)}"
