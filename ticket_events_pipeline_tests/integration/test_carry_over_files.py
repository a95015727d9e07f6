"""The carry-over in files: a day starts from some thirty of them, and only from files that belong together."""

from __future__ import annotations

import json
import random
from shutil import copy, copytree

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from ticket_events_pipeline.day import days_between
from ticket_events_pipeline.errors import DamagedFileError
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS, make_clocks, make_targets
from ticket_events_pipeline.sla.carry_over_files import carry_over_before
from ticket_events_pipeline.sla.clock_files import CLOCK_CHAIN, CLOCKS, DELETED, LAYERED_CLOCKS
from ticket_events_pipeline.sla.layer_files import FORGOTTEN, REACHES_BACK, read_layer
from ticket_events_pipeline.sla.rules.carry_over import REACH_DAYS
from ticket_events_pipeline.sla.rules.clocks import deleted_tickets
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition, write_partition
from ticket_events_pipeline.tables.sla_clocks import SLA_CLOCKS_TABLE
from ticket_events_pipeline_tests.support.damages import path_of, removed, rewrite, truncated
from ticket_events_pipeline_tests.support.sla_cases import Clock, clocks_by_day
from ticket_events_pipeline_tests.support.sla_roots import (
    METRIC,
    all_audits,
    all_events,
    make_sla_days,
    put_audits,
    put_raw_day,
    sla_root,
)

FIRST = Clock.DAY
DAYS = days_between(FIRST, FIRST.plus(39))
MADE, MIDDLE = 37, 20
"""How many days are made when a test begins; a day in the middle of the carry-over."""

NEXT = DAYS[MADE]

SLOW = pytest.mark.slow


def account(seed):
    """Clocks with many kinds of histories, some starting long after their ticket's last event; and the tickets' audits."""
    rng, fates = random.Random(seed), random.Random(-seed)  # noqa: S311
    clocks = []
    for ticket in range(1, 61):
        start = rng.randrange(39 * 24)
        for number, metric in enumerate(["reply_time", "resolution_time"]):
            clock = Clock(ticket, metric, first_id=100 * ticket + 50 * number).add("activate", start)
            if rng.random() < 0.7:
                clock.apply(start, 60)
            if rng.random() < 0.4:
                clock.add("breach", start + 1)
            if rng.random() < 0.8:
                clock.add("fulfill", start + rng.choice([1, 2, 30, 200]))
            if rng.random() < 0.3:
                clock.add(rng.choice(["activate", "pause", "breach"]), start + rng.choice([300, 725, 800]))
            clocks.append(clock)
        audited = Clock(ticket)
        for _ in range(fates.choice([0, 0, 1, 2, 3])):
            audited.ticket(start + fates.choice([0, 1, 20, 100, 720, 760]), fates.choice(["deleted", "deleted", "open"]))
        clocks.append(audited)
    audits = [{**audit, "id": place} for place, audit in enumerate(all_audits(*clocks))]
    return all_events(*clocks), audits


EVENTS, AUDITS = account(1)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """All raw days, and the tables of all but the last three days."""
    root = tmp_path_factory.mktemp("made")
    for day in DAYS:
        put_raw_day(root, EVENTS, day)
        put_audits(root, AUDITS, day)
    make_sla_days(root, FIRST, DAYS[MADE - 1])
    return root


@pytest.fixture(scope="session")
def right(made, tmp_path_factory):
    """The same root with all days made, in one range."""
    root = tmp_path_factory.mktemp("right") / "root"
    copytree(made, root)
    make_sla_days(root, FIRST, DAYS[-1])
    return root


@pytest.fixture
def root(made, tmp_path):
    copytree(made, tmp_path / "root")
    return tmp_path / "root"


def footer(root, day, asset=CLOCKS):
    return read_metadata(FolderStore(root), asset, day)


def tables(root, day, *assets):
    return [read_partition(FolderStore(root), asset, day) for asset in assets]


def assert_as_right(root, right, *days, assets=(CLOCKS, TARGETS, SUMMARY)):
    for day in days:
        assert tables(root, day, *assets) == tables(right, day, *assets)
        assert [footer(root, day, asset) for asset in assets] == [footer(right, day, asset) for asset in assets]


def assert_later_days_are_right(root, right):
    """The next day is right although its file has the whole carry-over; and so is the day after."""
    make_sla_days(root, NEXT, NEXT)
    assert_as_right(root, right, NEXT, assets=(TARGETS, SUMMARY))
    found = footer(root, NEXT)
    assert found == {**footer(right, NEXT), REACHES_BACK: "0", DELETED: found[DELETED]}
    for day in DAYS[:MADE]:
        path_of(root, CLOCKS, day).unlink(missing_ok=True)
    make_sla_days(root, DAYS[MADE + 1], DAYS[-1])
    assert_as_right(root, right, *DAYS[MADE + 1 :], assets=(TARGETS, SUMMARY))


@pytest.mark.slow
def test_days_made_one_by_one_equal_those_of_one_range(root, right):
    for day in DAYS[MADE:]:
        make_sla_days(root, day, day)
    assert_as_right(root, right, *DAYS[MADE:])


def test_a_range_that_starts_from_files_equals_one_made_in_a_whole(root, right):
    make_sla_days(root, NEXT, DAYS[-1])
    assert_as_right(root, right, *DAYS[MADE:])


@pytest.mark.slow
def test_every_day_made_alone_equals_that_of_one_range(right, tmp_path):
    for day in DAYS:
        put_raw_day(tmp_path, EVENTS, day)
        put_audits(tmp_path, AUDITS, day)
        make_sla_days(tmp_path, day, day)
    assert_as_right(tmp_path, right, *DAYS)


@pytest.mark.parametrize("for_days", [1, 2])
def test_the_carry_over_from_files_equals_one_in_memory(right, for_days):
    known = carry_over_before(FolderStore(right), CLOCK_CHAIN, DAYS[-1].plus(1), for_days=for_days)
    carried = clocks_by_day(EVENTS, FIRST, DAYS[-1], audits=AUDITS)[DAYS[-1]]
    assert sorted(known.carry_over.rows()["id"].to_pylist()) == sorted(carried["id"].to_pylist())
    assert len(known.carry_over.layers) == REACH_DAYS + 1


def test_no_ticket_is_in_memory_twice(right):
    named = [
        layer.tickets.tolist()
        for layer in carry_over_before(FolderStore(right), CLOCK_CHAIN, DAYS[-1].plus(1), for_days=2).carry_over.layers
    ]
    assert sum(map(len, named)) == len({ticket for tickets in named for ticket in tickets})


def test_the_footer_states_how_far_the_carry_over_reaches_back(right):
    assert [footer(right, day)[REACHES_BACK] for day in DAYS] == [str(min(offset, REACH_DAYS)) for offset in range(len(DAYS))]
    assert {footer(right, day)[FORGOTTEN] for day in DAYS} == {"[]"}


def test_a_days_file_holds_the_tickets_that_moved_or_are_open_and_no_others(right):
    """This bounds the cost of a day, however much is carried over."""
    day = DAYS[MIDDLE]
    clocks, targets = tables(right, day, CLOCKS, TARGETS)
    moved = {event["ticket_id"] for event in EVENTS if day.start <= event["time"] < day.end}
    is_open = pc.is_in(targets["outcome"], pa.array(["active", "breached_open"]))
    open_at_end = set(targets["ticket_id"].filter(is_open).to_pylist())
    assert open_at_end - moved
    assert set(clocks["ticket_id"].to_pylist()) == moved | open_at_end
    remembered = carry_over_before(FolderStore(right), CLOCK_CHAIN, day.plus(1), for_days=1).carry_over.rows()
    assert len(set(remembered["ticket_id"].to_pylist())) > len(moved | open_at_end)


def test_the_whole_folder_reads_as_one_table(right):
    table = ds.dataset(right / CLOCKS, partitioning="hive").to_table()
    assert table.num_rows == sum(tables(right, day, CLOCKS)[0].num_rows for day in DAYS)


# Files that don't belong together.


@pytest.mark.parametrize("damage", [removed, truncated])
def test_a_missing_day_in_between_is_recomputed_in_memory(root, right, damage):
    damage(root, CLOCKS, DAYS[MIDDLE])
    assert_later_days_are_right(root, right)


def test_another_days_file_in_its_place_is_not_used(root, right):
    other = read_partition(FolderStore(root), CLOCKS, DAYS[MIDDLE - 1])
    write_partition(FolderStore(root), CLOCKS, DAYS[MIDDLE], other, footer(root, DAYS[MIDDLE - 1]))
    assert_later_days_are_right(root, right)


@pytest.mark.parametrize("made_again", [[MIDDLE], [MIDDLE, MIDDLE + 1]])
def test_days_made_again_without_later_ones_count_from_then_on(root, tmp_path, made_again):
    """The result and its inputs are what the later days will have once they are made again."""
    more = [*EVENTS, *all_events(Clock(99, first_id=9900).apply(24 * MIDDLE + 1, 60))]
    put_raw_day(root, more, DAYS[MIDDLE])
    copytree(root, tmp_path / "all")
    make_sla_days(tmp_path / "all", DAYS[MIDDLE], DAYS[-1])
    make_sla_days(root, DAYS[made_again[0]], DAYS[made_again[-1]])
    assert_later_days_are_right(root, tmp_path / "all")


@pytest.mark.parametrize("changed", [MADE - 2, *(pytest.param(n, marks=SLOW) for n in (MADE - 1, MADE - REACH_DAYS - 1))])
def test_a_layer_of_a_replaced_raw_file_is_not_used(root, tmp_path, changed):
    """For every file of the carry-over; the result is what all days will have once they are made again."""
    more = [*EVENTS, *all_events(Clock(99, first_id=9900).apply(24 * changed + 1, 6000))]
    put_raw_day(root, more, DAYS[changed])
    copytree(root, tmp_path / "all")
    make_sla_days(tmp_path / "all", DAYS[changed], DAYS[-1])
    assert_later_days_are_right(root, tmp_path / "all")


@pytest.mark.slow
def test_an_old_backup_of_a_raw_file_or_a_layer_is_not_mixed_in(root, made, tmp_path):
    put_raw_day(root, [*EVENTS, *all_events(Clock(99, first_id=9900).apply(24 * MIDDLE + 1, 6000))], DAYS[MIDDLE])
    make_sla_days(root, DAYS[MIDDLE], DAYS[MADE - 1])
    copytree(root, tmp_path / "newer")
    make_sla_days(tmp_path / "newer", NEXT, DAYS[-1])
    copytree(root, tmp_path / "layer")
    copy(path_of(made, CLOCKS, DAYS[MIDDLE]), path_of(tmp_path / "layer", CLOCKS, DAYS[MIDDLE]))
    assert_later_days_are_right(tmp_path / "layer", tmp_path / "newer")
    copy(path_of(made, METRIC, DAYS[MIDDLE]), path_of(root, METRIC, DAYS[MIDDLE]))
    copytree(root, tmp_path / "older")
    make_sla_days(tmp_path / "older", DAYS[MIDDLE], DAYS[-1])
    assert_later_days_are_right(root, tmp_path / "older")


@pytest.mark.slow
def test_a_backup_of_a_layer_that_reaches_further_back_is_not_used(root, right):
    """Its hash depends on the events only; the file that it replaces had the whole carry-over, and this one doesn't."""
    backup = path_of(root, CLOCKS, DAYS[MIDDLE]).read_bytes()
    removed(root, CLOCKS, DAYS[MIDDLE - 3])
    make_sla_days(root, DAYS[MIDDLE], DAYS[MADE - 1])
    assert footer(root, DAYS[MIDDLE])[REACHES_BACK] == "0"
    path_of(root, CLOCKS, DAYS[MIDDLE]).write_bytes(backup)
    assert_later_days_are_right(root, right)


@pytest.mark.parametrize("damage", [removed, pytest.param(truncated, marks=SLOW)])
def test_a_layer_whose_raw_files_are_gone_is_used(root, right, damage):
    for stream in (METRIC, "ticket_events"):
        damage(root, stream, DAYS[MIDDLE])
    make_sla_days(root, NEXT, NEXT)
    assert_as_right(root, right, NEXT)


@pytest.mark.slow
def test_if_no_layer_matches_its_raw_files_thirty_days_are_replayed(root):
    for day in DAYS[:MADE]:
        put_raw_day(root, [*EVENTS, *all_events(Clock(99, first_id=9900).apply(24 * (day.date - FIRST.date).days + 1, 6))], day)
    (day,) = make_sla_days(root, NEXT, NEXT)
    assert day.provenance.history_from == DAYS[MADE - 30].date
    assert day.provenance.inputs.begins_anew


def test_a_day_before_that_was_never_made_is_replayed_from_raw_files(root):
    """The stored events of thirty days are replayed; the file says that it comes from no carry-over."""
    removed(root, CLOCKS, DAYS[MADE - 1])
    (day,) = make_sla_days(root, NEXT, NEXT)
    assert day.provenance.inputs.begins_anew
    assert day.provenance.history_from == DAYS[MADE - 30].date
    assert footer(root, NEXT)[REACHES_BACK] == "0"


def test_a_day_before_that_is_damaged_has_to_be_made_again(root):
    truncated(root, CLOCKS, DAYS[MADE - 1])
    with pytest.raises(DamagedFileError, match=f"Materialize sla_clocks of {DAYS[MADE - 1]} again"):
        make_sla_days(root, NEXT, NEXT)


def assert_history_begins_after(root, right, broken):
    """Changes since then and open targets are known, the rest is not, and every row states this."""
    made = make_sla_days(root, NEXT, NEXT)
    assert [day.provenance.history_from for day in made] == [broken.plus(1).date]
    assert [day.provenance.deletions.since for day in made] == [broken.plus(1).date]
    known, whole = (set(read_layer(FolderStore(place), LAYERED_CLOCKS, NEXT).tickets.tolist()) for place in (root, right))
    remembered = carry_over_before(FolderStore(right), CLOCK_CHAIN, NEXT.plus(1), for_days=1).carry_over.rows()
    since = {event["ticket_id"] for event in EVENTS if broken.plus(1).start <= event["time"] < NEXT.end}
    assert whole | since <= known < set(remembered["ticket_id"].to_pylist())
    assert {row["ticket_id"] for row in open_targets(root)} == {row["ticket_id"] for row in open_targets(right)}
    assert footer(root, NEXT)["made_from_previous_clocks"] == footer(root, DAYS[MADE - 1])["content_hash"]
    assert footer(root, NEXT)[REACHES_BACK] == "0"


def open_targets(root):
    (targets,) = tables(root, NEXT, TARGETS)
    return [row for row in targets.to_pylist() if row["outcome"] in ("active", "breached_open")]


def test_without_a_valid_file_the_history_begins_after_the_newest_gap(root, right):
    for day in DAYS[: MIDDLE + 1]:
        removed(root, CLOCKS, day)
    assert_history_begins_after(root, right, DAYS[MIDDLE])


@pytest.mark.parametrize("gone_too", [MIDDLE, MIDDLE + 2])
def test_without_the_events_of_a_lost_day_the_history_begins_after_it(root, right, gone_too):
    """The deletion of a day in every asset on request leaves such a root."""
    removed(root, CLOCKS, DAYS[MIDDLE])
    removed(root, METRIC, DAYS[gone_too])
    assert_history_begins_after(root, right, DAYS[MIDDLE])


def test_a_file_replaced_while_it_is_read_is_an_error(root):
    layer = read_layer(FolderStore(root), LAYERED_CLOCKS, DAYS[MIDDLE])
    rewrite(root, CLOCKS, DAYS[MIDDLE], footer=lambda old: {**old, "content_hash": "another"})
    with pytest.raises(DamagedFileError, match=r"was replaced while it was read\. Start the run again"):
        layer.rows(layer.tickets)


@pytest.mark.parametrize("name", [REACHES_BACK, FORGOTTEN, "content_hash", "as_of"])
def test_a_footer_that_cannot_be_read_is_a_damaged_file(root, name):
    rewrite(root, CLOCKS, DAYS[MADE - 1], footer=lambda old: {**old, name: "?"} if name != "content_hash" else {})
    with pytest.raises(DamagedFileError, match="has no footer of this pipeline"):
        make_sla_days(root, NEXT, NEXT)


# What identifies a carry-over.


def hashes(root):
    return [footer(root, day)["content_hash"] for day in DAYS[:MADE]]


def test_the_hash_depends_on_the_whole_history_and_nothing_else(root):
    before, from_middle = hashes(root), DAYS[MIDDLE:MADE]
    assert len(set(before)) == MADE
    list(make_clocks(FolderStore(root), from_middle))
    assert hashes(root) == before
    put_raw_day(root, [*EVENTS, *Clock(99, first_id=9900).add("activate", 24 * MIDDLE + 1).events], DAYS[MIDDLE])
    list(make_clocks(FolderStore(root), from_middle))
    assert [one == other for one, other in zip(hashes(root), before, strict=True)] == [True] * MIDDLE + [False] * len(
        from_middle
    )


def test_only_audits_that_delete_or_restore_a_ticket_change_the_clocks(root):
    before, day = hashes(root), DAYS[MIDDLE]
    other = Clock(99).ticket(24 * MIDDLE + 2, "solved").audits
    put_audits(root, [*AUDITS, {**other[0], "id": 9000}], day)
    made_from = footer(root, day)["made_from_ticket_events"]
    list(make_clocks(FolderStore(root), [day]))
    assert hashes(root) == before
    assert footer(root, day)["made_from_ticket_events"] != made_from
    put_audits(root, [*AUDITS, {**Clock(99).ticket(24 * MIDDLE + 2, "deleted").audits[0], "id": 9000}], day)
    list(make_clocks(FolderStore(root), [day]))
    assert [place for place, (old, new) in enumerate(zip(before, hashes(root), strict=True)) if old != new] == [MIDDLE]


def test_the_account_has_targets_that_a_deletion_closed(root):
    outcomes = [row["outcome"] for day in DAYS[:MADE] for row in tables(root, day, TARGETS)[0].to_pylist()]
    assert outcomes.count("deleted") > 10


def test_the_footers_state_the_range_of_known_deletions(tmp_path):
    days, events = DAYS[:6], Clock().apply(9, 60).events
    for day in days:
        put_raw_day(tmp_path, events, day)
    for place in (1, 2, 4):
        put_audits(tmp_path, [], days[place], now=days[4].start + 3600 if place == 4 else None)
    make_sla_days(tmp_path, days[0], days[-1])

    def known(day, asset):
        return footer(tmp_path, day, asset)["deletions_from"], footer(tmp_path, day, asset)["deletions_through"]

    expected = [
        ("", ""),
        (str(days[1]), str(days[1].end)),
        (str(days[1]), str(days[2].end)),
        (str(days[1]), str(days[2].end)),
        (str(days[4]), str(days[4].start + 3600)),
        (str(days[4]), str(days[4].start + 3600)),
    ]
    for asset in (CLOCKS, TARGETS, SUMMARY):
        assert [known(day, asset) for day in days] == expected
        assert footer(tmp_path, days[0], asset)["rules_version"] == "2"


# Files of an earlier version: the whole carry-over, in order of arrival.


def as_earlier_versions_wrote_it(root, day):
    """Write the day's file in the layout of earlier versions, with the deletions, which those didn't have."""
    carried = clocks_by_day(EVENTS, FIRST, day, audits=AUDITS)[day]
    order = sorted(range(carried.num_rows), key=lambda row: carried["time"][row].as_py().date())
    clocks = carried.take(pa.array(order))
    rest = {name: value for name, value in footer(root, day).items() if name not in (REACHES_BACK, FORGOTTEN)}
    deleted = json.dumps(deleted_tickets(carried).tolist())
    write_partition(FolderStore(root), CLOCKS, day, clocks, {**rest, "content_hash": content_hash(clocks), DELETED: deleted})


def assert_same_targets(root, right, *days):
    for day in days:
        assert tables(root, day, TARGETS) == tables(right, day, TARGETS)


@pytest.mark.parametrize("in_one_range", [True, False])
def test_a_day_can_start_from_a_file_of_an_earlier_version(root, right, in_one_range):
    as_earlier_versions_wrote_it(root, DAYS[MADE - 1])
    for days in [DAYS[MADE:]] if in_one_range else [[day] for day in DAYS[MADE:]]:
        made = make_sla_days(root, days[0], days[-1])
    assert_same_targets(root, right, *DAYS[MADE:])
    assert made[-1].provenance.history_from == FIRST.date
    assert [footer(root, day)[REACHES_BACK] for day in DAYS[MADE:]] == ["1", "2", "3"]


def test_a_file_of_an_earlier_version_ages_out_like_any_other(root, right):
    as_earlier_versions_wrote_it(root, DAYS[2])
    make_sla_days(root, DAYS[3], DAYS[-1])
    assert_same_targets(root, right, *DAYS[3:])
    assert footer(root, DAYS[-1])[REACHES_BACK] == str(REACH_DAYS)


def test_targets_of_a_day_of_an_earlier_version_can_be_made_again(root, right):
    as_earlier_versions_wrote_it(root, DAYS[MIDDLE])
    removed(root, TARGETS, DAYS[MIDDLE])
    list(make_targets(FolderStore(root), [DAYS[MIDDLE]]))
    assert_same_targets(root, right, DAYS[MIDDLE])


@pytest.mark.parametrize("is_open", [True, False])
def test_a_ticket_whose_only_event_moved_is_dropped_from_the_files(tmp_path, is_open):
    """The ticket is in the newest file or, if it is closed, in an older one."""
    days = [FIRST.plus(offset) for offset in range(4)]
    first = Clock(1).apply(9, 60) if is_open else Clock(1).add("activate", 9)
    for day, events in zip(days, [first.events, [], Clock(2).apply(57, 60).events, []], strict=True):
        put_raw_day(tmp_path, events, day)
        make_sla_days(tmp_path, day, day)
    assert footer(tmp_path, days[2])[FORGOTTEN] == "[1]"
    assert tables(tmp_path, days[3], TARGETS)[0]["ticket_id"].to_pylist() == [2]
    assert carry_over_before(FolderStore(tmp_path), CLOCK_CHAIN, days[3].plus(1), for_days=1).carry_over.rows()[
        "ticket_id"
    ].to_pylist() == [2]


def test_a_day_can_start_from_a_day_without_events(tmp_path):
    days = [FIRST, FIRST.plus(1), FIRST.plus(2)]
    sla_root(tmp_path, [], *days[:2])
    sla_root(tmp_path, Clock(1).apply(49, 60).events, days[2], days[2])
    assert tables(tmp_path, days[2], TARGETS)[0]["ticket_id"].to_pylist() == [1]
    assert tables(tmp_path, days[1], CLOCKS) == [SLA_CLOCKS_TABLE.schema.empty_table()]


def test_a_day_that_begins_a_history_has_a_different_hash(tmp_path):
    """Empty ones, too: they drop different events."""
    days = [FIRST, FIRST.plus(40)]
    for day in days:
        sla_root(tmp_path, [], day, day)
    assert len({footer(tmp_path, day)["content_hash"] for day in days}) == 2
