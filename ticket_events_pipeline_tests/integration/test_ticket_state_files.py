"""`ticket_states` in files: a day starts from some thirty of them, and only from files that belong together."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from random import Random
from shutil import copytree

import pytest

from ticket_events_pipeline.day import days_between
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError
from ticket_events_pipeline.sla.build import TARGETS
from ticket_events_pipeline.sla.layer_files import REACHES_BACK
from ticket_events_pipeline.sla.rules.carry_over import REACH_DAYS
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition
from ticket_events_pipeline.tickets.changes import CHANGES, make_changes
from ticket_events_pipeline.tickets.states import STATES, TRACKED_SINCE, make_states, read_states
from ticket_events_pipeline_tests.support.damages import path_of, removed, rewrite, truncated
from ticket_events_pipeline_tests.support.sla_cases import Clock, rows_of
from ticket_events_pipeline_tests.support.sla_roots import METRIC, all_events, make_sla_days, put_audits, put_raw_day
from ticket_events_pipeline_tests.support.state_cases import CUSTOM, FIELDS, drawn_ticket, states_rows
from ticket_events_pipeline_tests.support.states_oracle import StatesOracle, key_order

AUDITS = "ticket_events"

FIRST = Clock.DAY
DAYS = days_between(FIRST, FIRST.plus(39))
MADE, MIDDLE = 37, 20
"""How many days are made when a test begins; a day in the middle of the carry-over."""

MISSING = DAYS[15]
"""Its audits never land."""

NEXT = DAYS[MADE]

RNG = Random(3)  # noqa: S311
TICKETS = [drawn_ticket(RNG, number, days=39) for number in range(1, 61)]


def clocks():
    """Of every other ticket: a target that stays open, is met, or opens again."""
    for ticket in range(1, 61, 2):
        start = RNG.randrange(39 * 24)
        clock = Clock(ticket, first_id=100 * ticket).add("activate", start).apply(start, 60)
        if RNG.random() < 0.7:
            clock.add("fulfill", start + RNG.choice([1, 30, 200]))
        if RNG.random() < 0.4:
            clock.add("activate", start + RNG.choice([300, 400]))
        yield clock


EVENTS = all_events(*clocks())


def audits_of(day, tickets=TICKETS):
    return [audit for ticket in tickets for audit in ticket.audits if day.start <= audit["time"] < day.end]


def make_days(root, first, last, *, fields=FIELDS):
    return list(make_states(FolderStore(root), days_between(first, last), fields=fields))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """All raw days and SLA tables, the changes of some days, and the states of all but the last three days."""
    root = tmp_path_factory.mktemp("made")
    for day in DAYS:
        put_raw_day(root, EVENTS, day)
        if day != MISSING:
            put_audits(root, audits_of(day), day)
    make_sla_days(root, FIRST, DAYS[-1])
    list(make_changes(FolderStore(root), DAYS[5:15]))
    make_days(root, FIRST, DAYS[MADE - 1])
    return root


@pytest.fixture(scope="session")
def right(made, tmp_path_factory):
    """The same root with all days made, in one range."""
    root = tmp_path_factory.mktemp("right") / "root"
    copytree(made, root)
    make_days(root, FIRST, DAYS[-1])
    return root


@pytest.fixture
def root(made, tmp_path):
    copytree(made, tmp_path / "root")
    return tmp_path / "root"


def footer(root, day, asset=STATES):
    return read_metadata(FolderStore(root), asset, day)


def rows(root, day):
    return states_rows(read_partition(FolderStore(root), STATES, day))


def assert_as_right(root, right, *days):
    for day in days:
        assert rows(root, day) == rows(right, day)
        assert footer(root, day) == footer(right, day)


def of_the_days_tickets(root, right, day):
    """The rows of the tickets that the right file has: a file with the whole carry-over has others, too."""
    tickets = {row["ticket_id"] for row in rows(right, day)}
    return [row for row in rows(root, day) if row["ticket_id"] in tickets]


def assert_later_days_are_right(root, right):
    """The next day is right although its file has the whole carry-over; and so is the day after."""
    make_days(root, NEXT, NEXT)
    assert of_the_days_tickets(root, right, NEXT) == rows(right, NEXT)
    assert footer(root, NEXT) == {**footer(right, NEXT), REACHES_BACK: "0"}
    for day in DAYS[:MADE]:
        path_of(root, STATES, day).unlink(missing_ok=True)
    make_days(root, DAYS[MADE + 1], DAYS[-1])
    for day in DAYS[MADE + 1 :]:
        assert of_the_days_tickets(root, right, day) == rows(right, day)


def oracle_input(root, day):
    """The changes, the tickets with an audit, and the first activations of open targets."""
    landed = [] if day == MISSING else TICKETS
    changes = [row for ticket in landed for row in ticket.changes if day.start <= row["changed_at"] < day.end]
    opened = {}
    for target in rows_of(read_partition(FolderStore(root), TARGETS, day)):
        opened[target["ticket_id"]] = min(target["activated_at"], opened.get(target["ticket_id"], day.end))
    return sorted(changes, key=key_order), {audit["ticket_id"] for audit in audits_of(day, landed)}, opened


def test_every_day_is_as_the_definition_asks_for(right):
    oracle = StatesOracle()
    for day in DAYS:
        assert rows(right, day) == oracle.followed_by(day, *oracle_input(right, day))
    assert sum(len(rows(right, day)) for day in DAYS) > 1000


def test_days_made_one_by_one_equal_those_of_one_range(root, right):
    for day in DAYS[MADE:]:
        make_days(root, day, day)
    assert_as_right(root, right, *DAYS[MADE:])


def test_a_range_that_starts_from_files_equals_one_made_in_a_whole(root, right):
    make_days(root, NEXT, DAYS[-1])
    assert_as_right(root, right, *DAYS[MADE:])


@pytest.mark.slow
def test_every_day_made_alone_equals_that_of_one_range(made, right, tmp_path):
    copytree(made, tmp_path / "alone")
    for day in DAYS[:MADE]:
        removed(tmp_path / "alone", STATES, day)
    for day in DAYS:
        make_days(tmp_path / "alone", day, day)
    assert_as_right(tmp_path / "alone", right, *DAYS)


def test_a_day_made_again_is_the_same(root, right):
    make_days(root, DAYS[MIDDLE], DAYS[MIDDLE + 1])
    assert_as_right(root, right, *DAYS[:MADE])


def test_history_from_the_thirty_days_before_starts_a_root_in_the_middle(right, tmp_path):
    """Where the day before was never made; what both know is the same."""
    copytree(right, tmp_path / "late")
    for day in DAYS:
        removed(tmp_path / "late", STATES, day)
    make_days(tmp_path / "late", DAYS[MIDDLE], DAYS[-1])
    oracle = StatesOracle()
    for day in DAYS[:MIDDLE]:
        changes, audited, _ = oracle_input(right, day)
        if day != MISSING:
            oracle.followed_by(day, changes, audited, None)
    for day in DAYS[MIDDLE:]:
        expected = oracle.followed_by(day, *oracle_input(right, day), is_compacted=day == DAYS[MIDDLE])
        assert rows(tmp_path / "late", day) == expected
    assert footer(tmp_path / "late", DAYS[MIDDLE])["made_from_previous_states"].startswith("history ")
    assert footer(tmp_path / "late", DAYS[MIDDLE])[REACHES_BACK] == "0"
    assert read_states(FolderStore(tmp_path / "late"), DAYS[-1]).remembered_since == DAYS[MIDDLE].plus(-30).date


def test_the_footer_states_how_it_was_made(right):
    store = FolderStore(right)
    assert [footer(right, day)[REACHES_BACK] for day in DAYS] == [str(min(offset, REACH_DAYS)) for offset in range(len(DAYS))]
    for before, day in pairwise(DAYS):
        states = read_states(store, day)
        assert states.provenance.previous_states == read_states(store, before).content_hash
        assert states.provenance.targets_hash == footer(right, day, TARGETS)["content_hash"]
        assert states.provenance.audits == ("missing" if day == MISSING else "complete")
        assert states.provenance.fields == FIELDS
        assert states.tracked_since == {}
        assert states.remembered_since == FIRST.plus(-30).date


def test_a_day_without_audits_still_names_the_tickets_with_a_target(right):
    _, _, opened = oracle_input(right, MISSING)
    known = {row["ticket_id"] for day in DAYS[:15] for row in rows(right, day)}
    assert known & set(opened)
    assert {row["ticket_id"] for row in rows(right, MISSING)} == known & set(opened)


def test_a_day_without_targets_has_to_be_summarised_first(root):
    removed(root, TARGETS, NEXT)
    with pytest.raises(DayNotFetchedError, match=f"sla_targets of {NEXT} has not been made"):
        make_days(root, NEXT, NEXT)


# Files that don't belong together.


@pytest.mark.parametrize("damage", [removed, truncated])
def test_a_missing_day_in_between_is_recomputed_in_memory(root, right, damage):
    damage(root, STATES, DAYS[MIDDLE])
    assert_later_days_are_right(root, right)


@pytest.mark.parametrize("damage", [removed, truncated])
def test_the_stored_changes_are_not_needed(root, right, damage):
    for day in DAYS[5:15]:
        damage(root, CHANGES, day)
    removed(root, STATES, DAYS[10])
    assert_later_days_are_right(root, right)


def changed_audits(root, day):
    more = drawn_ticket(Random(8), 99, days=1)  # noqa: S311
    more.audits.clear()
    more.audit(day.start + 3600, [{"event_type": "Create", "group_id": 11}])
    put_audits(root, audits_of(day, [*TICKETS, more]), day)


@pytest.mark.slow
@pytest.mark.parametrize("changed", [MADE - 2, MIDDLE])
def test_a_layer_of_replaced_audits_is_not_used(root, tmp_path, changed):
    """The result is what all days will have once they are made again."""
    changed_audits(root, DAYS[changed])
    make_sla_days(root, DAYS[changed], DAYS[-1])
    copytree(root, tmp_path / "all")
    make_days(tmp_path / "all", DAYS[changed], DAYS[-1])
    assert_later_days_are_right(root, tmp_path / "all")
    assert 99 in {row["ticket_id"] for row in rows(tmp_path / "all", DAYS[changed])}


@pytest.mark.slow
def test_a_layer_of_replaced_targets_is_not_used(root, tmp_path):
    put_raw_day(root, [*EVENTS, *all_events(Clock(2, first_id=9900).apply(24 * MIDDLE + 1, 6000))], DAYS[MIDDLE])
    make_sla_days(root, DAYS[MIDDLE], DAYS[-1])
    copytree(root, tmp_path / "all")
    make_days(tmp_path / "all", DAYS[MIDDLE], DAYS[-1])
    assert_later_days_are_right(root, tmp_path / "all")


@pytest.mark.slow
def test_an_old_backup_of_a_layer_is_not_mixed_in(root, made, tmp_path):
    changed_audits(root, DAYS[MIDDLE])
    make_sla_days(root, DAYS[MIDDLE], DAYS[-1])
    make_days(root, DAYS[MIDDLE], DAYS[MADE - 1])
    copytree(root, tmp_path / "all")
    make_days(tmp_path / "all", NEXT, DAYS[-1])
    path_of(root, STATES, DAYS[MIDDLE]).write_bytes(path_of(made, STATES, DAYS[MIDDLE]).read_bytes())
    assert_later_days_are_right(root, tmp_path / "all")


def test_a_layer_whose_inputs_are_gone_is_used(root, right):
    for asset in (AUDITS, METRIC, TARGETS):
        removed(root, asset, DAYS[MIDDLE])
    make_days(root, NEXT, NEXT)
    assert_as_right(root, right, NEXT)


def test_without_the_inputs_of_a_lost_day_the_history_begins_after_it(root, right):
    """What has moved since then, or has an open target, is known; nothing else, and nothing wrong."""
    for asset in (STATES, TARGETS):
        removed(root, asset, DAYS[MIDDLE])
    make_days(root, NEXT, NEXT)
    moved = {row["ticket_id"] for day in DAYS[MIDDLE + 1 : MADE] for row in rows(right, day)}
    of_moved, _, _ = oracle_input(root, NEXT)
    assert moved <= {row["ticket_id"] for row in rows(root, NEXT)} <= moved | {row["ticket_id"] for row in of_moved}
    assert [row for row in of_the_days_tickets(root, right, NEXT) if row["ticket_id"] in moved] == [
        row for row in rows(right, NEXT) if row["ticket_id"] in moved
    ]
    assert footer(root, NEXT)["made_from_previous_states"] == footer(root, DAYS[MADE - 1])["content_hash"]
    assert read_states(FolderStore(root), NEXT).remembered_since == DAYS[MIDDLE + 1].date
    assert footer(root, NEXT)[REACHES_BACK] == "0"


def test_a_day_before_that_is_damaged_has_to_be_made_again(root):
    truncated(root, STATES, DAYS[MADE - 1])
    with pytest.raises(DamagedFileError, match=f"Materialize ticket_states of {DAYS[MADE - 1]} again"):
        make_days(root, NEXT, NEXT)


@pytest.mark.parametrize("name", [REACHES_BACK, TRACKED_SINCE, "content_hash", "made_from_targets"])
def test_a_footer_that_cannot_be_read_is_a_damaged_file(root, name):
    def without(old):
        return {key: text for key, text in old.items() if key != name} | ({name: "?"} if name == REACHES_BACK else {})

    rewrite(root, STATES, DAYS[MADE - 1], footer=without)
    with pytest.raises(DamagedFileError, match="has no footer of this pipeline"):
        make_days(root, NEXT, NEXT)


def test_the_hash_depends_on_the_whole_history_and_the_fields(root):
    def hashes():
        return [footer(root, day)["content_hash"] for day in DAYS[:MADE]]

    before, from_middle = hashes(), (DAYS[MIDDLE], DAYS[MADE - 1])
    assert len(set(before)) == MADE
    make_days(root, *from_middle)
    assert hashes() == before
    changed_audits(root, DAYS[MIDDLE])
    make_sla_days(root, *from_middle)
    make_days(root, *from_middle)
    assert [one == other for one, other in zip(hashes(), before, strict=True)] == [n < MIDDLE for n in range(MADE)]
    make_days(root, DAYS[MADE - 1], DAYS[MADE - 1], fields=FIELDS[:-1])
    assert len({*hashes(), *before}) == MADE + MADE - MIDDLE


# Fields that come and go.


def test_a_field_tracked_later_is_not_known_to_be_empty_before(root, right):
    """Its first day stands in the footer of that day and of all later ones."""
    make_days(root, DAYS[MIDDLE], DAYS[MADE - 1], fields=FIELDS[:-1])
    assert {row["field"] for day in DAYS[MIDDLE:MADE] for row in rows(root, day)} == set(FIELDS) - {CUSTOM}
    make_days(root, NEXT, NEXT)
    make_days(root, DAYS[MADE + 1], DAYS[-1])
    since = {CUSTOM: NEXT.date}
    assert [read_states(FolderStore(root), day).tracked_since for day in DAYS[MADE - 1 :]] == [{}, since, since, since]
    assert isinstance(since[CUSTOM], dt.date)
    for day in DAYS[MADE:]:
        others = [row for row in rows(right, day) if row["field"] != CUSTOM]
        assert [row for row in rows(root, day) if row["field"] != CUSTOM] == others
    make_days(root, DAYS[-1], DAYS[-1], fields=FIELDS[:-1])
    assert read_states(FolderStore(root), DAYS[-1]).tracked_since == {}


def test_days_made_for_the_first_time_have_tracked_all_fields_from_the_beginning(tmp_path, right):
    copytree(right, tmp_path / "new")
    for day in DAYS:
        removed(tmp_path / "new", STATES, day)
    make_days(tmp_path / "new", DAYS[MIDDLE], DAYS[MIDDLE])
    assert read_states(FolderStore(tmp_path / "new"), DAYS[MIDDLE]).tracked_since == {}
