"""`daily_sla_breach_summary`: a day's figures per SLA metric, policy and kind of hours.

Each figure has its rule in `sla.rules.daily_summary`.
"""

from __future__ import annotations

from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline.tables.table import BOOL, DATE, FLOAT64, INT64, STRING, TIMESTAMP, Column, Table

_BREACHES = ("breached_at", "superseded")
_OVERDUE = ("outcome", "overdue_seconds")

DAILY_SLA_BREACH_SUMMARY_TABLE = Table(
    "daily_sla_breach_summary",
    key=("sla_metric", "policy_id", "business_hours"),
    made_from=(SLA_TARGETS_TABLE,),
    columns=(
        Column("sla_metric", STRING, "The metric's name in SLA policies.", made_from=("sla_metric",)),
        Column(
            "policy_id",
            STRING,
            "Id of the policy that the row's figures count for; NULL where Zendesk named none.",
            made_from=("policy_id", "entry_policy_id", "breach_policy_id"),
        ),
        Column(
            "business_hours",
            BOOL,
            "Hours of that policy: true for business, false for calendar hours; NULL if unknown.",
            made_from=("business_hours", "entry_business_hours", "breach_business_hours"),
        ),
        Column(
            "policy_title",
            STRING,
            "Title of that policy in its newest apply among the day's targets; NULL if it has none.",
            made_from=("policy_title", "entry_policy_title", "breach_policy_title"),
        ),
        Column(
            "targets_started",
            INT64,
            "Targets that a policy opened for the first time on the day, booked under that policy.",
            made_from=("entered_at", "entered_by"),
        ),
        Column(
            "targets_discovered",
            INT64,
            "Targets that a breach without a policy opened for the first time on the day.",
            made_from=("entered_at", "entered_by"),
        ),
        Column(
            "targets_reopened",
            INT64,
            "Targets closed at the end of the day before and opened again on the day, booked under the target's policy.",
            made_from=("reopened_on_day",),
        ),
        Column(
            "targets_cancelled",
            INT64,
            "Targets that lost their policy unbreached on the day and stayed so, booked under the target's policy.",
            made_from=("outcome",),
        ),
        Column(
            "targets_deleted",
            INT64,
            "Targets closed on the day because their ticket was deleted, and still so at as_of, booked under the target's"
            " policy; NULL in files of schema version 1.",
            made_from=("outcome",),
            since=2,
        ),
        Column(
            "breaches",
            INT64,
            "Targets that first breached on the day and aren't superseded at as_of, booked under the policy then in force.",
            made_from=_BREACHES,
        ),
        Column(
            "breached_tickets",
            INT64,
            "Distinct tickets of breaches; they can't be added up over rows or days.",
            made_from=("ticket_id", *_BREACHES),
        ),
        Column(
            "breach_events",
            INT64,
            "Breach events of the day that count, repeated ones too, booked under the policy at the first breach.",
            made_from=("breach_events_on_day",),
        ),
        Column(
            "achieved",
            INT64,
            "Targets fulfilled on the day, unbreached or superseded, booked under the target's policy.",
            made_from=("outcome",),
        ),
        Column(
            "completed_breached",
            INT64,
            "Targets fulfilled late on the day, booked under the target's policy.",
            made_from=("outcome",),
        ),
        Column(
            "superseded_breaches",
            INT64,
            "Targets counted in achieved although they had breached: their target was changed afterwards.",
            made_from=("superseded",),
        ),
        Column(
            "withdrawn_breaches",
            INT64,
            "Breach events dated on the day that Zendesk has taken back, booked under the target's policy.",
            made_from=("withdrawn_breaches_on_day",),
        ),
        Column(
            "contradicted",
            INT64,
            "Targets fulfilled on the day with is_contradicted, booked under the target's policy; NULL in files of schema"
            " version 1.",
            made_from=("is_contradicted",),
            since=2,
        ),
        Column(
            "active_eod",
            INT64,
            "Targets open at as_of, late ones included, booked under the target's policy.",
            made_from=("outcome",),
        ),
        Column("breached_open_eod", INT64, "Open targets at as_of that have breached (late and open).", made_from=("outcome",)),
        Column("paused_eod", INT64, "Open targets at as_of whose clock is paused.", made_from=("is_paused",)),
        Column(
            "achievement_rate",
            FLOAT64,
            "achieved / (achieved + breaches), a share from 0 to 1; NULL if both are 0.",
            made_from=("outcome", *_BREACHES),
        ),
        Column(
            "overdue_p50_seconds",
            FLOAT64,
            "Median of overdue_seconds of completed_breached, seconds of the calendar; NULL if there are none.",
            made_from=_OVERDUE,
        ),
        Column(
            "overdue_p90_seconds",
            FLOAT64,
            "90th percentile of overdue_seconds of completed_breached, linear, seconds; NULL if there are none.",
            made_from=_OVERDUE,
        ),
        Column(
            "overdue_max_seconds",
            INT64,
            "Greatest overdue_seconds of completed_breached, seconds; NULL if there are none.",
            made_from=_OVERDUE,
        ),
        Column(
            "as_of",
            TIMESTAMP,
            "Up to when events are taken into account (UTC): the end of the day, or while it is open, when it was read.",
        ),
        Column("events_through", TIMESTAMP, "Time of the newest metric event read up to the day (UTC); NULL before the first."),
        Column(
            "history_from",
            DATE,
            "First day whose events are known; targets opened earlier are missing until they breach or get a policy.",
        ),
    ),
)
