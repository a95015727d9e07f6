"""The schedules: the range that each requests, by the stored files and the day in the partitions' timezone."""

import datetime as dt

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.definitions import SCOPE, defs
from ticket_events_pipeline.defs.runs import RETRIED_BY_TAG, WILL_RETRY_TAG, range_tags
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.deployment import REPOSITORY, ScheduleContext, deployed, launched_from
from ticket_events_pipeline_tests.support.empty_days import Shelf

hourly_fetch = REPOSITORY.get_schedule_def("hourly_fetch")
daily_restatement = REPOSITORY.get_schedule_def("daily_restatement")

NOON = dt.datetime(2026, 3, 10, 12, 7, tzinfo=dt.UTC)


@pytest.fixture
def deployment(tmp_path):
    with deployed(tmp_path, now=NOON.timestamp()) as running:
        yield running


def evaluated(schedule, deployment, at=NOON):
    return schedule(ScheduleContext(deployment.instance, at))


def requested(schedule, deployment, at=NOON):
    answer = evaluated(schedule, deployment, at)
    if isinstance(answer, dg.SkipReason):
        return answer.skip_message
    tags = answer.tags
    return tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]


def test_before_the_first_partition_there_is_nothing_to_fetch(deployment):
    early = dt.datetime.combine(SCOPE.start_date, dt.time(), dt.UTC) - dt.timedelta(hours=1)
    message = requested(hourly_fetch, deployment, at=early)
    assert message == "The first partition, TICKET_EVENTS_START_DATE 2025-01-01, has not begun yet."


def test_an_empty_root_begins_with_yesterday(deployment):
    assert requested(hourly_fetch, deployment) == ("2026-03-09", "2026-03-10")


def test_the_hourly_fetch_begins_after_the_newest_complete_day_and_ends_today(deployment):
    deployment.fetch("2026-03-05", "2026-03-06")
    assert requested(hourly_fetch, deployment) == ("2026-03-07", "2026-03-10")
    deployment.fetch("2026-03-07", "2026-03-10")
    assert deployment.footer("ticket_events", "2026-03-10")["complete"] == "false"
    assert requested(hourly_fetch, deployment) == ("2026-03-10", "2026-03-10")


def test_the_stream_that_is_behind_decides(deployment):
    deployment.fetch("2026-03-05", "2026-03-09")
    for day in ("2026-03-08", "2026-03-09"):
        (deployment.root / f"ticket_events/date={day}/ticket_events.parquet").unlink()
    assert requested(hourly_fetch, deployment) == ("2026-03-08", "2026-03-10")


def test_the_hourly_fetch_is_skipped_while_the_last_one_is_in_progress(deployment):
    job = defs.resolve_job_def("fetch_ticket_events")
    tags = {"dagster/schedule_name": "hourly_fetch"}
    deployment.instance.create_run_for_job(job_def=job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert requested(hourly_fetch, deployment) == "The last hourly fetch is still queued or running."


def test_the_hourly_fetch_is_skipped_while_a_killed_one_waits_for_its_retry(deployment):
    tags = {"dagster/schedule_name": "hourly_fetch", WILL_RETRY_TAG: "true"}
    job = defs.resolve_job_def("fetch_ticket_events")
    origin = launched_from("ticket_events_pipeline", "fetch_ticket_events")
    killed = deployment.instance.create_run_for_job(
        job_def=job, tags=tags, status=dg.DagsterRunStatus.FAILURE, remote_job_origin=origin
    )
    assert requested(hourly_fetch, deployment) == "The last hourly fetch is still queued or running."
    deployment.instance.add_run_tags(killed.run_id, {RETRIED_BY_TAG: "its-retry"})
    assert requested(hourly_fetch, deployment) == ("2026-03-09", "2026-03-10")


def in_progress(deployment, first, last, job="fetch_ticket_events", status=dg.DagsterRunStatus.STARTED):
    tags = range_tags(Day.parse(first), Day.parse(last))
    job_def = defs.resolve_job_def(job)
    return deployment.instance.create_run_for_job(job_def=job_def, tags=tags, status=status).run_id


@pytest.mark.slow
def test_days_that_another_run_fetches_are_not_fetched_by_the_hour(deployment):
    run = in_progress(deployment, "2026-01-01", "2026-03-10")
    assert requested(hourly_fetch, deployment) == f"2026-03-09 to 2026-03-10: being fetched by run {run}."


def test_the_hourly_fetch_continues_after_the_days_of_a_long_backfill(deployment):
    """The days that the backfill has stored so far end long before those that no run fetches."""
    deployment.fetch("2026-03-02", "2026-03-03")
    in_progress(deployment, "2026-03-01", "2026-03-08")
    assert requested(hourly_fetch, deployment) == ("2026-03-09", "2026-03-10")


def test_days_before_those_of_another_run_are_fetched_first_so_that_no_gap_is_left(deployment):
    deployment.fetch("2026-03-05", "2026-03-06")
    in_progress(deployment, "2026-03-09", "2026-03-09")
    assert requested(hourly_fetch, deployment) == ("2026-03-07", "2026-03-08")


def test_runs_that_fetch_nothing_or_other_days_do_not_matter(deployment):
    in_progress(deployment, "2026-03-01", "2026-03-10", job="summarize_sla_breaches")
    in_progress(deployment, "2026-03-01", "2026-03-06")
    in_progress(deployment, "2026-03-09", "2026-03-10", status=dg.DagsterRunStatus.FAILURE)
    assert requested(hourly_fetch, deployment) == ("2026-03-09", "2026-03-10")
    assert requested(daily_restatement, deployment) == ("2026-03-07", "2026-03-09")


@pytest.mark.slow
def test_the_restatement_leaves_days_to_the_run_that_fetches_them(deployment):
    other = in_progress(deployment, "2026-03-09", "2026-03-10")
    assert requested(daily_restatement, deployment) == ("2026-03-07", "2026-03-08")
    long = in_progress(deployment, "2026-01-01", "2026-03-08")
    holders = ", ".join(sorted([f"run {other}", f"run {long}"]))
    assert requested(daily_restatement, deployment) == f"2026-03-07 to 2026-03-09: being fetched by {holders}."


def lay(deployment, first, states):
    """Store files of both streams, one letter per day."""
    for number, state in enumerate(states):
        for stream in STREAMS:
            Shelf(deployment.root).put_day(stream, Day.parse(first).plus(number), state)


def test_a_gap_is_filled_through_today_and_the_run_says_so(deployment):
    lay(deployment, "2026-03-03", "WWMOWWW")
    assert evaluated(hourly_fetch, deployment).tags == {
        **range_tags(Day.parse("2026-03-05"), Day.parse("2026-03-10")),
        "ticket_events/note": "Filled: a gap before newer complete days, 2026-03-05 to 2026-03-06.",
    }


def test_no_complete_day_is_read_again_around_days_that_another_run_fetches(deployment):
    lay(deployment, "2026-03-03", "WWMMWWW")
    gap = in_progress(deployment, "2026-03-05", "2026-03-06")
    assert requested(hourly_fetch, deployment) == ("2026-03-10", "2026-03-10")
    deployment.instance.delete_run(gap)
    in_progress(deployment, "2026-03-09", "2026-03-09")
    assert requested(hourly_fetch, deployment) == ("2026-03-05", "2026-03-06")


def test_a_gap_too_long_to_be_filled_is_named_with_the_command(deployment, capfd):
    lay(deployment, "2026-01-21", "W")
    lay(deployment, "2026-03-09", "W")
    assert requested(hourly_fetch, deployment) == ("2026-03-10", "2026-03-10")
    message = capfd.readouterr().err
    assert "Not fetched now: 2026-01-22 to 2026-03-08 is missing or incomplete." in message
    assert "ticket-events backfill 2026-01-22..2026-03-08" in message


def test_a_day_at_which_every_fetch_fails_does_not_block_the_days_after_it(deployment):
    lay(deployment, "2026-03-03", "WWMWWWW")
    for _ in range(3):
        request = evaluated(hourly_fetch, deployment)
        assert request.tags["dagster/asset_partition_range_start"] == "2026-03-05"
        tags = {**request.tags, "dagster/schedule_name": "hourly_fetch"}
        run = dg.DagsterRun(job_name="fetch_ticket_events", tags=tags, status=dg.DagsterRunStatus.FAILURE)
        deployment.instance.add_run(run)
    assert evaluated(hourly_fetch, deployment).tags == {
        **range_tags(Day.parse("2026-03-10"), Day.parse("2026-03-10")),
        "ticket_events/note": "Skipped for now: 2026-03-05; 3 hourly fetches or more that began there have failed within "
        "24 hours. A fetch begins there again within the next 24 hours. See the errors of those runs.",
    }


def test_a_fetch_with_tags_that_are_no_days_is_no_attempt(deployment):
    lay(deployment, "2026-03-03", "WWMWWWW")
    for tags in (range_tags("2026-03-05", "soon"), range_tags("yesterday", "2026-03-05"), {}):
        tags = {**tags, "dagster/schedule_name": "hourly_fetch"}
        deployment.instance.add_run(
            dg.DagsterRun(job_name="fetch_ticket_events", tags=tags, status=dg.DagsterRunStatus.FAILURE)
        )
    assert requested(hourly_fetch, deployment) == ("2026-03-05", "2026-03-10")


def test_a_note_names_many_gaps_by_their_first_and_last_day_and_their_number(deployment):
    lay(deployment, "2026-02-25", "WMWMWMWMWMMWW")
    note = "Filled: a gap before newer complete days, {}."
    named = "2026-02-26, 2026-02-28, 2026-03-02, 2026-03-04, 2026-03-06 to 2026-03-07"
    assert evaluated(hourly_fetch, deployment).tags["ticket_events/note"] == note.format(named)
    lay(deployment, "2026-02-23", "WM")
    named = "7 days from 2026-02-24 to 2026-03-07"
    assert evaluated(hourly_fetch, deployment).tags["ticket_events/note"] == note.format(named)


def test_one_day_that_is_left_out_is_named_as_one_day(deployment, capfd):
    lay(deployment, "2026-03-06", "OWWW")
    assert requested(hourly_fetch, deployment) == ("2026-03-10", "2026-03-10")
    assert "Not fetched now: 2026-03-06 is missing or incomplete." in capfd.readouterr().err


def test_the_restatement_re_reads_the_last_closed_days(deployment, monkeypatch):
    assert requested(daily_restatement, deployment) == ("2026-03-07", "2026-03-09")
    monkeypatch.setenv("TICKET_EVENTS_RESTATE_DAYS", "1")
    assert requested(daily_restatement, deployment) == ("2026-03-09", "2026-03-09")


@pytest.mark.parametrize("schedule", [hourly_fetch, daily_restatement], ids=lambda schedule: schedule.name)
def test_without_settings_a_schedule_says_what_to_set(deployment, monkeypatch, schedule):
    monkeypatch.delenv("ZENDESK_OAUTH_TOKEN")
    message = requested(schedule, deployment)
    assert "ZENDESK_OAUTH_TOKEN" in message


def test_each_runs_its_job_and_is_off_until_turned_on():
    assert {schedule.name: schedule.job_name for schedule in REPOSITORY.schedule_defs} == {
        "hourly_fetch": "fetch_ticket_events",
        "daily_restatement": "fetch_ticket_events",
        "refresh_names": "fetch_zendesk_names",
        "frequent_fetch": "refresh_open_day",
        "morning_digest": "send_morning_digest",
        "daily_prune": "prune_old_days",
    }
    assert {schedule.default_status for schedule in REPOSITORY.schedule_defs} == {dg.DefaultScheduleStatus.STOPPED}


@pytest.mark.slow
def test_a_withdrawn_row_is_seen_when_its_day_is_restated(deployment):
    breach = {
        "id": 1,
        "ticket_id": 1,
        "metric": "reply_time",
        "instance_id": 1,
        "type": "breach",
        "time": "2026-03-08T09:00:00Z",
    }
    deployment.account.deliver("ticket_metric_events", [breach])
    deployment.fetch("2026-03-07", "2026-03-10")
    deployment.settle()
    assert deployment.table("daily_sla_breach_summary", "2026-03-08")["breaches"].to_pylist() == [1]
    deployment.account.deliver("ticket_metric_events", [{**breach, "deleted": True}])
    deployment.fetch(*requested(daily_restatement, deployment))
    assert deployment.settle() == [("2026-03-08", "2026-03-10")]
    assert deployment.table("daily_sla_breach_summary", "2026-03-08")["breaches"].to_pylist() == []
