"""A run is ended if its process is known to be gone, or gave no sign of life for too long; every other run is left alone."""

import os
import subprocess
import sys
from dataclasses import replace

import dagster as dg
import pytest
import yaml

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.requested_runs import MAX_ATTEMPTS
from ticket_events_pipeline.defs.run_marks import Mark, has_lost_its_process, mark_of, mark_run, root_word
from ticket_events_pipeline.defs.run_tags import PROCESS_TAG
from ticket_events_pipeline.defs.runs import RETRIED_BY_TAG, WILL_RETRY_TAG, days_in_progress, range_tags
from ticket_events_pipeline.defs.sensors.dead_runs import end_run, started_runs
from ticket_events_pipeline.process import Process, host_name, this_process
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.storage.run_beats import beating, read_beats
from ticket_events_pipeline_tests.support.checkout import DAGSTER_YAML
from ticket_events_pipeline_tests.support.commands import new_home
from ticket_events_pipeline_tests.support.deployment import REPOSITORY, deployed, launched_from
from ticket_events_pipeline_tests.support.run_looks import NOTHING, Looks

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


@pytest.fixture
def home(tmp_path):
    return new_home(tmp_path / "home")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(tmp_path / "root"))
    return tmp_path / "root"


@pytest.fixture
def instance():
    """In memory, with the settings of the shipped dagster.yaml."""
    with dg.DagsterInstance.ephemeral(settings=yaml.safe_load(DAGSTER_YAML.read_text())) as opened:
        yield opened


@pytest.fixture
def stored(home):
    """In a home, which other processes open too."""
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


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
    return Looks(instance).look()


def dead_runs(instance, location=OURS):
    """The runs whose process is known to be gone."""
    label = f"{REPOSITORY.name}@{location}"
    return [run for run in started_runs(instance, REPOSITORY, label) if has_lost_its_process(REPOSITORY, run)]


def held(instance):
    """The days that schedules and the other sensor leave to runs in progress."""
    return sorted(str(day) for day in days_in_progress(instance, REPOSITORY, [dg.AssetKey("ticket_events")], timezone="UTC"))


def status_of(instance, run):
    return instance.get_run_by_id(run.run_id).status.value


def last_message(instance, run):
    return instance.all_logs(run.run_id)[-1].dagster_event.message


@linux_only
def test_a_run_whose_process_was_killed_fails_at_the_next_look_and_will_be_started_again(stored, worker):
    run = a_run(stored, location=OURS)
    worker.takes(run)
    looks = Looks(stored)
    assert looks.look() == NOTHING
    worker.is_killed()
    assert looks.look() == f"Ended: {run.run_id}."
    assert status_of(stored, run) == "FAILURE"
    assert stored.get_run_by_id(run.run_id).tags[WILL_RETRY_TAG] == "true"
    assert last_message(stored, run) == (
        f"The process of this run is gone: it was killed, or the machine went down (process {worker.process.pid} on "
        f"{host_name()}). Every finished day is stored. The run is ended here so that nothing waits for it; run_retries in "
        "dagster.yaml let Dagster start it again, and then it resumes where this one stopped."
    )
    assert looks.look() == NOTHING


def test_a_killed_command_line_holds_no_day_from_then_on_and_no_restart_is_promised(stored, worker):
    days = range_tags(Day.parse("2026-03-02"), Day.parse("2026-03-03"))
    run, launched = a_run(stored, **days), a_run(stored, location=OURS, **range_tags(*[Day.parse("2026-03-05")] * 2))
    for taken_run in (run, launched):
        worker.takes(taken_run)
    assert held(stored) == ["2026-03-02", "2026-03-03", "2026-03-05"]
    assert tick(stored) == NOTHING
    worker.is_killed()
    assert held(stored) == ["2026-03-05"]  # whatever the sensor does; the launched run will be retried
    assert run.run_id in tick(stored)
    assert held(stored) == ["2026-03-05"]
    assert status_of(stored, run) == "FAILURE"
    assert stored.get_run_by_id(run.run_id).tags[WILL_RETRY_TAG] == "false"
    assert last_message(stored, run).endswith(
        "The run is ended here so that nothing waits for it; it was started from a command line, so Dagster does not start it "
        "again: give the same command within 24 hours, and it resumes where this one stopped."
    )
    assert tick(stored) == NOTHING


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


def test_a_run_that_marked_itself_in_the_meantime_is_not_ended(instance):
    run = starts(instance, a_run(instance, dg.DagsterRunStatus.STARTING))
    (seen,) = started_runs(instance, REPOSITORY)
    mark_run(instance, run.run_id)
    assert not end_run(instance, seen, "It is dead.")
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
    starts(instance, theirs[1])
    assert set(Looks(instance).looks(10)) == {NOTHING}


@linux_only
def test_a_run_that_was_being_canceled_is_canceled_and_not_started_again(instance, ended_process):
    run = taken(instance, a_run(instance, CANCELING), ended_process)
    alive = taken(instance, a_run(instance, CANCELING), this_process())
    assert tick(instance) == f"Ended: {run.run_id}."
    assert status_of(instance, alive) == "CANCELING"
    assert status_of(instance, run) == "CANCELED"
    assert WILL_RETRY_TAG not in instance.get_run_by_id(run.run_id).tags
    assert "it was being canceled, so it is not started again" in last_message(instance, run)


def test_a_run_whose_process_lives_and_that_never_beat_is_left_alone_in_every_tick(stored, worker):
    """As a run of an earlier version, and one whose root can't be written."""
    run = a_run(stored)
    worker.takes(run)
    assert set(Looks(stored).looks(100)) == {NOTHING}
    assert status_of(stored, run) == "STARTED"
    worker.takes(a_run(stored))  # the process still works


@linux_only
def test_only_runs_of_this_code_location_are_ended(instance, ended_process):
    ours, theirs, unlaunched = (a_run(instance, location=location) for location in (OURS, THEIRS, None))
    other_job = instance.add_run(dg.DagsterRun(job_name="another_job", status=STARTED))
    for run in (ours, theirs, unlaunched, other_job):
        taken(instance, run, ended_process)
    assert {run.run_id for run in dead_runs(instance)} == {ours.run_id, unlaunched.run_id}


@linux_only
def test_runs_that_have_not_started_or_have_ended_are_left_alone(instance, ended_process):
    statuses = set(dg.DagsterRunStatus) - {STARTED, CANCELING}
    for status in statuses:
        taken(instance, a_run(instance, status, location=OURS), ended_process)
    assert dead_runs(instance) == []


@linux_only
def test_a_retry_is_not_taken_for_dead_because_its_parent_is(instance, ended_process):
    parent = taken(instance, a_run(instance), ended_process)
    retry = a_run(instance, **{PROCESS_TAG: instance.get_run_by_id(parent.run_id).tags[PROCESS_TAG]})
    assert mark_of(retry) is None
    assert [run.run_id for run in dead_runs(instance)] == [parent.run_id]


@linux_only
def test_steps_with_their_own_processes_say_nothing_about_their_run(instance, ended_process):
    """As runs of the UI's "Materialize" have them in a code location whose executor is another."""
    for definitions, expected in ((defs, 1), (dg.Definitions(assets=defs.assets, resources=defs.resources), 0)):
        repository = definitions.get_repository_def()
        job_def = repository.get_implicit_global_asset_job_def()
        run = instance.create_run_for_job(job_def=job_def, status=STARTED)
        taken(instance, run, ended_process)
        assert len(started_runs(instance, repository)) == expected
        instance.delete_run(run.run_id)


def starts(instance, run):
    """As the process of a run reports it."""
    begun = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    instance.report_dagster_event(begun, run.run_id)
    return run


def test_a_run_that_died_before_it_marked_itself_is_ended_when_it_had_time_enough(instance):
    launched, by_hand, theirs, at_work = runs = [
        a_run(instance, dg.DagsterRunStatus.STARTING, location=location) for location in (OURS, None, THEIRS, OURS)
    ]
    for run in runs:
        starts(instance, run)
    # Without a mark, by a resource that is none of ours.
    step = dg.DagsterEvent(event_type_value=dg.DagsterEventType.STEP_START.value, job_name=JOB, step_key="ticket_events")
    instance.report_dagster_event(step, at_work.run_id)
    looks = Looks(instance)
    assert looks.looks(4) == [NOTHING] * 4
    assert all(run.run_id in looks.cursor for run in (launched, by_hand))
    ended = looks.look()
    assert all(run.run_id in ended for run in (launched, by_hand))
    assert "it had no step begun, and has given no sign of life for 80 s" in last_message(instance, launched)
    assert set(looks.looks(10)) == {NOTHING}
    assert {status_of(instance, run) for run in (theirs, at_work)} == {"STARTED"}


def waits(instance, status=dg.DagsterRunStatus.NOT_STARTED, origin=None):
    """A run over one day that has not started."""
    run = dg.DagsterRun(job_name=JOB, status=status, remote_job_origin=origin, tags=range_tags(*[Day.parse("2026-03-02")] * 2))
    return instance.add_run(run)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING])
def test_a_command_killed_before_its_run_started_frees_its_days_when_the_sensor_has_ended_it(instance, status):
    run = waits(instance, status)
    looks = Looks(instance)
    assert (looks.looks(4), held(instance)) == ([NOTHING] * 4, ["2026-03-02"])
    assert looks.look() == f"Ended: {run.run_id}."
    assert held(instance) == []
    assert instance.get_run_by_id(run.run_id).tags[WILL_RETRY_TAG] == "false"
    assert "it had no step begun" in instance.all_logs(run.run_id)[-1].dagster_event.message
    assert looks.look() == NOTHING


@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.CANCELING,
    ],
)
def test_a_run_that_dagster_is_to_start_is_left_to_run_monitoring(instance, status):
    waits(instance, status, launched_from(OURS, JOB))
    assert set(Looks(instance).looks(10)) == {NOTHING}
    assert held(instance) == ["2026-03-02"]


def test_a_run_that_was_ended_before_its_start_and_starts_late_does_not_begin(instance, root):
    """Dagster sets its status to started again, although it was ended."""
    run = waits(instance)
    assert Looks(instance).looks_until_ended(run) == 5
    starts(instance, run)
    assert status_of(instance, run) == "STARTED"
    with pytest.raises(dg.Failure, match="This run was ended before its first step began"):
        mark_run(instance, run.run_id)
    with (
        beating(open_store(str(root)), run.run_id) as beat,
        pytest.raises(dg.Failure, match="This run was ended before its first step began"),
    ):
        mark_run(instance, run.run_id, beat)


def test_with_another_launcher_too_a_run_that_started_and_never_begins_is_ended(stored, instance):
    launchers = set()
    for each in (stored, instance):
        launchers.add(type(each.run_launcher).__name__)
        run = starts(each, a_run(each, dg.DagsterRunStatus.STARTING, location=OURS))
        assert Looks(each).looks_until_ended(run) == 5
    assert launchers == {"DefaultRunLauncher", "SyncInMemoryRunLauncher"}


@linux_only
def test_a_run_that_succeeded_in_the_meantime_stays_as_it_is(instance, ended_process):
    run = taken(instance, a_run(instance), ended_process)
    (dead,) = dead_runs(instance)
    success = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_SUCCESS.value, job_name=JOB)
    instance.report_dagster_event(success, run.run_id)
    assert not end_run(instance, dead, "It is dead.")
    assert status_of(instance, run) == "SUCCESS"


HERE = this_process()


@linux_only
@pytest.mark.parametrize(
    ("process", "is_gone"),
    [
        (HERE, False),
        (replace(HERE, began="1"), True),
        (replace(HERE, space="7", began="1"), False),  # in another container on this machine
        (replace(HERE, boot="0b-0b", began="1"), False),  # on another machine, or on this one before it has booted
        (Process("", "", 77, ""), False),  # on a system that says nothing about processes
    ],
)
def test_a_process_is_gone_only_where_that_is_proven(instance, process, is_gone):
    run = taken(instance, a_run(instance), process)
    assert [found.run_id for found in dead_runs(instance)] == [run.run_id] * is_gone


@pytest.mark.parametrize("broken", ["", "doctor", "a-run a-host", "a-run a-host no_process", "root:", "a b root:c"])
def test_a_malformed_mark_is_ignored(instance, broken):
    assert mark_of(a_run(instance, **{PROCESS_TAG: broken})) is None


def test_every_run_is_marked_before_its_first_step_and_beats_no_more_after_its_last(tmp_path):
    with deployed(tmp_path, now=Day.parse("2026-03-20").start) as deployment:
        deployment.fetch("2026-03-02")
        deployment.settle()
        runs = deployment.instance.get_runs()
        assert {run.job_name for run in runs} == {"fetch_ticket_events", "summarize_sla_breaches"}
        word = root_word(deployment.store.location)
        assert {mark_of(run) for run in runs} == {Mark(run.run_id, host_name(), HERE, word) for run in runs}
        assert read_beats(deployment.store) == {}


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
