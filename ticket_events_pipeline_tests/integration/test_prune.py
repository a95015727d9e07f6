"""Pruning: which files go, what is recorded, what holds it back, and that a kill at any step harms nothing."""

from __future__ import annotations

import datetime as dt
from shutil import copytree

import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import ClosedDayError, DamagedFileError, DaysHeldError, UsageError
from ticket_events_pipeline.ingest.catch_up import CompleteFiles, catch_up
from ticket_events_pipeline.ingest.lease import hold_days
from ticket_events_pipeline.quality.footer_checks import Owner
from ticket_events_pipeline.quality.raw_day import verify_days
from ticket_events_pipeline.retention.prune import Root, plan_prune, prune, reopen
from ticket_events_pipeline.retention.settings import PRUNABLE, REACH_DAYS, RetentionSettings
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.pruned_days import PRUNED, PrunedDays, read_pruned_days, refuse_closed_days
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.empty_days import MISSING, OPEN, WHOLE, Shelf
from ticket_events_pipeline_tests.support.fault_injection import KilledError, MortalStore, bury
from ticket_events_pipeline_tests.support.file_contents import put

TODAY = Day.parse("2026-11-30")
FIRST = TODAY.plus(-79)
DAYS = days_between(FIRST, TODAY.plus(-1))
BEFORE = FIRST.plus(4)
"""Prunes four days."""

MADE = ("sla_targets", "ticket_snapshots", "sla_breach_report")
REJECTED = f"_rejected/ticket_events/{FIRST.plus(1).start + 5}-0123456789abcdef.jsonl"
KEPT_REJECTED = f"_rejected/ticket_events/{BEFORE.start}-0123456789abcdef.jsonl"
WEEKS = ["sla_breach_report/weeks/2026-W37.html", "sla_breach_report/weeks/2026-W38.html"]
"""They end two days before BEFORE, and five days after."""


def all_before(day, *assets):
    return dict.fromkeys(assets or PRUNABLE, day.date)


def root_at(path, store=None):
    settings = RetentionSettings({}, FIRST, restate_days=3, has_ticket_tables=True)
    return Root.of(store or FolderStore(path), settings, now=TODAY.start + 3600)


def pruned(path, before=None, store=None, **more):
    return prune(root_at(path, store), before or all_before(BEFORE), log=lambda _: None, **more)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Raw files of all days; files of other assets of the first week."""
    root = tmp_path_factory.mktemp("raw")
    shelf = Shelf(root)
    for stream in STREAMS:
        for day in DAYS:
            shelf.put_day(stream, day, WHOLE)
    for day in DAYS[:7]:
        for asset in MADE:
            put(shelf, f"{asset}/date={day}/{asset}.parquet", b"made" * 10)
    for path in (REJECTED, KEPT_REJECTED, *WEEKS, "sla_breach_report/latest.html", "zendesk_names/groups.parquet"):
        put(shelf, path, b"1234567890")
    return root


@pytest.fixture
def root(raw, tmp_path):
    copytree(raw, tmp_path / "root")
    return tmp_path / "root"


def paths(root):
    return {path for path in FolderStore(root).paths("") if not path.startswith(("_inflight", "_retention"))}


def expected_paths(raw):
    gone = {f"{asset}/date={day}/{asset}.parquet" for asset in (*STREAMS, *MADE) for day in DAYS[:4]}
    return paths(raw) - gone - {REJECTED, WEEKS[0]}


def test_exactly_what_lies_before_the_date_is_removed_and_recorded(root, raw):
    plan = pruned(root)
    assert paths(root) == expected_paths(raw)
    assert plan.held_back is None
    expected = PrunedDays(all_before(BEFORE), BEFORE.plus(REACH_DAYS).date)
    assert read_pruned_days(FolderStore(root)) == plan.record == expected


def test_a_dry_run_says_files_days_and_bytes_of_each_asset_and_changes_nothing(root):
    before = paths(root)
    plan = plan_prune(root_at(root), all_before(BEFORE))
    found = {one.asset: (len(one.paths), len(one.days), one.size_bytes) for one in plan.assets if one.paths}
    raw_size = sum((root / f"ticket_metric_events/date={day}/ticket_metric_events.parquet").stat().st_size for day in DAYS[:4])
    assert found["ticket_metric_events"] == (4, 4, raw_size)
    assert found["ticket_events"][:2] == (5, 4)
    assert found["sla_breach_report"] == (5, 4, 170)
    assert found["sla_targets"] == found["ticket_snapshots"] == (4, 4, 160)
    assert (paths(root), (root / PRUNED).exists(), list((root / "_inflight").glob("passes/*"))) == (before, False, [])


def test_pruning_again_removes_nothing_and_an_earlier_date_takes_nothing_back(root):
    record = pruned(root).record
    again = pruned(root, all_before(BEFORE.plus(-3)))
    assert (again.files, again.record) == (0, record)


def everything(root):
    return sorted(root.rglob("*"))


def test_where_no_file_would_be_removed_no_day_is_closed_and_nothing_is_written(root, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, before in ((root, FIRST), (empty, BEFORE)):
        there = everything(folder)
        plan = pruned(folder, all_before(before))
        assert (plan.files, plan.record, plan.held_back) == (0, PrunedDays(), None)
        assert everything(folder) == there


def test_an_asset_with_a_later_date_and_without_files_closes_nothing_further(tmp_path):
    put(FolderStore(tmp_path), f"sla_targets/date={FIRST}/sla_targets.parquet", b"made")
    before = {"sla_targets": FIRST.plus(1).date, "ticket_events": FIRST.date, "sla_clocks": FIRST.plus(4).date}
    record = pruned(tmp_path, before).record
    del before["sla_clocks"]
    assert record == PrunedDays(before, FIRST.plus(1 + REACH_DAYS).date)


def test_pages_of_the_report_are_pruned_alone_where_nothing_else_is_stored(tmp_path):
    put(FolderStore(tmp_path), f"sla_breach_report/date={FIRST}/sla_breach_report.html", b"page")
    assert pruned(tmp_path).record == PrunedDays({"sla_breach_report": BEFORE.date}, None)


def test_what_a_killed_prune_left_is_removed_and_closes_nothing_further(root):
    store = FolderStore(root)
    record = pruned(root).record
    put(store, f"sla_targets/date={DAYS[1]}/sla_targets.parquet", b"made")
    again = pruned(root)
    assert (again.files, again.record, read_pruned_days(store)) == (1, record, record)


def test_an_asset_alone_is_pruned_alone(root, raw):
    plan = pruned(root, all_before(BEFORE, "ticket_events"))
    assert paths(raw) - paths(root) == {REJECTED, *(f"ticket_events/date={day}/ticket_events.parquet" for day in DAYS[:4])}
    assert plan.record.closed_before == BEFORE.plus(REACH_DAYS).date


def test_pages_of_the_report_close_nothing(root):
    assert pruned(root, all_before(BEFORE, "sla_breach_report")).record == PrunedDays({"sla_breach_report": BEFORE.date}, None)


def test_a_kill_at_any_step_harms_nothing_and_the_next_run_removes_the_rest(tmp_path):
    steps, is_killed = 0, True
    while is_killed:
        root = tmp_path / str(steps)
        for asset in ("sla_targets", *STREAMS):
            for day in DAYS[3:5]:
                put(FolderStore(root), f"{asset}/date={day}/{asset}.parquet", b"made")
        before = paths(root)
        is_killed = _is_killed(MortalStore(root, steps=steps))
        gone, record = before - paths(root), read_pruned_days(FolderStore(root))
        assert all(record.has(path.partition("/")[0], Day.parse(path.partition("=")[2][:10])) for path in gone)
        bury(root)
        pruned(root)
        assert paths(root) == {path for path in before if not any(f"date={day}/" in path for day in DAYS[3:4])}
        steps += 1
    assert steps > 15


def _is_killed(store):
    try:
        pruned(store.location, store=store)
    except KilledError:
        return True
    return False


def test_a_day_that_a_fetch_is_writing_is_not_removed(root):
    before = paths(root)
    lease = hold_days(FolderStore(root), "ticket_events", DAYS[2:4], label="run of a test", log=lambda _: None)
    try:
        with pytest.raises(DaysHeldError, match="run of a test"):
            pruned(root, sleep=lambda _: lease.check_now())  # which beats
    finally:
        lease.release()
    assert (paths(root), read_pruned_days(FolderStore(root))) == (before, PrunedDays())


def test_the_prune_of_a_process_that_lost_its_days_removes_nothing_more(root, monkeypatch):
    """It stood still before it removed the first file; meanwhile its lease was given to another process."""
    store, before = FolderStore(root), paths(root)

    class Lost(FolderStore):
        def writer(self, path, *, fence=None):
            if path == PRUNED:
                for lease in (root / "_inflight/passes").glob("*.json"):
                    lease.write_text("[]")
            return super().writer(path, fence=fence)

    with pytest.raises(DaysHeldError):
        pruned(root, store=Lost(root))
    assert (paths(root), read_pruned_days(store)) == (before, PrunedDays())


@pytest.mark.parametrize("state", [MISSING, OPEN])
def test_days_that_the_next_fetch_reads_are_not_closed(root, state):
    shelf, late = Shelf(root), DAYS[-16]
    for day in days_between(late, DAYS[-1]):
        shelf.put_day("ticket_metric_events", day, state)
    plan = pruned(root)
    latest = late.plus(-REACH_DAYS)
    assert plan.record.before["ticket_events"] == latest.date
    assert plan.record.closed_before == late.date
    assert plan.record.before["sla_breach_report"] == BEFORE.date
    assert f"Nothing from {latest} on is pruned yet" in plan.held_back
    assert f"{late} is not finished. It is not stored to its end: hourly_fetch reads it" in plan.held_back


def test_the_least_that_is_kept_and_the_names_of_assets_are_checked(root):
    with pytest.raises(UsageError, match=r"at least 75 days are kept, so give 2026-09-17 or an earlier day"):
        pruned(root, all_before(TODAY.plus(-73)))
    pruned(root, all_before(TODAY.plus(-74)))
    with pytest.raises(UsageError, match="There is no asset zendesk_names with days"):
        pruned(root, all_before(BEFORE, "zendesk_names"))


def test_pruned_days_are_not_fetched_again_and_closed_days_are_refused(root):
    store = FolderStore(root)
    assert catch_up(store, TODAY, CompleteFiles()).days == (TODAY,)
    pruned(root, all_before(BEFORE, "ticket_events"))
    found = catch_up(store, TODAY, CompleteFiles())
    assert (found.days, found.gaps, found.left_out) == ((TODAY,), (), ())
    first_open = BEFORE.plus(REACH_DAYS)
    refuse_closed_days(store, [first_open, TODAY])
    with pytest.raises(ClosedDayError, match=f"{first_open.plus(-1)} is closed: days before {first_open} are neither"):
        refuse_closed_days(store, [first_open.plus(-1), first_open])


def test_verify_says_pruned_and_accuses_nobody(root):
    pruned(root, all_before(BEFORE, "ticket_events"))
    owner = Owner("recorded", "UTC", sideload=False)
    found = list(verify_days(FolderStore(root), stream=STREAMS["ticket_events"], days=DAYS[:5], owner=owner, now=TODAY.start))
    assert [day.state for day in found] == [*["pruned"] * 4, "complete"]
    assert all(day.is_whole for day in found[:4])


def test_reopened_days_may_be_fetched_again_and_are_missing(root):
    pruned(root)
    first = FIRST.plus(2)
    record = reopen(root_at(root), first, log=lambda _: None)
    assert record == read_pruned_days(FolderStore(root)) == PrunedDays(all_before(first), first.date)
    refuse_closed_days(FolderStore(root), [first])
    assert reopen(root_at(root), TODAY, log=lambda _: None) == record


def test_reopened_days_stay_open_until_something_is_pruned_again(root):
    pruned(root)
    record = reopen(root_at(root), FIRST.plus(2), log=lambda _: None)
    for day in (FIRST.plus(1), FIRST.plus(3)):
        assert pruned(root, before=all_before(day)).record == record
    Shelf(root).put_day("ticket_events", FIRST.plus(2), WHOLE)
    assert pruned(root, before=all_before(FIRST.plus(3))).record.closed_before == FIRST.plus(3 + REACH_DAYS).date


def test_a_damaged_record_is_named_and_nothing_is_taken_for_missing(root):
    pruned(root)
    (root / PRUNED).write_text('{"pruned_before": 1}')
    for reads in (lambda: pruned(root), lambda: catch_up(FolderStore(root), TODAY, CompleteFiles())):
        with pytest.raises(DamagedFileError, match=r"pruned\.json can't be read .*restore it from a backup"):
            reads()


def test_a_bucket_is_pruned_like_a_folder(root, s3_root):
    bucket = open_store(s3_root)
    for path in paths(root):
        if any(f"date={day}/" in path for day in [*DAYS[:7], *DAYS[-15:]]) or path.startswith("_rejected"):
            put(bucket, path, (root / path).read_bytes())
    before = set(bucket.paths(""))
    plan = pruned(root, store=bucket)
    gone = {path for path in before if any(f"date={day}/" in path for day in DAYS[:4])} | {REJECTED}
    assert {path for path in bucket.paths("") if not path.startswith(("_inflight", "_retention"))} == before - gone
    assert plan.size_bytes == sum((root / path).stat().st_size for path in gone)
    assert read_pruned_days(bucket).before == all_before(BEFORE)
    assert pruned(root, store=bucket).files == 0


def test_dates_are_days_of_the_accounts_timezone():
    settings = RetentionSettings({}, Day.parse("2026-01-01", "Pacific/Auckland"), 3, has_ticket_tables=True)
    now = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC).timestamp()
    assert str(Root.of(FolderStore("unused"), settings, now=now).today) == "2026-11-30"
