"""A run of all three SLA tables writes a day's targets and summary with its clocks, and its later steps take them over."""

import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS, make_clocks, make_summaries, make_targets
from ticket_events_pipeline.sla.clock_files import CLOCKS
from ticket_events_pipeline.sla.made_ahead import MadeAhead
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, read_partition_and_metadata
from ticket_events_pipeline_tests.support.deployment import deployed
from ticket_events_pipeline_tests.support.events import event
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import all_events, make_sla_days, put_raw_day

DAYS = days_between(Clock.DAY, Clock.DAY.plus(2))
FIRST, SECOND = "2026-03-02", "2026-03-03"


def put_days(root):
    clocks = [Clock(1).apply(9, 60).add("breach", 10).add("fulfill", 30), Clock(2, first_id=50).apply(33, 60)]
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


def test_files_made_ahead_are_those_that_each_step_would_make(tmp_path):
    store, other = put_days(tmp_path / "ahead"), put_days(tmp_path / "alone")
    ahead = MadeAhead()
    list(make_clocks(store, DAYS, ahead=ahead))
    written = [file.read_bytes() for table in (TARGETS, SUMMARY) for file in files(tmp_path / "ahead", table)]
    taken = [shown(list(make(store, DAYS, ahead=ahead))) for make in (make_targets, make_summaries)]
    list(make_clocks(other, DAYS))
    made = [shown(list(make(other, DAYS))) for make in (make_targets, make_summaries)]
    assert [file.read_bytes() for table in (TARGETS, SUMMARY) for file in files(tmp_path / "alone", table)] == written
    assert str(taken).replace("/ahead/", "/alone/") == str(made)
    assert stored(store) == stored(other)


@pytest.mark.parametrize("times", [1, 2])
def test_a_step_takes_over_a_file_once(tmp_path, times):
    """A step that runs again, to replace a file, replaces it."""
    store, ahead = put_days(tmp_path), MadeAhead()
    list(make_clocks(store, DAYS, ahead=ahead))
    before = [file.stat().st_ino for file in files(tmp_path, TARGETS)]
    for _ in range(times):
        list(make_targets(store, DAYS, ahead=ahead))
    after = [file.stat().st_ino for file in files(tmp_path, TARGETS)]
    assert (before == after) is (times == 1)


@pytest.mark.parametrize("change", ["removed", "damaged", "replaced"])
def test_a_file_that_changed_meanwhile_is_made_again(tmp_path, change):
    store, ahead = put_days(tmp_path), MadeAhead()
    list(make_clocks(store, DAYS, ahead=ahead))
    first, second, _ = files(tmp_path, TARGETS)
    wanted = first.read_bytes()
    if change == "removed":
        first.unlink()
    else:
        first.write_bytes(b"no Parquet" if change == "damaged" else second.read_bytes())
    assert [made.day for made in make_targets(store, DAYS, ahead=ahead)] == DAYS
    assert first.read_bytes() == wanted


class _FullForTargets(FolderStore):
    def writer(self, path, *, fence=None):
        if path.startswith(TARGETS):
            raise OSError("no space for targets")
        return super().writer(path, fence=fence)


def test_an_error_ahead_is_raised_by_the_step_that_makes_the_table(tmp_path):
    put_days(tmp_path)
    store, ahead = _FullForTargets(tmp_path), MadeAhead()
    assert [made.day for made in make_clocks(store, DAYS, ahead=ahead)] == DAYS
    with pytest.raises(OSError, match="no space for targets"):
        list(make_targets(store, DAYS, ahead=ahead))
    make_sla_days(tmp_path, DAYS[0], DAYS[-1])


def test_only_a_run_of_all_three_tables_writes_them_ahead(tmp_path):
    with deployed(tmp_path, now=Day.parse("2026-03-20").start) as deployment:
        deployment.account.deliver("ticket_metric_events", [event(1, f"{FIRST}T09:00:00Z"), event(2, f"{SECOND}T09:00:00Z")])
        deployment.fetch(FIRST, SECOND)
        assert deployment.materialize("sla_clocks", FIRST, SECOND).success
        with pytest.raises(AssertionError, match="has no file"):
            deployment.footer("sla_targets", FIRST)
        run = deployment.run("summarize_sla_breaches", FIRST, SECOND)
        assert run.success
        for table in (CLOCKS, TARGETS, SUMMARY):
            assert deployment.recorded(table) == {FIRST, SECOND}
            rows = {record.partition: record.metadata["dagster/row_count"].value for record in materializations(run, table)}
            assert rows == {day: deployment.table(table, day).num_rows for day in (FIRST, SECOND)}


def materializations(run, table):
    events = (found for found in run.get_asset_materialization_events() if found.asset_key.path == [table])
    return [found.step_materialization_data.materialization for found in events]
