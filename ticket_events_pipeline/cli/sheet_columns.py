"""The columns of workbooks in words: their headings, what they hold, and what they mean."""

from __future__ import annotations

import re

from ticket_events_pipeline.cli.workbook import Kind, SheetColumn

HEADINGS = {
    "date": "Day",
    "sla_metric": "SLA metric",
    "policy_id": "Policy ID",
    "policy_title": "Policy",
    "business_hours": "Business hours",
    "targets_started": "Targets started",
    "targets_discovered": "Targets begun by a breach",
    "targets_reopened": "Targets reopened",
    "targets_cancelled": "Targets cancelled",
    "targets_deleted": "Targets of deleted tickets",
    "breaches": "Breaches",
    "breached_tickets": "Breached tickets",
    "breach_events": "Breach events",
    "achieved": "Achieved",
    "completed_breached": "Completed late",
    "superseded_breaches": "Superseded breaches",
    "withdrawn_breaches": "Withdrawn breaches",
    "contradicted": "Contradicted",
    "active_eod": "Open at the end of the day",
    "breached_open_eod": "Late and open at the end of the day",
    "paused_eod": "Paused at the end of the day",
    "achievement_rate": "Achievement rate",
    "overdue_p50_seconds": "Median overdue",
    "overdue_p90_seconds": "90th percentile overdue",
    "overdue_max_seconds": "Most overdue",
    "as_of": "As of",
    "events_through": "Newest event",
    "history_from": "History begins on",
    "dimension": "Split by",
    "value": "Value",
    "name": "Name",
    "is_known": "Value is certain",
    "ticket_id": "Ticket",
    "ticket_url": "Link",
    "subject": "Subject",
    "priority": "Priority",
    "instance_id": "Clock number",
    "target_seconds": "Target",
    "due_at": "Due",
    "due_by": "Hours of the estimate",
    "due_in_seconds": "Due in",
    "breached_at": "Breached",
    "since_breach_seconds": "Late for",
    "group_id": "Group ID",
    "group_name": "Group",
    "assignee_id": "Agent ID",
    "assignee_name": "Agent",
}
"""By the name that the column has in the tables and in csv. Those of one sheet differ."""

_DOCS = {
    "achievement_rate": "Achieved / (achieved + breaches); empty if both are 0.",
    "overdue_p50_seconds": "Median time beyond the target of those completed late, calendar hours; empty if there are none.",
    "overdue_p90_seconds": "90th percentile of it, linear; empty if there are none.",
    "overdue_max_seconds": "The greatest; empty if there are none.",
    "target_seconds": "The policy's target; empty if there never was a policy, or Zendesk sent no target.",
    "dimension": "What the figures are split by.",
    "value": "The value, ids as text; empty for none, nobody or unknown.",
    "contradicted": "Targets fulfilled on the day whose last duration speaks against the outcome by a minute or more.",
    "as_of": "Up to when events are taken into account; what happened later isn't counted.",
}
"""Where the meaning of the stored column has another unit, or words of the files."""

_OF_FILES = re.compile(r"[;,] (?:NULL in|and in) files (?:of|before) schema version \d+")


def sheet_column(name: str, doc: str, *, is_time: bool = False) -> SheetColumn:
    """The column of a sheet for a column of a table: `name` and `doc` are those of the table."""
    meaning = _OF_FILES.sub("", _DOCS.get(name, doc))
    for of_files, of_sheets in (" (UTC)", ""), ("NULL", "empty"), ("at as_of", "at the as-of time"):
        meaning = meaning.replace(of_files, of_sheets)
    return SheetColumn(name, HEADINGS[name], meaning, Kind.TIME if is_time else _kind(name))


def _kind(name: str) -> Kind:
    if name.endswith("_seconds"):
        return Kind.HOURS
    if name.endswith("_rate"):
        return Kind.SHARE
    return Kind.NUMBERED if name.endswith("_id") else Kind.PLAIN
