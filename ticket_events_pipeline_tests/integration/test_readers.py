"""Every asset's folder is one table for pandas, pyarrow and DuckDB, whatever else is below the root."""

import datetime as dt

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.tables.daily_sla_breach_summary import DAILY_SLA_BREACH_SUMMARY_TABLE
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.sla_targets import SLA_TARGETS_TABLE
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.deployment import ASSETS, deployed

DAYS = [f"2026-03-{day:02d}" for day in range(2, 8)]
SCHEMAS = {
    **{stream: TABLES[stream].schema for stream in STREAMS},
    "sla_targets": SLA_TARGETS_TABLE.schema,
    "daily_sla_breach_summary": DAILY_SLA_BREACH_SUMMARY_TABLE.schema,
}


def rows():
    """Audits and metric events on every day but the third; a policy with a title, one with a text for an id, and none."""
    sla = {"target": 60, "business_hours": False, "policy": {"id": 11, "title": "Standard"}}
    group = {"target": 30, "business_hours": True, "policy": {"id": "abc", "title": "Gruppe"}}
    metric, audits = [], []
    for number, day in enumerate(day for day in DAYS if day != DAYS[2]):
        first, ticket, time = 10 * number, 10 + number, f"{day}T10:00:00Z"
        reply, group_time = {"metric": "reply_time"}, {"metric": "group_ownership_time"}
        given = [
            {"id": first + 1, **reply, "type": "apply_sla", "time": f"{day}T09:00:00Z", "sla": sla},
            {"id": first + 2, **reply, "type": "breach", "time": time},
            {"id": first + 3, **group_time, "type": "apply_group_sla", "time": time, "group_sla": group},
            {"id": first + 4, "metric": "resolution_time", "type": "breach", "time": f"{day}T11:00:00.5Z"},
            {"id": first + 5, **reply, "type": "a new one", "time": time, "unknown": 1},
        ]
        metric += [{"ticket_id": ticket, "instance_id": 1, **row} for row in given]
        seen = Day.parse(day).start + 60
        audits.append({"id": first + 6, "ticket_id": ticket, "timestamp": seen, "via": {"channel": "web"}, "child_events": []})
    metric.append({"ticket_id": 1, "time": f"{DAYS[0]}T12:00:00Z"})  # goes to _rejected
    return metric, audits


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A root with the five assets, an empty day, rejected rows, and the files of a killed fetch."""
    metric, audits = rows()
    with deployed(tmp_path_factory.mktemp("root"), now=Day.parse("2026-03-20").start) as deployment:
        deployment.account.deliver("ticket_metric_events", metric)
        deployment.account.deliver("ticket_events", audits)
        deployment.fetch(DAYS[0], DAYS[-1])
        deployment.settle()
        (deployment.root / "_inflight" / "ticket_events.parquet.half").write_bytes(b"PAR1 half of a file")
        assert deployment.store.paths("_rejected")
        yield deployment


def rows_by_day(lake, asset):
    return {day: lake.table(asset, day).num_rows for day in DAYS}


@pytest.mark.parametrize("asset", ASSETS)
def test_pandas_reads_the_folder_as_one_table(lake, asset):
    frame = pd.read_parquet(lake.root / asset)
    counted = frame["date"].astype(str).value_counts().to_dict()  # a category made of the folder names
    assert {day: counted.get(day, 0) for day in DAYS} == rows_by_day(lake, asset)
    assert len(frame) == sum(rows_by_day(lake, asset).values())
    assert list(frame.columns) == [*lake.table(asset, DAYS[0]).column_names, "date"]


@pytest.mark.parametrize("asset", ASSETS)
def test_pyarrow_reads_the_folder_as_one_table_with_the_documented_schema(lake, asset):
    partitioning = ds.partitioning(pa.schema([("date", pa.string())]), flavor="hive")
    dataset = ds.dataset(lake.root / asset, partitioning=partitioning)
    expected = SCHEMAS.get(asset, lake.table(asset, DAYS[0]).schema)
    assert dataset.schema.remove_metadata() == expected.append(pa.field("date", pa.string()))
    counted = {day: dataset.count_rows(filter=ds.field("date") == day) for day in DAYS}
    assert counted == rows_by_day(lake, asset)
    assert dataset.to_table().num_rows == sum(counted.values())


@pytest.mark.parametrize("asset", ASSETS)
def test_duckdb_reads_the_folder_as_one_table(lake, asset):
    folder = f"{lake.root}/{asset}/date=*/*.parquet"
    with duckdb.connect() as connection:
        found = connection.sql(f"select date, count(*) from read_parquet('{folder}', hive_partitioning=true) group by date")  # noqa: S608
        counted = {str(day): rows for day, rows in found.fetchall()}
        columns = connection.sql(f"describe select * from read_parquet('{folder}', hive_partitioning=true)").fetchall()  # noqa: S608
    assert counted == {day: rows for day, rows in rows_by_day(lake, asset).items() if rows}
    assert [name for name, *_ in columns] == [*lake.table(asset, DAYS[0]).column_names, "date"]
    assert columns[-1][:2] == ("date", "DATE")


@pytest.mark.parametrize("asset", [asset for asset in ASSETS if asset in SCHEMAS])
def test_every_file_even_of_an_empty_day_has_the_documented_schema(lake, asset):
    for day in DAYS:
        assert lake.table(asset, day).schema == SCHEMAS[asset]
    assert asset not in STREAMS or lake.table(asset, DAYS[2]).num_rows == 0


@pytest.mark.parametrize("asset", ASSETS)
def test_an_assets_folder_has_only_day_files(lake, asset):
    assert lake.store.paths(asset) == [f"{asset}/date={day}/{asset}.parquet" for day in DAYS]


def test_one_query_reads_two_assets(lake):
    """Breaches by day, from the summary and counted from the raw events."""
    read = "read_parquet('{root}/{asset}/date=*/*.parquet', hive_partitioning=true)"
    summary, raw = (read.format(root=lake.root, asset=asset) for asset in (ASSETS[4], ASSETS[1]))
    with duckdb.connect() as connection:
        summed = connection.sql(f"select date, sum(breaches) from {summary} group by 1 having sum(breaches) > 0 order by 1")  # noqa: S608
        counted = connection.sql(f"select date, count(*) from {raw} where type = 'breach' group by 1 order by 1")  # noqa: S608
        assert summed.fetchall() == counted.fetchall()
        assert {day for day, _ in counted.fetchall()} == {dt.date.fromisoformat(day) for day in DAYS if day != DAYS[2]}
