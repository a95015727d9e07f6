"""No figure changes by pruning: a pruned root and one that never was make the same tables of every day that can be made."""

from __future__ import annotations

import random

import pytest

from ticket_events_pipeline.day import days_between
from ticket_events_pipeline.retention.settings import CLOSING, PRUNABLE
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline_tests.support.drawn_tickets import FIRST, DrawnTickets
from ticket_events_pipeline_tests.support.lake import report_of
from ticket_events_pipeline_tests.support.pruned_roots import EVERY_DAY, LAST, NEWEST_BEFORE, made_lake

GAPS = EVERY_DAY[40:42]
"""Days that never landed, too long ago for the hourly fetch: the day after them begins with the raw files of thirty days."""


@pytest.fixture(scope="module")
def sla_lake(tmp_path_factory):
    return made_lake(tmp_path_factory.mktemp("sla") / "root", 1, has_tickets=False, tickets=30, gaps=GAPS)


@pytest.fixture(scope="module")
def ticket_lake(tmp_path_factory):
    return made_lake(tmp_path_factory.mktemp("tickets") / "root", 2, has_tickets=True, tickets=40)


def drawn_dates(rng):
    """A date for each of some assets, or one for all."""
    newest = (NEWEST_BEFORE.date - FIRST.date).days
    if rng.random() < 0.5:
        return dict.fromkeys(PRUNABLE, FIRST.plus(rng.randint(1, newest)).date)
    chosen = {rng.choice(CLOSING), *rng.sample(PRUNABLE, k=rng.randint(1, 6))}
    return {asset: FIRST.plus(rng.randint(1, newest)).date for asset in chosen}


def restate(lake, first, seed):
    """The days from `first` on are read again and differ: rows came late, others were withdrawn."""
    other = DrawnTickets(seed, len(lake.drawn.lives), days=len(EVERY_DAY))
    landed = [day for day in days_between(first, LAST) if day not in GAPS]
    replace_events(lake, other, landed)


def replace_events(lake, other, days):
    kept = lake.drawn
    lake.drawn = other
    lake.land(days)
    lake.drawn = kept


def assert_equal_where_stored(lake, twin):
    record = read_pruned_days(lake.store)
    compared = 0
    for asset in lake.tables:
        for day in EVERY_DAY:
            if record.has(asset, day):
                assert not (lake.path / partition_path(asset, day)).exists()
            else:
                assert is_equal(lake, twin, asset, day), (asset, day)
                compared += 1
    assert compared


def is_equal(lake, twin, asset, day):
    one, other = (root.path / partition_path(asset, day) for root in (lake, twin))
    if not other.exists():
        return not one.exists()
    return one.read_bytes() == other.read_bytes() or lake.table(asset, day) == twin.table(asset, day)


def check(made, path, seed):
    rng = random.Random(seed)  # noqa: S311
    lake, twin = made.copied_to(path / "pruned"), made.copied_to(path / "twin")
    plan = lake.prune(drawn_dates(rng))
    assert plan.held_back is None
    assert plan.files
    assert lake.settle() == []
    assert_equal_where_stored(lake, twin)
    first_open = plan.record.first_open("UTC")
    changed = first_open.plus(rng.choice([0, 0, 1, rng.randrange((LAST.date - first_open.date).days)]))
    for one in (lake, twin):
        restate(one, changed, 50 + seed)
    assert lake.settle() == twin.settle() != []
    assert_equal_where_stored(lake, twin)
    for day in (first_open, LAST):
        assert report_of(lake.path, day) == report_of(twin.path, day)


@pytest.mark.parametrize("seed", range(2))
def test_sla_tables_are_the_same_with_and_without_what_was_pruned(sla_lake, seed, tmp_path):
    check(sla_lake, tmp_path, seed)


def test_stale_days_are_not_closed_before_they_are_made(sla_lake, tmp_path):
    lake = sla_lake.copied_to(tmp_path / "pruned")
    stale = FIRST.plus(64)
    replace_events(lake, DrawnTickets(9, 30, days=len(EVERY_DAY)), [stale])
    plan = lake.prune(dict.fromkeys(PRUNABLE, NEWEST_BEFORE.date))
    assert plan.record.first_open("UTC") == stale
    assert f"{stale} is not finished. sla_clocks was made from another file of ticket" in plan.held_back
    assert lake.settle() != []
    plan = lake.prune(dict.fromkeys(PRUNABLE, NEWEST_BEFORE.date))
    assert (plan.held_back, plan.record.before["ticket_events"]) == (None, NEWEST_BEFORE.date)


def test_a_file_of_the_carry_over_that_is_lost_later_is_replaced_exactly(sla_lake, tmp_path):
    lake, twin = sla_lake.copied_to(tmp_path / "pruned"), sla_lake.copied_to(tmp_path / "twin")
    first_open = lake.prune(dict.fromkeys(PRUNABLE, NEWEST_BEFORE.date)).record.first_open("UTC")
    lost = first_open.plus(-2)
    for one in (lake, twin):
        (one.path / partition_path("sla_clocks", lost)).unlink()
        restate(one, first_open, 11)
    assert lake.settle() == [(str(first_open), str(LAST))]
    assert twin.settle() == [(str(lost), str(LAST))]
    for day in days_between(first_open, LAST):
        for asset in ("sla_targets", "daily_sla_breach_summary"):
            assert lake.table(asset, day)[0] == twin.table(asset, day)[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_all_tables_are_the_same_with_and_without_what_was_pruned(ticket_lake, seed, tmp_path):
    check(ticket_lake, tmp_path, 100 + seed)
