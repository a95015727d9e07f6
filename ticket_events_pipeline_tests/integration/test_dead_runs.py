"""A run is ended exactly if its process is gone for certain; living and unknown processes are left alone."""

import datetime as dt
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from filelock import FileLock

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.requested_runs import MAX_ATTEMPTS
from ticket_events_pipeline.defs.run_marks import Mark, is_gone, mark_of, mark_run
from ticket_events_pipeline.defs.run_tags import PROCESS_TAG
from ticket_events_pipeline.defs.runs import RETRIED_BY_TAG, WILL_RETRY_TAG, days_in_progress, range_tags
from ticket_events_pipeline.defs.sensors.dead_runs import dead_runs, end_run
from ticket_events_pipeline.process import Process, host_name, this_process
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.deployment import REPOSITORY, deployed, launched_from

linux_only = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="only Linux shows when a process began")

STARTED, CANCELING = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING
JOB = "fetch_ticket_events"
OURS, THEIRS = "ticket_events_pipeline", "another_location"

WORKER = """
import sys
import dagster as dg
from ticket_events_pipeline.defs.run_marks import mark_run
with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    for line in sys.stdin:
        mark_run(instance, line.strip())
        print("marked", flush=True)
"""

CHILD = "from ticket_events_pipeline.process import this_process; print(this_process(), flush=True); input()"


class Worker:
    """A process of its own that runs `program` until it is killed."""

    def __init__(self, program: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def hears(self) -> str:
        return self.process.stdout.readline().strip()

    def takes(self, run: dg.DagsterRun) -> None:
        """Let the process mark the run."""
        self.process.stdin.write(f"{run.run_id}\n")
        self.process.stdin.flush()
        assert self.hears() == "marked"

    def is_killed(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return new_place(tmp_path_factory.mktemp("place")).home


@pytest.fixture(scope="module")
def shared_instance(home):
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


@pytest.fixture
def instance(shared_instance):
    """With the shipped dagster.yaml, and no run in it."""
    yield shared_instance
    shared_instance.wipe()


@pytest.fixture
def worker(home):
    started = Worker(WORKER, str(home))
    yield started
    started.is_killed()


@pytest.fixture(scope="module")
def ended_process():
    """A process that was killed."""
    child = Worker(CHILD)
    process = Process.parse(child.hears())
    child.is_killed()
    return process


def taken(instance, run, process):
    """The run, marked for `process`."""
    instance.add_run_tags(run.run_id, {PROCESS_TAG: str(Mark(run.run_id, host_name(), process))})
    return run


def a_run(instance, status=STARTED, *, location=None, **tags):
    origin = None if location is None else launched_from(location, JOB)
    job_def = defs.resolve_job_def(JOB)
    return instance.create_run_for_job(job_def=job_def, status=status, tags=tags, remote_job_origin=origin)


def tick(instance):
    context = dg.build_sensor_context(instance=instance, repository_def=REPOSITORY)
    return REPOSITORY.get_sensor_def("dead_runs_sensor")(context).skip_message


def held(instance):
    """The days that schedules and the other sensor leave to runs in progress."""
    return sorted(str(day) for day in days_in_progress(instance, REPOSITORY, [dg.AssetKey("ticket_events")], timezone="UTC"))


def status_of(instance, run):
    return instance.get_run_by_id(run.run_id).status.value


def last_message(instance, run):
    return instance.all_logs(run.run_id)[-1].dagster_event.message


def test_a_run_whose_process_was_killed_fails_and_will_be_started_again(instance, worker):
    label = f"{REPOSITORY.name}@{OURS}"
    run = a_run(instance, location=OURS)
    worker.takes(run)
    assert dead_runs(instance, REPOSITORY, label) == []
    worker.is_killed()
    (dead,) = dead_runs(instance, REPOSITORY, label)
    assert end_run(instance, dead)
    assert status_of(instance, run) == "FAILURE"
    assert instance.get_run_by_id(run.run_id).tags[WILL_RETRY_TAG] == "true"
    assert last_message(instance, run) == (
        f"The process of this run is gone: it was killed, or the machine went down (process {worker.process.pid} on "
        f"{host_name()}). Every finished day is stored. The run is ended here so that nothing waits for it; run_retries in "
        "dagster.yaml let Dagster start it again, and then it resumes where this one stopped."
    )
    assert dead_runs(instance, REPOSITORY, label) == []
    assert list(Path(instance.storage_directory()).glob("run_processes/*")) == []


def test_a_killed_command_line_holds_no_day_from_then_on_and_no_restart_is_promised(instance, worker):
    days = range_tags(Day.parse("2026-03-02"), Day.parse("2026-03-03"))
    run, launched = a_run(instance, **days), a_run(instance, location=OURS, **range_tags(*[Day.parse("2026-03-05")] * 2))
    for taken_run in (run, launched):
        worker.takes(taken_run)
    assert held(instance) == ["2026-03-02", "2026-03-03", "2026-03-05"]
    assert tick(instance) == "No run has lost its process."
    worker.is_killed()
    assert held(instance) == ["2026-03-05"]  # whatever the sensor does; the launched run will be retried
    assert tick(instance) == f"Ended: {run.run_id}."
    assert held(instance) == ["2026-03-05"]
    assert status_of(instance, run) == "FAILURE"
    assert instance.get_run_by_id(run.run_id).tags[WILL_RETRY_TAG] == "false"
    assert last_message(instance, run).endswith(
        "The run is ended here so that nothing waits for it; it was started from a command line, so Dagster does not start it "
        "again: give the same command within 24 hours, and it resumes where this one stopped."
    )
    assert tick(instance) == "No run has lost its process."


def test_a_command_line_that_dagster_itself_ended_is_not_waited_for(instance):
    """As run monitoring ends a run that didn't start in time: Dagster tags it for a retry, and then can't retry it."""
    run = a_run(instance, **range_tags(*[Day.parse("2026-03-02")] * 2))
    instance.report_run_failed(run, "Run timed out due to taking longer than 60 seconds to start.")
    assert instance.get_run_by_id(run.run_id).tags[WILL_RETRY_TAG] == "true"
    assert held(instance) == []


def test_a_run_that_was_ended_before_its_mark_does_not_begin(instance):
    run = a_run(instance)
    instance.report_run_failed(run, "ended")
    with pytest.raises(dg.Failure, match="This run was ended before its first step began"):
        mark_run(instance, run.run_id)


@linux_only
def test_a_run_that_marked_itself_in_the_meantime_is_not_ended(instance, ended_process):
    run = a_run(instance, dg.DagsterRunStatus.STARTING)
    started_ago(instance, run, 90, ended_process.pid)
    (dead,) = dead_runs(instance, REPOSITORY)
    mark_run(instance, run.run_id)
    assert not end_run(instance, dead)
    assert status_of(instance, run) == "STARTED"


@linux_only
def test_command_lines_of_other_projects_are_left_alone(instance, ended_process):
    """Each runs a job of the same name, in the same DAGSTER_HOME."""
    theirs = [
        instance.add_run(
            dg.DagsterRun(job_name="__ASSET_JOB", status=STARTED, asset_selection=frozenset({dg.AssetKey("theirs")}))
        )
        for _ in range(2)
    ]
    taken(instance, theirs[0], ended_process)
    started_ago(instance, theirs[1], 90, ended_process.pid)
    assert tick(instance) == "No run has lost its process."


@linux_only
def test_a_run_that_was_being_canceled_is_canceled_and_not_started_again(instance, ended_process):
    run = taken(instance, a_run(instance, CANCELING), ended_process)
    alive = taken(instance, a_run(instance, CANCELING), this_process())
    assert tick(instance) == f"Ended: {run.run_id}."
    assert status_of(instance, alive) == "CANCELING"
    assert status_of(instance, run) == "CANCELED"
    assert WILL_RETRY_TAG not in instance.get_run_by_id(run.run_id).tags
    assert "it was being canceled, so it is not started again" in last_message(instance, run)


def test_a_run_whose_process_lives_is_left_alone_in_every_tick(instance, worker):
    run = a_run(instance)
    worker.takes(run)
    assert {tick(instance) for _ in range(100)} == {"No run has lost its process."}
    assert status_of(instance, run) == "STARTED"
    worker.takes(a_run(instance))  # the process still works


@linux_only
def test_only_runs_of_this_code_location_are_ended(instance, ended_process):
    ours, theirs, unlaunched = (a_run(instance, location=location) for location in (OURS, THEIRS, None))
    other_job = instance.add_run(dg.DagsterRun(job_name="another_job", status=STARTED))
    for run in (ours, theirs, unlaunched, other_job):
        taken(instance, run, ended_process)
    dead = dead_runs(instance, REPOSITORY, f"{REPOSITORY.name}@{OURS}")
    assert {run.run_id for run in dead} == {ours.run_id, unlaunched.run_id}


@linux_only
def test_runs_that_have_not_started_or_have_ended_are_left_alone(instance, ended_process):
    statuses = set(dg.DagsterRunStatus) - {STARTED, CANCELING}
    for status in statuses:
        taken(instance, a_run(instance, status, location=OURS), ended_process)
    assert dead_runs(instance, REPOSITORY, f"{REPOSITORY.name}@{OURS}") == []


@linux_only
def test_a_retry_is_not_taken_for_dead_because_its_parent_is(instance, ended_process):
    parent = taken(instance, a_run(instance), ended_process)
    retry = a_run(instance, **{PROCESS_TAG: instance.get_run_by_id(parent.run_id).tags[PROCESS_TAG]})
    assert mark_of(retry) is None
    assert [run.run_id for run in dead_runs(instance, REPOSITORY)] == [parent.run_id]


@linux_only
def test_steps_with_their_own_processes_say_nothing_about_their_run(instance, ended_process):
    """As runs of the UI's "Materialize" have them in a code location whose executor is another."""
    for definitions, expected in ((defs, 1), (dg.Definitions(assets=defs.assets, resources=defs.resources), 0)):
        repository = definitions.get_repository_def()
        job_def = repository.get_implicit_global_asset_job_def()
        run = instance.create_run_for_job(job_def=job_def, status=STARTED)
        taken(instance, run, ended_process)
        assert len(dead_runs(instance, repository)) == expected
        instance.delete_run(run.run_id)


def started_ago(instance, run, seconds, pid):
    """As Dagster's default launcher records it: the process reports its id, and that it starts."""
    instance.report_engine_event("Started process for run.", run, EngineEventData.in_process(pid))
    begun = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    instance.handle_run_event(run.run_id, begun, dt.datetime.fromtimestamp(wall_clock() - seconds, dt.UTC))


@linux_only
def test_a_run_that_died_before_its_first_step_is_ended_when_it_had_time_enough(instance, ended_process):
    just_started, long_ago, by_hand, theirs, at_work, alive = runs = [
        a_run(instance, dg.DagsterRunStatus.STARTING, location=location) for location in (OURS, OURS, None, THEIRS, OURS, OURS)
    ]
    for run in runs:
        seconds = 30 if run is just_started else 90
        started_ago(instance, run, seconds, os.getpid() if run is alive else ended_process.pid)
    step = dg.DagsterEvent(event_type_value=dg.DagsterEventType.STEP_START.value, job_name=JOB, step_key="ticket_events")
    instance.report_dagster_event(step, at_work.run_id)
    dead = dead_runs(instance, REPOSITORY, f"{REPOSITORY.name}@{OURS}")
    assert {run.run_id for run in dead} == {long_ago.run_id, by_hand.run_id}
    assert {status_of(instance, run) for run in (just_started, theirs, at_work, alive)} == {"STARTED"}


def created_ago(instance, seconds, status=dg.DagsterRunStatus.NOT_STARTED, origin=None):
    """A run over one day that was created so long ago and has not started."""
    run = dg.DagsterRun(job_name=JOB, status=status, remote_job_origin=origin, tags=range_tags(*[Day.parse("2026-03-02")] * 2))
    created = dt.datetime.fromtimestamp(wall_clock() - seconds, dt.UTC)
    return instance.run_storage.add_historical_run(run, created)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING])
def test_a_command_killed_before_its_run_started_frees_its_days_after_a_minute(instance, status):
    run = created_ago(instance, 30, status)
    assert (held(instance), tick(instance)) == (["2026-03-02"], "No run has lost its process.")
    instance.delete_run(run.run_id)
    run = created_ago(instance, 90, status)
    assert held(instance) == []
    assert tick(instance) == f"Ended: {run.run_id}."
    assert instance.get_run_by_id(run.run_id).tags[WILL_RETRY_TAG] == "false"
    assert "it had no step begun" in instance.all_logs(run.run_id)[-1].dagster_event.message
    assert tick(instance) == "No run has lost its process."


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING])
def test_a_run_that_dagster_is_to_start_is_left_to_run_monitoring(instance, status):
    created_ago(instance, 90, status, launched_from(OURS, JOB))
    assert dead_runs(instance, REPOSITORY, f"{REPOSITORY.name}@{OURS}") == []
    assert held(instance) == ["2026-03-02"]


@linux_only
def test_a_run_not_started_that_reported_a_living_process_is_left_alone(instance):
    run = created_ago(instance, 90)
    instance.report_engine_event("Executing steps in process", run, EngineEventData.in_process(os.getpid()))
    assert (held(instance), tick(instance)) == (["2026-03-02"], "No run has lost its process.")


def test_a_run_that_was_ended_before_its_start_and_starts_late_does_not_begin(instance):
    """Dagster sets its status to started again, although it was ended."""
    run = created_ago(instance, 90)
    assert tick(instance) == f"Ended: {run.run_id}."
    begun = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=JOB)
    instance.report_dagster_event(begun, run.run_id)
    assert status_of(instance, run) == "STARTED"
    with pytest.raises(dg.Failure, match="This run was ended before its first step began"):
        mark_run(instance, run.run_id)


def test_without_the_default_launcher_a_run_has_all_the_time_to_start(tmp_path, ended_process):
    launcher = {"module": "dagster._core.launcher.sync_in_memory_run_launcher", "class": "SyncInMemoryRunLauncher"}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides={"run_launcher": launcher}) as instance:
        started_ago(instance, a_run(instance, dg.DagsterRunStatus.STARTING, location=OURS), 90, ended_process.pid)
        assert dead_runs(instance, REPOSITORY, f"{REPOSITORY.name}@{OURS}") == []


@linux_only
def test_a_run_that_succeeded_in_the_meantime_stays_as_it_is(instance, ended_process):
    run = taken(instance, a_run(instance), ended_process)
    (dead,) = dead_runs(instance, REPOSITORY)
    success = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_SUCCESS.value, job_name=JOB)
    instance.report_dagster_event(success, run.run_id)
    assert not end_run(instance, dead)
    assert status_of(instance, run) == "SUCCESS"


HERE = this_process()
ANOTHER_BOOT = replace(HERE, boot="0b-0b")
ANOTHER_CONTAINER = replace(HERE, space="7")
UNKNOWN = Process("", "", 77, "")


@linux_only
@pytest.mark.parametrize(
    ("host", "process", "lock", "gone"),
    [
        # In this namespace, the process id decides; but a process that holds its lock is not gone.
        (host_name(), HERE, None, False),
        (host_name(), HERE, "free", False),
        (host_name(), replace(HERE, began="1"), None, True),
        (host_name(), replace(HERE, began="1"), "held", False),
        # A container that was restarted on this machine, or another container on it.
        (host_name(), ANOTHER_CONTAINER, None, False),
        (host_name(), ANOTHER_CONTAINER, "held", False),
        (host_name(), ANOTHER_CONTAINER, "free", True),
        ("another-container", ANOTHER_CONTAINER, "free", True),
        # This machine before a power loss, or another machine that shares the folder.
        (host_name(), ANOTHER_BOOT, None, False),
        (host_name(), ANOTHER_BOOT, "free", True),
        ("another-machine", ANOTHER_BOOT, "free", False),
        # A system that says nothing about processes.
        (host_name(), UNKNOWN, None, False),
        (host_name(), UNKNOWN, "free", True),
        ("another-machine", UNKNOWN, "free", False),
    ],
)
def test_a_process_is_gone_only_where_that_is_proven(instance, host, process, lock, gone):
    path = Path(instance.storage_directory()) / "run_processes" / f"{process}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = FileLock(path)
    if lock == "held":
        holder.acquire()
    elif lock == "free":
        path.touch()
    assert is_gone(instance, Mark("a-run", host, process)) is gone
    holder.release()


def test_a_folder_that_can_not_be_written_costs_only_the_second_proof(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        run = a_run(instance)
        lock_folder = Path(instance.storage_directory()) / "run_processes"
        lock_folder.parent.mkdir(parents=True, exist_ok=True)
        lock_folder.write_text("in the way")
        mark_run(instance, run.run_id)
        assert mark_of(instance.get_run_by_id(run.run_id)) == Mark(run.run_id, host_name(), HERE)
        assert dead_runs(instance, REPOSITORY) == []


def test_a_process_that_ends_well_leaves_nothing_behind(instance, worker):
    worker.takes(a_run(instance))
    (lock,) = Path(instance.storage_directory()).glob(f"run_processes/*_{worker.process.pid}_*.lock")
    worker.process.stdin.close()
    worker.process.wait()
    assert not lock.exists()


@pytest.mark.parametrize("broken", ["", "doctor", "a-run a-host", "a-run a-host no_process"])
def test_a_malformed_mark_is_ignored(instance, broken):
    assert mark_of(a_run(instance, **{PROCESS_TAG: broken})) is None


def test_every_run_is_marked_before_its_first_step(tmp_path):
    with deployed(tmp_path, now=Day.parse("2026-03-20").start) as deployment:
        deployment.fetch("2026-03-02")
        deployment.settle()
        runs = deployment.instance.get_runs()
        assert {run.job_name for run in runs} == {"fetch_ticket_events", "summarize_sla_breaches"}
        assert {mark_of(run) for run in runs} == {Mark(run.run_id, host_name(), HERE) for run in runs}


def test_a_run_that_failed_by_itself_is_not_started_again(instance):
    """No variable is set: its step says which ones to set, and would say it again."""
    tags = range_tags(Day.parse("2026-03-02"), Day.parse("2026-03-03"))
    failed = defs.resolve_job_def(JOB).execute_in_process(instance=instance, tags=tags, raise_on_error=False)
    assert not failed.success
    assert instance.get_run_by_id(failed.run_id).tags[WILL_RETRY_TAG] == "false"


@pytest.fixture
def summarised(tmp_path):
    """A deployment with one landed day, whose summary the sensor requests, and the tags of its request."""
    with deployed(tmp_path, now=Day.parse("2026-03-20").start) as deployment:
        deployment.fetch("2026-03-02")
        (request,) = deployment.tick().run_requests
        yield deployment, request.tags


def a_failed_run(deployment, tags, **more):
    job = "summarize_sla_breaches"
    return deployment.instance.create_run_for_job(
        job_def=defs.resolve_job_def(job),
        tags={**tags, **more},
        status=dg.DagsterRunStatus.FAILURE,
        remote_job_origin=launched_from(OURS, job),
    )


def test_no_run_is_requested_while_a_killed_one_waits_for_its_retry(summarised):
    deployment, tags = summarised
    killed = a_failed_run(deployment, tags, **{WILL_RETRY_TAG: "true"})
    assert not deployment.tick().run_requests
    deployment.instance.add_run_tags(killed.run_id, {RETRIED_BY_TAG: "its-retry"})
    assert len(deployment.tick().run_requests) == 1


def test_killed_runs_do_not_count_as_attempts(summarised):
    deployment, tags = summarised
    for _ in range(5):
        a_failed_run(deployment, tags, **{WILL_RETRY_TAG: "true", RETRIED_BY_TAG: "its-retry"})
    for _ in range(MAX_ATTEMPTS - 1):
        (request,) = deployment.tick().run_requests
        a_failed_run(deployment, request.tags, **{WILL_RETRY_TAG: "false"})
    (request,) = deployment.tick().run_requests
    a_failed_run(deployment, request.tags)
    assert not deployment.tick().run_requests
