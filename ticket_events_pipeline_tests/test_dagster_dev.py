"""The whole deployment, as `make dev` starts it: web server, daemon and runs, driven through the UI's own API."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline_tests.deployment import ASSETS

TOP = Path(__file__).parent.parent

LAUNCH = """mutation($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } }
}"""
BACKFILL = "query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
RUNS = "{ runsOrError { ... on Runs { results { runId status jobName assetSelection { path } } } } }"
TICKS = """{ sensorsOrError(
    repositorySelector: {repositoryLocationName: "ticket_events_pipeline", repositoryName: "__repository__"}) {
  ... on Sensors { results { name sensorState { status ticks(limit: 50) { status timestamp } } } } } }"""
WORKSPACE = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  assetNodes { assetKey { path } partitionDefinition { type } } jobs { name } schedules { name } sensors { name } } } } }"""


class Ui:
    """What the browser asks the web server."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def is_up(self):
        try:
            return requests.get(f"{self.url}/server_info", timeout=5).ok
        except requests.ConnectionError:
            return False

    def ask(self, query, **variables):
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} s: {what}")


@pytest.fixture
def ui(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text((TOP / "dagster.yaml").read_text())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ZENDESK_", "TICKET_EVENTS_"))}
    env |= {"DAGSTER_HOME": str(home), "ZENDESK_SANDBOX": "1", "TICKET_EVENTS_ROOT": str(tmp_path / "data")}
    command = [sys.executable, "-m", "dagster", "dev", "--workspace", str(TOP / "workspace.yaml"), "--port", str(port)]
    log = (tmp_path / "dev.log").open("w")
    process = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
    try:
        running = Ui(port)
        wait_for(running.is_up, 90, "the web server answers")
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        log.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_backfill_of_everything_is_two_runs_and_the_sensor_asks_for_no_third(ui, tmp_path):
    today = Day.containing(wall_clock())
    days = days_between(today.plus(-10), today.plus(-1))
    (repository,) = ui.ask(WORKSPACE)["repositoriesOrError"]["nodes"]
    assert {node["assetKey"]["path"][0] for node in repository["assetNodes"]} == set(ASSETS)
    assert {node["partitionDefinition"]["type"] for node in repository["assetNodes"]} == {"TIME_WINDOW"}

    parameters = {"assetSelection": [{"path": [asset]} for asset in ASSETS], "partitionNames": [str(day) for day in days]}
    backfill = ui.ask(LAUNCH, parameters=parameters)["launchPartitionBackfill"]["backfillId"]

    def ended():
        status = ui.ask(BACKFILL, id=backfill)["partitionBackfillOrError"]["status"]
        return status if status != "REQUESTED" else None

    assert wait_for(ended, 300, "the backfill ends") == "COMPLETED_SUCCESS"
    ended_at = wall_clock()

    def ticked_twice():
        (sensor,) = ui.ask(TICKS)["sensorsOrError"]["results"]
        return len([t for t in sensor["sensorState"]["ticks"] if t["timestamp"] > ended_at and t["status"] != "STARTED"]) >= 2

    wait_for(ticked_twice, 120, "the sensor ticks twice")
    runs = ui.ask(RUNS)["runsOrError"]["results"]
    assert sorted((run["status"], len(run["assetSelection"] or [])) for run in runs) == [("SUCCESS", 2), ("SUCCESS", 3)]
    for asset in ASSETS:
        assert len(list((tmp_path / "data" / "sandbox" / asset).glob("date=*/*.parquet"))) == len(days)
