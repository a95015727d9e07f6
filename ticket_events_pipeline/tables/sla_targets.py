"""`sla_targets`: every SLA target that was open on a day, as of the end of the day."""

from __future__ import annotations

from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline.tables.table import BOOL, INT32, INT64, STRING, TIMESTAMP, Column, Table

SLA_METRICS = frozenset(
    {
        "agent_work_time",
        "first_reply_time",
        "group_ownership_time",
        "next_reply_time",
        "pausable_update_time",
        "periodic_update_time",
        "requester_wait_time",
        "total_resolution_time",
    }
)
"""The metrics of SLA policies, by the names that `sla_metric` has."""

# Rules 4 to 6: what a clock's events, in their order, say of its target.
_COUNTING = ("rank", "deleted")
_POLICY = ("rank", "has_policy")
_OPEN = ("rank", "deleted", "has_policy")
_TITLE = ("policy_title", "policy_id", "time", "id", *_POLICY)
_TITLE_WHEN_OPEN = ("policy_title", "policy_id", "time", "id", *_OPEN)
_SAME_TARGET = ("target_seconds", "business_hours", "policy_id")
_SUPERSEDED = (*_OPEN, *_SAME_TARGET, "status_calendar_minutes", "status_business_minutes")

SLA_TARGETS_TABLE = Table(
    "sla_targets",
    key=("ticket_id", "metric", "instance_id"),
    made_from=(SLA_CLOCKS_TABLE,),
    columns=(
        Column("ticket_id", INT64, "Number of the ticket.", made_from=("ticket_id",)),
        Column("metric", STRING, "What the clock measures, Zendesk's name in events.", made_from=("metric",)),
        Column("instance_id", INT64, "Number of the clock, from 1 for each metric of a ticket.", made_from=("instance_id",)),
        Column(
            "sla_metric",
            STRING,
            "The metric's name in SLA policies: first_reply_time and next_reply_time for reply_time, "
            "total_resolution_time for resolution_time, else the same.",
            made_from=("metric", "instance_id"),
        ),
        Column(
            "is_group_sla",
            BOOL,
            "True if a group SLA set the target's policy: the one in force at as_of, else the last one.",
            made_from=("is_group", *_POLICY),
        ),
        Column(
            "policy_id",
            STRING,
            "Id of the target's policy: the one in force at as_of, else the last one; NULL if there never was one, or "
            "Zendesk gave it no id.",
            made_from=("policy_id", *_POLICY),
        ),
        Column(
            "policy_title",
            STRING,
            "Title of the target's policy: the one in force at as_of, else the last one; NULL if there never was one, or "
            "it has none.",
            made_from=_TITLE,
        ),
        Column(
            "target_seconds",
            INT64,
            "That policy's target, in seconds of its hours; NULL if there never was a policy, or Zendesk sent no target.",
            made_from=("target_seconds", *_POLICY),
        ),
        Column(
            "business_hours",
            BOOL,
            "True if that policy counts business hours, false for calendar hours; NULL if there never was one, or Zendesk"
            " didn't say.",
            made_from=("business_hours", *_POLICY),
        ),
        Column(
            "target_changes",
            INT32,
            "How many times a policy with another target, hours or id came into force after the first.",
            made_from=(*_SAME_TARGET, *_POLICY),
        ),
        Column(
            "activated_at",
            TIMESTAMP,
            "First time the clock was started (UTC); NULL if no activate is known.",
            made_from=("time", "rank"),
        ),
        Column(
            "applied_at",
            TIMESTAMP,
            "First time a policy was applied (UTC); NULL if there never was one.",
            made_from=("time", *_POLICY),
        ),
        Column("entered_at", TIMESTAMP, "When the target was open for the first time (UTC).", made_from=("time", *_OPEN)),
        Column(
            "entered_by",
            STRING,
            "What opened it then: policy, or breach for a breach without a known policy.",
            made_from=_OPEN,
        ),
        Column(
            "entry_policy_id",
            STRING,
            "Id of the policy in force at entered_at; NULL without one.",
            made_from=("policy_id", *_OPEN),
        ),
        Column(
            "entry_policy_title",
            STRING,
            "Title of the policy in force at entered_at; NULL without one.",
            made_from=_TITLE_WHEN_OPEN,
        ),
        Column(
            "entry_business_hours",
            BOOL,
            "Hours of the policy in force at entered_at, true for business hours; NULL if unknown.",
            made_from=("business_hours", *_OPEN),
        ),
        Column(
            "breached_at",
            TIMESTAMP,
            "Time of its earliest breach that counts (UTC), also if superseded; NULL if it never breached.",
            made_from=("time", *_COUNTING),
        ),
        Column(
            "breach_policy_id",
            STRING,
            "Id of the policy in force at breached_at; NULL without one.",
            made_from=("policy_id", *_OPEN),
        ),
        Column(
            "breach_policy_title",
            STRING,
            "Title of the policy in force at breached_at; NULL without one.",
            made_from=_TITLE_WHEN_OPEN,
        ),
        Column(
            "breach_business_hours",
            BOOL,
            "Hours of the policy in force at breached_at, true for business hours; NULL if unknown.",
            made_from=("business_hours", *_OPEN),
        ),
        Column(
            "fulfilled_at",
            TIMESTAMP,
            "When the fulfill that closed it happened (UTC); NULL while it is open, or if it was cancelled or deleted.",
            made_from=("time", *_OPEN),
        ),
        Column(
            "closed_at",
            TIMESTAMP,
            "When it was last closed (UTC), by fulfill, by losing its policy unbreached or by the deletion of its ticket;"
            " NULL while it is open.",
            made_from=("time", *_OPEN),
        ),
        Column(
            "reopened_on_day",
            BOOL,
            "True if it entered earlier, was closed at the end of the day before, and opened again on this day.",
            made_from=("time", *_OPEN),
        ),
        Column(
            "outcome",
            STRING,
            "As of as_of: achieved, breached (fulfilled late), breached_open, active, cancelled, deleted (its ticket is).",
            made_from=_SUPERSEDED,
        ),
        Column("was_open_at_start", BOOL, "Whether it was open when the day began.", made_from=("time", *_OPEN)),
        Column("is_paused", BOOL, "Whether it is open and its clock paused.", made_from=_OPEN),
        Column(
            "superseded",
            BOOL,
            "True if it breached, its target was changed afterwards, and it was fulfilled within the new one.",
            made_from=_SUPERSEDED,
        ),
        Column("reopen_count", INT32, "How many times it went from closed to open since entered_at.", made_from=_OPEN),
        Column(
            "breach_events",
            INT32,
            "Number of the target's breach events up to as_of, without withdrawn ones.",
            made_from=_COUNTING,
        ),
        Column(
            "withdrawn_breaches",
            INT32,
            "How many breach events that Zendesk has taken back fell due while it was open, up to as_of.",
            made_from=_OPEN,
        ),
        Column(
            "breach_events_on_day", INT32, "Those of breach_events with a time on this day.", made_from=("time", *_COUNTING)
        ),
        Column(
            "withdrawn_breaches_on_day",
            INT32,
            "Those of withdrawn_breaches with a time on this day.",
            made_from=("time", *_OPEN),
        ),
        Column(
            "overdue_seconds",
            INT64,
            "Seconds of the calendar since breached_at in which it was open, up to its closing or as_of; NULL if "
            "unbreached or superseded.",
            made_from=("time", *_SUPERSEDED),
        ),
        Column(
            "is_contradicted",
            BOOL,
            "True if it was fulfilled and its last duration speaks against the outcome by a minute or more: breached "
            "within the target, or achieved beyond it; NULL in files of schema version 1.",
            made_from=_SUPERSEDED,
            since=2,
        ),
        Column(
            "elapsed_seconds",
            INT64,
            "How long the clock ran until fulfilled_at, in the target's hours and without pauses, by Zendesk's own measure in "
            "whole minutes; NULL without one, and in files before schema version 3.",
            made_from=("status_calendar_minutes", "status_business_minutes", "business_hours", *_OPEN),
            since=3,
        ),
        Column(
            "overdue_clock_seconds",
            INT64,
            "Seconds that the clock ran beyond the target, in the policy's hours, as Zendesk counts; NULL unless the "
            "outcome is breached and both are known.",
            made_from=_SUPERSEDED,
        ),
        Column(
            "due_at",
            TIMESTAMP,
            "Estimate (UTC) of when an open, unpaused, unbreached target in calendar hours breaches if nothing happens; "
            "NULL for all others.",
            made_from=("time", "target_seconds", "business_hours", *_OPEN),
            since=1,
        ),
        Column(
            "last_event_at",
            TIMESTAMP,
            "Time of the clock's last event that isn't deleted (UTC).",
            made_from=("time", "deleted"),
        ),
        Column(
            "as_of",
            TIMESTAMP,
            "Up to when events are taken into account (UTC): the end of the day, or while it is open, when it was read.",
        ),
    ),
)
