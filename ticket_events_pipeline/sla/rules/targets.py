"""`sla_targets`: every target that was open at some moment of a day, as of the end of the day.

It selects the targets of a day and computes their columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.clock_states import States, Timeline, before_event, replay
from ticket_events_pipeline.sla.rules.clocks import CLOCK_KEY, alphabetic_codes, grouped_by_clock, timeline_of
from ticket_events_pipeline.sla.rules.due_dates import due, running
from ticket_events_pipeline.sla.rules.events import ACTIVATE, APPLY, DELETE, MINUTES_IN_INT64
from ticket_events_pipeline.sla.rules.row_runs import Bools, Ints
from ticket_events_pipeline.sla.rules.target_lifecycle import Lifecycles, filled, lifecycles, values_at
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE

SLA_METRICS = {"resolution_time": "total_resolution_time"}
"""Rule 3: Zendesk's names in policies where they differ from those in events; reply_time depends on the instance."""

OUTCOMES = ["active", "breached_open", "achieved", "breached", "cancelled", "deleted"]
"""Rule 8."""

INT64_MAX = np.iinfo(np.int64).max

Columns = dict[str, pa.Array | npt.NDArray[np.generic]]


@dataclass(frozen=True)
class _Shown:
    """The targets of a day: `clocks` are their numbers in the timeline, in the order of the table; `life` has only theirs."""

    rows: pa.Table
    timeline: Timeline
    states: States
    seconds: Ints  # when each of `rows` happened
    clocks: Ints
    life: Lifecycles
    day: Day
    as_of: int


def targets(clocks: pa.Table, *, day: Day, as_of: int) -> pa.Table:
    """The targets that were open at some moment of `day`, as of `as_of`.

    Args:
        clocks: `sla_clocks` at the end of the day, see `advance`.
        day: the partition.
        as_of: epoch seconds; events from then on don't exist yet. The end of the day once it is
            closed.

    Returns:
        `SLA_TARGETS_TABLE.schema`, sorted by (ticket_id, metric, instance_id).

    Raises:
        ValueError: `as_of` is after the end of the day.
    """
    if as_of > day.end:
        raise ValueError(f"as_of {as_of} is after the end of {day} ({day.end}): no rule uses later events")
    rows = _rows_of_interest(clocks, day=day, as_of=as_of)
    if not rows.num_rows:
        return SLA_TARGETS_TABLE.schema.empty_table()
    shown = _shown(rows, day=day, as_of=as_of)
    columns = {**_identity(shown), **_policies(shown), **_moments(shown), **_outcomes(shown), **_counts(shown)}
    return pa.table(
        [_typed(columns[field.name], field.type) for field in SLA_TARGETS_TABLE.schema], schema=SLA_TARGETS_TABLE.schema
    )


def _rows_of_interest(clocks: pa.Table, *, day: Day, as_of: int) -> pa.Table:
    """The events so far of the clocks whose target was open at some moment of the day, and possibly of some others."""
    numbers, milliseconds = clocks["clock"].to_numpy(), clocks["time"].cast(pa.int64()).to_numpy()
    is_open, is_before = clocks["is_open"].to_numpy(), milliseconds < day.start * 1000
    is_wanted = np.zeros(numbers.max(initial=-1) + 1, bool)
    is_wanted[numbers[is_before]] = is_open[is_before]  # of several assignments to one index, the last one wins
    is_wanted[numbers[is_open & ~is_before]] = True
    is_past = milliseconds < as_of * 1000
    return grouped_by_clock(clocks.filter(pa.array(is_wanted[numbers] & is_past)))


def _shown(rows: pa.Table, *, day: Day, as_of: int) -> _Shown:
    timeline = timeline_of(rows)
    states = replay(timeline)
    seconds = rows["time"].cast(pa.int64()).to_numpy() // 1000
    was_open_on_day = timeline.clocks.count(states.is_open & (seconds >= day.start)) > 0
    shown = np.flatnonzero(was_open_on_day | _open_at_start(timeline, states, seconds < day.start))
    heads = rows.select(CLOCK_KEY).take(pa.array(timeline.clocks.starts[shown]))
    keys = [heads["instance_id"].to_numpy(), alphabetic_codes(heads["metric"]), heads["ticket_id"].to_numpy()]
    shown = shown[np.lexsort(keys)]
    life = lifecycles(rows, timeline, states).at(shown)
    return _Shown(rows, timeline, states, seconds=seconds, clocks=shown, life=life, day=day, as_of=as_of)


def _open_at_start(timeline: Timeline, states: States, is_before: Bools) -> Bools:
    last_before = timeline.clocks.last(is_before)
    return (last_before >= 0) & states.is_open[last_before]


def _identity(shown: _Shown) -> Columns:
    heads = shown.timeline.clocks.starts[shown.clocks]
    metric = values_at(shown.rows, "metric", heads).cast(pa.string())
    instance_id = values_at(shown.rows, "instance_id", heads)
    return {
        "ticket_id": values_at(shown.rows, "ticket_id", heads),
        "metric": metric,
        "instance_id": instance_id,
        "sla_metric": sla_metrics(metric, instance_id),
        "as_of": np.full(len(heads), shown.as_of * 1000),
    }


def sla_metrics(metric: pa.Array, instance_id: pa.Array) -> pa.Array:
    """Rule 3: the names in policies of metrics as events name them."""
    renamed = pc.index_in(metric, pa.array(SLA_METRICS, pa.string()))
    named = pc.coalesce(pa.array(SLA_METRICS.values(), pa.string()).take(renamed), metric)
    reply = pc.if_else(pc.equal(instance_id, 1), "first_reply_time", "next_reply_time")
    return pc.if_else(pc.equal(metric, "reply_time"), reply, named)


def _policies(shown: _Shown) -> Columns:
    """The policy in force, else the last one; and the policies at the entry and at the breach."""
    rows, life, policy_after = shown.rows, shown.life, shown.states.policy
    at_breach = np.where(life.breach >= 0, policy_after[life.breach], -1)
    at = {"": life.policy, "entry_": policy_after[life.entry], "breach_": at_breach}
    titles = _newest_titles(shown)
    columns: Columns = {}
    for prefix, apply in at.items():
        policy_id = values_at(rows, "policy_id", apply)
        columns |= {
            f"{prefix}policy_id": policy_id,
            f"{prefix}policy_title": pc.if_else(pa.array(apply >= 0), _titles_of(policy_id, titles), None),
            f"{prefix}business_hours": values_at(rows, "business_hours", apply),
        }
    return {
        **columns,
        "target_seconds": values_at(rows, "target_seconds", life.policy),
        "is_group_sla": pc.fill_null(values_at(rows, "is_group", life.policy), False),
        "target_changes": life.target_changes,
        "entered_by": pc.if_else(pa.array(policy_after[life.entry] >= 0), "policy", "breach"),
    }


def _newest_titles(shown: _Shown) -> pa.Table:
    """By `policy_id` (null is one), the `title` of the newest apply of the day's targets that has one."""
    is_shown = np.zeros(len(shown.timeline.clocks.starts), bool)
    is_shown[shown.clocks] = True
    has_title = shown.rows["policy_title"].is_valid().to_numpy()
    applies = np.flatnonzero((shown.timeline.rank == APPLY) & has_title & is_shown[shown.timeline.clocks.run_of_row])
    ids = shown.rows["id"].to_numpy()[applies]
    applies = applies[np.lexsort([ids, shown.seconds[applies]])]
    known = {"id": values_at(shown.rows, "policy_id", applies), "title": values_at(shown.rows, "policy_title", applies)}
    columns = {name: _typed(column, pa.string()) for name, column in known.items()}
    return pa.table(columns).group_by("id", use_threads=False).aggregate([("title", "last")])


def _titles_of(policy_ids: pa.Array, titles: pa.Table) -> pa.Array:
    found = titles.combine_chunks()
    return found["title_last"].combine_chunks().take(pc.index_in(_typed(policy_ids, pa.string()), found["id"].combine_chunks()))


def _moments(shown: _Shown) -> Columns:
    clocks, timeline, life = shown.timeline.clocks, shown.timeline, shown.life
    rows_at = {
        "activated_at": clocks.first(timeline.rank == ACTIVATE)[shown.clocks],
        "applied_at": clocks.first((timeline.rank == APPLY) & timeline.has_policy)[shown.clocks],
        "entered_at": life.entry,
        "breached_at": life.breach,
        "fulfilled_at": np.where(life.is_fulfilled, life.closing, -1),
        "closed_at": life.closing,
        "last_event_at": clocks.last(~timeline.deleted & (timeline.rank < DELETE))[shown.clocks],
    }
    return {name: values_at(shown.rows, "time", rows) for name, rows in rows_at.items()}


def _outcomes(shown: _Shown) -> Columns:
    life = shown.life
    is_breached = (life.breach >= 0) & ~life.is_superseded
    closed = np.where(life.is_fulfilled, np.where(is_breached, 3, 2), np.where(life.is_deleted, 5, 4))
    outcome = np.where(life.is_open, np.where(is_breached, 1, 0), closed)
    target_seconds, has_target = filled(values_at(shown.rows, "target_seconds", life.policy))
    elapsed_seconds, has_elapsed = _elapsed_seconds(life)
    overdue_clock_seconds, is_held = _beyond(elapsed_seconds, target_seconds)
    has_clock = has_elapsed & is_breached & has_target & is_held
    return {
        "outcome": pa.array(OUTCOMES).take(pa.array(outcome)),
        "is_paused": life.is_paused,
        "superseded": life.is_superseded,
        "overdue_seconds": pa.array(_open_since_breach(shown), mask=~is_breached),
        "is_contradicted": life.is_contradicted,
        "elapsed_seconds": pa.array(elapsed_seconds, mask=~has_elapsed),
        "overdue_clock_seconds": pa.array(overdue_clock_seconds, mask=~has_clock),
        "due_at": _due_at(shown, target_seconds, has_target),
    }


def _open_since_breach(shown: _Shown) -> Ints:
    """How many seconds each target was open since its breach; 0 without one."""
    clocks, rows = shown.timeline.clocks, np.arange(len(shown.seconds))
    breach = np.full(len(clocks.starts), len(rows))
    breach[shown.clocks] = np.where(shown.life.breach >= 0, shown.life.breach, len(rows))
    until = np.append(shown.seconds[1:], shown.as_of)
    until[clocks.lasts] = shown.as_of
    is_late = shown.states.is_open & (rows >= breach[clocks.run_of_row])
    overdue: Ints = np.add.reduceat(np.where(is_late, until - shown.seconds, 0), clocks.starts)[shown.clocks]
    return overdue


def _elapsed_seconds(life: Lifecycles) -> tuple[Ints, Bools]:
    """How long each fulfilled target took, 0 where that is unknown, and whether it is known and fits into int64."""
    is_held = life.has_elapsed & (life.elapsed_minutes <= MINUTES_IN_INT64)
    return np.where(is_held, life.elapsed_minutes, 0) * 60, is_held


def _beyond(elapsed_seconds: Ints, target_seconds: Ints) -> tuple[Ints, Bools]:
    """Elapsed time minus the target, in seconds, and whether it fits into int64; elapsed time is never negative."""
    is_held = elapsed_seconds <= INT64_MAX + np.minimum(target_seconds, 0)
    return elapsed_seconds - np.where(is_held, target_seconds, 0), is_held


def _due_at(shown: _Shown, target_seconds: Ints, has_target: Bools) -> pa.Array:
    """Epoch milliseconds; null except for open, running, unbreached targets in calendar hours with a known end."""
    life = shown.life
    ran_seconds, is_known = running(shown.timeline, shown.seconds, as_of=shown.as_of)
    due_at, is_date = due(ran_seconds[shown.clocks], target_seconds, as_of=shown.as_of)
    in_business_hours = pc.fill_null(values_at(shown.rows, "business_hours", life.policy), False).to_numpy(zero_copy_only=False)
    runs_on = life.is_open & ~life.is_paused & (life.breach < 0)
    is_foreseen = runs_on & has_target & ~in_business_hours & is_known[shown.clocks] & is_date
    return pa.array(due_at * 1000, mask=~is_foreseen)


def _counts(shown: _Shown) -> Columns:
    clocks, timeline, states = shown.timeline.clocks, shown.timeline, shown.states
    is_before = shown.seconds < shown.day.start
    # B6: its time came while the target was open. Where Zendesk re-plans breaches, most of them are reschedulings.
    is_withdrawn = timeline.deleted & before_event(timeline, states.is_open)
    masks = {
        "breach_events": states.is_counting,
        "breach_events_on_day": states.is_counting & ~is_before,
        "withdrawn_breaches": is_withdrawn,
        "withdrawn_breaches_on_day": is_withdrawn & ~is_before,
    }
    was_open_at_start = _open_at_start(timeline, states, is_before)[shown.clocks]
    return {
        **{name: clocks.count(mask)[shown.clocks] for name, mask in masks.items()},
        "reopen_count": shown.life.openings - 1,
        "was_open_at_start": was_open_at_start,
        # Entered earlier and closed at the end of the day before; closing and re-opening on the same day doesn't count.
        "reopened_on_day": is_before[shown.life.entry] & ~was_open_at_start,
    }


def _typed(column: pa.Array | npt.NDArray[np.generic], wanted: pa.DataType) -> pa.Array:
    return (column if isinstance(column, pa.Array) else pa.array(column)).cast(wanted)
