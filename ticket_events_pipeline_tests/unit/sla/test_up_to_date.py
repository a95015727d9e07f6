"""The footers of a day's SLA tables show whether they agree with each other, the raw files and the carry-over before."""

from __future__ import annotations

from itertools import product
from shutil import copy, copytree

import pytest

from ticket_events_pipeline.day import days_between
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.inputs import day_inputs
from ticket_events_pipeline.sla.sources import raw_state
from ticket_events_pipeline.sla.up_to_date import MADE_FROM_CLOCKS, MADE_FROM_TARGETS, sla_day_problem
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_metadata, read_partition
from ticket_events_pipeline.tables.streams import SLA_STREAMS
from ticket_events_pipeline_tests.support.damages import path_of, removed, rewrite
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import METRIC, make_sla_days, put_audits, put_raw_day

FIRST = Clock.DAY
DAYS = days_between(FIRST, FIRST.plus(2))
MIDDLE = DAYS[1]
BEFORE = [*Clock(1).apply(2, 60).events, *Clock(2, first_id=50).apply(30, 60).events]
AFTER = [*BEFORE, *Clock(3, first_id=90).apply(31, 60).add("breach", 32).events]
SLA = (CLOCKS, TARGETS, SUMMARY)


def put(root, events):
    for day in DAYS:
        put_raw_day(root, events, day)
        put_audits(root, [], day)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    put(root, AFTER)
    make_sla_days(root, DAYS[0], DAYS[-1])
    return root


@pytest.fixture
def root(made, tmp_path):
    copytree(made, tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture(scope="module")
def backup(tmp_path_factory):
    """Every file of the days, from before the last events came."""
    root = tmp_path_factory.mktemp("backup")
    put(root, BEFORE)
    make_sla_days(root, DAYS[0], DAYS[-1])
    return root


def problems(root):
    store = FolderStore(root)
    found = {}
    for day in DAYS:
        states = {stream: raw_state(store, stream, day) for stream in SLA_STREAMS}
        clocks = (read_metadata(store, CLOCKS, day.plus(-1)) or {}).get("content_hash")
        expected = day_inputs(day, states, previous_clocks=clocks)
        footers = dict(zip(("clocks", "targets", "summary"), (read_metadata(store, asset, day) for asset in SLA), strict=True))
        found[day] = sla_day_problem(expected, **footers)
    return {day: problem for day, problem in found.items() if problem is not None}


def test_days_just_made_agree(root):
    assert problems(root) == {}


@pytest.mark.parametrize(
    ("asset", "problem"),
    [
        (METRIC, "sla_clocks was made from another file of ticket_metric_events than is stored now."),
        (CLOCKS, "sla_clocks was made from another file of ticket_metric_events than is stored now."),
        (TARGETS, "sla_targets was made from another file of ticket_metric_events than is stored now."),
        (SUMMARY, "daily_sla_breach_summary was made from another file of ticket_metric_events than is stored now."),
    ],
)
def test_an_old_backup_of_one_asset_is_noticed_and_made_again_in_one_run(root, made, backup, asset, problem):
    copy(path_of(backup, asset, MIDDLE), path_of(root, asset, MIDDLE))
    found = problems(root)
    assert found[MIDDLE] == problem
    assert set(found) == ({MIDDLE, DAYS[2]} if asset == CLOCKS else {MIDDLE})
    make_sla_days(root, min(found), DAYS[-1])
    assert problems(root) == {}
    # The stored raw files count: the middle day is the only one with events that the backup lacks.
    truth = backup if asset == METRIC else made
    for day, table in product(DAYS, (TARGETS, SUMMARY)):
        assert read_partition(FolderStore(root), table, day) == read_partition(FolderStore(truth), table, day)


@pytest.mark.parametrize("asset", SLA)
def test_a_missing_file_is_reported(root, asset):
    removed(root, asset, MIDDLE)
    assert problems(root)[MIDDLE] == f"{asset} has not been made."


@pytest.mark.parametrize(
    ("asset", "change", "problem"),
    [
        (TARGETS, {MADE_FROM_CLOCKS: "another"}, "sla_targets was made from another file of sla_clocks"),
        (SUMMARY, {MADE_FROM_TARGETS: "another"}, "daily_sla_breach_summary was made from another file of sla_targets"),
        (TARGETS, {"history_from": "2026-01-01"}, "sla_targets was made from another file of sla_clocks"),
        (SUMMARY, {"rules_version": "1"}, "daily_sla_breach_summary was made from another file of sla_targets"),
        (CLOCKS, {"as_of": "1"}, "sla_clocks was made from less than all that was read"),
        (CLOCKS, {"history_from": "?"}, "sla_clocks has no footer of this pipeline"),
    ],
)
def test_files_not_made_from_each_other_are_reported_despite_equal_raw_days(root, asset, change, problem):
    rewrite(root, asset, MIDDLE, footer=lambda old: {**old, **change})
    assert problems(root)[MIDDLE].startswith(problem)


def test_files_of_earlier_versions_without_source_hashes_are_accepted(root):
    for asset, key in ((TARGETS, MADE_FROM_CLOCKS), (SUMMARY, MADE_FROM_TARGETS)):
        rewrite(root, asset, MIDDLE, footer=lambda old, key=key: {name: old[name] for name in old if name != key})
    assert problems(root) == {}
