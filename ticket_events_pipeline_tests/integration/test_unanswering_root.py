"""`status` and `doctor` while the root doesn't answer: it is named within seconds, the rest is said, and the process ends."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import dagster as dg
import pytest

from ticket_events_pipeline.cli.waits import UnansweredError, of_root
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline_tests.support.checkout import CHECKOUT, DAGSTER_YAML
from ticket_events_pipeline_tests.support.commands import COMMAND
from ticket_events_pipeline_tests.support.object_server import object_server

MOST_SECONDS = 110
"""20 s for the root, the rest for a busy machine; without a limit, the root alone takes more than 120 s."""


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(DAGSTER_YAML, folder)
    with dg.DagsterInstance.from_config(str(folder)):
        return folder


@contextmanager
def running(home, *arguments, **variables):
    """The command in a process; call what it yields for its exit code, its JSON and how many seconds it took."""
    machine = {"PATH": os.defpath, "PYTHONPATH": str(CHECKOUT), "HOME": str(home), "DAGSTER_HOME": str(home)}
    begun_at = time.monotonic()
    command = [sys.executable, "-c", COMMAND, *arguments, "--json"]
    env = {**machine, **variables}
    with subprocess.Popen(command, env=env, cwd=home, stdout=subprocess.PIPE, text=True) as process:

        def ended():
            printed = process.communicate(timeout=2 * MOST_SECONDS)[0]
            return process.returncode, json.loads(printed), time.monotonic() - begun_at

        try:
            yield ended
        finally:
            process.kill()


def status_and_doctor(home, variables):
    """What both print as JSON, each with exit code 1 and in time."""
    with running(home, "status", **variables) as status, running(home, "doctor", "--fleet", **variables) as doctor:
        ended = (status(), doctor())
    assert [(code, seconds < MOST_SECONDS) for code, _, seconds in ended] == [(1, True)] * 2, ended
    return ended[0][1], ended[1][1]


def failures(findings):
    return {finding["check"]: finding["text"] for finding in findings if finding["status"] == "FAIL"}


@pytest.mark.slow
def test_a_stopped_object_store_is_named_and_what_needs_no_root_is_said(home):
    with SandboxServer(SimulatedAccount()) as account, object_server() as server:
        root = server.root("acme")
        variables = {
            **server.env,
            "TICKET_EVENTS_ROOT": root,
            "ZENDESK_BASE_URL": account.base_url,
            "ZENDESK_OAUTH_TOKEN": "sandbox",
        }
        with server.stopped():
            status, findings = status_and_doctor(home, variables)
    silent = f"TICKET_EVENTS_ROOT: {root} doesn't answer: nothing within 20 s."
    assert status["root_problem"].startswith(silent)
    assert (status["stored"], status["read"], status["quota"]) == (None, None, None)
    assert "hourly_fetch" in status["dagster"]["to_turn_on"]
    assert status["next"].startswith("See what is wrong with the root: ")
    found = failures(findings)["root"]
    assert found == silent or (root in found and "it didn't answer in time" in found)  # the library's own limit is near
    assert "storage: Dagster keeps its runs in SQLite" in failures(findings)["storage"]
    worked = {finding["check"] for finding in findings if finding["status"] == "ok"}
    assert {"dagster_home", "credentials", "ticket_events", "ticket_metric_events", "quota", "clock"} <= worked


@pytest.mark.slow
def test_a_folder_that_hangs_is_named_and_keeps_no_process_from_ending(home, tmp_path):
    """Opening a named pipe hangs like a file of a share whose server is gone."""
    inflight = tmp_path / "root" / "sandbox" / "_inflight"
    inflight.mkdir(parents=True)
    os.mkfifo(inflight / "quota-sandbox.json")
    os.mkfifo(inflight / "code_server.json")
    root = str(tmp_path / "root" / "sandbox")
    variables = {"TICKET_EVENTS_ROOT": str(tmp_path / "root"), "ZENDESK_SANDBOX": "1"}
    status, findings = status_and_doctor(home, variables)
    assert status["root_problem"].startswith(f"TICKET_EVENTS_ROOT: {root} doesn't answer")
    assert "hourly_fetch" in status["dagster"]["to_turn_on"]
    assert f"{root} doesn't answer" in failures(findings)["code_server"]
    assert "shared_root" not in {finding["check"] for finding in findings}
    assert "storage" in failures(findings)


def test_what_a_root_answers_in_time_is_passed_on_and_a_late_answer_is_an_error():
    assert of_root("/lake", lambda: "found", seconds=30) == "found"
    with pytest.raises(UnansweredError, match=r"/lake doesn't answer: nothing within 0\.1 s"):
        of_root("/lake", lambda: time.sleep(1), seconds=0.1)
