"""The whole deployment, as `make dev` starts it: web server, daemon and runs, driven through the UI's own API."""

import pytest

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.defs.assets.source import ZENDESK_API
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.deployment import ASSETS, REPORT
from ticket_events_pipeline_tests.support.dev_server import running_ui, wait_for

RUNS = "{ runsOrError { ... on Runs { results { runId status jobName assetSelection { path } } } } }"
TICKS = """{ sensorsOrError(
    repositorySelector: {repositoryLocationName: "ticket_events_pipeline", repositoryName: "__repository__"}) {
  ... on Sensors { results { name sensorState { status ticks(limit: 50) { status timestamp } } } } } }"""
WORKSPACE = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  assetNodes { assetKey { path } partitionDefinition { type } } jobs { name } schedules { name } sensors { name } } } } }"""


@pytest.fixture
def place(tmp_path):
    return new_place(tmp_path, ZENDESK_SANDBOX="1")


@pytest.fixture
def ui(place):
    with running_ui(place) as running:
        yield running


UNPARTITIONED = (ZENDESK_API, "zendesk_names")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_backfill_of_everything_is_four_runs_and_the_sensor_requests_no_fifth(ui, place):
    """Dagster keeps an asset that depends on its own day before out of its upstream's run."""
    today = Day.containing(wall_clock())
    days = days_between(today.plus(-10), today.plus(-1))
    (repository,) = ui.query(WORKSPACE)["repositoriesOrError"]["nodes"]
    assert {node["assetKey"]["path"][0] for node in repository["assetNodes"]} == {*ASSETS, REPORT, *UNPARTITIONED}
    partitioned = [
        node["partitionDefinition"] for node in repository["assetNodes"] if node["assetKey"]["path"][0] not in UNPARTITIONED
    ]
    assert {partitions["type"] for partitions in partitioned} == {"TIME_WINDOW"}

    backfill = ui.launch_backfill([*ASSETS, REPORT], [str(day) for day in days])
    wait_for(lambda: ui.backfill_status(backfill) != "REQUESTED", 300, "the backfill ends")
    assert ui.backfill_status(backfill) == "COMPLETED_SUCCESS"
    ended_at = wall_clock()

    def ticked_twice():
        sensors = {sensor["name"]: sensor for sensor in ui.query(TICKS)["sensorsOrError"]["results"]}
        sensor = sensors["new_event_partitions_sensor"]
        return len([t for t in sensor["sensorState"]["ticks"] if t["timestamp"] > ended_at and t["status"] != "STARTED"]) >= 2

    wait_for(ticked_twice, 120, "the sensor ticks twice")
    runs = ui.query(RUNS)["runsOrError"]["results"]
    assert {run["status"] for run in runs} == {"SUCCESS"}
    assert sorted(len(run["assetSelection"] or []) for run in runs) == [2, 3, 3, 4]
    for asset in ASSETS:
        assert len(list((place.root / "sandbox" / asset).glob("date=*/*.parquet"))) == len(days)
    assert len(list((place.root / "sandbox" / REPORT).glob("date=*/*.html"))) == len(days)
