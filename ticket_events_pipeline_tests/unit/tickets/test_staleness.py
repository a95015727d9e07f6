"""Which ticket tables are stale, by what the footers say."""

import copy
import hashlib
from dataclasses import dataclass, field

import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.footer_cache import (
    LONGEST_ENTRY,
    MADE_AFTER_SUMMARY,
    SLA_TABLES,
    TABLES,
    TICKET_TABLES,
    StoredFooters,
    Unreadable,
    state_of,
)
from ticket_events_pipeline.sla.inputs import day_inputs, history_before, history_of
from ticket_events_pipeline.sla.provenance import Provenance
from ticket_events_pipeline.sla.staleness import compare, stale_ranges
from ticket_events_pipeline.tickets.fields import tracked_fields
from ticket_events_pipeline.tickets.provenance import TicketProvenance
from ticket_events_pipeline.tickets.staleness import (
    change_ranges,
    compare_tickets,
    days_without_tables,
    ticket_range_before_obstacle,
    ticket_ranges,
    without_blocked,
)

FIRST = Day.parse("2026-03-01")
DAYS = days_between(FIRST, FIRST.plus(5))
CLOCKS, TARGETS, SUMMARY = SLA_TABLES
CHANGES, STATES, DIMENSIONS, BY_DIMENSION, HOLDERS, DURATIONS = TICKET_TABLES
FIELDS = tracked_fields()
AUDITS, METRIC_EVENTS = "ticket_events", "ticket_metric_events"


@dataclass
class Root:
    """The footers of a root whose days were made in order."""

    footers: dict = field(default_factory=lambda: {table: {} for table in TABLES})
    unreadable: dict = field(default_factory=lambda: {table: {} for table in TABLES})

    @property
    def stored(self):
        return StoredFooters(self.footers, self.unreadable, 0, sum(len(days) for days in self.footers.values()))

    def land(self, day, *, audits="1"):
        self.footers[METRIC_EVENTS][day] = raw(f"m{day}", metric_rows=5)
        if audits:
            self.footers[AUDITS][day] = raw(f"a{day}.{audits}")

    def make_sla(self, day):
        before = self.footers[CLOCKS].get(day.plus(-1), {}).get("content_hash") or history_before(day, self._inputs)
        provenance = Provenance(self._inputs(day, before), events_through=None, history_from=FIRST.date)
        common = provenance.to_metadata()
        audits = common["made_from_ticket_events"]
        self.footers[CLOCKS][day] = {**common, "content_hash": f"c{day}"}
        self.footers[TARGETS][day] = {**common, "content_hash": f"t{day}{audits}", "made_from_clocks": f"c{day}"}
        targets = self.footers[TARGETS][day]["content_hash"]
        self.footers[SUMMARY][day] = {**common, "content_hash": f"y{day}", "made_from_targets": targets}

    def make_tickets(self, day):
        targets = self.footers[TARGETS][day]
        before = self.footers[STATES].get(day.plus(-1), {}).get("content_hash") or self.history(day)
        made = TicketProvenance(Provenance.from_metadata(targets), targets["content_hash"], before or "none", FIELDS)
        common = {name: text for name, text in made.to_metadata().items() if len(text) <= LONGEST_ENTRY}
        digest = hashlib.sha256(f"{day} {before} {targets['content_hash']}".encode()).hexdigest()
        self.footers[STATES][day] = {**common, "content_hash": digest}
        self.footers[DIMENSIONS][day] = {**common, "content_hash": f"d{digest}", "made_from_states": digest}
        self.footers[BY_DIMENSION][day] = {**common, "content_hash": f"b{day}", "made_from_dimensions": f"d{digest}"}
        for table in (HOLDERS, DURATIONS):
            made_from = {"made_from_states": digest, "made_from_clocks": f"c{day}"}
            self.footers[table][day] = {**common, "content_hash": f"{table}{day}", **made_from}

    def make_changes(self, day):
        state = state_of(self.footers[AUDITS][day])
        self.footers[CHANGES][day] = {"made_from_ticket_events": f"{state.content_hash} complete", "content_hash": f"f{day}"}

    def history(self, day):
        past = [day.plus(-offset) for offset in range(30, 0, -1)]
        return history_of(
            {one: f"{self.footers[AUDITS][one]['content_hash']} complete" for one in past if one in self.footers[AUDITS]}
        )

    def remove(self, tables, days):
        for table in tables:
            for day in days:
                self.footers[table].pop(day, None)

    def _inputs(self, day, previous=None):
        states = {
            stream: state_of(self.footers[stream][day]) for stream in (AUDITS, METRIC_EVENTS) if day in self.footers[stream]
        }
        return day_inputs(day, states, previous_clocks=previous)

    def compared(self):
        comparison = compare(self.stored, lambda _: True)
        return comparison, compare_tickets(comparison, lambda _: True)

    def ranges(self):
        comparison, tickets = self.compared()
        covered = {day for one in stale_ranges(comparison, "root") for day in one.days}
        return ticket_ranges(comparison, tickets, "root", covered)


def raw(content_hash, *, metric_rows=0):
    return {"content_hash": content_hash, "complete": "true", "fetched_at": "1", "metric_rows": str(metric_rows)}


@pytest.fixture
def root():
    made = Root()
    for day in DAYS:
        made.land(day)
        made.make_sla(day)
        made.make_changes(day)
        made.make_tickets(day)
    return made


def test_what_was_made_in_order_from_the_stored_files_is_fresh(root):
    comparison, tickets = root.compared()
    assert not comparison.stale
    assert (tickets.stale, tickets.stale_changes, tickets.blocked) == ({}, {}, {})


@pytest.mark.parametrize("table", MADE_AFTER_SUMMARY)
def test_a_missing_table_of_a_day_is_asked_for_with_all_days_after_it(root, table):
    root.remove([table], DAYS[2:3])
    (found,) = root.ranges()
    assert (found.days, found.tables) == (DAYS[2:], MADE_AFTER_SUMMARY)
    assert found.reason == f"{table} has not been made."


def test_days_before_the_first_with_ticket_tables_are_left_without(root):
    root.remove(TICKET_TABLES, DAYS[:3])
    # The first day that is left was made from the day before it, which is gone.
    root.make_tickets(DAYS[3])
    for day in DAYS[4:]:
        root.make_tickets(day)
    comparison, tickets = root.compared()
    assert (tickets.stale, tickets.stale_changes) == ({}, {})
    assert days_without_tables(root.stored, comparison.landed) == DAYS[:3]


def test_a_root_without_any_ticket_table_is_left_without(root):
    root.remove(TICKET_TABLES, DAYS)
    _, tickets = root.compared()
    assert (tickets.stale, tickets.stale_changes) == ({}, {})


def test_days_that_are_made_backwards_make_no_later_day_stale(root):
    root.remove(TICKET_TABLES, DAYS)
    for part in (DAYS[4:], DAYS[2:4], DAYS[:2]):
        for day in part:
            root.make_changes(day)
            root.make_tickets(day)
        assert root.compared()[1].stale == {}


def test_audits_that_land_before_days_that_began_without_them_make_these_stale(root):
    root.remove(TICKET_TABLES, DAYS)
    root.remove([AUDITS], DAYS[1:2])
    root.make_sla(DAYS[1])
    for day in DAYS[2:]:
        root.make_tickets(day)
    assert root.compared()[1].stale == {}
    root.land(DAYS[1])
    root.make_sla(DAYS[1])
    assert root.compared()[1].stale == {
        DAYS[2]: "ticket_states was made from another file of ticket_states of the day before than is stored now."
    }


def test_new_targets_of_a_day_make_it_and_every_later_day_stale(root):
    root.land(DAYS[3], audits="2")
    root.make_sla(DAYS[3])
    (found,) = root.ranges()
    assert found.days == DAYS[3:]
    assert found.reason == "ticket_states was made from another file of sla_targets than is stored now."


def test_a_day_with_stale_sla_tables_is_left_to_their_run(root):
    root.land(DAYS[3], audits="2")
    root.remove([DURATIONS], DAYS[1:2])
    comparison, _ = root.compared()
    assert [one.days for one in stale_ranges(comparison, "root")] == [DAYS[3:]]
    assert [one.days for one in root.ranges()] == [DAYS[1:3]]


def test_a_table_of_an_older_file_of_the_same_day_is_stale(root):
    old = copy.deepcopy(root.footers[BY_DIMENSION][DAYS[2]])
    root.footers[DIMENSIONS][DAYS[2]]["content_hash"] = "another"
    root.footers[BY_DIMENSION][DAYS[2]] = old
    assert root.compared()[1].stale == {
        DAYS[2]: "daily_sla_breaches_by_dimension was made from another file of sla_target_dimensions than is stored now."
    }


def test_other_tracked_fields_and_newer_rules_make_nothing_stale(root):
    for table in MADE_AFTER_SUMMARY:
        root.footers[table][DAYS[0]] |= {"tracked_fields": "status", "ticket_rules_version": "0"}
    assert root.compared()[1].stale == {}


def test_field_changes_are_asked_for_alone_and_for_their_days_alone(root):
    root.remove([CHANGES], [DAYS[1], DAYS[2], DAYS[4]])
    comparison, tickets = root.compared()
    assert root.ranges() == []
    assert [(one.days, one.tables) for one in change_ranges(comparison, tickets, "root")] == [
        (DAYS[1:3], (CHANGES,)),
        (DAYS[4:5], (CHANGES,)),
    ]


def test_field_changes_of_another_raw_file_are_stale(root):
    root.footers[AUDITS][DAYS[1]] = raw("changed")
    root.make_sla(DAYS[1])
    assert list(root.compared()[1].stale_changes) == [DAYS[1]]


def test_a_file_of_a_newer_version_blocks_its_day_and_those_that_need_it(root):
    root.unreadable[STATES][DAYS[1]] = Unreadable("newer", may_be_replaced=False)
    del root.footers[STATES][DAYS[1]]
    root.remove([DURATIONS], DAYS[3:])
    _, tickets = root.compared()
    assert tickets.stale == {}
    assert set(tickets.blocked) >= {DAYS[1], *DAYS[3:]}
    assert root.ranges() == []


def test_a_damaged_file_is_made_again(root):
    root.unreadable[HOLDERS][DAYS[2]] = Unreadable("damaged", may_be_replaced=True)
    del root.footers[HOLDERS][DAYS[2]]
    assert [one.days for one in root.ranges()] == [DAYS[2:]]


def test_a_run_of_sla_tables_leaves_ticket_tables_out_that_would_fail(root):
    root.unreadable[STATES][DAYS[4]] = Unreadable("newer", may_be_replaced=False)
    del root.footers[STATES][DAYS[4]]
    root.land(DAYS[3], audits="2")
    comparison, tickets = root.compared()
    (stale,) = stale_ranges(comparison, "root")
    assert without_blocked(stale, tickets).tables == SLA_TABLES


def test_the_state_of_a_range_stays_while_its_run_fails_half_way_and_changes_with_its_inputs(root):
    root.remove(MADE_AFTER_SUMMARY, DAYS[2:])
    (before,) = root.ranges()
    root.make_tickets(DAYS[2])
    root.remove([DURATIONS], DAYS[2:3])
    (half,) = root.ranges()
    assert (half.days, half.state) == (before.days, before.state)
    assert half.made_files != before.made_files
    root.footers[AUDITS][DAYS[5]]["fetched_at"] = "2"
    (fetched_again,) = root.ranges()
    assert fetched_again.state != before.state


def test_where_a_run_fails_the_days_before_are_made(root):
    root.remove(MADE_AFTER_SUMMARY, DAYS[1:])
    comparison, tickets = root.compared()
    (failing,) = ticket_ranges(comparison, tickets, "root", ())
    assert ticket_range_before_obstacle(comparison, tickets, failing, "root") is None
    for day in DAYS[1:3]:
        root.make_tickets(day)
        root.remove([DURATIONS], [day])
    comparison, tickets = root.compared()
    found = ticket_range_before_obstacle(comparison, tickets, failing, "root")
    assert found.days == DAYS[1:3]
    assert f"has failed at {DAYS[3]}" in found.reason
