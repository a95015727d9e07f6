"""`ticket-events status` as a user runs it: what is stored, what Dagster knows, and what to do next."""

import json
import os

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData, SensorInstigatorData

from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.deployment import ASSETS, REPORT, launched_from
from ticket_events_pipeline_tests.support.due_roots import due_in, due_root

JOB = "fetch_ticket_events"
YESTERDAY = Day.containing(wall_clock()).plus(-1)


def status(place, **variables):
    ended = place.ticket_events("status", "--json", **variables)
    assert ended.code == 0, ended.output
    return json.loads(ended.output)


def test_an_empty_folder_has_a_status_without_any_variable(tmp_path):
    place = new_place(tmp_path)
    found = status(place, DAGSTER_HOME="")
    assert {stored["days"] for stored in found["stored"].values()} == {0}
    assert (found["read"], found["quota"], found["dagster"]) == ({}, None, None)
    assert found["dagster_problem"] == "DAGSTER_HOME is not set, so runs, schedules and sensors are not known"
    assert found["next"] == "Set the variables of an account, then: ticket-events doctor"
    assert status(place, ZENDESK_SUBDOMAIN="acme")["next"].endswith("ticket-events backfill last-7-days")


def test_a_root_that_cannot_be_read_is_an_error(tmp_path):
    ended = new_place(tmp_path, TICKET_EVENTS_ROOT="s3://").ticket_events("status")
    assert (ended.code, "TICKET_EVENTS_ROOT" in ended.output, "Traceback" in ended.output) == (1, True, False)


def status_with(place, on=(), **variables):
    """What the status says where these schedules and sensors were turned on."""
    with dg.DagsterInstance.from_config(str(place.home)) as instance:
        for name in on:
            if name.endswith("sensor"):
                kind, data = InstigatorType.SENSOR, SensorInstigatorData()
            else:
                kind, data = InstigatorType.SCHEDULE, ScheduleInstigatorData("*/5 * * * *")
            location = RegisteredCodeLocationOrigin("ticket_events_pipeline")
            origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
            instance.add_instigator_state(InstigatorState(origin, kind, InstigatorStatus.RUNNING, data))
    ended = CliRunner().invoke(commands, ["status"], env={**dict.fromkeys(os.environ), **place.env(**variables)})
    assert ended.exit_code == 0, ended.output
    return [line.strip() for line in ended.stdout.splitlines()]


def test_the_names_are_recommended_and_frequent_fetch_is_too_where_warnings_are_on(tmp_path):
    place, now = new_place(tmp_path), wall_clock()
    due_root(place.root, [due_in(60, 1, now)], [], as_of=int(now))
    lines = status_with(place, on=("hourly_fetch", "daily_restatement"))
    assert "off, recommended: refresh_names" in lines
    optional = next(line for line in lines if line.startswith("off, optional: "))
    assert ("frequent_fetch" in optional, "refresh_names" in optional) == (True, False)
    assert not any(line.startswith("off, recommended") for line in status_with(place, ZENDESK_NAMES="none"))

    lines = status_with(place, on=("sla_warning_sensor",))
    assert "off, recommended: refresh_names, frequent_fetch" in lines
    assert lines[-1] == (
        "Next: Turn on frequent_fetch, too, in the UI: Automation. sla_warning_sensor is on, and warns from what it reads"
    )
    lines = status_with(place, on=("frequent_fetch",))
    assert "off, recommended: refresh_names" in lines
    assert "frequent_fetch" not in lines[-1]


def test_schedules_whose_variables_are_set_are_to_be_turned_on(tmp_path):
    place, now = new_place(tmp_path), wall_clock()
    due_root(place.root, [due_in(60, 1, now)], [], as_of=int(now))
    assert "daily_prune" in next(line for line in status_with(place) if line.startswith("off, optional: "))
    said = "off, and to be turned on, as the variables are set: "
    lines = status_with(place, TICKET_EVENTS_RETAIN_DAYS="90")
    assert f"{said}daily_prune" in lines
    assert "daily_prune" not in next(line for line in lines if line.startswith("off, optional: "))
    assert not any(line.startswith(said) for line in status_with(place, on=("daily_prune",), TICKET_EVENTS_RETAIN_DAYS="90"))


@pytest.mark.slow
def test_the_status_names_days_gaps_readings_runs_and_what_must_be_on(tmp_path):
    with SandboxServer(SimulatedAccount(tickets_per_day=5), requests_per_minute=30) as server:
        place = new_place(tmp_path, server)
        for day in (YESTERDAY.plus(-2), YESTERDAY):
            assert place.ticket_events("backfill", str(day)).code == 0
        asked = len(server.requests)
        place.variables = {"TICKET_EVENTS_ROOT": str(place.root), "ZENDESK_BASE_URL": server.base_url}  # no credentials
        found = status(place)
        assert len(server.requests) == asked
    gap = [str(YESTERDAY.plus(-1))] * 2
    expected = {"days": 2, "first": str(YESTERDAY.plus(-2)), "last": str(YESTERDAY), "missing": [gap]}
    assert found["stored"] == dict.fromkeys((*ASSETS, REPORT), expected)
    assert {read["complete_through"] for read in found["read"].values()} == {str(YESTERDAY)}
    assert found["quota"]["total"] == 30
    dagster = found["dagster"]
    assert (dagster["in_progress"], dagster["last_failed"]) == ([], None)
    assert dagster["to_turn_on"] == ["hourly_fetch", "daily_restatement"]
    assert found["next"] == "Turn on hourly_fetch and daily_restatement in the UI: Automation"
    with dg.DagsterInstance.from_config(str(place.home)) as instance:
        for state in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.QUEUED):
            instance.create_run_for_job(
                job_def=defs.resolve_job_def(JOB), status=state, remote_job_origin=launched_from("ticket_events_pipeline", JOB)
            )
    shown = place.ticket_events("status").output
    assert f"2 days, {YESTERDAY.plus(-2)} to {YESTERDAY}; missing: {gap[0]}" in shown
    assert "last failed: fetch_ticket_events (" in shown
    assert ", queued" in shown
    assert "off, and must be on: hourly_fetch, daily_restatement" in shown
