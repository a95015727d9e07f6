"""The memory in files: a day goes on from some thirty of them, and only from those that follow from each other."""

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
from ticket_events_pipeline.sla.clock_files import CLOCKS, DELETED, FORGOTTEN, REACHES_BACK, read_layer
from ticket_events_pipeline.sla.rules.carry_over import REACH_DAYS
from ticket_events_pipeline.sla.rules.clocks import CLOCKS_SCHEMA, deleted_tickets
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition, write_partition
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
"""So many of the days are made when a test begins; one of the days in the middle of the memory."""

NEXT = DAYS[MADE]

SLOW = pytest.mark.slow


def account(seed):
    """Clocks of many kinds of lives, some that come long after their ticket was last heard of; and the tickets' audits."""
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
    """The same with all days made, in one range."""
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


def assert_goes_on_rightly(root, right):
    """The next day is as it should be, though its file holds all that is remembered; and the day after is none the wiser."""
    make_sla_days(root, NEXT, NEXT)
    assert_as_right(root, right, NEXT, assets=(TARGETS, SUMMARY))
    told = footer(root, NEXT)
    assert told == {**footer(right, NEXT), REACHES_BACK: "0", DELETED: told[DELETED]}
    for day in DAYS[:MADE]:
        path_of(root, CLOCKS, day).unlink(missing_ok=True)
    make_sla_days(root, DAYS[MADE + 1], DAYS[-1])
    assert_as_right(root, right, *DAYS[MADE + 1 :], assets=(TARGETS, SUMMARY))


@pytest.mark.slow
def test_days_made_one_by_one_from_files_are_those_of_one_range(root, right):
    for day in DAYS[MADE:]:
        make_sla_days(root, day, day)
    assert_as_right(root, right, *DAYS[MADE:])


def test_a_range_goes_on_from_files_as_it_does_from_days_of_its_own(root, right):
    make_sla_days(root, NEXT, DAYS[-1])
    assert_as_right(root, right, *DAYS[MADE:])


@pytest.mark.slow
def test_every_day_made_alone_is_that_of_one_range(right, tmp_path):
    for day in DAYS:
        put_raw_day(tmp_path, EVENTS, day)
        put_audits(tmp_path, AUDITS, day)
        make_sla_days(tmp_path, day, day)
    assert_as_right(tmp_path, right, *DAYS)


@pytest.mark.parametrize("for_days", [1, 2])
def test_what_is_read_is_what_a_memory_without_files_holds(right, for_days):
    known = carry_over_before(FolderStore(right), DAYS[-1].plus(1), for_days=for_days)
    carried = clocks_by_day(EVENTS, FIRST, DAYS[-1], audits=AUDITS)[DAYS[-1]]
    assert sorted(known.carry_over.clocks()["id"].to_pylist()) == sorted(carried["id"].to_pylist())
    assert len(known.carry_over.layers) == REACH_DAYS + 1


def test_no_ticket_is_kept_twice_in_memory(right):
    named = [
        layer.tickets.tolist()
        for layer in carry_over_before(FolderStore(right), DAYS[-1].plus(1), for_days=2).carry_over.layers
    ]
    assert sum(map(len, named)) == len({ticket for tickets in named for ticket in tickets})


def test_the_footer_tells_how_far_the_memory_reaches_back(right):
    assert [footer(right, day)[REACHES_BACK] for day in DAYS] == [str(min(offset, REACH_DAYS)) for offset in range(len(DAYS))]
    assert {footer(right, day)[FORGOTTEN] for day in DAYS} == {"[]"}


def test_a_days_file_holds_the_tickets_that_moved_or_are_open_and_no_others(right):
    """That is what a day costs, however much is remembered."""
    day = DAYS[MIDDLE]
    clocks, targets = tables(right, day, CLOCKS, TARGETS)
    moved = {event["ticket_id"] for event in EVENTS if day.start <= event["time"] < day.end}
    is_open = pc.is_in(targets["outcome"], pa.array(["active", "breached_open"]))
    open_at_end = set(targets["ticket_id"].filter(is_open).to_pylist())
    assert open_at_end - moved
    assert set(clocks["ticket_id"].to_pylist()) == moved | open_at_end
    remembered = carry_over_before(FolderStore(right), day.plus(1), for_days=1).carry_over.clocks()
    assert len(set(remembered["ticket_id"].to_pylist())) > len(moved | open_at_end)


def test_the_whole_folder_reads_as_one_table(right):
    table = ds.dataset(right / CLOCKS, partitioning="hive").to_table()
    assert table.num_rows == sum(tables(right, day, CLOCKS)[0].num_rows for day in DAYS)


# Files that don't follow from each other.


@pytest.mark.parametrize("damage", [removed, truncated])
def test_a_day_in_between_that_is_gone_is_made_again_in_memory(root, right, damage):
    damage(root, CLOCKS, DAYS[MIDDLE])
    assert_goes_on_rightly(root, right)


def test_another_days_file_in_its_place_is_not_taken_for_it(root, right):
    other = read_partition(FolderStore(root), CLOCKS, DAYS[MIDDLE - 1])
    write_partition(FolderStore(root), CLOCKS, DAYS[MIDDLE], other, footer(root, DAYS[MIDDLE - 1]))
    assert_goes_on_rightly(root, right)


@pytest.mark.parametrize("made_again", [[MIDDLE], [MIDDLE, MIDDLE + 1]])
def test_days_restated_without_those_after_them_count_from_now_on(root, tmp_path, made_again):
    """What comes out is what the days after them will say once they are made again, and so is what it was made from."""
    more = [*EVENTS, *all_events(Clock(99, first_id=9900).apply(24 * MIDDLE + 1, 60))]
    put_raw_day(root, more, DAYS[MIDDLE])
    copytree(root, tmp_path / "all")
    make_sla_days(tmp_path / "all", DAYS[MIDDLE], DAYS[-1])
    make_sla_days(root, DAYS[made_again[0]], DAYS[made_again[-1]])
    assert_goes_on_rightly(root, tmp_path / "all")


@pytest.mark.parametrize("changed", [MADE - 2, *(pytest.param(n, marks=SLOW) for n in (MADE - 1, MADE - REACH_DAYS - 1))])
def test_a_layer_of_another_raw_file_than_is_stored_now_is_not_taken(root, tmp_path, changed):
    """Whichever of the files that the memory is spread over it is; what comes out is what all days made anew will say."""
    more = [*EVENTS, *all_events(Clock(99, first_id=9900).apply(24 * changed + 1, 6000))]
    put_raw_day(root, more, DAYS[changed])
    copytree(root, tmp_path / "all")
    make_sla_days(tmp_path / "all", DAYS[changed], DAYS[-1])
    assert_goes_on_rightly(root, tmp_path / "all")


@pytest.mark.slow
def test_an_old_backup_of_a_raw_file_or_of_a_layer_makes_no_mixture(root, made, tmp_path):
    put_raw_day(root, [*EVENTS, *all_events(Clock(99, first_id=9900).apply(24 * MIDDLE + 1, 6000))], DAYS[MIDDLE])
    make_sla_days(root, DAYS[MIDDLE], DAYS[MADE - 1])
    copytree(root, tmp_path / "newer")
    make_sla_days(tmp_path / "newer", NEXT, DAYS[-1])
    copytree(root, tmp_path / "layer")
    copy(path_of(made, CLOCKS, DAYS[MIDDLE]), path_of(tmp_path / "layer", CLOCKS, DAYS[MIDDLE]))
    assert_goes_on_rightly(tmp_path / "layer", tmp_path / "newer")
    copy(path_of(made, METRIC, DAYS[MIDDLE]), path_of(root, METRIC, DAYS[MIDDLE]))
    copytree(root, tmp_path / "older")
    make_sla_days(tmp_path / "older", DAYS[MIDDLE], DAYS[-1])
    assert_goes_on_rightly(root, tmp_path / "older")


@pytest.mark.slow
def test_a_backup_of_a_layer_that_reaches_further_back_than_the_next_one_knows_is_not_taken(root, right):
    """Its hash is that of the events; the file that it replaces held all that was remembered, and this one does not."""
    backup = path_of(root, CLOCKS, DAYS[MIDDLE]).read_bytes()
    removed(root, CLOCKS, DAYS[MIDDLE - 3])
    make_sla_days(root, DAYS[MIDDLE], DAYS[MADE - 1])
    assert footer(root, DAYS[MIDDLE])[REACHES_BACK] == "0"
    path_of(root, CLOCKS, DAYS[MIDDLE]).write_bytes(backup)
    assert_goes_on_rightly(root, right)


@pytest.mark.parametrize("damage", [removed, pytest.param(truncated, marks=SLOW)])
def test_a_layer_whose_raw_files_are_gone_is_all_that_is_left_of_its_day(root, right, damage):
    for stream in (METRIC, "ticket_events"):
        damage(root, stream, DAYS[MIDDLE])
    make_sla_days(root, NEXT, NEXT)
    assert_as_right(root, right, NEXT)


@pytest.mark.slow
def test_where_all_files_are_of_other_raw_files_the_stored_events_of_thirty_days_count(root):
    for day in DAYS[:MADE]:
        put_raw_day(root, [*EVENTS, *all_events(Clock(99, first_id=9900).apply(24 * (day.date - FIRST.date).days + 1, 6))], day)
    (day,) = make_sla_days(root, NEXT, NEXT)
    assert day.provenance.history_from == DAYS[MADE - 30].date
    assert day.provenance.inputs.begins_anew


def test_a_day_before_that_was_never_made_is_not_made_up(root):
    """The stored events of thirty days are what there is, as ever; the file says that it comes from no memory."""
    removed(root, CLOCKS, DAYS[MADE - 1])
    (day,) = make_sla_days(root, NEXT, NEXT)
    assert day.provenance.inputs.begins_anew
    assert day.provenance.history_from == DAYS[MADE - 30].date
    assert footer(root, NEXT)[REACHES_BACK] == "0"


def test_a_day_before_that_is_damaged_has_to_be_made_again(root):
    truncated(root, CLOCKS, DAYS[MADE - 1])
    with pytest.raises(DamagedFileError, match=f"Materialise sla_clocks of {DAYS[MADE - 1]} again"):
        make_sla_days(root, NEXT, NEXT)


def assert_history_begins_after(root, right, broken):
    """What has moved or been open since then is known as ever, the rest no longer, and every row says so."""
    made = make_sla_days(root, NEXT, NEXT)
    assert [day.provenance.history_from for day in made] == [broken.plus(1).date]
    assert [day.provenance.deletions.since for day in made] == [broken.plus(1).date]
    known, whole = (set(read_layer(FolderStore(place), NEXT).tickets.tolist()) for place in (root, right))
    remembered = carry_over_before(FolderStore(right), NEXT.plus(1), for_days=1).carry_over.clocks()
    since = {event["ticket_id"] for event in EVENTS if broken.plus(1).start <= event["time"] < NEXT.end}
    assert whole | since <= known < set(remembered["ticket_id"].to_pylist())
    assert {row["ticket_id"] for row in open_targets(root)} == {row["ticket_id"] for row in open_targets(right)}
    assert footer(root, NEXT)["made_from_previous_clocks"] == footer(root, DAYS[MADE - 1])["content_hash"]
    assert footer(root, NEXT)[REACHES_BACK] == "0"


def open_targets(root):
    (targets,) = tables(root, NEXT, TARGETS)
    return [row for row in targets.to_pylist() if row["outcome"] in ("active", "breached_open")]


def test_where_no_file_is_sound_any_more_the_history_begins_after_the_newest_that_is_gone(root, right):
    for day in DAYS[: MIDDLE + 1]:
        removed(root, CLOCKS, day)
    assert_history_begins_after(root, right, DAYS[MIDDLE])


@pytest.mark.parametrize("gone_too", [MIDDLE, MIDDLE + 2])
def test_where_the_events_to_make_a_day_again_are_gone_too_the_history_begins_after_it(root, right, gone_too):
    """As after a day was deleted in every asset, since somebody asked for it."""
    removed(root, CLOCKS, DAYS[MIDDLE])
    removed(root, METRIC, DAYS[gone_too])
    assert_history_begins_after(root, right, DAYS[MIDDLE])


def test_a_file_that_is_replaced_while_a_day_reads_it_is_not_mixed_with_what_was_read(root):
    layer = read_layer(FolderStore(root), DAYS[MIDDLE])
    rewrite(root, CLOCKS, DAYS[MIDDLE], footer=lambda old: {**old, "content_hash": "another"})
    with pytest.raises(DamagedFileError, match=r"was replaced while it was read\. Start the run again"):
        layer.rows(layer.tickets)


@pytest.mark.parametrize("name", [REACHES_BACK, FORGOTTEN, "content_hash", "as_of"])
def test_a_footer_that_cannot_be_read_is_a_damaged_file(root, name):
    rewrite(root, CLOCKS, DAYS[MADE - 1], footer=lambda old: {**old, name: "?"} if name != "content_hash" else {})
    with pytest.raises(DamagedFileError, match="bears no footer of this pipeline"):
        make_sla_days(root, NEXT, NEXT)


# What tells a memory from another.


def hashes(root):
    return [footer(root, day)["content_hash"] for day in DAYS[:MADE]]


def test_the_hash_tells_the_whole_history_and_nothing_else(root):
    before, from_middle = hashes(root), DAYS[MIDDLE:MADE]
    assert len(set(before)) == MADE
    list(make_clocks(FolderStore(root), from_middle))
    assert hashes(root) == before
    put_raw_day(root, [*EVENTS, *Clock(99, first_id=9900).add("activate", 24 * MIDDLE + 1).events], DAYS[MIDDLE])
    list(make_clocks(FolderStore(root), from_middle))
    assert [one == other for one, other in zip(hashes(root), before, strict=True)] == [True] * MIDDLE + [False] * len(
        from_middle
    )


def test_only_audits_that_delete_or_restore_a_ticket_change_the_memory(root):
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


def test_the_footers_say_from_when_up_to_when_deletions_are_known(tmp_path):
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


# Files of an earlier version: all that was remembered, day by day as it came.


def as_earlier_versions_wrote_it(root, day):
    """Put the day's file in the layout of earlier versions, with the deletions, which those did not know."""
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
def test_a_file_of_an_earlier_version_is_gone_on_from(root, right, in_one_range):
    as_earlier_versions_wrote_it(root, DAYS[MADE - 1])
    for days in [DAYS[MADE:]] if in_one_range else [[day] for day in DAYS[MADE:]]:
        made = make_sla_days(root, days[0], days[-1])
    assert_same_targets(root, right, *DAYS[MADE:])
    assert made[-1].provenance.history_from == FIRST.date
    assert [footer(root, day)[REACHES_BACK] for day in DAYS[MADE:]] == ["1", "2", "3"]


def test_a_file_of_an_earlier_version_is_let_go_like_any_other(root, right):
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
def test_a_ticket_whose_only_event_went_to_another_is_forgotten_in_files_too(tmp_path, is_open):
    """Whether it stands in the newest file or, being closed, in an older one."""
    days = [FIRST.plus(offset) for offset in range(4)]
    first = Clock(1).apply(9, 60) if is_open else Clock(1).add("activate", 9)
    for day, events in zip(days, [first.events, [], Clock(2).apply(57, 60).events, []], strict=True):
        put_raw_day(tmp_path, events, day)
        make_sla_days(tmp_path, day, day)
    assert footer(tmp_path, days[2])[FORGOTTEN] == "[1]"
    assert tables(tmp_path, days[3], TARGETS)[0]["ticket_id"].to_pylist() == [2]
    assert carry_over_before(FolderStore(tmp_path), days[3].plus(1), for_days=1).carry_over.clocks()[
        "ticket_id"
    ].to_pylist() == [2]


def test_days_without_any_event_have_files_that_are_gone_on_from(tmp_path):
    days = [FIRST, FIRST.plus(1), FIRST.plus(2)]
    sla_root(tmp_path, [], *days[:2])
    sla_root(tmp_path, Clock(1).apply(49, 60).events, days[2], days[2])
    assert tables(tmp_path, days[2], TARGETS)[0]["ticket_id"].to_pylist() == [1]
    assert tables(tmp_path, days[1], CLOCKS) == [CLOCKS_SCHEMA.empty_table()]


def test_a_day_that_begins_a_history_has_a_hash_of_its_own(tmp_path):
    """Empty ones, too: what they forget differs."""
    days = [FIRST, FIRST.plus(40)]
    for day in days:
        sla_root(tmp_path, [], day, day)
    assert len({footer(tmp_path, day)["content_hash"] for day in days}) == 2
