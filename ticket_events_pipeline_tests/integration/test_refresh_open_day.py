"""`refresh_open_day` and `frequent_fetch`: the open day is read and made in one run, and nothing is left for the sensor."""

import datetime as dt

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.definitions import defs
from ticket_events_pipeline.defs.definitions import account_definitions
from ticket_events_pipeline.defs.runs import range_tags
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline_tests.support.deployment import REPORT, REPOSITORY, TICKET_ASSETS, ScheduleContext, deployed
from ticket_events_pipeline_tests.support.empty_days import MISSING, OPEN, WHOLE, Shelf
from ticket_events_pipeline_tests.support.events import audit, event, iso, metric_event

YESTERDAY, TODAY = Day.parse("2026-03-09"), Day.parse("2026-03-10")
TEN = TODAY.start + 10 * 3600
METRIC_EVENTS, AUDITS = "ticket_metric_events", "ticket_events"
REFRESH, FETCH = "refresh_open_day", "fetch_ticket_events"

pytestmark = pytest.mark.timeout(300)  # a refresh makes eleven tables and the report


@pytest.fixture
def deployment(tmp_path):
    with deployed(tmp_path, now=TEN, page_limit=5) as running:
        yield running


def tick(deployment, schedule="frequent_fetch", at=None):
    """What the schedule requests at the server's time: a request, or its reason to skip."""
    at = dt.datetime.fromtimestamp(deployment.clock.now if at is None else at, dt.UTC)
    answer = REPOSITORY.get_schedule_def(schedule)(ScheduleContext(deployment.instance, at))
    return answer.skip_message if isinstance(answer, dg.SkipReason) else answer


def span(request):
    return request.tags["dagster/asset_partition_range_start"], request.tags["dagster/asset_partition_range_end"]


def requested(deployment, schedule="frequent_fetch", at=None):
    answer = tick(deployment, schedule, at)
    return answer if isinstance(answer, str) else span(answer)


def lay(deployment, states):
    """Store files of both streams: a state of the last days each, today the last."""
    for ago, state in enumerate(reversed(states)):
        for stream in (METRIC_EVENTS, AUDITS):
            Shelf(deployment.root).put_day(stream, TODAY.plus(-ago), state)


def in_progress(deployment, job, first, last, **tags):
    tags = {**range_tags(first, last), **tags}
    job_def = defs.resolve_job_def(job)
    return deployment.instance.create_run_for_job(job_def=job_def, tags=tags, status=dg.DagsterRunStatus.STARTED).run_id


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (WHOLE + OPEN, TODAY),
        (WHOLE + MISSING, TODAY),
        (OPEN + MISSING, YESTERDAY),
        (OPEN + OPEN, YESTERDAY),
        (MISSING + OPEN, TODAY),
        (WHOLE + MISSING + WHOLE + OPEN, TODAY),
    ],
)
def test_the_days_that_are_open_are_requested(deployment, states, expected):
    lay(deployment, states)
    assert requested(deployment) == (str(expected), str(TODAY))


@pytest.mark.parametrize("states", ["", MISSING, WHOLE + MISSING + MISSING])
def test_what_is_missing_is_left_to_the_hourly_fetch(deployment, states):
    lay(deployment, states)
    assert requested(deployment) == (
        "2026-03-09 is missing, and 2026-03-10 has not been fetched yet: hourly_fetch reads them first. "
        "To fetch them now: ticket-events backfill 2026-03-09..2026-03-10"
    )


def test_on_the_first_day_of_all_nothing_is_missing_before_it(deployment):
    first = Day.parse("2025-01-01")
    assert requested(deployment, at=first.start + 600) == ("2025-01-01", "2025-01-01")
    assert requested(deployment, at=first.start - 600) == (
        "The first partition, TICKET_EVENTS_START_DATE 2025-01-01, has not begun yet."
    )


def test_a_tick_is_skipped_while_the_last_run_is_in_progress_or_another_one_has_the_day(deployment):
    lay(deployment, WHOLE + OPEN)
    hourly = in_progress(deployment, FETCH, YESTERDAY, TODAY)
    assert requested(deployment) == f"2026-03-10 to 2026-03-10: being fetched by run {hourly}."
    in_progress(deployment, REFRESH, TODAY, TODAY, **{"dagster/schedule_name": "frequent_fetch"})
    assert requested(deployment) == "The last frequent fetch is still queued or running."


def test_a_refresh_in_progress_holds_up_neither_the_hourly_fetch_nor_the_restatement(deployment):
    """At a tick every five minutes, a refresh is often still running at the seventh minute."""
    lay(deployment, WHOLE + OPEN + OPEN)
    in_progress(deployment, REFRESH, YESTERDAY, TODAY)
    assert requested(deployment, "hourly_fetch") == ("2026-03-09", "2026-03-10")
    assert requested(deployment, "daily_restatement") == ("2026-03-07", "2026-03-09")


def test_the_sensor_waits_for_a_refresh_in_progress(deployment):
    deployment.account.deliver(METRIC_EVENTS, [event(1, iso(TEN - 7200))])
    deployment.fetch(str(TODAY))
    run = in_progress(deployment, REFRESH, TODAY, TODAY)
    assert deployment.tick().run_requests == []
    assert f"run {run} is not over yet." in deployment.message


def test_the_interval_is_read_with_the_definitions_and_a_malformed_one_is_told_by_the_tick(deployment, monkeypatch):
    def schedule():
        return account_definitions(account_scope()).get_repository_def().get_schedule_def("frequent_fetch")

    assert schedule().cron_schedule == "*/10 * * * *"
    monkeypatch.setenv("TICKET_EVENTS_FETCH_EVERY_MINUTES", "5")
    assert schedule().cron_schedule == "*/5 * * * *"
    monkeypatch.setenv("TICKET_EVENTS_FETCH_EVERY_MINUTES", "often")
    assert schedule().cron_schedule == "*/10 * * * *"
    assert "TICKET_EVENTS_FETCH_EVERY_MINUTES" in requested(deployment)


def outcomes(deployment):
    return {row["ticket_id"]: row["outcome"] for row in deployment.table("sla_targets", str(TODAY)).to_pylist()}


@pytest.mark.slow
def test_after_each_tick_the_tables_of_the_day_hold_what_is_new_and_the_sensor_finds_nothing_to_do(deployment):
    """A target is set, another one, and the first is fulfilled: one event in each interval."""
    deployment.account.deliver(METRIC_EVENTS, [event(1, iso(TEN - 7200 - 86_400))])
    deployment.clock.now = TEN - 300
    deployment.fetch(str(YESTERDAY), str(TODAY))
    deployment.settle()
    news = [event(2, iso(TEN - 200)), event(3, iso(TEN + 100)), event(4, iso(TEN + 400), "fulfill", ticket_id=2)]
    seen = []
    for number, new in enumerate(news):
        deployment.clock.now = TEN + 300 * number
        kind = audit(100 + number, TEN + 300 * number - 120, ticket_id=2)
        deployment.account.deliver(METRIC_EVENTS, [new])
        deployment.account.deliver(AUDITS, [kind])
        request = tick(deployment)
        assert deployment.run(REFRESH, *span(request), **request.tags).success
        assert deployment.tick().run_requests == []
        assert deployment.message == "Every landed day's summary was made from what is stored now."
        seen.append(outcomes(deployment))
        assert deployment.footer("daily_sla_breach_summary", str(TODAY))["as_of"] == str(TEN + 300 * number)
    assert seen == [
        {1: "active", 2: "active"},
        {1: "active", 2: "active", 3: "active"},
        {1: "active", 2: "achieved", 3: "active"},
    ]
    for asset in (*TICKET_ASSETS, REPORT):
        assert str(TODAY) in deployment.recorded(asset)


@pytest.mark.slow
def test_by_hand_too_a_refresh_makes_two_requests_a_stream_and_its_tables_say_how_far_it_read(deployment):
    """Five rows a page, one a minute: a run reads up to the tenth row, and the next goes on there."""
    deployment.account.deliver(METRIC_EVENTS, [metric_event(number, TODAY.start + 60 * number) for number in range(1, 16)])
    first = deployment.run(REFRESH, str(TODAY))
    assert first.success
    assert [seen.path.rpartition("/")[2] for seen in deployment.server.requests].count(METRIC_EVENTS) == 2
    footer = deployment.footer(METRIC_EVENTS, str(TODAY))
    assert (footer["complete"], footer["rows"]) == ("false", "9")
    assert footer["next_start_time"] == footer["stopped_at"] == str(TODAY.start + 60 * 9)
    assert deployment.footer("sla_targets", str(TODAY))["as_of"] == footer["stopped_at"]
    while "stopped_at" in deployment.footer(METRIC_EVENTS, str(TODAY)):
        before = deployment.footer(METRIC_EVENTS, str(TODAY))["next_start_time"]
        assert deployment.run(REFRESH, str(TODAY)).success
        assert deployment.footer(METRIC_EVENTS, str(TODAY))["next_start_time"] > before
    assert deployment.footer(METRIC_EVENTS, str(TODAY))["rows"] == "15"
    assert deployment.tick().run_requests == []
