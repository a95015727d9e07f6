"""A run of all three SLA tables makes a day's targets and summary with its clocks, and its later steps store them."""

import os
from pathlib import Path

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.defs.definitions import account_definitions
from ticket_events_pipeline.defs.runs import range_tags
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline.errors import DamagedFileError, DayNotFetchedError
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS, make_clocks, make_summaries, make_targets
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.precomputed import LIMIT_BYTES, PrecomputedDays
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, read_partition_and_metadata
from ticket_events_pipeline_tests.support.deployment import QUIET, deployed
from ticket_events_pipeline_tests.support.events import event
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_events, make_sla_days, put_raw_day

DAYS = days_between(Clock.DAY, Clock.DAY.plus(2))
FIRST, SECOND = "2026-03-02", "2026-03-03"


def put_days(root, *, more=False):
    clocks = [Clock(1).apply(9, 60).add("breach", 10).add("fulfill", 30), Clock(2, first_id=50).apply(33, 60)]
    if more:
        clocks.append(Clock(3, first_id=90).apply(10, 60).add("breach", 11))
    for day in DAYS:
        put_raw_day(root, all_events(*clocks), day)
    return FolderStore(root)


def files(root, table):
    return [root / partition_path(table, day) for day in DAYS]


def stored(store):
    return [read_partition_and_metadata(store, table, day) for table in (CLOCKS, TARGETS, SUMMARY) for day in DAYS]


def shown(made):
    facts = [(day.provenance, day.content_hash, day.size_bytes, day.url, day.restatements) for day in made]
    return facts, [day.table.to_pylist() for day in made]


def content(root, *tables):
    return [file.read_bytes() for table in tables for file in files(root, table)]


def make_days(store):
    """Each table by its own step; returns what the later two have made."""
    list(make_clocks(store, DAYS))
    return [shown(list(make(store, DAYS))) for make in (make_targets, make_summaries)]


def test_precomputed_files_are_those_that_each_step_would_make(tmp_path):
    store, other = put_days(tmp_path / "at_once"), put_days(tmp_path / "alone")
    precomputed = PrecomputedDays()
    list(make_clocks(store, DAYS, precomputed=precomputed))
    taken = [shown(list(make(store, DAYS, precomputed=precomputed))) for make in (make_targets, make_summaries)]
    made = make_days(other)
    assert content(tmp_path / "alone", TARGETS, SUMMARY) == content(tmp_path / "at_once", TARGETS, SUMMARY)
    assert str(taken).replace("/at_once/", "/alone/") == str(made)
    assert stored(store) == stored(other)


def test_no_step_stores_a_file_of_another_table(tmp_path):
    """What a failed run has left must not look finished."""
    store, precomputed = put_days(tmp_path), PrecomputedDays()
    list(make_clocks(store, DAYS, precomputed=precomputed))
    assert list(store.paths(TARGETS)) + list(store.paths(SUMMARY)) == []
    list(make_targets(store, DAYS, precomputed=precomputed))
    assert list(store.paths(SUMMARY)) == []


def test_a_step_that_runs_again_makes_the_days_again(tmp_path):
    store, precomputed = put_days(tmp_path), PrecomputedDays()
    list(make_clocks(store, DAYS, precomputed=precomputed))
    for make in (make_targets, make_targets, make_summaries, make_summaries):
        assert [made.day for made in make(store, DAYS, precomputed=precomputed)] == DAYS
    assert precomputed.free_bytes == LIMIT_BYTES


def test_what_a_failed_run_has_left_makes_room_for_the_same_days(tmp_path):
    store, precomputed = put_days(tmp_path), PrecomputedDays()
    list(make_clocks(store, DAYS, precomputed=precomputed))
    free = precomputed.free_bytes
    list(make_clocks(store, DAYS, precomputed=precomputed))
    assert precomputed.free_bytes == free < LIMIT_BYTES


class _Counted(PrecomputedDays):
    """Counts the days that it was given."""

    given = 0

    def add(self, day, targets, summary):
        self.given += 1
        return super().add(day, targets, summary)


def test_after_a_day_without_room_no_further_one_is_precomputed(tmp_path):
    store, precomputed = put_days(tmp_path), _Counted(limit_bytes=0)
    assert [made.day for made in make_clocks(store, DAYS, precomputed=precomputed)] == DAYS
    assert precomputed.given == 1


def test_days_that_find_no_room_are_made_by_their_own_step(tmp_path):
    store, other = put_days(tmp_path / "at_once"), put_days(tmp_path / "alone")
    make_days(other)
    sizes = [file.stat().st_size for file in files(tmp_path / "alone", TARGETS)]
    precomputed = PrecomputedDays(limit_bytes=sizes[0] + 2000)
    list(make_clocks(store, DAYS, precomputed=precomputed))
    assert 0 <= precomputed.free_bytes < 2000
    for make in (make_targets, make_summaries):
        list(make(store, DAYS, precomputed=precomputed))
    assert content(tmp_path / "at_once", TARGETS, SUMMARY) == content(tmp_path / "alone", TARGETS, SUMMARY)


@pytest.mark.parametrize("replaced", [CLOCKS, TARGETS])
def test_what_was_made_from_a_file_that_is_replaced_meanwhile_is_made_again(tmp_path, replaced):
    """By a run of another process, which has read more events."""
    store, precomputed = put_days(tmp_path / "run"), PrecomputedDays()
    put_days(tmp_path / "later", more=True)
    list(make_clocks(store, DAYS, precomputed=precomputed))
    if replaced == TARGETS:
        list(make_targets(store, DAYS, precomputed=precomputed))
    make_sla_days(tmp_path / "later", DAYS[0], DAYS[-1])
    for ours, theirs in zip(files(tmp_path / "run", replaced), files(tmp_path / "later", replaced), strict=True):
        ours.write_bytes(theirs.read_bytes())
    if replaced == CLOCKS:
        list(make_targets(store, DAYS, precomputed=precomputed))
    list(make_summaries(store, DAYS, precomputed=precomputed))
    assert content(tmp_path / "run", TARGETS, SUMMARY) == content(tmp_path / "later", TARGETS, SUMMARY)


@pytest.mark.parametrize("change", ["removed", "damaged"])
def test_without_its_clocks_no_day_is_made(tmp_path, change):
    store, precomputed = put_days(tmp_path), PrecomputedDays()
    list(make_clocks(store, DAYS, precomputed=precomputed))
    clocks = files(tmp_path, CLOCKS)[1]
    clocks.unlink() if change == "removed" else clocks.write_bytes(b"no Parquet")
    with pytest.raises(DayNotFetchedError if change == "removed" else DamagedFileError, match=f"sla_clocks of {DAYS[1]}"):
        list(make_targets(store, DAYS, precomputed=precomputed))


def test_a_stored_day_is_yielded_before_its_further_tables_are_made(tmp_path):
    """A run that is ended in between has recorded all days that it has stored."""
    precomputed = PrecomputedDays()
    made = make_clocks(put_days(tmp_path), DAYS, precomputed=precomputed)
    next(made)
    assert precomputed.free_bytes == LIMIT_BYTES
    next(made)
    assert precomputed.free_bytes < LIMIT_BYTES


class _FullForTargets(FolderStore):
    def writer(self, path, *, fence=None):
        if path.startswith(TARGETS):
            raise OSError("no space for targets")
        return super().writer(path, fence=fence)


def test_a_file_that_can_not_be_stored_can_be_later(tmp_path):
    put_days(tmp_path)
    store, precomputed = _FullForTargets(tmp_path), PrecomputedDays()
    assert [made.day for made in make_clocks(store, DAYS, precomputed=precomputed)] == DAYS
    with pytest.raises(OSError, match="no space for targets"):
        list(make_targets(store, DAYS, precomputed=precomputed))
    assert [made.day for made in make_targets(FolderStore(tmp_path), DAYS, precomputed=precomputed)] == DAYS


@pytest.fixture
def deployment(tmp_path):
    with deployed(tmp_path, now=Day.parse("2026-03-20").start, ticket_tables=False) as deployment:
        deployment.account.deliver("ticket_metric_events", [event(1, f"{FIRST}T09:00:00Z"), event(2, f"{SECOND}T09:00:00Z")])
        deployment.fetch(FIRST, SECOND)
        yield deployment


@pytest.mark.parametrize("failing", [TARGETS, SUMMARY])
def test_what_a_failed_run_has_not_stored_is_requested_and_made(deployment, failing):
    in_the_way = deployment.root / failing
    in_the_way.write_bytes(b"")
    failed = deployment.run("summarize_sla_breaches", FIRST, SECOND)
    assert [step.step_key for step in failed.get_step_failure_events()] == [failing]
    in_the_way.unlink()
    assert list(deployment.store.paths(SUMMARY)) == []
    assert deployment.settle() == [(FIRST, SECOND)]
    for table in (CLOCKS, TARGETS, SUMMARY, "sla_breach_report"):
        assert deployment.recorded(table) == {FIRST, SECOND}
    assert [deployment.table(SUMMARY, day).num_rows for day in (FIRST, SECOND)] == [1, 1]


@dg.success_hook
def damage_clocks(context):
    """Clear some bytes of the rows of each day, between a run's steps: who reads them, notices."""
    for file in Path(os.environ["TICKET_EVENTS_ROOT"], CLOCKS).glob("*/*.parquet") if context.step_key == CLOCKS else ():
        content = bytearray(file.read_bytes())
        content[4:40] = bytes(36)
        file.write_bytes(content)


def damaging_job():
    """The job as a process that Dagster launches finds it, with the hook."""
    return account_definitions(account_scope()).resolve_job_def("summarize_sla_breaches").with_hooks({damage_clocks})


SPAN = range_tags(Day.parse(FIRST), Day.parse(SECOND))


@pytest.mark.parametrize(("tables", "reads_them"), [((CLOCKS, TARGETS, SUMMARY), False), ((CLOCKS, TARGETS), True)])
def test_a_run_of_all_tables_does_not_read_its_clocks_again(deployment, tables, reads_them):
    """A run of a command, which Dagster executes with another executor than the job's."""
    keys = [dg.AssetKey(table) for table in tables]
    run = damaging_job().execute_in_process(
        run_config=QUIET, instance=deployment.instance, tags=SPAN, asset_selection=keys, raise_on_error=False
    )
    assert [step.step_key for step in run.get_step_failure_events()] == [TARGETS] * reads_them
    assert len(list(deployment.store.paths(TARGETS))) == (0 if reads_them else 2)


def test_nor_does_a_run_that_dagster_launches(tmp_path):
    (home := tmp_path / "home").mkdir()
    with deployed(tmp_path / "root", home=home, now=Day.parse("2026-03-20").start, ticket_tables=False) as launched:
        launched.account.deliver("ticket_metric_events", [event(1, f"{FIRST}T09:00:00Z")])
        launched.fetch(FIRST, SECOND)
        job = dg.reconstructable(damaging_job)
        assert dg.execute_job(job, launched.instance, tags=SPAN, run_config=QUIET).success
        assert launched.table(SUMMARY, FIRST).num_rows == 1


def test_what_a_run_shows_of_precomputed_days_is_what_their_files_hold(deployment):
    assert deployment.materialize("sla_clocks", FIRST, SECOND).success
    run = deployment.run("summarize_sla_breaches", FIRST, SECOND)
    assert run.success
    for table in (CLOCKS, TARGETS, SUMMARY):
        assert deployment.recorded(table) == {FIRST, SECOND}
        rows = {record.partition: record.metadata["dagster/row_count"].value for record in materializations(run, table)}
        assert rows == {day: deployment.table(table, day).num_rows for day in (FIRST, SECOND)}


def materializations(run, table):
    events = (found for found in run.get_asset_materialization_events() if found.asset_key.path == [table])
    return [found.step_materialization_data.materialization for found in events]
