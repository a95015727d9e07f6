"""The whole deployment with `frequent_fetch` and `sla_warning_sensor` turned on: a warning arrives in time, and once."""

import re
import time

import pytest

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.text import utc_text
from ticket_events_pipeline_tests.support.alert_receiver import SECRET, receiving
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.dev_server import Dev, wait_for

INTERVAL = 60
"""Seconds from fetch to fetch. What can be set begins at five minutes: too long for a test."""

EVERY_MINUTE = """
from dataclasses import replace
from ticket_events_pipeline.defs.definitions import account_definitions
from ticket_events_pipeline.defs.scope import account_scope
defs = account_definitions(replace(account_scope(), fetch_every_minutes=1))
"""
WORKSPACE = "load_from: [{python_file: {relative_path: every_minute.py, location_name: ticket_events_pipeline}}]\n"
LOCATION = {"repositoryLocationName": "ticket_events_pipeline", "repositoryName": "__repository__"}
START_SENSOR = """mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) {
  ... on Sensor { sensorState { status } } ... on PythonError { message } } }"""
START_SCHEDULE = """mutation($schedule: ScheduleSelector!) { startSchedule(scheduleSelector: $schedule) {
  ... on ScheduleStateResult { scheduleState { status } } ... on PythonError { message } } }"""
TICKS = """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor { sensorState {
  ticks(limit: 30) { status timestamp skipReason error { message } } } } } }"""
SENSOR = {"sensor": {**LOCATION, "sensorName": "sla_warning_sensor"}}

LEAD_SECONDS = 60
"""From the delivery of an event to the moment at which its target becomes due for a warning."""


def zone_of_midday():
    """A timezone in which it is noon now, give or take half an hour: no day ends there while the test runs."""
    hour = time.gmtime(wall_clock() + 30 * 60).tm_hour
    return "UTC" if hour == 12 else f"Etc/GMT{hour - 12:+d}"


def start_clock(account, ticket):
    """A clock is delivered now; returns when its target becomes due for a warning."""
    now = int(wall_clock())
    begins = now - 60 * 60 + LEAD_SECONDS  # two hours, of which an hour but some seconds is over
    about = {"ticket_id": ticket, "metric": "reply_time", "instance_id": 1, "time": utc_text(begins)}
    policy = {"target": 120, "business_hours": False, "policy": {"id": 1, "title": "Premium"}}
    applied = {**about, "id": 10 * ticket, "type": "apply_sla", "sla": policy}
    account.deliver("ticket_metric_events", [applied, {**about, "id": 10 * ticket + 1, "type": "activate"}])
    return begins + 60 * 60


def told(webhook):
    """The tickets of every message."""
    return [[int(ticket) for ticket in re.findall(r"\|#(\d+)>", text)] for text in webhook.texts]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_warning_arrives_within_a_fetch_interval_and_a_minute_and_never_twice(tmp_path):
    account, zone = RecordedAccount(), zone_of_midday()
    with receiving() as webhook, SandboxServer(account) as server:
        place = new_place(
            tmp_path,
            server,
            TICKET_EVENTS_ALERT_WEBHOOK=webhook.url,
            TICKET_EVENTS_TIMEZONE=zone,
            TICKET_EVENTS_START_DATE=str(Day.containing(wall_clock(), zone)),
            ZENDESK_REQUESTS_PER_MINUTE="1000",
        )
        (tmp_path / "every_minute.py").write_text(EVERY_MINUTE)
        (tmp_path / "workspace.yaml").write_text(WORKSPACE)
        dev = Dev(place, workspace=tmp_path / "workspace.yaml")
        try:
            ui = dev.start()
            due_for_it = start_clock(account, 1)
            schedule = {"schedule": {**LOCATION, "scheduleName": "frequent_fetch"}}
            assert ui.query(START_SCHEDULE, **schedule)["startSchedule"]["scheduleState"]["status"] == "RUNNING"
            wait_for(lambda: list(place.root.glob("sla_targets/*/*.parquet")), 2 * INTERVAL, "the first fetch")
            assert ui.query(START_SENSOR, **SENSOR)["startSensor"]["sensorState"]["status"] == "RUNNING"
            wait_for(lambda: told(webhook), LEAD_SECONDS + INTERVAL + 60, "the warning")
            assert 0 <= wall_clock() - due_for_it <= INTERVAL + 60
            assert told(webhook) == [[1]]

            dev.kill()
            killed_at = wall_clock()
            ui = dev.start()

            def ticks():
                return ui.query(TICKS, **SENSOR)["sensorOrError"]["sensorState"]["ticks"]

            def texts():
                return [tick["skipReason"] or "" for tick in ticks() if tick["timestamp"] > killed_at]

            wait_for(lambda: any(text.startswith("Nothing new to send.") for text in texts()), 120, "a tick after the restart")
            assert told(webhook) == [[1]]
            assert {tick["status"] for tick in ticks()} <= {"SKIPPED", "STARTED"}
            assert SECRET not in str(ticks())
        finally:
            dev.stop()
    assert place.holds(SECRET) == []
