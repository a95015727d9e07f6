"""The blocks of docs/how-to/runbook.md do what the page says."""

import datetime as dt
import re

import dagster as dg
import pytest
import yaml

from ticket_events_pipeline_tests.support.checkout import CHECKOUT

RUNBOOK = (CHECKOUT / "docs" / "how-to" / "runbook.md").read_text()


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", RUNBOOK, re.DOTALL)
    return found


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(block("yaml"))
    return tmp_path


def test_dagster_accepts_the_retention_of_ticks(home):
    with dg.DagsterInstance.get() as instance:
        settings = instance.get_settings("retention")
    assert settings == yaml.safe_load((home / "dagster.yaml").read_text())["retention"]
    assert settings["sensor"]["purge_after_days"]["skipped"] == 2


def test_old_runs_that_have_ended_are_deleted_and_no_others(home):
    now = dt.datetime.now(dt.UTC)
    ended, failed, running = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED
    made = {"old": (40, ended), "old failed": (31, failed), "old, in progress": (40, running), "new": (29, ended)}
    with dg.DagsterInstance.get() as instance:
        for name, (days, status) in made.items():
            run = dg.DagsterRun("a_job", tags={"name": name}, status=status)
            instance.run_storage.add_historical_run(run, now - dt.timedelta(days=days))
        exec(block("py"), {})  # noqa: S102 - the page's own
        assert {run.tags["name"] for run in instance.get_runs()} == {"old, in progress", "new"}
