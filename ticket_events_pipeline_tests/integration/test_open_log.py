"""Dagster's SQLite log stays open during a run: nothing is checkpointed per event, and a kill loses no event."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import dagster as dg

from ticket_events_pipeline.defs.open_log import INDEX, log_kept_open

KILLED = """
import os, signal, sys
import dagster as dg
from ticket_events_pipeline.defs.open_log import log_kept_open

instance = dg.DagsterInstance.local_temp(sys.argv[1])
instance.report_runless_asset_event(dg.AssetMaterialization("before"))
with log_kept_open(instance, "no-such-run"):
    instance.report_runless_asset_event(dg.AssetMaterialization("table", metadata={"rows": 3}))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def keys(instance):
    return {key.to_user_string() for key in instance.all_asset_keys()}


def test_the_databases_of_the_run_stay_open_until_its_end(tmp_path):
    seen = []

    @dg.op
    def look(context):
        with log_kept_open(context.instance, context.run_id):
            context.log_event(dg.AssetMaterialization("table"))
            seen.extend(path.name for path in tmp_path.rglob("*.db-wal"))
            with closing(sqlite3.connect(next(tmp_path.rglob(f"{INDEX}.db")))) as other:
                seen.append(other.execute("SELECT count(*) FROM asset_keys WHERE asset_key LIKE '%table%'").fetchall())

    @dg.job
    def looking():
        look()

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        run_id = looking.execute_in_process(instance=instance).run_id
        assert {f"{run_id}.db-wal", f"{INDEX}.db-wal"} <= set(map(str, seen))
        assert [(1,)] in seen, "another reader sees the event at once"
        assert keys(instance) == {"table"}
    assert list(tmp_path.rglob("*.db-wal")) == []


def test_after_a_kill_every_event_is_there(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert [path.name for path in tmp_path.rglob("*.db-wal")] == [f"{INDEX}.db-wal"]
    assert list(tmp_path.rglob("no-such-run*")) == []
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert keys(instance) == {"before", "table"}


def test_a_log_elsewhere_is_left_alone():
    with dg.DagsterInstance.ephemeral() as instance, log_kept_open(instance, "run"):
        instance.report_runless_asset_event(dg.AssetMaterialization("table"))
        assert keys(instance) == {"table"}
