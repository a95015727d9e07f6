"""The tags of our runs: hidden from people, found by us, also on runs of earlier versions, which had visible ones."""

import dagster as dg
import pytest

from ticket_events_pipeline.defs.run_marks import Mark, mark_of
from ticket_events_pipeline.defs.run_tags import (
    LEFT_TAG,
    PROCESS_TAG,
    REQUESTED_TAG,
    STATE_TAG,
    count_runs,
    newest_runs,
    tag_of,
)
from ticket_events_pipeline.process import this_process

JOB = "summarize_sla_breaches"
FORMER = {REQUESTED_TAG: "ticket_events/asked_by_sensor", STATE_TAG: "ticket_events/state", LEFT_TAG: "ticket_events/left"}
OF_JOB = dg.RunsFilter(job_name=JOB)


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as in_memory:
        yield in_memory


@dg.job(name=JOB)
def job():
    """Any job of that name."""


def a_run(instance, **tags):
    return instance.create_run_for_job(job, tags=tags)


def former(tags):
    return {FORMER[tag]: value for tag, value in tags.items()}


def test_a_run_request_may_have_the_tags_and_its_run_gets_them(instance):
    request = dg.RunRequest(tags={REQUESTED_TAG: "true", STATE_TAG: "s", PROCESS_TAG: "p"})
    assert a_run(instance, **request.tags).tags.items() >= request.tags.items()


def test_runs_of_an_earlier_version_are_found_among_the_newer_ones(instance):
    tags = {REQUESTED_TAG: "true", STATE_TAG: "s"}
    runs = [a_run(instance, **(former(tags) if number % 2 else tags)) for number in range(6)]
    a_run(instance, **{REQUESTED_TAG: "false"})
    newest_first = [run.run_id for run in reversed(runs)]
    assert [run.run_id for run in newest_runs(instance, REQUESTED_TAG, "true", OF_JOB, limit=9)] == newest_first
    assert [run.run_id for run in newest_runs(instance, REQUESTED_TAG, "true", OF_JOB, limit=3)] == newest_first[:3]
    assert count_runs(instance, STATE_TAG, "s", OF_JOB) == 6


def test_a_note_on_a_run_of_an_earlier_version_replaces_its_former_one(instance):
    run = a_run(instance, **former({LEFT_TAG: "before"}))
    assert tag_of(run, LEFT_TAG) == "before"
    instance.add_run_tags(run.run_id, {LEFT_TAG: "after"})
    assert tag_of(instance.get_run_by_id(run.run_id), LEFT_TAG) == "after"
    assert tag_of(run, STATE_TAG) is None


def test_the_mark_of_a_run_that_an_earlier_version_started_is_read(instance):
    run = a_run(instance)
    mark = Mark(run.run_id, "host", this_process())
    instance.add_run_tags(run.run_id, {"ticket_events/process": str(mark)})
    assert mark_of(instance.get_run_by_id(run.run_id)) == mark
