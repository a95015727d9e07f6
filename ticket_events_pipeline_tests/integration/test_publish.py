"""Published tables equal the stored ones, by one commit per day that differs; in both formats."""

import datetime as dt
from dataclasses import replace

import deltalake
import pyarrow as pa
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.publish.plan import Change, Why
from ticket_events_pipeline.publish.publisher import expire_history
from ticket_events_pipeline.publish.stored import PUBLISHED
from ticket_events_pipeline.publish.table_format import NewDay
from ticket_events_pipeline.storage.content_hash import content_hash
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import write_partition
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline_tests.support.fault_injection import KilledError
from ticket_events_pipeline_tests.support.published import CATALOG, FORMATS, Lakehouse, in_order, made_up, put_day

DAY = Day.parse("2026-03-02")
EVENTS, TARGETS, DIMENSIONS = "ticket_metric_events", "sla_targets", "sla_target_dimensions"


@pytest.fixture(params=FORMATS)
def lakehouse(request, tmp_path):
    return Lakehouse(request.param, tmp_path)


def put_days(lakehouse, asset, count, *, rows=4):
    for number in range(count):
        put_day(lakehouse.root, asset, DAY.plus(number), made_up(asset, rows, seed=number))


def test_a_published_table_has_all_rows_and_columns_of_the_stored_one(lakehouse):
    for asset in PUBLISHED:
        put_days(lakehouse, asset, 2)
    made = lakehouse.publish(*PUBLISHED)
    assert [(one.asset, dict(one.days), one.rows, one.problems) for one in made] == [
        (asset, {Why.NEW: 2}, 8, []) for asset in PUBLISHED
    ]
    for asset in PUBLISHED:
        assert lakehouse.published(asset) == lakehouse.stored(asset)
        columns = lakehouse.read(asset).schema
        assert columns.names == ["date", *TABLES[asset].schema.names]
        assert columns.field("date").type == pa.date32()


def test_an_unchanged_day_makes_no_commit(lakehouse):
    put_days(lakehouse, TARGETS, 2)
    before = lakehouse.publish(TARGETS)[0].version
    again = lakehouse.publish(TARGETS)[0]
    assert (again.version, dict(again.days)) == (before, {})
    assert len(lakehouse.commits(TARGETS)) == 2


def test_a_restated_day_is_replaced_by_one_commit_that_says_so(lakehouse):
    put_days(lakehouse, TARGETS, 3)
    lakehouse.publish(TARGETS)
    put_day(lakehouse.root, TARGETS, DAY.plus(1), made_up(TARGETS, 2, seed=9))
    assert dict(lakehouse.publish(TARGETS)[0].days) == {Why.CHANGED: 1}
    assert lakehouse.published(TARGETS) == lakehouse.stored(TARGETS)
    commits = lakehouse.commits(TARGETS)
    assert [(commit["date"], commit["why"]) for commit in commits] == [
        ("2026-03-02", "new"),
        ("2026-03-03", "new"),
        ("2026-03-04", "new"),
        ("2026-03-03", "changed"),
    ]
    assert len({commit["content_hash"] for commit in commits}) == 4


def test_a_day_that_becomes_empty_loses_its_rows(lakehouse):
    put_days(lakehouse, TARGETS, 2)
    lakehouse.publish(TARGETS)
    put_day(lakehouse.root, TARGETS, DAY, made_up(TARGETS, 0))
    put_day(lakehouse.root, TARGETS, DAY.plus(2), made_up(TARGETS, 0))
    assert dict(lakehouse.publish(TARGETS)[0].days) == {Why.CHANGED: 1, Why.NEW: 1}
    assert {row["date"] for row in lakehouse.published(TARGETS)} == {DAY.plus(1).date}
    assert dict(lakehouse.publish(TARGETS)[0].days) == {}


def test_a_day_that_is_no_longer_stored_is_removed_and_may_come_back(lakehouse):
    put_days(lakehouse, TARGETS, 2)
    lakehouse.publish(TARGETS)
    gone = lakehouse.file(TARGETS, DAY)
    content = gone.read_bytes()
    gone.unlink()
    assert dict(lakehouse.publish(TARGETS, keeps_removed=True)[0].days) == {}
    assert len(lakehouse.published(TARGETS)) == 8
    assert dict(lakehouse.publish(TARGETS)[0].days) == {Why.REMOVED: 1}
    assert lakehouse.published(TARGETS) == lakehouse.stored(TARGETS)
    assert lakehouse.commits(TARGETS)[-1] == {"date": str(DAY), "why": "removed"}
    gone.write_bytes(content)
    assert dict(lakehouse.publish(TARGETS)[0].days) == {Why.NEW: 1}
    assert lakehouse.published(TARGETS) == lakehouse.stored(TARGETS)


def test_a_root_without_any_day_removes_nothing(lakehouse):
    put_days(lakehouse, TARGETS, 2)
    lakehouse.publish(TARGETS)
    for number in range(2):
        lakehouse.file(TARGETS, DAY.plus(number)).unlink()
    (problem,) = lakehouse.publish(TARGETS)[0].problems
    assert "No day of sla_targets is stored" in problem
    assert "Check TICKET_EVENTS_ROOT" in problem
    assert len(lakehouse.published(TARGETS)) == 8


def test_a_dry_run_says_what_it_would_do_and_makes_nothing(lakehouse):
    put_days(lakehouse, TARGETS, 2)
    assert dict(lakehouse.publish(TARGETS, is_dry_run=True)[0].days) == {Why.NEW: 2}
    assert not (lakehouse.folder / lakehouse.format).exists()


def test_a_new_column_is_added_and_is_null_for_older_days(lakehouse):
    put_days(lakehouse, TARGETS, 1)
    older = [name for name in ["date", *TABLES[TARGETS].schema.names] if name != "policy_title"]
    lakehouse.publish(TARGETS)
    whole = lakehouse.read(TARGETS)
    published = Lakehouse(lakehouse.format, lakehouse.folder, str(lakehouse.folder / "older"))
    with lakehouse.tables() as tables, published.tables() as older_tables:
        stamp, remembered = tables.open(TARGETS).stamp, lakehouse.commits(TARGETS)[0]["content_hash"]
        schema = pa.schema([field for field in tables.open(TARGETS).schema if field.name in older])
        table = older_tables.create(TABLES[TARGETS], schema, stamp)
        batches = iter(whole.select(older).cast(schema).to_batches())
        table.put(NewDay(Change(DAY.date, Why.NEW), remembered, schema, batches))
    put_day(lakehouse.root, TARGETS, DAY.plus(1), made_up(TARGETS, 4, seed=1))
    assert dict(published.publish(TARGETS)[0].days) == {Why.NEW: 1}
    expected = [row if row["date"] != DAY.date else {**row, "policy_title": None} for row in lakehouse.stored(TARGETS)]
    assert published.published(TARGETS) == sorted(expected, key=repr)
    assert sorted(published.read(TARGETS).schema.names) == sorted([*older, "policy_title"])
    assert published.commits(TARGETS)[-1]["new_columns"] == "policy_title"


def test_a_custom_field_that_is_set_later_and_dropped_again_is_a_column_all_the_time(lakehouse):
    put_days(lakehouse, DIMENSIONS, 3)
    rows = made_up(DIMENSIONS, 4, seed=1)
    put_day(lakehouse.root, DIMENSIONS, DAY.plus(1), rows.append_column("custom_field:42", pa.array(["a", None, "b", "c"])))
    assert lakehouse.publish(DIMENSIONS)[0].problems == []
    assert lakehouse.published(DIMENSIONS) == lakehouse.stored(DIMENSIONS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda schema: schema.append(pa.field("retired", pa.string())), "retired is no column of sla_targets any more"),
        (lambda schema: schema.set(1, pa.field("ticket_id", pa.string())), "ticket_id is string there and int64 here"),
    ],
)
def test_a_table_whose_columns_were_dropped_or_retyped_stays_as_it_is(lakehouse, change, message):
    put_days(lakehouse, TARGETS, 1)
    lakehouse.publish(TARGETS)
    other = Lakehouse(lakehouse.format, lakehouse.folder, str(lakehouse.folder / "other"))
    with lakehouse.tables() as tables, other.tables() as others:
        found = tables.open(TARGETS)
        others.create(TABLES[TARGETS], change(found.schema), found.stamp)
    (problem,) = other.publish(TARGETS)[0].problems
    assert message in problem
    assert other.commits(TARGETS) == []


def test_a_table_of_another_program_account_timezone_or_root_is_refused(lakehouse):
    put_days(lakehouse, EVENTS, 1)
    put_days(lakehouse, TARGETS, 1)
    lakehouse.publish(TARGETS)
    with lakehouse.tables() as tables:
        own = tables.open(TARGETS).stamp
        for number, (stamp, message) in enumerate(
            [
                (replace(own, account="someone-else"), "its account is someone-else, not recorded"),
                (replace(own, timezone="Europe/Berlin"), "its timezone is Europe/Berlin, not UTC"),
                (replace(own, asset="ticket_events"), "its asset is ticket_events, not sla_targets"),
                (replace(own, root="/elsewhere"), "--adopt"),
            ]
        ):
            other = Lakehouse(lakehouse.format, lakehouse.folder, str(lakehouse.folder / f"other{number}"))
            with other.tables() as others:
                others.create(TABLES[TARGETS], tables.open(TARGETS).schema, stamp)
            (problem,) = other.publish(TARGETS)[0].problems
            assert message in problem
            assert other.commits(TARGETS) == []
    assert other.publish(TARGETS, adopts=True)[0].problems == []
    assert other.publish(TARGETS)[0].problems == []


def test_a_damaged_day_stays_as_it_was_published_and_does_not_hold_up_the_others(lakehouse):
    put_days(lakehouse, TARGETS, 2)
    lakehouse.publish(TARGETS)
    before = lakehouse.published(TARGETS)
    put_day(lakehouse.root, TARGETS, DAY, made_up(TARGETS, 4, seed=7))
    damaged = lakehouse.file(TARGETS, DAY)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 4] ^= 0xFF  # in a page: the footer is whole
    damaged.write_bytes(content)
    put_day(lakehouse.root, TARGETS, DAY.plus(2), made_up(TARGETS, 4, seed=2))
    made = lakehouse.publish(TARGETS)[0]
    assert dict(made.days) == {Why.NEW: 1}
    assert len(made.problems) == 1
    assert str(damaged) in made.problems[0]
    assert [row for row in lakehouse.published(TARGETS) if row["date"] != DAY.plus(2).date] == before


class MeddlingStore(FolderStore):
    """Calls `meddle` once, when the rows of a file are read for the first time."""

    def __init__(self, root, path, meddle):
        super().__init__(root)
        self._path, self._meddle, self._reads = path, meddle, 0

    def reader(self, path):
        if path == self._path:
            self._reads += 1
            if self._reads == 2:  # the first is that of the footer
                self._meddle()
        return super().reader(path)


def test_two_publishers_at_once_double_no_day_and_make_one_commit_each(lakehouse):
    put_days(lakehouse, TARGETS, 4)

    def publish_more():
        """By another publisher, which has seen two days that came or changed since this one listed them."""
        put_day(lakehouse.root, TARGETS, DAY.plus(3), made_up(TARGETS, 2, seed=30))
        put_day(lakehouse.root, TARGETS, DAY.plus(4), made_up(TARGETS, 2, seed=31))
        lakehouse.publish(TARGETS)

    store = MeddlingStore(lakehouse.root, f"{TARGETS}/date={DAY.plus(1)}/{TARGETS}.parquet", publish_more)
    assert lakehouse.publish(TARGETS, store=store)[0].problems == []
    assert lakehouse.published(TARGETS) == lakehouse.stored(TARGETS)
    assert sorted(commit["date"] for commit in lakehouse.commits(TARGETS)) == [str(DAY.plus(number)) for number in range(5)]
    assert any("another program has changed the table" in line for line in lakehouse.log)


class BusyStore(FolderStore):
    """Another program changes a published table whenever one day is read."""

    def __init__(self, lakehouse, asset, day):
        super().__init__(lakehouse.root)
        self._lakehouse, self._asset, self._day, self._reads = lakehouse, asset, day, 0

    def reader(self, path):
        if path.startswith(f"{self._asset}/date={self._day}/"):
            self._reads += 1
            changed = {"another-program": str(self._reads)}
            self._lakehouse.delta(self._asset).alter.set_table_properties(changed, raise_if_not_exists=False)
        return super().reader(path)


def test_a_publisher_that_another_program_always_outruns_says_so_and_publishes_the_next_asset(tmp_path):
    lakehouse = Lakehouse("delta", tmp_path)
    put_days(lakehouse, TARGETS, 1)
    lakehouse.publish(TARGETS)
    put_days(lakehouse, TARGETS, 2)
    put_days(lakehouse, DIMENSIONS, 2)
    outrun, other = lakehouse.publish(TARGETS, DIMENSIONS, store=BusyStore(lakehouse, TARGETS, DAY.plus(1)))
    assert [problem.partition(": ")[2] for problem in outrun.problems] == [
        "another program was faster 10 times in a row. Publish again when it has ended."
    ]
    assert (outrun.days.total(), other.days.total(), other.problems) == (0, 2, [])


def test_a_table_that_two_publishers_create_at_once_is_one_table(lakehouse):
    put_days(lakehouse, TARGETS, 1)
    store = MeddlingStore(lakehouse.root, f"{TARGETS}/date={DAY}/{TARGETS}.parquet", lambda: lakehouse.publish(TARGETS))
    lakehouse.publish(TARGETS, store=store)
    assert lakehouse.published(TARGETS) == lakehouse.stored(TARGETS)
    assert len(lakehouse.commits(TARGETS)) == 1


def test_a_state_that_is_older_than_the_kept_history_is_gone_with_its_files(lakehouse):
    put_days(lakehouse, TARGETS, 3)
    lakehouse.publish(TARGETS)
    put_day(lakehouse.root, TARGETS, DAY, made_up(TARGETS, 1, seed=8))
    lakehouse.publish(TARGETS)
    now = dt.datetime.now(dt.UTC)
    with lakehouse.tables() as tables:
        assert sum(expire_history(tables, [TARGETS], before=now - dt.timedelta(days=1), now=now).values()) == 0
        assert sum(expire_history(tables, [TARGETS], before=now + dt.timedelta(minutes=1), now=now).values()) == 1
    assert lakehouse.published(TARGETS) == lakehouse.stored(TARGETS)
    assert dict(lakehouse.publish(TARGETS)[0].days) == {}


def test_a_table_that_was_rolled_back_is_published_anew_even_if_that_is_killed(lakehouse):
    """Old rows are back, and the table still remembers the newest ones."""
    put_days(lakehouse, TARGETS, 3)
    lakehouse.publish(TARGETS)
    old = lakehouse.publish(TARGETS)[0].version
    for number in range(3):
        put_day(lakehouse.root, TARGETS, DAY.plus(number), made_up(TARGETS, 4, seed=50 + number))
    lakehouse.publish(TARGETS)
    roll_back(lakehouse, old)
    assert lakehouse.published(TARGETS) != lakehouse.stored(TARGETS)
    path = f"{TARGETS}/date={DAY.plus(1)}/{TARGETS}.parquet"
    with pytest.raises(KilledError):
        lakehouse.publish(TARGETS, store=MeddlingStore(lakehouse.root, path, die))
    assert dict(lakehouse.publish(TARGETS)[0].days) == {Why.CHANGED: 2}
    assert lakehouse.published(TARGETS) == lakehouse.stored(TARGETS)
    assert dict(lakehouse.publish(TARGETS)[0].days) == {}


def die():
    raise KilledError


def roll_back(lakehouse, version):
    if lakehouse.format == "delta":
        lakehouse.delta(TARGETS).restore(int(version))
        return
    with lakehouse.catalog() as catalog:
        table = catalog.load_table(f"{CATALOG.namespace}.{TARGETS}")
        table.manage_snapshots().rollback_to_snapshot(int(version)).commit()


def test_rows_that_another_program_added_are_removed_and_a_compaction_is_left_alone(lakehouse):
    put_days(lakehouse, TARGETS, 2)
    lakehouse.publish(TARGETS)
    if lakehouse.format == "delta":
        table = lakehouse.delta(TARGETS)
        table.optimize.compact()
        assert dict(lakehouse.publish(TARGETS)[0].days) == {}
        deltalake.write_deltalake(lakehouse.delta(TARGETS), lakehouse.read(TARGETS), mode="append")
    else:
        with lakehouse.catalog() as catalog:
            table = catalog.load_table(f"{CATALOG.namespace}.{TARGETS}")
            table.append(table.scan().to_arrow())
    assert len(lakehouse.published(TARGETS)) == 16
    lakehouse.publish(TARGETS)
    assert lakehouse.published(TARGETS) == lakehouse.stored(TARGETS)


def test_a_day_whose_footer_has_no_content_hash_is_compared_by_its_rows(lakehouse):
    rows = made_up(TARGETS, 3)
    write_partition(FolderStore(lakehouse.root), TARGETS, DAY, rows, {"partition": str(DAY)})
    assert dict(lakehouse.publish(TARGETS)[0].days) == {Why.NEW: 1}
    assert lakehouse.published(TARGETS) == lakehouse.stored(TARGETS)
    assert lakehouse.commits(TARGETS)[0]["content_hash"] == content_hash(rows, added=TABLES[TARGETS].added)
    put_day(lakehouse.root, TARGETS, DAY, rows)
    assert dict(lakehouse.publish(TARGETS)[0].days) == {}


def test_a_clean_up_and_a_publish_at_once_leave_the_table_whole(lakehouse):
    put_days(lakehouse, TARGETS, 3)
    lakehouse.publish(TARGETS)
    for number in range(3):
        put_day(lakehouse.root, TARGETS, DAY.plus(number), made_up(TARGETS, 2, seed=20 + number))
    now = dt.datetime.now(dt.UTC)

    def clean_up():
        with lakehouse.tables() as tables:
            expire_history(tables, [TARGETS], before=now + dt.timedelta(minutes=1), now=now)

    path = f"{TARGETS}/date={DAY.plus(1)}/{TARGETS}.parquet"
    assert lakehouse.publish(TARGETS, store=MeddlingStore(lakehouse.root, path, clean_up))[0].problems == []
    assert lakehouse.published(TARGETS) == lakehouse.stored(TARGETS)


def test_a_state_with_a_tag_stays(tmp_path):
    """In Iceberg; Delta has no tags."""
    lakehouse = Lakehouse("iceberg", tmp_path)
    put_days(lakehouse, TARGETS, 1)
    tagged = int(lakehouse.publish(TARGETS)[0].version)
    with lakehouse.catalog() as catalog:
        catalog.load_table(f"{CATALOG.namespace}.{TARGETS}").manage_snapshots().create_tag(tagged, "reported").commit()
    before = lakehouse.published(TARGETS)
    put_day(lakehouse.root, TARGETS, DAY, made_up(TARGETS, 2, seed=5))
    lakehouse.publish(TARGETS)
    now = dt.datetime.now(dt.UTC)
    with lakehouse.tables() as tables:
        assert list(expire_history(tables, [TARGETS], before=now + dt.timedelta(minutes=1), now=now).values()) == [0]
    with lakehouse.catalog() as catalog:
        scan = catalog.load_table(f"{CATALOG.namespace}.{TARGETS}").scan(snapshot_id=tagged)
        assert in_order(scan.to_arrow().to_pylist()) == before
