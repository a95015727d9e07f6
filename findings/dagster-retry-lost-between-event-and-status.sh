#!/bin/sh
# Dagster's daemon may lose a retry for good: it reads the event of a failure before the run's status and its tag are stored.
#
# Versions:  dagster 1.13.27, `run_retries` enabled in dagster.yaml, daemon running, a run storage that takes some seconds to store a
#            status, as a busy database does (seen on Postgres first, on a busy machine: one of four runs).
# Expected:  each run that fails and is tagged `dagster/will_retry: true` is retried.
# Seen:      the event of a failure is stored first, then the run's status, then the tag. A daemon that reads the event in between
#            takes the run for one that has not failed, skips it, and moves its cursor past the event. It doesn't look again.
# Matters:   the run keeps its tag, and a backfill that it belongs to stays in progress for ever.
# Way out:   look for runs with the tag and without `dagster/auto_retry_run_id` after a minute, and report their failure again: a
#            run that has been retried is not retried twice.
# Prints:    how many runs failed and how many of them were retried: with a quick and with a slow storage, and for the slow one
#            after the way out.
set -eu
work=$(mktemp -d)
daemon=
stop() {
    if [ -n "$daemon" ] && kill -INT "$daemon" 2>/dev/null; then wait "$daemon" || true; fi
    rm -rf "$work"
}
trap stop EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check dagster==1.13.27

cd "$work"
cat >definitions.py <<'PY'
import dagster as dg


@dg.op
def nothing() -> None:
    pass


@dg.job
def some_job() -> None:
    nothing()


defs = dg.Definitions(jobs=[some_job])
PY
cat >storage.py <<'PY'
import time

import dagster as dg
from dagster._core.storage.runs import SqliteRunStorage

SECONDS = 0.0


class BusyRunStorage(SqliteRunStorage):
    """Keeps runs as Dagster's own does, after some seconds."""

    @classmethod
    def from_config_value(cls, inst_data, config_value):
        return cls.from_local(inst_data=inst_data, **config_value)

    def handle_run_event(self, run_id, event, *arguments, **options):
        if event.event_type == dg.DagsterEventType.RUN_FAILURE:
            time.sleep(SECONDS)
        super().handle_run_event(run_id, event, *arguments, **options)
PY
mkdir home
# Retries are only to be created: none of them runs.
cat >home/dagster.yaml <<YAML
telemetry: {enabled: false}
run_retries: {enabled: true, max_retries: 1}
concurrency: {runs: {max_concurrent_runs: 0}}
run_storage: {module: storage, class: BusyRunStorage, config: {base_dir: $work/home/history}}
event_log_storage:
  module: dagster._core.storage.event_log
  class: SqliteEventLogStorage
  config: {base_dir: $work/home/history/runs}
schedule_storage:
  module: dagster._core.storage.schedules
  class: SqliteScheduleStorage
  config: {base_dir: $work/home/schedules}
YAML
export DAGSTER_HOME="$work/home" PYTHONPATH="$work"
venv/bin/python -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
    "$work/venv/bin/python" venv/bin/dagster-daemon run -f definitions.py >daemon.txt 2>&1 &
daemon=$!
until grep -q 'Instance is configured' daemon.txt; do kill -0 $daemon || exit 1; sleep 1; done
sleep 10  # the daemon begins at the events that are new then
venv/bin/dagster job launch -f definitions.py -j some_job >launch.txt 2>&1  # its origin is the others'

cat >failures.py <<'PY'
import sys
import time
import warnings

import dagster as dg
import storage
from definitions import some_job

warnings.filterwarnings("ignore")
FAILURES, SETTLE_SECONDS = 2, 40


def retried(instance: dg.DagsterInstance, runs: list[dg.DagsterRun]) -> int:
    time.sleep(SETTLE_SECONDS)
    tags = [instance.get_run_by_id(run.run_id).tags for run in runs]
    assert all(one["dagster/will_retry"] == "true" for one in tags), tags
    return sum("dagster/auto_retry_run_id" in one for one in tags)


def failed(instance: dg.DagsterInstance, origin: object, *, seconds: float) -> list[dg.DagsterRun]:
    storage.SECONDS, runs = seconds, []
    for _ in range(FAILURES):
        run = instance.create_run_for_job(some_job, status=dg.DagsterRunStatus.STARTED, remote_job_origin=origin)
        instance.report_run_failed(run, "killed")
        runs.append(run)
    return runs


with dg.DagsterInstance.get() as instance:
    (launched,) = instance.get_runs()
    quick = retried(instance, failed(instance, launched.remote_job_origin, seconds=0))
    print(f"dagster {dg.__version__}, quick storage: {FAILURES} runs failed, {quick} were retried")
    runs = failed(instance, launched.remote_job_origin, seconds=12)
    slow = retried(instance, runs)
    print(f"slow storage: {FAILURES} runs failed and have the tag, {slow} were retried")
    storage.SECONDS = 0
    for run in runs:
        instance.report_run_failed(run, "killed, reported again")
    again = retried(instance, runs)
    print(f"after their failure was reported again: {again} were retried")
    sys.exit(0 if (quick, slow, again) == (FAILURES, 0, FAILURES) else "the behaviour has changed")
PY
venv/bin/python failures.py
