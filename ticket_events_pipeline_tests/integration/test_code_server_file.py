"""The code server writes what it runs with; a run whose process has other variables says so in its log."""

import pytest

from ticket_events_pipeline.code_server import PATH, read_code_server
from ticket_events_pipeline.day import Day
from ticket_events_pipeline_tests.support.deployment import deployed

DAY = "2026-03-02"
LATER = Day.parse("2026-03-04").start


@pytest.fixture
def deployment(tmp_path):
    with deployed(tmp_path, now=LATER) as running:
        yield running


def warnings_of_a_fetch(deployment):
    run = deployment.run("fetch_ticket_events", DAY)
    assert run.success
    logged = [entry.user_message for entry in deployment.instance.all_logs(run.run_id)]
    return [message for message in logged if "differs from the code server" in message]


def test_the_sensors_first_tick_writes_the_file_and_later_ticks_leave_it(deployment):
    assert read_code_server(deployment.store) is None
    deployment.tick()
    first = read_code_server(deployment.store)
    assert first.fingerprint.variables["TICKET_EVENTS_TIMEZONE"] == "UTC"
    assert b"sandbox" not in (deployment.root / PATH).read_bytes()  # the token
    written = (deployment.root / PATH).stat().st_mtime_ns
    deployment.tick()
    deployment.restart()
    deployment.tick()
    assert (deployment.root / PATH).stat().st_mtime_ns == written


def test_a_code_server_with_other_variables_replaces_the_file(deployment, monkeypatch):
    deployment.tick()
    monkeypatch.setenv("TICKET_EVENTS_RESTATE_DAYS", "9")
    deployment.restart()
    deployment.tick()
    assert read_code_server(deployment.store).fingerprint.variables["TICKET_EVENTS_RESTATE_DAYS"] == "9"


def test_a_sensor_without_credentials_compares_files_nevertheless(deployment, monkeypatch):
    monkeypatch.delenv("ZENDESK_OAUTH_TOKEN")
    deployment.tick()
    assert "No day has landed" in deployment.message
    assert read_code_server(deployment.store) is None
    monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", "sandbox")
    deployment.tick()
    assert read_code_server(deployment.store) is not None


def test_a_run_with_other_variables_than_the_code_server_warns_once(deployment, monkeypatch):
    assert warnings_of_a_fetch(deployment) == []  # no code server has written anything yet
    deployment.tick()
    assert warnings_of_a_fetch(deployment) == []
    monkeypatch.setenv("ZENDESK_REQUESTS_PER_MINUTE", "7")
    (line,) = warnings_of_a_fetch(deployment)
    assert "ZENDESK_REQUESTS_PER_MINUTE is 7 here, 100000 there." in line
