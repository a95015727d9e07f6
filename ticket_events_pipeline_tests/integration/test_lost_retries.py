"""A retry that Dagster announced and lost begins after all; one that has begun, or never will, is left alone."""

import logging
import os

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType, JobFailureData
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon

from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.lost_retries import BEGUN_WITHIN_SECONDS, MOST_REPORTS, report_lost_retries
from ticket_events_pipeline.defs.runs import RETRIED_BY_TAG, WILL_RETRY_TAG
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import DEFINITIONS, new_place
from ticket_events_pipeline_tests.support.deployment import launched_from

JOB = "fetch_ticket_events"
OURS = "ticket_events_pipeline"
LATER = BEGUN_WITHIN_SECONDS + 1


@pytest.fixture
def instance(tmp_path):
    """With the shipped dagster.yaml."""
    with dg.DagsterInstance.from_config(str(new_place(tmp_path).home)) as opened:
        yield opened


def a_failed_run(instance, *, location=OURS, **tags):
    origin = None if location is None else launched_from(location, JOB)
    job, started = defs.resolve_job_def(JOB), dg.DagsterRunStatus.STARTED
    run = instance.create_run_for_job(job_def=job, status=started, remote_job_origin=origin)
    instance.report_run_failed(run, "killed")
    instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "true", **tags})
    return run


def reported_again(instance, *, after_seconds=LATER, is_ours=lambda _: True):
    found = report_lost_retries(instance, is_ours, now=wall_clock() + after_seconds)
    return [run.run_id for run in found]


def failures(instance, run):
    return [
        entry.event_log_entry
        for entry in instance.get_records_for_run(run.run_id, of_type=DagsterEventType.RUN_FAILURE).records
    ]


def test_a_failure_is_reported_again_when_its_retry_has_not_begun_after_a_minute(instance):
    run = a_failed_run(instance)
    assert reported_again(instance, after_seconds=LATER - 10) == []
    assert reported_again(instance) == [run.run_id]
    assert (
        "Dagster announced that it would start this run again, and has not done so after 6"
        in failures(instance, run)[-1].message
    )
    assert instance.get_run_by_id(run.run_id).tags[WILL_RETRY_TAG] == "true"


def test_a_failure_is_reported_a_few_times_at_most(instance):
    run = a_failed_run(instance)
    assert [reported_again(instance) for _ in range(MOST_REPORTS + 2)] == [[run.run_id]] * (MOST_REPORTS - 1) + [[]] * 3
    assert len(failures(instance, run)) == MOST_REPORTS


def test_runs_that_are_retried_or_never_will_be_are_left_alone(instance):
    a_failed_run(instance, **{RETRIED_BY_TAG: "another"})
    a_failed_run(instance, **{WILL_RETRY_TAG: "false"})
    a_failed_run(instance, location=None)  # of a command line
    assert reported_again(instance) == []


def test_runs_of_others_are_left_alone(instance):
    theirs, ours = a_failed_run(instance), a_failed_run(instance)
    assert reported_again(instance, is_ours=lambda run: run.run_id != theirs.run_id) == [ours.run_id]
    assert len(failures(instance, theirs)) == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")  # Dagster's daemon calls it
def test_a_retry_that_the_daemon_missed_begins_and_begins_once(instance):
    """The daemon reads the event of a failure between its storage and that of the run's status."""
    target = ModuleTarget(DEFINITIONS, attribute=None, working_directory=os.fspath(CHECKOUT), location_name=OURS)
    with WorkspaceProcessContext(instance, target) as workspace:
        daemon = EventLogConsumerDaemon()

        def looks():
            list(daemon.run_iteration(workspace))

        looks()
        run = started_run(instance, workspace)
        failure = failure_of(run)
        instance.event_log_storage.store_event(failure)
        looks()
        instance.run_storage.handle_run_event(run.run_id, failure.dagster_event)
        instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "true"})
        looks()
        assert retries(instance, run) == []  # Dagster lost it
        assert reported_again(instance) == [run.run_id]
        looks()
        looks()
        (retry,) = retries(instance, run)
        assert instance.get_run_by_id(run.run_id).tags[RETRIED_BY_TAG] == retry.run_id
        assert reported_again(instance) == []


def started_run(instance, workspace):
    (repository,) = workspace.create_request_context().get_code_location(OURS).get_repositories().values()
    origin = repository.get_full_job(JOB).get_remote_origin()
    code = repository.get_full_job(JOB).get_python_origin()
    tags = {"dagster/partition": "2026-03-02"}
    return instance.create_run_for_job(
        job_def=defs.resolve_job_def(JOB),
        status=dg.DagsterRunStatus.STARTED,
        remote_job_origin=origin,
        job_code_origin=code,
        tags=tags,
    )


def failure_of(run):
    event = DagsterEvent(
        event_type_value=DagsterEventType.RUN_FAILURE.value,
        job_name=run.job_name,
        message="killed",
        event_specific_data=JobFailureData(error=None),
    )
    return dg.EventLogEntry(
        error_info=None,
        level=logging.ERROR,
        user_message="killed",
        run_id=run.run_id,
        timestamp=wall_clock(),
        job_name=run.job_name,
        dagster_event=event,
    )


def retries(instance, run):
    return [one for one in instance.get_runs() if one.parent_run_id == run.run_id]
