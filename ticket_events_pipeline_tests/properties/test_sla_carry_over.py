"""The carry-over in layers equals the whole carry-over, for any events of any age."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.rules.carry_over import CarryOver
from ticket_events_pipeline.sla.rules.clock_layers import CARRIED_CLOCKS, DayEvents
from ticket_events_pipeline.sla.rules.clocks import advance, empty_clocks, in_clock_order
from ticket_events_pipeline.sla.rules.deletions import changes_of_deleted, metric_rows, own_rows
from ticket_events_pipeline.sla.rules.events import sla_events
from ticket_events_pipeline.sla.rules.targets import targets
from ticket_events_pipeline_tests.support import sla_oracle
from ticket_events_pipeline_tests.support.drawn_histories import FIRST, TYPES, audit, slas
from ticket_events_pipeline_tests.support.sla_cases import Clock, changes_of, raw_table, rows_of

EXAMPLES = int(os.environ.get("SLA_EXAMPLES", "80")) // 8
OFFSETS = [0, 1, 2, 28, 29, 30, 31, 32, 33, 60, 61, 62]
DAY = Clock.DAY


@st.composite
def event_of_few_ids(draw, start):
    kind = draw(st.sampled_from(TYPES))
    row = {
        "id": draw(st.integers(1, 15)),  # so few that many are delivered again, on another day, clock or ticket
        "ticket_id": draw(st.sampled_from([1, 2, 3])),
        "metric": draw(st.sampled_from(["reply_time", "reply_time", "resolution_time"])),
        "instance_id": 1,
        "type": kind,
        "time": start + draw(st.sampled_from([0, 1, 1800, 3600, 7200, 40_000, 82_799])),
        "deleted": kind == "breach" and draw(st.booleans()),
    }
    if kind == "apply_sla":
        row["sla"] = draw(slas())
    if kind == "apply_group_sla":
        row["group_sla"] = draw(slas())
    return row


@st.composite
def days_of_events(draw, timezone):
    """The events by the day of their delivery."""
    days = [Day(FIRST, timezone).plus(offset) for offset in OFFSETS]
    drawn = {day: (draw(once_each(event_of_few_ids(day.start))), draw(once_each(audit([day.start])))) for day in days}
    return {day: (events, numbered(audits, place)) for place, (day, (events, audits)) in enumerate(drawn.items())}


def numbered(audits, place):
    """The audits with ids that no other day has: an audit never moves to another ticket."""
    return [{**row, "id": row["id"] * len(OFFSETS) + place} for row in audits]


def once_each(rows):
    return st.lists(rows, max_size=4, unique_by=lambda row: row["id"])


def with_new(known, rows):
    ids = {row["id"] for row in rows}
    return [*(row for row in known if row["id"] not in ids), *rows]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(["UTC", "America/New_York"]).flatmap(days_of_events), st.integers(0, len(OFFSETS)))
def test_layers_hold_the_same_clocks_as_one_table_and_the_oracle(by_day, compacted_on):
    """Across a DST change, with repeated ids; one of the days may compact everything into its layer."""
    whole, carry_over, known, audits_known = empty_clocks(), CarryOver(CARRIED_CLOCKS), [], []
    for number, (day, (delivered, audits)) in enumerate(by_day.items()):
        events, changes = sla_events(raw_table(delivered)), changes_of(audits)
        whole = advance(whole, events, day, changes)
        new = DayEvents(events, changes_of_deleted(changes, carry_over.marked_tickets()))
        carry_over, layer = (carry_over.compacted if number == compacted_on else carry_over.advanced)(new, day)
        assert in_clock_order(carry_over.rows()).to_pylist() == whole.to_pylist()
        assert targets(layer.content.table, day=day, as_of=day.end) == targets(whole, day=day, as_of=day.end)
        known, audits_known = with_new(known, sla_oracle.live_events(delivered)), audits_known + audits
        known, audits_known = sla_oracle.without_forgotten(known, day.end, audits_known)
        assert sorted(metric_rows(whole)["id"].to_pylist()) == sorted(row["id"] for row in known)
        assert set(whole.filter(own_rows(whole))["id"].to_pylist()) == {row["id"] for row in audits_known}


def carry_over_after(by_day):
    """The carry-over after the days, and the last layer."""
    carry_over, layer = CarryOver(CARRIED_CLOCKS), None
    for day, clocks in sorted(by_day.items()):
        events = [event for clock in clocks for event in clock.events if day.start <= event["time"] < day.end]
        carry_over, layer = carry_over.advanced(DayEvents(sla_events(raw_table(events))), day)
    return carry_over, layer


def tickets_in(layer):
    return sorted(set(layer.content.table["ticket_id"].to_pylist()))


def test_a_days_layer_holds_only_changed_and_open_clocks():
    is_open, is_closed = Clock(1).apply(9, 60), Clock(2, first_id=21).apply(9, 60).add("fulfill", 10)
    moves = Clock(3, first_id=31).add("activate", 9).add("pause", 33)
    every = [is_open, is_closed, moves]
    carry_over, layer = carry_over_after({DAY: every, DAY.plus(1): every})
    assert tickets_in(layer) == [1, 3]
    assert rows_of(layer.content.table.select(["id"])) == [{"id": 1}, {"id": 31}, {"id": 32}]  # whole histories
    assert sorted(set(carry_over.rows()["ticket_id"].to_pylist())) == [1, 2, 3]


def test_clocks_move_to_a_newer_layer_before_theirs_is_dropped():
    unsolved, solved = Clock(1, "resolution_time").add("activate", 9), Clock(2, first_id=21).add("activate", 9)
    by_day = {DAY.plus(offset): [unsolved, solved] for offset in range(32)}
    carry_over, layer = carry_over_after(by_day)
    assert tickets_in(layer) == [1]
    assert len(carry_over.layers) == 31
    assert carry_over.rows()["id"].to_pylist() == [1]


def test_a_ticket_whose_only_event_moved_is_not_found_again():
    moved = Clock(2, first_id=1).add("activate", 33)
    carry_over, layer = carry_over_after({DAY: [Clock(1).add("activate", 9)], DAY.plus(1): [moved]})
    assert layer.forgotten.tolist() == [1]
    assert carry_over.rows()["ticket_id"].to_pylist() == [2]
    again, _ = carry_over.advanced(DayEvents(sla_events(raw_table(Clock(1, first_id=5).add("pause", 60).events))), DAY.plus(2))
    assert sorted(again.rows()["id"].to_pylist()) == [1, 5]


def test_an_id_delivered_again_moves_only_the_tickets_that_have_it_now():
    """An old layer still has the row of the ticket that had the id before."""
    others = [Clock(number, first_id=10 * number).add("activate", 9) for number in range(3, 9)]
    moved, once_more = Clock(2, first_id=1).add("activate", 33), Clock(2, first_id=1).add("activate", 57)
    carry_over, _ = carry_over_after({DAY: [Clock(1).add("activate", 9), *others], DAY.plus(1): [moved]})
    assert 1 in carry_over.layers[0].content.table["id"].to_pylist()
    _, layer = carry_over.advanced(DayEvents(sla_events(raw_table(once_more.events))), DAY.plus(2))
    assert layer.tickets.tolist() == [2]


def test_rows_of_newer_layers_are_released_from_older_ones():
    clocks = [Clock(number, first_id=10 * number).add("activate", 9).add("fulfill", 33) for number in range(1, 9)]
    carry_over, _ = carry_over_after({DAY: clocks, DAY.plus(1): clocks[:4]})
    first, second = carry_over.layers
    assert (first.content.table.num_rows, second.content.table.num_rows) == (4, 8)
    assert first.tickets.tolist() == [5, 6, 7, 8]
