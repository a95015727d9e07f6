"""The dbt project: its sources are those of the code, it builds on a root of the pipeline, and faults turn it red."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import os
import shutil
import subprocess

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path, read_partition, stored_days, write_partition
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.tickets.names import names_schema, write_kind
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.duckdb_views import viewed

PROJECT = CHECKOUT / "dbt"
DBT = CHECKOUT / ".venv-readers" / "bin" / "dbt"
ZONE = "America/New_York"
TARGETS, SUMMARY = "sla_targets", "daily_sla_breach_summary"


def test_the_sources_are_up_to_date():
    """If not: make dbt-sources."""
    specification = importlib.util.spec_from_file_location("make_sources", PROJECT / "make_sources.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert module.SOURCES.read_text() == module.sources_yaml()
    assert all(f"- name: {table.name}\n" in module.sources_yaml() for table in TABLES.values() if not table.is_internal)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Four days of the sandbox in a zone that isn't UTC, with the names of its groups."""
    place = new_place(tmp_path_factory.mktemp("place"), ZENDESK_SANDBOX="1", TICKET_EVENTS_TIMEZONE=ZONE)
    made = place.ticket_events("backfill", "last-4-days")
    assert made.code == 0, made.output
    root, seen = place.root / "sandbox", dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    held = read_partition(FolderStore(root), "sla_target_dimensions", newest(root))
    groups = pc.unique(held["group_id"].drop_null()).to_pylist()
    names = [{"id": id_, "name": f"Group {id_}", "is_deleted": False, "seen_from": seen, "seen_to": seen} for id_ in groups]
    write_kind(FolderStore(root), "groups", pa.Table.from_pylist(names, schema=names_schema("groups")), fetched_at=0)
    return root


def newest(root):
    return stored_days(FolderStore(root), TARGETS, ZONE)[-1]


@pytest.fixture
def copy(root, tmp_path):
    """A copy of the root that a test may damage."""
    shutil.copytree(root, tmp_path / "root")
    return tmp_path / "root"


class Built:
    """What `dbt build` or another command did: its exit code, and the names of what wasn't successful."""

    def __init__(self, root, folder, *command, timezone=ZONE):
        assert DBT.exists(), "make .venv-readers/.installed"
        self.file = folder / "dbt.duckdb"
        environment = {
            "PATH": os.defpath,
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "DO_NOT_TRACK": "1",
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "DBT_DUCKDB_FILE": str(self.file),
            "TICKET_EVENTS_ROOT": str(root),
            "TICKET_EVENTS_TIMEZONE": timezone,
        }
        run = [DBT, "--no-use-colors", *(command or ("build",)), "--profiles-dir", PROJECT]
        ended = subprocess.run(run, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=300)
        self.code, self.output = ended.returncode, ended.stdout + ended.stderr
        results = (
            json.loads((folder / "target" / "run_results.json").read_text()) if (command or ["build"])[0] == "build" else {}
        )
        self.bad = {
            result["unique_id"].split(".")[2]
            for result in results.get("results", [])
            if result["status"] not in ("pass", "success")
        }


@pytest.mark.slow
def test_the_project_builds_and_answers_like_the_views(root, tmp_path):
    built = Built(root, tmp_path)
    assert (built.code, built.bad) == (0, set()), built.output
    Built(root, tmp_path, "source", "freshness")
    fresh = json.loads((tmp_path / "target" / "sources.json").read_text())["results"]
    found = {result["unique_id"].split(".")[-1]: result["status"] for result in fresh}
    assert found.keys() == {*STREAMS, TARGETS, SUMMARY}
    assert {found[stream] for stream in STREAMS} == {"pass"}  # fetched now
    assert {found[TARGETS], found[SUMMARY]} <= {"pass", "warn"}  # as of the end of yesterday
    latest = "SELECT * EXCLUDE (entered_on, breached_on, closed_on) FROM sla_targets_latest"
    with duckdb.connect(built.file, read_only=True) as connection, viewed(root, timezone=ZONE) as views:
        columns = connection.sql("FROM sla_targets_latest").columns
        ours = views.sql(f"SELECT {', '.join(columns)} FROM ({latest})").fetchall()  # noqa: S608
        assert sorted(connection.sql("FROM sla_targets_latest").fetchall(), key=repr) == sorted(ours, key=repr)
        weekly = connection.sql(
            "SELECT sum(breaches), bool_or(group_name LIKE 'Group %') FROM weekly_breaches_by_group_and_metric"
        ).fetchall()
        assert weekly == views.sql("SELECT sum(breaches), true FROM daily_sla_breach_summary").fetchall()
        assert weekly[0][0] > 0


def doubled(root):
    """A day's file lies there a second time."""
    path = root / partition_path(TARGETS, newest(root).plus(-1))
    shutil.copy(path, path.with_name("copy.parquet"))


def lost(root):
    """A day's files are gone."""
    for table in (TARGETS, SUMMARY):
        (root / partition_path(table, newest(root).plus(-1))).unlink()


def changed(root):
    """One target that was met is late."""
    day = newest(root)
    table = read_partition(FolderStore(root), TARGETS, day)
    outcomes = table["outcome"].to_pylist()
    outcomes[outcomes.index("achieved")] = "breached"
    place = table.schema.get_field_index("outcome")
    write_partition(
        FolderStore(root), TARGETS, day, table.set_column(place, "outcome", pa.array(outcomes)), {"complete": "true"}
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "red"),
    [
        (doubled, {"source_unique_rows_zendesk_sla_targets_date__ticket_id__metric__instance_id", "summary_equals_targets"}),
        (lost, {"no_day_is_missing"}),
        (changed, {"summary_equals_targets"}),
    ],
)
def test_a_fault_in_the_data_turns_a_test_red(copy, tmp_path, fault, red):
    fault(copy)
    built = Built(copy, tmp_path)
    assert built.code == 1, built.output
    assert red <= built.bad


@pytest.mark.slow
def test_the_figures_of_a_day_depend_on_the_accounts_zone(root, tmp_path):
    """With the zone of another account the days don't fit; so the test of the figures does look at the days."""
    assert "summary_equals_targets" in Built(root, tmp_path, timezone="Asia/Tokyo").bad
