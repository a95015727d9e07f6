"""`ticket-events sandbox` and `ticket-events demo` as a user runs them."""

import signal
import subprocess

import pytest

from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline_tests.support.commands import BIN, new_place


def test_the_sandbox_serves_until_it_is_interrupted(tmp_path):
    """On a free port of the loopback, which it prints with the variables to set; then it ends with 0."""
    place = new_place(tmp_path)
    command = [str(BIN / "ticket-events"), "sandbox", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=place.env(), stdout=subprocess.PIPE, text=True) as sandbox:
        try:
            assert sandbox.stdout.readline().startswith("The simulated account answers on http://127.0.0.1:")
            variables = dict(pair.split("=", 1) for pair in sandbox.stdout.readline().split())
            assert place.ticket_events("doctor", **variables).code == 0
            sandbox.send_signal(signal.SIGINT)
            assert sandbox.wait(timeout=20) == 0
        finally:
            sandbox.kill()


@pytest.mark.slow
def test_the_demo_prints_a_breach_table_and_works_twice(tmp_path):
    place = new_place(tmp_path)
    for _ in range(2):
        ended = place.ticket_events("demo")
        assert ended.code == 0, ended.output
        assert "SLA breaches of" in ended.output
        assert "first_reply_time" in ended.output
        assert "360/360" in ended.output
        assert str(place.root / "sandbox") in ended.output
        root = f"TICKET_EVENTS_ROOT={place.root} DAGSTER_HOME={place.home}"
        command = ended.output.rstrip().splitlines()[-1].strip()
        assert command == f"ZENDESK_SANDBOX=1 {root} dg dev -w {place.home}/workspace.yaml"
    assert len(place.recorded_days("daily_sla_breach_summary")) == 30


@pytest.mark.slow
def test_the_demo_leaves_the_dagster_home_of_an_account_alone(tmp_path):
    """Also before anything was fetched into it; the demo's days are in a home of the sandbox's own."""
    place = new_place(tmp_path, ZENDESK_SUBDOMAIN="acme")
    ended = place.ticket_events("demo")
    assert ended.code == 0, ended.output
    own = tmp_path / ".dagster_home" / "sandbox"
    assert f"DAGSTER_HOME={own} dg dev" in ended.output
    assert place.recorded_days("daily_sla_breach_summary") == set()
    assert (own / "dagster.yaml").read_text() == (place.home / "dagster.yaml").read_text()


def test_the_sandbox_names_a_used_port_and_refuses_too_large_a_volume(tmp_path):
    place = new_place(tmp_path)
    with SandboxServer(RecordedAccount()) as other:
        port = other.base_url.rpartition(":")[2]
        ended = place.ticket_events("sandbox", "--port", port)
    assert (ended.code, ended.output.count("\n")) == (1, 1)
    assert f"--port {port} can't be used: Address already in use" in ended.output
    assert place.ticket_events("sandbox", "--port", "0", "--tickets-per-day", "40001").code == 2


def test_the_demo_names_a_start_date_that_leaves_no_closed_day(tmp_path):
    ended = new_place(tmp_path).ticket_events("demo", TICKET_EVENTS_START_DATE="2199-01-01")
    assert (ended.code, ended.output.count("\n")) == (1, 1)
    assert "TICKET_EVENTS_START_DATE: 2199-01-01 leaves no closed day to show" in ended.output


def test_the_demo_names_a_dagster_home_that_does_not_exist(tmp_path):
    ended = new_place(tmp_path).ticket_events("demo", DAGSTER_HOME=str(tmp_path / "nowhere"))
    assert ended.code == 1
    assert "Traceback" not in ended.output
    assert "Make that folder, or unset DAGSTER_HOME." in ended.output
