"""Footers are read once per version of a file, within a time limit; the cache only saves work."""

import gzip
import os
import shutil
import threading

import pytest

from ticket_events_pipeline.day import days_between, wall_clock
from ticket_events_pipeline.errors import DamagedFileError, TransientError, UsageError
from ticket_events_pipeline.sla import footer_cache
from ticket_events_pipeline.sla.footer_cache import CACHE, SLA_TABLES, TABLES, FooterCache
from ticket_events_pipeline.sla.inputs import HISTORY_DAYS
from ticket_events_pipeline.sla.staleness import compare, stale_ranges
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline_tests.support.object_server import object_server
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import METRIC, make_sla_days, put_audits, put_raw_day

FIRST = Clock.DAY
DAYS = days_between(FIRST, FIRST.plus(2))
EVENTS = [*Clock(1).apply(2, 60).events, *Clock(2, first_id=50).apply(30, 60).events]
FILES = 4 * len(DAYS)
SLA = SLA_TABLES


class CountedStore(FolderStore):
    """A folder store that records reads."""

    def __init__(self, root):
        super().__init__(root)
        self.read = []

    def reader(self, path):
        self.read.append(path)
        return super().reader(path)

    def news(self):
        """What was read since the last call, without the cache file."""
        read, self.read = [path for path in self.read if path != CACHE], []
        return sorted(set(read))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    for day in DAYS:
        put_raw_day(root, EVENTS, day)
    make_sla_days(root, DAYS[0], DAYS[-1])
    return root


@pytest.fixture
def root(made, tmp_path):
    return shutil.copytree(made, tmp_path / "root")


@pytest.fixture
def store(root):
    return CountedStore(root)


def stale(stored):
    return dict(compare(stored, lambda _: True).stale)


def test_each_footer_is_read_once_and_again_only_if_its_file_changes(root, store):
    cache = FooterCache()
    stored = cache.read(store, "UTC")
    assert (stored.files, stored.unread, stale(stored)) == (FILES, 0, {})
    assert len(store.news()) == FILES
    assert cache.read(store, "UTC") is stored
    assert store.news() == []
    put_raw_day(root, EVENTS[:1], DAYS[1])
    stored = cache.read(store, "UTC")
    assert store.news() == [partition_path(METRIC, DAYS[1])]
    assert stale(stored) == {DAYS[1]: "sla_clocks was made from another file of ticket_metric_events than is stored now."}


def test_a_file_that_is_removed_and_restored_is_noticed_each_time(root, store):
    cache = FooterCache()
    cache.read(store, "UTC")
    folder = root / SLA[2] / f"date={DAYS[2]}"
    folder.rename(root / "aside")
    assert stale(cache.read(store, "UTC")) == {DAYS[2]: "daily_sla_breach_summary has not been made."}
    (root / "aside").rename(folder)
    assert stale(cache.read(store, "UTC")) == {}


def test_a_changed_file_of_equal_size_and_modification_time_is_noticed(root, store):
    cache = FooterCache()
    cache.read(store, "UTC")
    path = root / partition_path(METRIC, DAYS[0])
    times, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + b"?")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    stored = cache.read(store, "UTC")
    assert str(path) in stored.unreadable[METRIC][DAYS[0]].reason
    assert list(compare(stored, lambda _: True).blocked) == [DAYS[0]]


def test_a_new_file_is_read_again_when_it_is_two_seconds_old(store, monkeypatch):
    cache = FooterCache()
    cache.read(store, "UTC")
    store.news()
    later = wall_clock() + 3
    monkeypatch.setattr("ticket_events_pipeline.storage.folder_store.wall_clock", lambda: later)
    cache.read(store, "UTC")
    assert len(store.news()) == FILES
    cache.read(store, "UTC")
    assert store.news() == []


def test_files_not_read_in_time_are_unknown_and_the_next_read_continues(root):
    class SlowStore(CountedStore):
        answers = threading.Event()

        def reader(self, path):
            if path.startswith(SLA[0]):
                self.answers.wait(20)
            return super().reader(path)

    store = SlowStore(root)
    cache = FooterCache(seconds=0.1)
    assert cache.read(store, "UTC").unread >= len(DAYS)
    store.answers.set()
    for _ in range(100):
        stored = cache.read(store, "UTC")
        if not stored.unread:
            break
    assert (stored.unread, stale(stored)) == (0, {})


def test_an_unreachable_file_does_not_count_as_damaged(root):
    class Unsteady(CountedStore):
        def reader(self, path):
            if path.startswith(SLA[0]) and path not in self.read:
                self.read.append(path)
                raise TransientError("503")
            return super().reader(path)

    store, cache = Unsteady(root), FooterCache()
    stored = cache.read(store, "UTC")
    assert stored.unread == 0
    for day in DAYS:
        found = stored.unreadable[SLA[0]][day]
        assert (found.reason, found.may_be_replaced) == (f"{root / partition_path(SLA[0], day)} can't be read now: 503", False)
    found = compare(stored, lambda _: True)
    assert (list(found.blocked), found.stale) == (DAYS, {})
    stored = cache.read(store, "UTC")
    assert (stored.unread, dict(stored.unreadable[SLA[0]]), stale(stored)) == (0, {}, {})


def test_hanging_files_are_named_and_do_not_delay_the_others(root, monkeypatch):
    monkeypatch.setattr(footer_cache, "FILES_AT_ONCE", 2)
    answers = threading.Event()

    class Hanging(CountedStore):
        def reader(self, path):
            if path.startswith(METRIC):
                answers.wait(20)
            return super().reader(path)

    store, cache = Hanging(root), FooterCache(seconds=10, hangs_seconds=0.1)
    assert cache.read(store, "UTC").unread == FILES - 2  # the hanging files have taken all the time
    reads = (cache.read(store, "UTC") for _ in range(50))  # on a busy machine, another file may be late, too
    # Not again: they are tried last.
    stored = next(stored for stored in reads if not stored.unread and not any(stored.unreadable[table] for table in SLA))
    assert sorted(stored.unreadable[METRIC]) == DAYS
    assert "has not answered for 0.1 seconds" in stored.unreadable[METRIC][DAYS[0]].reason
    answers.set()
    assert any(not stored.unread and not stored.unreadable[METRIC] for stored in reads)


@pytest.mark.parametrize("error", [UsageError("403"), TransientError("503")])
def test_a_file_that_the_store_refuses_blocks_only_its_own_day(root, error):
    class Refusing(CountedStore):
        def reader(self, path):
            if path == partition_path(SLA[1], DAYS[1]):
                raise error
            return super().reader(path)

    shutil.rmtree(root / SLA[2] / f"date={DAYS[0]}")
    shutil.rmtree(root / SLA[2] / f"date={DAYS[2]}")
    found = compare(FooterCache().read(Refusing(root), "UTC"), lambda _: True)
    assert {day: str(root) in reason for day, reason in found.blocked.items()} == {DAYS[1]: True}
    assert [day_range.days for day_range in stale_ranges(found, "root")] == [[DAYS[0]], [DAYS[2]]]


def test_a_new_process_reads_the_saved_cache_and_only_changed_files(root, store, monkeypatch):
    monkeypatch.setattr(footer_cache, "SAVED_AFTER", 1)
    before = FooterCache().read(store, "UTC")
    store.news()
    FooterCache().read(store, "Europe/Berlin")
    assert len(store.news()) == FILES
    put_raw_day(root, EVENTS[:1], DAYS[1])
    FooterCache().read(store, "UTC")  # the cache file is of UTC again
    store.news()
    put_raw_day(root, EVENTS, DAYS[1])
    put_raw_day(root, EVENTS[:1], DAYS[1])
    stored = FooterCache().read(store, "UTC")
    assert store.news() == [partition_path(METRIC, DAYS[1])]
    assert stored.footers[SLA[0]] == before.footers[SLA[0]]
    assert list(stale(stored)) == [DAYS[1]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
        lambda content: gzip.compress(gzip.decompress(content).replace(b"true", b"fals", 1)),
        lambda content: gzip.compress(b"[]"),
        lambda content: gzip.compress(b"\xff\n{}"),
    ],
)
def test_a_damaged_cache_file_is_ignored(root, store, monkeypatch, damage):
    monkeypatch.setattr(footer_cache, "SAVED_AFTER", 1)
    truth = FooterCache().read(store, "UTC")
    store.news()
    (root / CACHE).write_bytes(damage((root / CACHE).read_bytes()))
    assert FooterCache().read(store, "UTC") == truth
    assert len(store.news()) == FILES


def test_other_files_are_ignored(root, store):
    for name in ("date=2026-02-30", "date=2026-03-02.bak", "notes"):
        shutil.copytree(root / METRIC / f"date={DAYS[0]}", root / METRIC / name)
    (root / METRIC / f"date={DAYS[0]}" / "other.parquet").write_bytes(b"x")
    assert FooterCache().read(store, "UTC").files == FILES


def test_each_root_has_its_own_cache(root, store, tmp_path):
    cache = FooterCache()
    stored = cache.read(store, "UTC")
    assert cache.read(FolderStore(tmp_path / "empty"), "UTC").files == 0
    store.news()
    assert cache.read(store, "UTC") is stored
    assert store.news() == []


def test_a_file_of_another_timezone_blocks_its_day(store):
    found = compare(FooterCache().read(store, "Europe/Berlin"), lambda _: True)
    assert (found.landed, found.stale) == ({}, {})
    assert all("as a day of UTC" in reason for reason in found.blocked.values())


def test_a_file_of_a_newer_version_is_never_replaced(root, store):
    put_raw_day(root, EVENTS, DAYS[1], more_footer={"schema_version": "99"})
    found = compare(FooterCache().read(store, "UTC"), lambda _: True)
    assert "Upgrade this program" in found.blocked[DAYS[1]]
    assert found.stale == {}


@pytest.mark.parametrize("table", [METRIC, SLA[0]])
def test_days_whose_run_needs_a_file_of_a_newer_version_wait_for_the_upgrade(root, store, table):
    put_raw_day(root, EVENTS, DAYS[0], more_footer={"schema_version": "99"})
    if table != METRIC:
        shutil.copy(root / partition_path(METRIC, DAYS[0]), root / partition_path(table, DAYS[0]))
        put_raw_day(root, EVENTS, DAYS[0])
    shutil.rmtree(root / SLA[2] / f"date={DAYS[2]}")
    found = compare(FooterCache().read(store, "UTC"), lambda _: True)
    assert DAYS[0] in found.blocked
    assert DAYS[2] in found.blocked
    assert all("Upgrade this program" in reason for reason in found.blocked.values())
    assert stale_ranges(found, "root") == []


@pytest.mark.parametrize("version", ["99", "damaged"])
def test_a_day_without_a_carry_over_waits_for_thirty_readable_raw_days(tmp_path, version):
    put_raw_day(tmp_path, EVENTS, FIRST, more_footer={"schema_version": version})
    near, far = FIRST.plus(HISTORY_DAYS), FIRST.plus(HISTORY_DAYS + 1)
    put_raw_day(tmp_path, EVENTS, near)
    put_raw_day(tmp_path, EVENTS, far)
    found = compare(FooterCache().read(FolderStore(tmp_path), "UTC"), lambda _: True)
    assert list(found.blocked) == [FIRST, near]
    assert [day_range.days for day_range in stale_ranges(found, "root")] == [[far]]
    with pytest.raises(DamagedFileError):
        make_sla_days(tmp_path, near, near)
    make_sla_days(tmp_path, far, far)


def test_audits_alone_do_not_make_a_day_landed(root, store):
    put_audits(root, Clock().ticket(3, "deleted").audits, DAYS[-1].plus(1))
    found = compare(FooterCache().read(store, "UTC"), lambda _: True)
    assert (sorted(found.landed), found.stale) == (DAYS, {})


def test_a_range_goes_from_the_first_stale_day_to_the_last_landed_one(root, store):
    shutil.rmtree(root / SLA[2] / f"date={DAYS[1]}")
    apart = DAYS[-1].plus(2)
    put_raw_day(root, EVENTS, apart)
    found = stale_ranges(compare(FooterCache().read(store, "UTC"), lambda _: True), "root")
    assert [day_range.days for day_range in found] == [DAYS[1:], [apart]]


def test_a_state_depends_on_the_root_the_raw_files_and_the_carry_over(root, store):
    """But not on the SLA files, which a run that fails half-way has changed."""

    def state(name="root"):
        (day_range,) = stale_ranges(compare(FooterCache().read(store, "UTC"), lambda day: day > DAYS[0]), name)
        return day_range.state

    shutil.rmtree(root / SLA[2] / f"date={DAYS[1]}")
    first = state()
    shutil.rmtree(root / SLA[1] / f"date={DAYS[2]}")
    assert state() == first
    assert state("another root") != first
    shutil.rmtree(root / SLA[0] / f"date={DAYS[0]}")
    assert state() != first
    before = state()
    put_raw_day(root, EVENTS, DAYS[2], now=DAYS[2].start + 40_000)
    assert state() != before


@pytest.mark.slow
def test_an_unchanged_root_in_a_bucket_costs_a_request_for_a_thousand_files_and_no_read(made, tmp_path):
    with object_server() as server, server.exported():
        store, path = open_store(server.root("lake")), partition_path(METRIC, DAYS[0])
        for table in TABLES:
            number = 1005 if table == METRIC else 2
            content = (made / partition_path(table, DAYS[0])).read_bytes() if table in SLA else b""
            for day in days_between(FIRST, FIRST.plus(number - 1)):
                if table not in SLA:
                    put_raw_day(tmp_path, [], day, stream=table)
                    content = (tmp_path / partition_path(table, day)).read_bytes()
                with store.writer(partition_path(table, day)) as file:
                    file.write(content)
        cache = FooterCache()
        stored = cache.read(store, "UTC")
        assert (stored.files, stored.unread) == (1005 + (len(TABLES) - 1) * 2, 0)
        server.heal()
        assert cache.read(store, "UTC") is stored
        seen = server.requests()
        assert len(seen) == 2  # of the 1,025 files
        assert all(line.startswith("GET /lake?") and "list-type=2" in line for line in seen)
        # A new process reads the cache file of earlier ones, and no footer.
        server.heal()
        assert FooterCache().read(store, "UTC") == stored
        (read,) = [line for line in server.requests() if "list-type=2" not in line]
        assert CACHE in read
        with store.writer(path) as file:
            file.write((made / path).read_bytes())
        server.heal()
        assert cache.read(store, "UTC") is not stored
        (read,) = [line for line in server.requests() if "list-type=2" not in line]
        assert path.replace("=", "%3D") in read or path in read
