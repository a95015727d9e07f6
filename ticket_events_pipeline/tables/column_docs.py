"""What every stored column means: its unit, and what NULL says. One sentence each, shown beside the column in the UI.

The names, types and order of the columns are in `schemas` (those of `sla_clocks` in `sla.clocks`). How the figures come about
is told to people in `report/explained.md`.
"""

from __future__ import annotations

_METRIC_EVENT = {
    "metric": "What Zendesk's clock measures, such as reply_time or resolution_time; NULL for an audit.",
    "instance_id": "Which clock of that metric on the ticket, counted from 1; 0 on measure rows, NULL for an audit.",
    "type": "What happened to the clock: activate, pause, fulfill, apply_sla, apply_group_sla, breach, update_status or "
    "measure, as Zendesk sent it; NULL for an audit.",
    "deleted": "True if Zendesk has taken the event back; NULL for an audit.",
    "sla_target_minutes": "Target that the policy allows, in minutes; NULL if the row carries none.",
    "sla_target_seconds": "The same target in seconds, where Zendesk sends it; NULL elsewhere.",
    "sla_business_hours": "True if the target counts business hours, false for calendar hours; NULL if the row doesn't say.",
    "sla_policy_id": "Id of the SLA policy or group SLA policy, as text; NULL if the row carries none.",
    "sla_policy_title": "Title of that policy when the event was sent; NULL if the row carries none.",
    "sla_is_group": "True if the row carries a group SLA, false if an SLA; NULL if it carries neither, so that an apply "
    "with NULL takes the policy away.",
    "status_calendar_minutes": "Minutes that Zendesk says the clock has run, in calendar hours; NULL but on update_status.",
    "status_business_minutes": "Minutes that Zendesk says the clock has run, in business hours; NULL but on update_status.",
}

_EXTRA = "JSON of every field of the row that has no column, or doesn't fit into its own; NULL if there is none."

_TICKET_METRIC_EVENTS = {
    "id": "Zendesk's id of the event, unique in this table; of repeated deliveries the last one is kept.",
    "ticket_id": "Number of the ticket; NULL if the row has none that is a whole number.",
    "time": "When the event happened (UTC); local to the account's timezone, it decides the day.",
    **_METRIC_EVENT,
    "extra": _EXTRA,
}

_TICKET_EVENTS = {
    "id": "Zendesk's id of the audit or metric event, unique among the rows of its kind.",
    "ticket_id": "Number of the ticket; NULL if the row has none that is a whole number.",
    "time": "The stream's own time of the event (UTC); local to the account's timezone, it decides the day.",
    "created_at": "When the audit was made (UTC); NULL where the row doesn't say.",
    "updater_id": "Zendesk's id of the user who made the change; NULL where the row doesn't say.",
    "via": "Channel of the change, such as Web form; NULL where it isn't text, which then lies in extra.",
    "event_type": "Kind of the row, as Zendesk sent it: Audit; NULL for metric events.",
    "via_reference_id": "Id of what the change came through, such as a trigger; NULL without one.",
    "child_events": "JSON list of the single changes and comments of the audit; NULL for metric events.",
    "system": "JSON of client, IP address and place of whoever acted; NULL where the row has none.",
    "metadata": "JSON of further data of the audit; NULL where the row has none.",
    "merged_ticket_ids": "JSON list of the tickets merged into this one; NULL where the row has none.",
    "child_event_count": "How many child events the audit has; NULL where they are no list.",
    "comment_present": "True if a child event is a comment; NULL where the child events are no list.",
    "comment_public": "True if one of the comments is public; NULL without a comment.",
    **_METRIC_EVENT,
    "extra": _EXTRA,
}

_SLA_CLOCKS = {
    "id": "Zendesk's id of the event; of a deletion or restoration, that of the audit.",
    "ticket_id": "Number of the ticket.",
    "metric": "What the clock measures, Zendesk's name in events; ticket for the ticket's own deletions and restorations.",
    "instance_id": "Which clock of that metric on the ticket, from 1; 0 for the ticket's own deletions and restorations.",
    "rank": "Type of the event as its place within one second: 0 activate, 1 either apply, 2 breach, 3 pause, 4 fulfill, "
    "5 update_status; then 6 ticket deleted, 7 ticket restored.",
    "time": "When the event happened (UTC), whole seconds.",
    "deleted": "True for a breach that Zendesk has taken back; other deleted events aren't here.",
    "has_policy": "True if the event brings a policy; an apply with false takes it away.",
    "is_group": "True for a group SLA, false for an SLA; NULL without a policy.",
    "target_seconds": "Target that the policy allows, in seconds of its hours; NULL if Zendesk sent none.",
    "business_hours": "True if the target counts business hours, false for calendar hours; NULL if Zendesk didn't say.",
    "policy_id": "Id of the policy that the event brings, as text; NULL without one.",
    "policy_title": "Title of that policy; NULL without one.",
    "status_calendar_minutes": "Minutes run in calendar hours; NULL but on update_status.",
    "status_business_minutes": "Minutes run in business hours; NULL but on update_status.",
    "position": "Place of the deletion or restoration among the audit's child events; 0 for other events, NULL in older files.",
    "clock": "Number of the clock (ticket_id, metric, instance_id) within this file, from 0.",
    "is_fulfilled": "Whether the clock stands fulfilled after this event.",
    "is_open": "Whether the clock's target is open after this event.",
}

_OF_TARGET = "the target's policy: the one in force at as_of, else the last one"

_SLA_TARGETS = {
    "ticket_id": "Number of the ticket.",
    "metric": "What the clock measures, Zendesk's name in events.",
    "instance_id": "Which clock of that metric on the ticket, from 1.",
    "sla_metric": "The metric's name in SLA policies: first_reply_time and next_reply_time for reply_time, "
    "total_resolution_time for resolution_time, else the same.",
    "is_group_sla": f"True if a group SLA set {_OF_TARGET}.",
    "policy_id": f"Id of {_OF_TARGET}; NULL if there never was one, or Zendesk gave it no id.",
    "policy_title": f"Title of {_OF_TARGET}; NULL if there never was one, or it has none.",
    "target_seconds": "What that policy allows, in seconds of its hours; NULL if there never was one, or none was sent.",
    "business_hours": "True if that policy counts business hours, false for calendar hours; NULL if there never was one, or "
    "Zendesk didn't say.",
    "target_changes": "How many times a policy with another target, hours or id came into force after the first.",
    "activated_at": "First time the clock was started (UTC); NULL if no activate is known.",
    "applied_at": "First time a policy was applied (UTC); NULL if there never was one.",
    "entered_at": "When the target was open for the first time (UTC).",
    "entered_by": "What opened it then: policy, or breach if Zendesk's breach came without a policy.",
    "entry_policy_id": "Id of the policy in force at entered_at; NULL without one.",
    "entry_policy_title": "Title of the policy in force at entered_at; NULL without one.",
    "entry_business_hours": "Hours of the policy in force at entered_at, true for business hours; NULL if unknown.",
    "breached_at": "Time of its earliest breach that counts (UTC), also if superseded; NULL if it never breached.",
    "breach_policy_id": "Id of the policy in force at breached_at; NULL without one.",
    "breach_policy_title": "Title of the policy in force at breached_at; NULL without one.",
    "breach_business_hours": "Hours of the policy in force at breached_at, true for business hours; NULL if unknown.",
    "fulfilled_at": "When the fulfill that closed it happened (UTC); NULL while it is open, or if it was cancelled or deleted.",
    "closed_at": "When it was last closed (UTC), by fulfill, by losing its policy unbreached or by the deletion of its ticket; "
    "NULL while it is open.",
    "reopened_on_day": "True if it entered earlier, was closed at the end of the day before, and opened again on this day.",
    "outcome": "As of as_of: achieved, breached (fulfilled late), breached_open, active, cancelled, deleted (its ticket is).",
    "was_open_at_start": "Whether it was open when the day began.",
    "is_paused": "Whether it is open and its clock paused.",
    "superseded": "True if it breached, its target was changed afterwards, and it was fulfilled within the new one.",
    "reopen_count": "How many times it went from closed to open since entered_at.",
    "breach_events": "How many breach events of it count, up to as_of.",
    "withdrawn_breaches": "How many breach events that Zendesk has taken back fell due while it was open, up to as_of.",
    "breach_events_on_day": "Those of breach_events that are dated on this day.",
    "withdrawn_breaches_on_day": "Those of withdrawn_breaches that are dated on this day.",
    "overdue_seconds": "Seconds of the calendar since breached_at in which it was open, up to its closing or as_of; NULL if "
    "unbreached or superseded.",
    "is_contradicted": "True if it was fulfilled and its last duration speaks against the outcome by a minute or more: "
    "breached within the target, or achieved beyond it; NULL in files of schema version 1.",
    "overdue_clock_seconds": "Seconds that the clock ran beyond the target, in the policy's hours, as Zendesk counts; NULL "
    "unless the outcome is breached and both are known.",
    "due_at": "Estimate (UTC) of when an open, unpaused, unbreached target in calendar hours breaches if nothing happens; NULL "
    "for all others.",
    "last_event_at": "Time of the clock's last event that isn't deleted (UTC).",
    "as_of": "Up to when events are taken into account (UTC): the end of the day, or while it is open, when it was read.",
}

_BOOKED = "booked under the target's policy"

_DAILY_SLA_BREACH_SUMMARY = {
    "sla_metric": "The metric's name in SLA policies.",
    "policy_id": "Id of the policy that the row's figures are booked under; NULL where Zendesk named none.",
    "business_hours": "Hours of that policy: true for business, false for calendar hours; NULL if unknown.",
    "policy_title": "Title in the newest apply of that policy that the day's targets know; NULL if none has a title.",
    "targets_started": "Targets that a policy opened for the first time on the day, booked under that policy.",
    "targets_discovered": "Targets that a breach without a policy opened for the first time on the day.",
    "targets_reopened": f"Targets closed at the end of the day before and opened again on the day, {_BOOKED}.",
    "targets_cancelled": f"Targets that lost their policy unbreached on the day and stayed so, {_BOOKED}.",
    "targets_deleted": f"Targets closed on the day because their ticket was deleted, and still so at as_of, {_BOOKED}; NULL "
    "in files of schema version 1.",
    "breaches": "Targets that first breached on the day and aren't superseded at as_of, booked under the policy then in force.",
    "breached_tickets": "Distinct tickets of breaches; they can't be added up over rows or days.",
    "breach_events": "Breach events of the day that count, repeated ones too, booked under the policy at the first breach.",
    "achieved": f"Targets fulfilled on the day, unbreached or superseded, {_BOOKED}.",
    "completed_breached": f"Targets fulfilled late on the day, {_BOOKED}.",
    "superseded_breaches": "Those of achieved that had breached before their target was changed.",
    "withdrawn_breaches": f"Breach events dated on the day that Zendesk has taken back, {_BOOKED}.",
    "contradicted": f"Targets fulfilled on the day with is_contradicted, {_BOOKED}; NULL in files of schema version 1.",
    "active_eod": f"Targets open at as_of, late ones included, {_BOOKED}.",
    "breached_open_eod": "Those of active_eod that have breached.",
    "paused_eod": "Those of active_eod whose clock is paused.",
    "achievement_rate": "achieved / (achieved + breaches), a share from 0 to 1; NULL if both are 0.",
    "overdue_p50_seconds": "Median of overdue_seconds of completed_breached, seconds of the calendar; NULL if there are none.",
    "overdue_p90_seconds": "90th percentile of overdue_seconds of completed_breached, linear, seconds; NULL if there are none.",
    "overdue_max_seconds": "Greatest overdue_seconds of completed_breached, seconds; NULL if there are none.",
    "as_of": "Up to when events are taken into account (UTC): the end of the day, or while it is open, when it was read.",
    "events_through": "Time of the newest metric event read up to the day (UTC); NULL before the first.",
    "history_from": "First day whose events are known; targets opened earlier are missing until they breach or get a policy.",
}

COLUMN_DOCS: dict[str, dict[str, str]] = {
    "ticket_events": _TICKET_EVENTS,
    "ticket_metric_events": _TICKET_METRIC_EVENTS,
    "sla_clocks": _SLA_CLOCKS,
    "sla_targets": _SLA_TARGETS,
    "daily_sla_breach_summary": _DAILY_SLA_BREACH_SUMMARY,
}
"""By asset and column."""
