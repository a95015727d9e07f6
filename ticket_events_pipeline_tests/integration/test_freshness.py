"""Freshness: a quiet night stays fresh, since every asset is made again each hour; a stalled pipeline does not."""

import asyncio

import dagster as dg
import pytest
from dagster._core.definitions.freshness_evaluator import TimeWindowFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time  # the clock that Dagster's daemon uses

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.deployment import REPORT, REPOSITORY, deployed
from ticket_events_pipeline_tests.support.events import event

TODAY = "2026-03-10"
EVENING = Day.parse(TODAY).start + 20 * 3600
WATCHED = ["ticket_events", "ticket_metric_events", "daily_sla_breach_summary", REPORT]


@pytest.fixture
def deployment(tmp_path):
    with deployed(tmp_path, now=EVENING, ticket_tables=False) as running:
        running.account.deliver("ticket_metric_events", [event(1, f"{TODAY}T09:00:00Z")])
        yield running


def turn(deployment):
    """How often each watched asset's day was made in one turn of the hourly fetch and the sensor."""
    before = counts(deployment)
    deployment.fetch(TODAY)
    deployment.settle()
    return {asset: count - before[asset] for asset, count in counts(deployment).items()}


def counts(deployment):
    found = {}
    for asset in WATCHED:
        records = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[TODAY])
        found[asset] = len(deployment.instance.fetch_materializations(records, limit=100).records)
    return found


def state(deployment, asset, *, hours):
    """The state that the daemon sees in so many hours if nothing runs."""
    node = REPOSITORY.asset_graph.get(dg.AssetKey(asset))
    context = LoadingContextForTest(deployment.instance)
    with freeze_time(wall_clock() + hours * 3600):
        return asyncio.run(TimeWindowFreshnessPolicyEvaluator().evaluate_freshness(context, node)).value


def test_in_a_quiet_night_every_watched_asset_is_made_again_each_hour(deployment):
    assert turn(deployment) == dict.fromkeys(WATCHED, 1)
    for _ in range(2):
        deployment.clock.now += 3600
        assert turn(deployment) == dict.fromkeys(WATCHED, 1)
    assert deployment.table("daily_sla_breach_summary", TODAY).num_rows == 1


@pytest.mark.parametrize(
    ("asset", "warned_after", "failed_after"), [(WATCHED[0], 2, 4), (WATCHED[1], 2, 4), (WATCHED[2], 3, 5), (REPORT, 3, 5)]
)
def test_a_stalled_pipeline_is_warned_of_and_then_fails(deployment, asset, warned_after, failed_after):
    assert state(deployment, asset, hours=0) == "UNKNOWN"
    turn(deployment)
    slightly = 1 / 60
    assert [
        state(deployment, asset, hours=hours)
        for hours in (1.5, warned_after - slightly, warned_after + slightly, failed_after - slightly, failed_after + slightly)
    ] == ["PASS", "PASS", "WARN", "WARN", "FAIL"]


def test_a_failing_fetch_is_not_fresh(deployment, monkeypatch):
    monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", "wrong")
    assert not deployment.run("fetch_ticket_events", TODAY).success
    assert {state(deployment, asset, hours=0) for asset in WATCHED} == {"UNKNOWN"}


def test_the_shipped_configuration_lets_the_daemon_evaluate_freshness(tmp_path):
    with dg.DagsterInstance.from_config(str(new_place(tmp_path).home)) as instance:
        assert instance.freshness_enabled
