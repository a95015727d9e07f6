"""Dagster and the commands where days were pruned: nothing misses those, and nothing fetches or makes closed days again."""

from __future__ import annotations

import datetime as dt
import json

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.defs.retention import PRUNE
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.pruned_days import PrunedDays, write_pruned_days
from ticket_events_pipeline_tests.support.commands import new_home, new_place
from ticket_events_pipeline_tests.support.deployment import QUIET, REPOSITORY, ScheduleContext, deployed
from ticket_events_pipeline_tests.support.empty_days import WHOLE, Shelf
from ticket_events_pipeline_tests.support.events import event
from ticket_events_pipeline_tests.support.file_contents import put
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import sla_root

DAYS = ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06"]
LATER = Day.parse("2026-03-20").start
NOON = dt.datetime(2026, 3, 20, 12, 7, tzinfo=dt.UTC)
EVENTS, METRIC, SUMMARY = "ticket_events", "ticket_metric_events", "daily_sla_breach_summary"
PRUNED = PrunedDays(dict.fromkeys((EVENTS, METRIC), dt.date(2026, 3, 4)), dt.date(2026, 3, 5))
"""Two days are gone, three are closed."""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """Five fetched and made days, of which two are pruned; every test leaves nothing to be made."""
    with deployed(tmp_path_factory.mktemp("root"), now=LATER) as running:
        running.account.deliver(METRIC, [event(number, f"{day}T09:00:00Z") for number, day in enumerate(DAYS, start=1)])
        running.fetch(DAYS[0], DAYS[-1])
        running.settle()
        write_pruned_days(running.store, PRUNED)
        for asset in PRUNED.before:
            running.store.delete(*(f"{asset}/date={day}/{asset}.parquet" for day in DAYS[:2]))
        yield running


def test_the_sensor_neither_makes_closed_days_again_nor_misses_pruned_ones(deployment):
    before = deployment.files()
    assert deployment.settle() == []
    assert "not stored" not in deployment.message
    deployment.restart()
    assert deployment.settle() == []
    assert deployment.files() == before


@pytest.mark.slow
def test_a_changed_open_day_is_made_from_the_clocks_of_the_closed_one(deployment):
    deployment.account.deliver(METRIC, [event(101, f"{DAYS[3]}T10:00:00Z", "breach", ticket_id=2)])
    deployment.fetch(DAYS[3])
    assert deployment.settle() == [(DAYS[3], DAYS[-1])]
    assert sum(deployment.table(SUMMARY, DAYS[3])["breached_open_eod"].to_pylist()) == 1
    assert deployment.footer(SUMMARY, DAYS[3])["history_from"] == DAYS[0]


def failure(result):
    return next(entry.step_failure_data for entry in result.all_events if entry.is_step_failure).user_failure_data.description


@pytest.mark.parametrize("job", ["fetch_ticket_events", "summarize_sla_breaches"])
def test_a_run_over_a_closed_day_fails_and_says_which_days_can_be_had(deployment, job):
    before = deployment.files()
    message = failure(deployment.run(job, DAYS[1], DAYS[-1]))
    assert message.startswith(f"{DAYS[1]} is closed: days before {DAYS[3]} are neither fetched nor made again")
    assert f"ticket-events prune --reopen {DAYS[1]}" in message
    assert deployment.files() == before


def test_a_page_of_a_closed_day_can_be_made_and_says_that_its_events_were_pruned(deployment):
    assert deployment.materialize("sla_breach_report", DAYS[1]).success
    page = deployment.files()[f"sla_breach_report/date={DAYS[1]}/sla_breach_report.html"].decode()
    assert "was pruned (TICKET_EVENTS_RETAIN_DAYS)" in page
    assert "pruned before Wednesday, 4 March 2026" in page
    assert "this day is neither fetched nor made again" in page


def test_checks_that_reported_a_pruned_day_are_green_again(deployment):
    asset, check = dg.AssetKey(METRIC), "no_missing_or_duplicate_events"
    reported = dg.AssetCheckEvaluation(asset, check, passed=False, metadata={"days": DAYS[:2]})
    deployment.instance.report_runless_asset_event(reported)
    evaluations = deployment.run("fetch_ticket_events", DAYS[-1]).get_asset_check_evaluations()
    found = next(one for one in evaluations if (one.asset_key, one.check_name) == (asset, check))
    assert found.passed, found.description


def test_a_check_of_a_closed_day_says_that_it_has_to_be_opened_first(deployment):
    asset, check = dg.AssetKey(METRIC), "no_missing_or_duplicate_events"
    path = f"{METRIC}/date={DAYS[2]}/{METRIC}.parquet"
    content = deployment.files()[path]
    reported = dg.AssetCheckEvaluation(asset, check, passed=False, metadata={"days": [DAYS[2]]})
    deployment.instance.report_runless_asset_event(reported)
    deployment.store.delete(path)
    evaluations = deployment.run("fetch_ticket_events", DAYS[-1]).get_asset_check_evaluations()
    put(deployment.store, path, content)
    found = next(one for one in evaluations if (one.asset_key, one.check_name) == (asset, check))
    assert f"The day is closed, so first: `ticket-events prune --reopen {DAYS[2]}`." in found.description


def test_dagsters_own_storage_cannot_wipe_single_days(tmp_path):
    """Why pruned days stay green in the UI. If this fails, daily_prune can wipe them."""
    with dg.DagsterInstance.from_config(str(new_home(tmp_path / "home"))) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(METRIC, partition=DAYS[0]))
        with pytest.raises(NotImplementedError):
            instance.wipe_asset_partitions(dg.AssetKey(METRIC), [DAYS[0]])


def tick(deployment):
    schedule = REPOSITORY.get_schedule_def("daily_prune")
    return schedule(ScheduleContext(deployment.instance, NOON))


def test_the_schedule_skips_without_the_variable_and_is_off(deployment, monkeypatch):
    assert tick(deployment).skip_message == "TICKET_EVENTS_RETAIN_DAYS is not set: nothing is removed."
    assert REPOSITORY.get_schedule_def("daily_prune").default_status == dg.DefaultScheduleStatus.STOPPED
    monkeypatch.setenv("TICKET_EVENTS_RETAIN_DAYS", "30")
    assert "'30' is not a whole number from 75 to 999999" in tick(deployment).skip_message
    monkeypatch.setenv("TICKET_EVENTS_RETAIN_DAYS", "90")
    assert isinstance(tick(deployment), dg.RunRequest)


def test_the_job_removes_what_is_older_than_the_variable_says(tmp_path, monkeypatch):
    today = Day.containing(wall_clock())
    with deployed(tmp_path, now=LATER) as deployment:
        shelf = Shelf(tmp_path)
        for offset in (-80, -79):
            put(shelf, f"ticket_snapshots/date={today.plus(offset)}/a.parquet", b"made")
        job = REPOSITORY.get_job(PRUNE)
        assert job.execute_in_process(run_config=QUIET, instance=deployment.instance).success
        assert len(shelf.paths("ticket_snapshots")) == 2
        monkeypatch.setenv("TICKET_EVENTS_RETAIN_DAYS", "80")
        assert job.execute_in_process(run_config=QUIET, instance=deployment.instance).success
        assert shelf.paths("ticket_snapshots") == [f"ticket_snapshots/date={today.plus(-79)}/a.parquet"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A root of which the first twenty of ninety days are to be pruned, with SLA tables of the last three."""
    place = new_place(tmp_path_factory.mktemp("place"))
    today = Day.containing(wall_clock())
    shelf = Shelf(place.root)
    for stream in (EVENTS, METRIC):
        for offset in range(-90, -3):
            shelf.put_day(stream, today.plus(offset), WHOLE)
    sla_root(place.root, Clock(1).add("activate", 0).events, today.plus(-3), today.plus(-1), audits=[])
    place.variables = {
        "TICKET_EVENTS_ROOT": str(place.root),
        "TICKET_EVENTS_START_DATE": str(today.plus(-3)),
        "DAGSTER_HOME": "",
    }
    return place


def test_the_commands_prune_and_say_what_is_pruned_and_closed(place):
    today = Day.containing(wall_clock())
    before, closed = today.plus(-80), today.plus(-80 + 62)
    asked = ("prune", "--before", str(before), "--asset", EVENTS)
    dry = json.loads(place.ticket_events(*asked, "--dry-run", "--json").output)
    assert (dry["is_dry_run"], dry["files"], dry["closed_before"]) == (True, 10, str(closed))
    text = place.ticket_events(*asked).output
    line = f"  ticket_events before {before}: 10 files of 10 days, {today.plus(-90)} to {today.plus(-81)}"
    assert " ".join(line.split()) in " ".join(text.split())
    assert f"Days before {closed} are closed: they are neither fetched nor made again." in text

    status = place.ticket_events("status").output
    assert f"; pruned before {before}\n" in status
    assert "missing" not in next(line for line in status.splitlines() if line.startswith("  ticket_events "))
    stored = json.loads(place.ticket_events("status", "--json").output)
    assert (stored["stored"][EVENTS]["pruned_before"], stored["closed_before"]) == (str(before), str(closed))
    verified = place.ticket_events("verify", f"{today.plus(-82)}..{before}", "--stream", EVENTS).output
    pruned = [line for line in verified.splitlines() if line.endswith("pruned")]
    assert (len(pruned), any("BAD" in line or " 0 rows" in line for line in pruned)) == (2, False)

    write_pruned_days(FolderStore(place.root), PrunedDays({SUMMARY: before.date}, closed.date))
    summary = place.ticket_events("summary", str(before.plus(-1))).output
    assert f"No summary is stored of {before.plus(-1)}.\nPruned, so no longer stored: {before.plus(-1)}\n" in summary
    missing = place.ticket_events("verify", str(before.plus(-1)), "--stream", EVENTS).output
    assert f"The day is closed, so first: `ticket-events prune --reopen {before.plus(-1)}`." in missing
    since = {"TICKET_EVENTS_START_DATE": str(today.plus(-90))}
    report = place.ticket_events("report", str(before.plus(-1)), **since)
    assert f"Pruned, so no longer stored: {before.plus(-1)}\n" in report.output
    week = place.ticket_events("report", "--week", str(before.plus(7)), **since)
    assert "Closed, so not made again: " in week.output
    assert "backfill" not in report.output + week.output
    reopened = place.ticket_events("prune", "--reopen", str(today.plus(-70)))
    assert f"Days before {today.plus(-70)} are closed" in reopened.output


def test_pruning_an_empty_root_says_that_nothing_is_removed_and_writes_nothing(tmp_path):
    place = new_place(tmp_path)
    place.variables = {"TICKET_EVENTS_ROOT": str(place.root), "TICKET_EVENTS_RETAIN_DAYS": "90", "DAGSTER_HOME": ""}
    assert "No day is closed.\nNothing to remove.\n" in place.ticket_events("prune").output
    assert not place.root.exists() or list(place.root.rglob("*")) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give --before DATE, or set TICKET_EVENTS_RETAIN_DAYS."),
        (("--before", "yesterday"), "--before: 'yesterday' is not a date of the form YYYY-MM-DD."),
        (("--before", "2026-01-01", "--asset", "names"), "--asset names: there is no such asset. Give one of ticket_events, "),
        (("--reopen", "2026-01-01", "--dry-run"), "--reopen is for all assets and removes nothing"),
    ],
)
def test_wrong_usage_is_refused(place, arguments, message):
    ended = place.ticket_events("prune", *arguments)
    assert ended.code == 2
    assert message in " ".join(ended.output.split())
