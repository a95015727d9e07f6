"""The policy under which each figure is counted."""

from __future__ import annotations

import datetime as dt

from ticket_events_pipeline.sla.rules.daily_summary import COUNTS, daily_summary
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline_tests.support import sla_oracle
from ticket_events_pipeline_tests.support.released import released_columns
from ticket_events_pipeline_tests.support.sla_cases import Clock, clocks_by_day, tables_of

DAY = Clock.DAY


def summary_of(*clocks, day=DAY):
    events = [event for clock in clocks for event in clock.events]
    return tables_of(clocks_by_day(events, DAY, day)[day], day)[1]


def counts(row):
    """The figures that are not 0."""
    return {name: row[name] for name in (*COUNTS, "breached_tickets") if row[name]}


def test_entry_breach_and_end_count_under_the_policy_of_their_time():
    clock = Clock().apply(9, 60, 11).apply(10, 60, 12).add("breach", 11).apply(12, 60, 13).add("fulfill", 13)
    assert {row["policy_id"]: counts(row) for row in summary_of(clock)} == {
        "11": {"targets_started": 1},
        "12": {"breaches": 1, "breach_events": 1, "breached_tickets": 1},
        "13": {"completed_breached": 1},
    }


def test_later_breach_rows_count_under_the_policy_of_the_first():
    clock = Clock().apply(9, 60, 11).add("breach", 10).apply(11, 60, 12).add("breach", 30)
    assert {row["policy_id"]: counts(row) for row in summary_of(clock, day=DAY.plus(1))} == {
        "11": {"breach_events": 1},
        "12": {"active_eod": 1, "breached_open_eod": 1},
    }


def test_null_policy_is_a_key_of_its_own_and_sorts_last():
    rows = summary_of(Clock().add("breach", 9), Clock(ticket_id=2, first_id=11).apply(9, 60, 12))
    assert [(row["policy_id"], row["business_hours"], row["targets_discovered"]) for row in rows] == [
        ("12", False, 0),
        (None, None, 1),
    ]


def test_null_business_hours_are_a_separate_key_from_false_and_true():
    clocks = [Clock(ticket_id=n, first_id=10 * n).apply(9, 60, business_hours=b) for n, b in enumerate([None, True, False], 1)]
    assert [row["business_hours"] for row in summary_of(*clocks)] == [False, True, None]


def test_a_superseded_breach_is_achieved_but_its_rows_are_counted():
    clock = Clock().apply(9, 60).add("breach", 10).apply(10.5, 120).add("fulfill", 11)
    (row,) = summary_of(clock.add("update_status", 11, status={"calendar": 120}))
    assert counts(row) == {"targets_started": 1, "breach_events": 1, "achieved": 1, "superseded_breaches": 1}
    assert row["achievement_rate"] == 1.0


def test_reopened_and_cancelled_count_under_the_targets_policy():
    reopened = Clock().apply(9, 60).add("fulfill", 10).add("activate", 30)
    cancelled = Clock(ticket_id=2, first_id=11).apply(9, 60).add("apply_sla", 31, sla=None)
    (row,) = summary_of(reopened, cancelled, day=DAY.plus(1))
    assert counts(row) == {"targets_reopened": 1, "targets_cancelled": 1, "active_eod": 1}
    assert row["achievement_rate"] is None


def test_two_breached_targets_of_one_ticket_are_one_breached_ticket():
    clocks = [Clock(instance_id=n, first_id=10 * n).apply(9, 60).add("breach", 10) for n in (1, 2)]
    (row,) = summary_of(*clocks)
    assert (row["breaches"], row["breached_tickets"]) == (2, 1)


def test_percentiles_are_linear_over_completed_breaches():
    clocks = [
        Clock(ticket_id=n, first_id=10 * n).apply(9, 60).add("breach", 10).add("fulfill", 10 + hours)
        for n, hours in enumerate([1, 2, 3, 5], 1)
    ]
    (row,) = summary_of(*clocks, Clock(ticket_id=9, first_id=90).apply(9, 60).add("breach", 10))
    figures = [row[f"overdue_{name}_seconds"] for name in ("p50", "p90", "max")]
    assert figures == [9000.0, 15840.0, 18000]
    assert (row["completed_breached"], row["breached_open_eod"]) == (4, 1)


def test_the_title_comes_from_the_policys_newest_apply_in_any_metric():
    old = Clock().apply(9, 60, title="Walnut")
    new = Clock(metric="agent_work_time", first_id=11).apply(9, 60, title="Standard")
    assert [row["policy_title"] for row in summary_of(old, new)] == ["Standard", "Standard"]


def test_every_row_has_the_provenance_and_a_day_without_targets_the_schema():
    more = {"day": DAY, "as_of": DAY.end, "events_through": None, "history_from": dt.date(2026, 2, 1)}
    assert daily_summary(SLA_TARGETS_TABLE.schema.empty_table(), **more) == DAILY_SLA_BREACH_SUMMARY_TABLE.schema.empty_table()
    (row,) = summary_of(Clock().apply(9, 60))
    assert [row[name] for name in ("as_of", "events_through", "history_from")] == [DAY.end, None, dt.date(2026, 3, 1)]


def test_every_count_has_a_column_and_the_oracle_has_those_of_every_release():
    released = {column.name for column in released_columns(DAILY_SLA_BREACH_SUMMARY_TABLE)}
    assert COUNTS.keys() <= set(DAILY_SLA_BREACH_SUMMARY_TABLE.schema.names)
    assert set(sla_oracle.FIGURES) == COUNTS.keys() & released
