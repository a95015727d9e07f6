"""docs/reference/readers.md: every reader finds what each file holds, and the page says what a run of all of them shows."""

from __future__ import annotations

import importlib.util
import re
import runpy
from shutil import copytree

import duckdb
import pandas as pd
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline_tests.readers.lake import DAY, SUMMARY, file_tables, make_lake
from ticket_events_pipeline_tests.readers.page import PAGE, places, recipes
from ticket_events_pipeline_tests.readers.probe import READERS
from ticket_events_pipeline_tests.readers.reader import RECIPES
from ticket_events_pipeline_tests.readers.run import HAS_JAVA, NEEDS_JAVA, run_readers
from ticket_events_pipeline_tests.readers.tables import Truth, month_differences, tables
from ticket_events_pipeline_tests.support.deployment import deployed

DAYS = ["2026-03-28", "2026-03-29", "2026-03-30"]
BREACHES = 2
LIBRARIES = {"pyarrow": "pyarrow.dataset", "dask": "dask.dataframe", "spark": "pyspark"}
HERE = [name for name in READERS if importlib.util.find_spec(LIBRARIES.get(name, name).partition(".")[0])]


WITH_JAVA = pytest.param([NEEDS_JAVA], id="spark", marks=pytest.mark.skipif(not HAS_JAVA, reason="Spark needs Java"))


@pytest.mark.slow
@pytest.mark.parametrize("names", [pytest.param([name for name in READERS if name != NEEDS_JAVA], id="all others"), WITH_JAVA])
def test_readers_find_the_counts_and_sums_of_each_file_alone_and_the_page_is_what_they_show(names, tmp_path):
    lake, small = tmp_path / "lake", tmp_path / "small"
    make_lake(lake)
    small.mkdir()
    answers = run_readers(lake, small, names)
    truth = Truth.of(lake)
    found = [month_differences(name, answers[name]["month"], truth.sums, truth.kinds) for name in names]
    assert found == [[]] * len(names)
    (summary,) = file_tables(lake, SUMMARY, DAY, DAY)
    assert {answers[name]["printed"] for name in names} == {str(sum(summary["breaches"].to_pylist()))}
    shown = {name: rows_of(text, names) for name, text in places(PAGE.read_text(), "run").items() if name != "versions"}
    run = {name: rows_of(text, names) for name, text in tables(answers, truth).items() if name != "versions"}
    assert shown == run, "the page is not what a run shows: make readers"


def rows_of(table, names):
    """The header of a table of the page, and its rows of these readers."""
    header, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return [header, *(row for row in rows if row[0] in {READERS[name].name for name in names})]


def test_the_recipes_of_the_page_are_those_that_run():
    assert places(PAGE.read_text(), "recipe") == recipes(), "make readers"


def test_every_table_of_the_page_has_every_reader():
    names = [reader.name for reader in READERS.values()]
    for name, table in places(PAGE.read_text(), "run").items():
        assert [row[0] for row in rows_of(table, READERS)[1:]] == names, name


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `data`: three days, of which the second has two breaches and the third no events."""
    folder = tmp_path_factory.mktemp("folder")
    with deployed(folder / "data", now=Day.parse("2026-04-02").start) as deployment:
        times = ["2026-03-28T09:00:00Z", *[f"{DAYS[1]}T10:00:0{second}Z" for second in range(BREACHES)]]
        row = {"metric": "reply_time", "instance_id": 1, "type": "breach"}
        breaches = [row | {"id": number, "ticket_id": number, "time": time} for number, time in enumerate(times, start=1)]
        deployment.account.deliver("ticket_metric_events", breaches)
        deployment.fetch(DAYS[0], DAYS[-1])
        deployment.settle()
    return folder


@pytest.fixture
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", HERE)
def test_the_recipes_that_this_environment_can_run_print_the_breaches_of_the_day(name, in_folder, capsys):
    runpy.run_path(str(RECIPES / f"with_{name}.py"))
    assert capsys.readouterr().out == f"{BREACHES}\n"


def test_the_default_environment_has_three_of_the_readers():
    assert {"duckdb", "pandas", "pyarrow"} <= set(HERE)


def query(mentions):
    """The page's query that mentions this."""
    (found,) = (text for text in re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL) if mentions in text)
    return duckdb.sql(found).fetchall()


def test_the_query_of_footers_lists_every_day_and_which_are_empty(in_folder):
    found = query("parquet_kv_metadata")
    assert [(str(day), rows, is_complete) for day, rows, is_complete, _ in found] == [
        (DAYS[0], 1, True),
        (DAYS[1], BREACHES, True),
        (DAYS[2], 0, True),
    ]
    assert {fetched_at.timestamp() for *_, fetched_at in found} == {Day.parse("2026-04-02").start}


def test_the_calendar_shows_days_without_a_file_as_null(in_folder):
    found = {str(day): breaches for day, breaches in query("calendar AS")}
    assert found == {f"2026-03-{day:02d}": None for day in range(1, 32)} | dict(zip(DAYS, [1, BREACHES, 0], strict=True))


def test_a_category_of_texts_equals_no_date_and_the_documented_line_makes_it_dates(in_folder):
    targets = pd.read_parquet("data/sla_targets")
    day = pd.Timestamp(DAYS[1])
    assert (targets["date"].dtype, (targets["date"] == day).sum()) == ("category", 0)
    (line,) = re.findall(r'`(targets\["date"\] = [^`]+)`', PAGE.read_text())
    exec(line, {"pd": pd, "targets": targets})  # noqa: S102  # our own page
    stored = len(pd.read_parquet(f"data/sla_targets/date={DAYS[1]}/sla_targets.parquet", partitioning=None))
    assert (targets["date"] == day).sum() == (targets["date"] == DAYS[1]).sum() == stored > 0


def test_the_short_examples_of_duckdb_and_pandas_read_all_days_and_some(in_folder):
    (sql,) = re.findall(r"`(FROM read_parquet\([^`]+)`", PAGE.read_text())
    (filters,) = re.findall(r"`(filters=[^`]+)`", PAGE.read_text())
    recipe = (RECIPES / "with_pandas.py").read_text()
    every, some = {}, {}
    exec(recipe, every)  # noqa: S102  # our own recipe
    exec(recipe.replace("schema=schema)", f"schema=schema, {filters.replace('03-28', '03-29')})"), some)  # noqa: S102
    frame = every["read"]("sla_targets")
    assert len(duckdb.sql(sql)) == len(frame)
    assert len(some["read"]("sla_targets")) == (frame["date"] >= DAYS[1]).sum() < len(frame)
    assert pd.read_parquet("data/sla_targets", dtype_backend="pyarrow")["target_seconds"].dtype == "int64[pyarrow]"


def test_a_view_of_duckdb_sees_replaced_and_new_days(folder, tmp_path):
    days = copytree(folder / "data" / "ticket_metric_events", tmp_path / "ticket_metric_events")
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW events AS FROM '{days}/date=*/*.parquet'")
        counted = [len(connection.sql("FROM events"))]
        copytree(days / f"date={DAYS[1]}", days / f"date={DAYS[0]}", dirs_exist_ok=True)
        copytree(days / f"date={DAYS[1]}", days / "date=2026-03-31")
        counted.append(len(connection.sql("FROM events")))
    assert counted == [1 + BREACHES, 3 * BREACHES]


def test_a_glob_with_the_assets_name_leaves_out_a_copy(folder, tmp_path):
    stored = (folder / "data" / "ticket_metric_events" / f"date={DAYS[1]}" / "ticket_metric_events.parquet").read_bytes()
    day = tmp_path / f"date={DAYS[1]}"
    day.mkdir()
    for name in ("ticket_metric_events", "_copy"):
        (day / f"{name}.parquet").write_bytes(stored)
    counted = [len(duckdb.sql(f"FROM '{tmp_path}/date=*/{name}.parquet'")) for name in ("*", "ticket_metric_events")]
    assert counted == [2 * BREACHES, BREACHES]


KINDS = {"targets": {"n": "integer", "rate": "float", "tags": "list"}}
TRUTH = {"targets": {"rows": 5, "n": [4, 10], "rate": [2, 0.3], "tags": [3, 7]}}


@pytest.mark.parametrize(
    ("reader", "answered", "named"),
    [
        ("polars", {"rate": [2, 0.1 + 0.2]}, []),
        ("polars", {"rows": 4}, ["Polars, targets, rows: 4, not 5"]),
        ("polars", {"n": [4, 11]}, ["Polars, targets, n: [4, 11], not [4, 10]"]),
        ("polars", {"n": [3, 10]}, ["Polars, targets, n: [3, 10], not [4, 10]"]),
        ("polars", {"tags": [5, 7]}, ["Polars, targets, tags: [5, 7], not [3, 7]"]),
        ("chdb", {"tags": [5, 7]}, []),
        ("chdb", {"tags": [5, 6]}, ["chdb, targets, tags: [5, 6], not [3, 7]"]),
    ],
)
def test_a_reader_that_counts_or_sums_otherwise_is_named(reader, answered, named):
    assert month_differences(reader, {"targets": TRUTH["targets"] | answered}, TRUTH, KINDS) == named


def test_a_reader_that_fails_is_named_for_every_column():
    found = month_differences("polars", {"targets": {"error": "SchemaError"}}, TRUTH, KINDS)
    assert found[0] == "Polars, targets, rows: SchemaError, not 5"
    assert len(found) == len(TRUTH["targets"])
