"""A root that a released version wrote is whole, grows, has reports, and none of its files is made again.

What the root holds, and how it was made, is in `samples/make_released_root.py`.
"""

import gzip
import json
import sys
from dataclasses import replace
from shutil import copytree, rmtree

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from ticket_events_pipeline.cli.breach_table import print_breaches
from ticket_events_pipeline.cli.old_files import old_files
from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.runs import range_tags
from ticket_events_pipeline.errors import DamagedFileError, NewerFileError
from ticket_events_pipeline.quality.sla_tables import breaches_have_a_policy, counts_match_targets, open_targets_add_up
from ticket_events_pipeline.report.builder import read_day_report
from ticket_events_pipeline.report.page import report_page
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS, make_clocks, make_summaries, make_targets
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import (
    partition_path,
    read_metadata,
    read_partition,
    read_partition_and_metadata,
    write_partition,
)
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES
from ticket_events_pipeline.tables.table import INT64, Column
from ticket_events_pipeline_tests.support.checkout import SAMPLES
from ticket_events_pipeline_tests.support.commands import BIN
from ticket_events_pipeline_tests.support.damages import rewrite
from ticket_events_pipeline_tests.support.deployment import ASSETS, deployed
from ticket_events_pipeline_tests.support.fetches import Moment, fetching
from ticket_events_pipeline_tests.support.quality_cases import verified
from ticket_events_pipeline_tests.support.released import in_released_columns, unpack_released_root
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days
from ticket_events_pipeline_tests.support.ticket_days import make_ticket_days

FIRST, OPEN = Day.parse("2026-03-01"), Day.parse("2026-03-31")
DAYS = days_between(FIRST, OPEN)
CLOSED = DAYS[:-1]
READ_AT, KILLED_AT, SERVED_AT = OPEN.start + 14 * 3600, OPEN.start + 18 * 3600, OPEN.end + 3 * 3600
EVENTS, METRIC = "ticket_events", "ticket_metric_events"
STREAMS = [EVENTS, METRIC]
OWNER = "127.0.0.1"
TRIAL = "status_trial_minutes"


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    root = tmp_path_factory.mktemp("released")
    unpack_released_root(root)
    return root


@pytest.fixture
def root(released, tmp_path):
    return copytree(released, tmp_path / "root")


@pytest.fixture(scope="session")
def server():
    """Serves the open day as it was in the account on the next morning."""
    with gzip.open(SAMPLES / "released_root_v1_rows.json.gz") as packed:
        account = RecordedAccount(json.load(packed))
    with SandboxServer(account, clock=Moment(SERVED_AT), page_limit=50) as server:
        yield server


def without_journal(root):
    rmtree(root / "_inflight")
    return root


def finish(server, root, stream):
    """Fetch the open day to its end; the requests that it took and the log."""
    before, log = len(server.requests), []
    given = {"account": OWNER, "clock": Moment(SERVED_AT), "log": log.append}
    (done,) = fetching(server, root, stream, [OPEN], **given)
    assert done.footer.complete
    return [int(seen.query["start_time"]) for seen in server.requests[before:]], "\n".join(log)


def contents(root, days=CLOSED):
    """The files of the tables of these days, byte by byte."""
    paths = [partition_path(asset, day) for asset in ASSETS for day in days]
    return {path: (root / path).read_bytes() for path in paths if (root / path).exists()}


def rows(root, asset, day=OPEN):
    return read_partition(FolderStore(root), asset, day).to_pylist()


def released_rows(root, stream):
    """The rows of the open day in the columns of the release: older rows have newer columns' fields in `extra`."""
    return in_released_columns(stream, rows(root, stream))


def assert_whole(root, days, *, now=READ_AT + 600):
    for stream in STREAMS:
        results = verified(root, stream, days, now=now, account=OWNER)
        assert [(result.day, *map(str, result.findings)) for result in results] == [(day,) for day in days]
    for check in (counts_match_targets, open_targets_add_up, breaches_have_a_policy):
        assert [str(finding) for answer in check(FolderStore(root), days) for finding in answer.findings] == []


def test_what_is_old_in_the_root_is_named_with_what_to_do(root, monkeypatch):
    monkeypatch.setenv("PATH", str(BIN))
    columns, rules = old_files(FolderStore(root), "UTC")
    assert columns.startswith(f"The newest files of {EVENTS}, {METRIC}, sla_clocks, sla_targets, {SUMMARY} are of an earlier")
    assert rules.endswith(
        f"without a request: ticket-events backfill {FIRST}..{OPEN} --asset sla_clocks --asset sla_targets --asset {SUMMARY}"
    )


def test_nothing_is_old_in_an_empty_root_or_in_days_made_again(root, tmp_path):
    assert old_files(FolderStore(tmp_path / "empty"), "UTC") == []
    make_sla_days(root, FIRST, OPEN)
    (columns,) = old_files(FolderStore(root), "UTC")
    assert columns.startswith(f"The newest files of {EVENTS}, {METRIC} are of an earlier")


def add_trial_column(monkeypatch, stream):
    """The next release, with one more column of a raw table, which Zendesk begins to send in `status`."""
    for name, module in list(sys.modules.items()):
        if name.startswith("ticket_events_pipeline.") and hasattr(module, "SCHEMA_VERSION"):
            monkeypatch.setattr(module, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    trial = Column(TRIAL, INT64, "A trial.", path="status.trial", since=SCHEMA_VERSION + 1)
    columns = list(TABLES[stream].columns)
    columns.insert(TABLES[stream].schema.get_field_index("status_business_minutes") + 1, trial)
    monkeypatch.setitem(TABLES, stream, replace(TABLES[stream], columns=tuple(columns)))


def test_the_sample_has_closed_days_an_open_day_and_a_killed_fetch_of_version_1(root):
    for stream in STREAMS:
        footers = [read_raw_footer(FolderStore(root), stream, day) for day in DAYS]
        assert {footer.schema_version for footer in footers} == {1}
        assert [footer.complete for footer in footers] == [True] * 30 + [False]
        assert sum(footer.rows for footer in footers) > 1000
    for asset in (TARGETS, SUMMARY):
        assert all("schema_version" not in read_metadata(FolderStore(root), asset, day) for day in DAYS)
    assert len(list((root / "_inflight" / "segments" / METRIC).rglob("*.parquet"))) == 1


def test_every_day_is_whole_and_verifying_changes_nothing(root):
    before = contents(root, DAYS)
    assert_whole(root, DAYS)
    assert contents(root, DAYS) == before


def test_an_added_column_is_null_in_its_place_and_nothing_else_differs(root):
    for day in DAYS:
        for asset, column, behind in (
            (TARGETS, "is_contradicted", "overdue_seconds"),
            (TARGETS, "elapsed_seconds", "is_contradicted"),
            (SUMMARY, "targets_deleted", "targets_cancelled"),
            (SUMMARY, "contradicted", "withdrawn_breaches"),
        ):
            table = read_partition(FolderStore(root), asset, day)
            stored = pq.read_table(root / partition_path(asset, day), partitioning=None).replace_schema_metadata(None)
            assert table.schema == TABLES[asset].schema
            assert table.column_names[table.column_names.index(behind) + 1] == column
            assert table[column].null_count == table.num_rows
            assert table.select(stored.column_names) == stored
            assert read_partition(FolderStore(root), asset, day, [column, behind]).column_names == [column, behind]


def test_every_asset_check_is_green_in_dagster(root):
    with deployed(root, now=SERVED_AT) as deployment:
        keys = {spec.key for asset in defs.resolve_asset_graph().assets_defs for spec in asset.check_specs}
        job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(), asset_check_selection=keys)
        tags = range_tags(CLOSED[-3], CLOSED[-1])
        run = job.execute_in_process(instance=deployment.instance, tags=tags, raise_on_error=False)
        assert run.success
        found = run.get_asset_check_evaluations()
        assert {(one.asset_key.to_user_string(), one.check_name) for one in found} == {
            (key.asset_key.to_user_string(), key.name) for key in keys
        }
        assert {one.check_name: one.description for one in found if not one.passed} == {}
        assert deployment.tick().run_requests in ([], None)
        assert deployment.server.requests == []


@pytest.mark.parametrize("stream", STREAMS)
def test_the_open_day_resumes_where_it_was_left_and_equals_a_fresh_one(root, server, tmp_path, stream):
    before = contents(without_journal(root))
    was = read_raw_footer(FolderStore(root), stream, OPEN)
    asked, _ = finish(server, root, stream)
    everything, _ = finish(server, tmp_path / "fresh", stream)
    assert was.next_start_time - 600 <= min(asked)
    assert len(asked) < len(everything)
    assert released_rows(root, stream) == released_rows(tmp_path / "fresh", stream)
    now, fresh = (read_raw_footer(FolderStore(place), stream, OPEN) for place in (root, tmp_path / "fresh"))
    assert (now.schema_version, now.rows) == (SCHEMA_VERSION, fresh.rows)
    assert (now.content_hash == fresh.content_hash) == (rows(root, stream) == rows(tmp_path / "fresh", stream))
    assert contents(root) == before
    assert_whole(root, CLOSED)


def test_a_killed_fetch_of_the_release_resumes_after_its_last_journal_file(root, server, tmp_path):
    asked, log = finish(server, root, METRIC)
    assert "resuming where a fetch stopped" in log
    assert min(asked) > READ_AT
    finish(server, tmp_path / "fresh", METRIC)
    assert released_rows(root, METRIC) == released_rows(tmp_path / "fresh", METRIC)
    assert list((root / "_inflight" / "segments").rglob("*.parquet")) == []


def test_the_tables_of_the_finished_day_use_the_clocks_of_the_release(root, server, tmp_path):
    before = contents(root)
    for stream in STREAMS:
        finish(server, root, stream)
    anew = copytree(root, tmp_path / "anew")
    for asset in ("sla_clocks", TARGETS, SUMMARY):
        rmtree(anew / asset)
    make_sla_days(root, OPEN, OPEN)
    list(make_clocks(FolderStore(anew), DAYS))
    list(make_targets(FolderStore(anew), [OPEN]))
    list(make_summaries(FolderStore(anew), [OPEN]))
    assert rows(root, TARGETS) == rows(anew, TARGETS)
    assert rows(root, SUMMARY) == rows(anew, SUMMARY)
    for asset in ("sla_clocks", TARGETS, SUMMARY):
        assert read_metadata(FolderStore(root), asset, OPEN)["schema_version"] == str(SCHEMA_VERSION)
    assert contents(root) == before
    assert_whole(root, DAYS, now=SERVED_AT)


def test_a_summary_made_of_old_targets_agrees_with_them_and_restates_nothing(root):
    (made,) = make_summaries(FolderStore(root), [CLOSED[9]])
    assert made.restatements == 0
    assert_whole(root, CLOSED)


def test_targets_made_again_under_an_old_summary_are_compared_in_common_columns(root):
    list(make_targets(FolderStore(root), [CLOSED[9]]))
    assert [answer.findings for answer in counts_match_targets(FolderStore(root), [CLOSED[9]])] == [()]


@pytest.mark.parametrize("day", [CLOSED[0], CLOSED[20], OPEN])
def test_every_day_has_its_report_and_its_line_in_the_terminal(root, day):
    report = read_day_report(FolderStore(root), day, account=OWNER, tickets_url=None)
    summary = read_partition(FolderStore(root), SUMMARY, day)
    drawn = {shown.day: shown.counted.breaches for shown in report.chart if shown.day in DAYS}
    stored = {past: read_partition(FolderStore(root), SUMMARY, past)["breaches"] for past in drawn}
    assert drawn == {past: sum(breaches.to_pylist()) for past, breaches in stored.items()}
    assert f"{day.date:%-d %B %Y}" in report_page(report)
    assert "made under the rules of version 1" in report_page(report)
    assert (report.data_quality.contradicted, {metric.flow.deleted for metric in report.metrics} - {0}) == (None, {None})
    console = Console(record=True, width=200)
    print_breaches(console, {day: summary})
    assert str(day) in console.export_text()


# Readers of the whole folder, in which old and new files lie together.


@pytest.fixture
def mixed(root, server):
    for stream in STREAMS:
        finish(server, root, stream)
    make_sla_days(root, OPEN, OPEN)
    return root


@pytest.mark.parametrize("asset", [TARGETS, SUMMARY, EVENTS, METRIC])
def test_pandas_pyarrow_and_duckdb_read_old_and_new_files_as_one_table(mixed, asset):
    count = sum(read_partition(FolderStore(mixed), asset, day).num_rows for day in DAYS)
    assert len(pd.read_parquet(mixed / asset)) == count
    dated = TABLES[asset].schema.append(pa.field("date", pa.string()))
    partitioning = ds.partitioning(pa.schema([("date", pa.string())]), flavor="hive")
    table = ds.dataset(mixed / asset, schema=dated, partitioning=partitioning).to_table()
    assert (table.num_rows, table.schema) == (count, dated)
    with duckdb.connect() as connection:
        files = f"read_parquet('{mixed}/{asset}/date=*/*.parquet', hive_partitioning=true, union_by_name=true)"
        assert connection.sql(f"select count(*) from {files}").fetchall() == [(count,)]  # noqa: S608
        added = [column.name for column in TABLES[asset] if column.since == SCHEMA_VERSION]
        for name in added:
            old = connection.sql(f"select count({name}) from {files} where date < '{OPEN}'")  # noqa: S608
            assert old.fetchall() == [(0,)]


# A column that a later release adds to a raw table.


@pytest.mark.parametrize("stream", STREAMS)
def test_one_more_column_leaves_every_stored_day_whole_and_resumes_the_open_one(monkeypatch, root, server, tmp_path, stream):
    without = copytree(root, tmp_path / "without")
    finish(server, without, stream)
    add_trial_column(monkeypatch, stream)
    assert_whole(root, DAYS)
    for each in STREAMS:  # of the metric events from the killed fetch's journal file on
        finish(server, root, each)
    resumed, metadata = read_partition_and_metadata(FolderStore(root), stream, OPEN)
    assert resumed.schema == TABLES[stream].schema
    assert resumed.drop_columns([TRIAL]) == read_partition(FolderStore(without), stream, OPEN).drop_columns([TRIAL])
    # The column has no value yet: the hash is the old one, and nothing made from the day is outdated.
    assert metadata["content_hash"] == read_raw_footer(FolderStore(without), stream, OPEN).content_hash
    make_sla_days(root, OPEN, OPEN)
    assert_whole(root, DAYS, now=SERVED_AT)


@pytest.mark.parametrize("stream", STREAMS)
def test_first_values_of_an_added_column_are_stored_next_to_nulls_and_verify(monkeypatch, released, tmp_path, stream):
    root = without_journal(copytree(released, tmp_path / "root"))
    add_trial_column(monkeypatch, stream)
    event = {"id": 1, "ticket_id": 7, "metric": "reply_time", "instance_id": 1, "type": "update_status"}
    event |= {"time": f"{OPEN}T20:00:00Z", "status": {"calendar": 3, "business": 2, "trial": 42}}
    with gzip.open(SAMPLES / "released_root_v1_rows.json.gz") as packed:
        rows_served = json.load(packed)[stream]
    with SandboxServer(RecordedAccount({stream: [*rows_served, event]}), clock=Moment(SERVED_AT)) as server:
        finish(server, root, stream)
    values = read_partition(FolderStore(root), stream, OPEN)[TRIAL].to_pylist()
    assert (values.count(42), values.count(None)) == (1, len(values) - 1)
    assert len(values) > 1
    (result,) = verified(root, stream, [OPEN], now=SERVED_AT, account=OWNER)
    assert result.findings == ()
    rewrite(root, stream, OPEN, rows=lambda table: table.set_column(
        table.column_names.index(TRIAL), TRIAL, pa.nulls(table.num_rows, pa.int64())))  # fmt: skip
    assert "content_hash differs" in str(verified(root, stream, [OPEN], now=SERVED_AT, account=OWNER)[0].findings)


@pytest.mark.slow
def test_neither_an_upgrade_nor_an_unchanged_day_makes_the_sensor_request_a_run(monkeypatch, tmp_path):
    event = {"id": 1, "ticket_id": 7, "metric": "reply_time", "instance_id": 1, "type": "breach", "time": f"{FIRST}T09:00:00Z"}
    with deployed(tmp_path, now=SERVED_AT) as deployment:
        deployment.account.deliver(METRIC, [event])
        deployment.fetch(str(FIRST))
        assert deployment.settle() == [(str(FIRST), str(FIRST))]
        before = deployment.footer(METRIC, str(FIRST))
        add_trial_column(monkeypatch, METRIC)
        assert deployment.settle() == []
        deployment.fetch(str(FIRST))
        after = deployment.footer(METRIC, str(FIRST))
        assert (before["schema_version"], after["schema_version"]) == (str(SCHEMA_VERSION), str(SCHEMA_VERSION + 1))
        assert before["content_hash"] == after["content_hash"]
        assert deployment.settle() == []
        deployment.account.deliver(METRIC, [{**event, "status": {"calendar": 3, "business": 2, "trial": 42}}])
        deployment.fetch(str(FIRST))
        assert deployment.settle() == [(str(FIRST), str(FIRST))]


# Files that this version can't read.


def with_version(root, stream, version):
    rewrite(root, stream, OPEN, footer=lambda metadata: {**metadata, "schema_version": version})


def test_a_file_of_a_newer_version_asks_for_an_upgrade_and_is_never_replaced(root, server):
    with_version(without_journal(root), EVENTS, str(SCHEMA_VERSION + 1))
    before = (root / partition_path(EVENTS, OPEN)).read_bytes()
    with pytest.raises(NewerFileError, match=r"written by a newer version.*Upgrade this program"):
        finish(server, root, EVENTS)
    (result,) = verified(root, EVENTS, [OPEN], now=READ_AT + 600, account=OWNER)
    assert f"schema version {SCHEMA_VERSION + 1}" in str(result.findings[0])
    assert "Upgrade" in result.findings[0].remedy
    assert (root / partition_path(EVENTS, OPEN)).read_bytes() == before


def test_a_newer_summary_asks_for_an_upgrade_in_the_checks_and_the_report(root):
    with_version(root, SUMMARY, str(SCHEMA_VERSION + 1))
    (answer,) = counts_match_targets(FolderStore(root), [OPEN])
    assert "Upgrade this program" in str(answer.findings[0])
    with pytest.raises(NewerFileError, match=SUMMARY):
        read_day_report(FolderStore(root), OPEN, account=OWNER, tickets_url=None)


CHANGES = {
    "one too many": (lambda table: table.append_column("mine", table["id"]), "mine is too many"),
    "one missing": (lambda table: table.drop_columns(["extra"]), "extra is missing"),
    "another type": (
        lambda table: table.set_column(1, "ticket_id", table["ticket_id"].cast(pa.string())),
        "ticket_id is string, not int64",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_columns_of_no_version_are_named_with_the_file_and_what_to_do(root, name):
    change, problem = CHANGES[name]
    table, metadata = read_partition_and_metadata(FolderStore(root), METRIC, CLOSED[3])
    write_partition(FolderStore(root), METRIC, CLOSED[3], change(table), metadata)
    message = rf"{partition_path(METRIC, CLOSED[3])}.*{problem}.*Materialize {METRIC} of {CLOSED[3]} again"
    with pytest.raises(DamagedFileError, match=message):
        read_partition(FolderStore(root), METRIC, CLOSED[3], ["id"])
    (result,) = verified(root, METRIC, [CLOSED[3]], account=OWNER)
    assert problem in str(result.findings[0])


def test_every_file_that_is_written_says_its_schema_version(root, server):
    for stream in STREAMS:
        finish(server, root, stream)
    make_sla_days(root, OPEN, OPEN)
    make_ticket_days(root, OPEN, OPEN)
    versions = {read_metadata(FolderStore(root), asset, OPEN)["schema_version"] for asset in ASSETS}
    assert versions == {str(SCHEMA_VERSION)}
