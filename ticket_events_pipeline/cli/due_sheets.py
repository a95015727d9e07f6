"""The workbook of `ticket-events due`: what will breach next, and what is late and open."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from ticket_events_pipeline.cli.due_rows import DueRow
from ticket_events_pipeline.cli.sheet_columns import sheet_column
from ticket_events_pipeline.cli.workbook import Sheet, SheetColumn
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE

_DOCS = {column.name: column.doc for column in SLA_TARGETS_TABLE.columns}


def due_sheets(due: Sequence[DueRow], late: Sequence[DueRow], settings: RootSettings, *, as_of: int) -> list[Sheet]:
    """The two sheets, in the order of the rows; `as_of` is epoch seconds."""
    until_due = sheet_column("due_in_seconds", "From the as-of time to the due time; negative where that has passed.")
    due_at = sheet_column("due_at", "When the target will breach, an estimate.", is_time=True)
    due_by = sheet_column("due_by", "The hours of the estimate: calendar or business_hours.")
    breached_at = sheet_column("breached_at", _DOCS["breached_at"], is_time=True)
    since = sheet_column("since_breach_seconds", "From the breach to the as-of time, pauses included.")

    def of_due(row: DueRow) -> dict[str, Any]:
        times = {"due_at": _moment(row.due_at), "due_by": row.target["due_by"], "due_in_seconds": row.due_at - as_of}
        return _common(row, settings, as_of) | times

    def of_late(row: DueRow) -> dict[str, Any]:
        at = row.target["breached_at"]
        return _common(row, settings, as_of) | {"breached_at": _moment(at), "since_breach_seconds": as_of - at}

    return [
        _sheet("Due", [due_at, due_by, until_due], due, of_due),
        _sheet("Late and open", [breached_at, since], late, of_late),
    ]


def _sheet(name: str, own: list[SheetColumn], rows: Sequence[DueRow], record: Callable[[DueRow], dict[str, Any]]) -> Sheet:
    columns = [
        sheet_column("ticket_id", "The ticket's number."),
        sheet_column("ticket_url", "Its page in Zendesk; empty where the account's address isn't known."),
        sheet_column("subject", "Its subject, as far as the audits of the last 30 days have it."),
        sheet_column("priority", "Its priority, likewise."),
        *(sheet_column(column, _DOCS[column]) for column in _OF_TARGET),
        *own,
        sheet_column("group_id", "Id of the group that holds the ticket; empty for none or unknown."),
        sheet_column("group_name", "Its name, or its id where no name is known; none or unknown."),
        sheet_column("assignee_id", "Id of the agent who holds the ticket; empty for nobody or unknown."),
        sheet_column("assignee_name", "Their name, or their id where no name is known; nobody or unknown."),
        sheet_column("as_of", "What happened later isn't in the list.", is_time=True),
    ]
    return Sheet(name, columns, [record(row) for row in rows])


_OF_TARGET = ("sla_metric", "instance_id", "policy_id", "policy_title", "business_hours", "target_seconds")


def _common(row: DueRow, settings: RootSettings, as_of: int) -> dict[str, Any]:
    target = row.target
    return {
        "ticket_id": target["ticket_id"],
        "ticket_url": row.ticket_url(settings),
        "subject": row.facts.subject,
        "priority": row.facts.priority,
        **{name: target[name] for name in _OF_TARGET},
        "group_id": target["group_id"],
        "group_name": row.group.shown,
        "assignee_id": target["assignee_id"],
        "assignee_name": row.agent.shown,
        "as_of": _moment(as_of),
    }


def _moment(epoch_seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(epoch_seconds, dt.UTC)
