"""For any history, the implementation agrees with the plain oracle, day by day, in whole tables."""

from __future__ import annotations

import datetime as dt
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.clocks import advance, empty_clocks
from ticket_events_pipeline.sla.rules.daily_summary import daily_summary
from ticket_events_pipeline.sla.rules.deletions import metric_rows, own_rows
from ticket_events_pipeline.sla.rules.events import sla_events
from ticket_events_pipeline.sla.rules.targets import targets
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline_tests.support import sla_oracle
from ticket_events_pipeline_tests.support.drawn_histories import DAYS, FIRST, audits, histories
from ticket_events_pipeline_tests.support.released import released_columns
from ticket_events_pipeline_tests.support.sla_cases import changes_of, clocks_by_day, of_day, raw_table, rows_of

HISTORY_FROM = dt.date(2026, 3, 7)
MONTHS = [0, 1, 28, 29, 30, 31, 32, 60, 61, 62]
# After a change of the rules, run it with SLA_EXAMPLES=5000.
EXAMPLES = int(os.environ.get("SLA_EXAMPLES", "40"))


def approximately(rows):
    """Percentiles and rates may differ in the last bit."""
    return [{name: pytest.approx(value) if isinstance(value, float) else value for name, value in row.items()} for row in rows]


RELEASED = [column.name for column in released_columns(DAILY_SLA_BREACH_SUMMARY_TABLE)]
"""The columns that the oracle computes."""


def check_day(clocks, history, day, as_of, deletions=()):
    table = targets(clocks, day=day, as_of=as_of)
    expected = sla_oracle.targets(history, date=day.date, timezone=day.timezone, as_of=as_of, audits=deletions)
    assert rows_of(table) == expected
    more = {"as_of": as_of, "events_through": as_of - 1, "history_from": HISTORY_FROM}
    summary = rows_of(daily_summary(table, day=day, **more).select(RELEASED))
    assert summary == approximately(sla_oracle.daily_summary(expected, date=day.date, timezone=day.timezone, **more))
    return summary


def of_metric(summary, metric, columns):
    return sum(row[column] for row in summary for column in columns if row["sla_metric"] == metric)


def check_invariant(before, summary):
    """Open targets of D = of D-1 + started + discovered + reopened - achieved - completed_breached - cancelled - deleted."""
    more = ["targets_started", "targets_discovered", "targets_reopened"]
    less = ["achieved", "completed_breached", "targets_cancelled", "targets_deleted"]
    for metric in {row["sla_metric"] for row in before + summary}:
        flow = of_metric(summary, metric, more) - of_metric(summary, metric, less)
        assert of_metric(summary, metric, ["active_eod"]) == of_metric(before, metric, ["active_eod"]) + flow


@pytest.mark.parametrize("timezone", ["UTC", pytest.param("America/New_York", marks=pytest.mark.slow)])
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data(), share=st.floats(0, 1))
def test_every_day_equals_the_oracle_and_the_invariant_holds(timezone, data, share):
    history, deletions = data.draw(histories(timezone)), data.draw(audits(timezone))
    first = Day(FIRST, timezone)
    before = []
    for day, clocks in clocks_by_day(history, first, first.plus(DAYS - 1), audits=deletions).items():
        # While a day is open, later events of it may be stored already.
        check_day(clocks, history, day, day.start + round(share * (day.end - day.start)), deletions)
        summary = check_day(clocks, history, day, day.end, deletions)
        check_invariant(before, summary)
        before = summary


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(history=histories(), deletions=audits(), data=st.data())
def test_order_of_arrival_and_repeated_deliveries_change_nothing(history, deletions, data):
    first = Day(FIRST)
    last = first.plus(DAYS - 1)
    outdated = [{**row, "type": "fulfill", "deleted": True} for row in history[::3]]
    arrivals = outdated + data.draw(st.permutations(history))
    again = clocks_by_day(arrivals, first, last, audits=data.draw(st.permutations(deletions)))
    for day, clocks in clocks_by_day(history, first, last, audits=deletions).items():
        assert again[day].to_pylist() == clocks.to_pylist()


@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(history=histories(days=MONTHS), deletions=audits(days=MONTHS))
@pytest.mark.slow
def test_the_carry_over_of_months_equals_an_oracle_that_forgets_whole_clocks(history, deletions):
    first = Day(FIRST)
    last = first.plus(64)
    known, audits_known = [], []
    for day, clocks in clocks_by_day(history, first, last, audits=deletions).items():
        known, audits_known = sla_oracle.without_forgotten(
            known + of_day(history, day), day.end, audits_known + of_day(deletions, day)
        )
        assert sorted(metric_rows(clocks)["id"].to_pylist()) == sorted(row["id"] for row in known)
        assert set(clocks.filter(own_rows(clocks))["id"].to_pylist()) == {row["id"] for row in audits_known}
        if day.date.day % 7 < 2:  # enough to check the carry-over, in a quarter of the time
            check_day(clocks, known, day, day.end, audits_known)


@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(history=histories(), deletions=audits())
def test_whole_history_at_once_makes_the_same_targets_as_day_by_day(history, deletions):
    last = Day(FIRST).plus(DAYS - 1)
    at_once = advance(empty_clocks(), sla_events(raw_table(history)), last, changes_of(deletions))
    day_by_day = clocks_by_day(history, Day(FIRST), last, audits=deletions)[last]
    assert targets(at_once, day=last, as_of=last.end) == targets(day_by_day, day=last, as_of=last.end)
