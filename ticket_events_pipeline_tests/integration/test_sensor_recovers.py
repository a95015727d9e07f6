"""Accidents of Dagster's log and of the files: two ticks repair each, without a request to Zendesk, and report it truthfully.

A tick evaluates the sensor, records the events that it returns, and executes the runs that it requests. Every test begins with
the same five days, fetched, summarised and recorded, on an instance in a folder of its own (SQLite).
"""

import os
import shutil
from contextlib import contextmanager

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline_tests.support.deployment import ASSETS, REPORT, deployed
from ticket_events_pipeline_tests.support.events import event
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import make_sla_days, put_raw_day

DAYS = ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06"]
LATER = Day.parse("2026-03-20").start

SUMMARY = "daily_sla_breach_summary"
SLA = ["sla_clocks", "sla_targets", SUMMARY]
ALL_MADE = "Every landed day's summary was made from what is stored now."
MISSING = "missing in Dagster's log"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A copy of a folder with the root and the DAGSTER_HOME of a deployment that has made five days; and that folder."""
    world = tmp_path_factory.mktemp("made")
    (world / "home").mkdir()
    with deployed(world / "root", now=LATER, home=world / "home") as running:
        running.account.deliver("ticket_metric_events", [event(number, f"{day}T09:00:00Z") for number, day in enumerate(DAYS)])
        running.fetch(DAYS[0], DAYS[-1])
        assert running.settle() == [(DAYS[0], DAYS[-1])]
        assert running.message == ALL_MADE
    return shutil.copytree(world, tmp_path_factory.mktemp("copy") / "world"), world


@pytest.fixture
def world(made):
    """The folder as it was then, at the same path: its DAGSTER_HOME belongs to the root there."""
    copy, world = made
    shutil.rmtree(world)
    return shutil.copytree(copy, world)


@contextmanager
def running(world, *, root="root", home="home"):
    """The deployment, by a code server that has just started."""
    (world / home).mkdir(exist_ok=True)
    with deployed(world / root, now=LATER, home=world / home) as deployment:
        deployment.account.deliver(
            "ticket_metric_events", [event(number, f"{day}T09:00:00Z") for number, day in enumerate(DAYS)]
        )
        deployment.restart()
        yield deployment


@pytest.fixture
def deployment(world):
    with running(world) as deployment:
        yield deployment


def figures(deployment, days=DAYS):
    """The rows of the targets and of the summaries of the days."""
    return {(table, day): deployment.table(table, day) for table in SLA[1:] for day in days}


def heal(deployment):
    """Tick twice: the requested ranges and the messages. A third tick requests nothing, and no tick calls Zendesk."""
    before, requested, messages = len(deployment.server.requests), [], []
    for _ in range(2):
        requests = deployment.tick().run_requests
        messages.append(deployment.message)
        for request in requests:
            span = request.tags["dagster/asset_partition_range_start"], request.tags["dagster/asset_partition_range_end"]
            requested.append(span)
            assert deployment.run_requested(request).success
    assert deployment.tick().run_requests == []
    assert len(deployment.server.requests) == before
    return sorted(requested), messages, deployment.message


def is_recorded(deployment, days=DAYS):
    """Whether the newest record of every day describes its file."""
    for asset in ASSETS:
        key = dg.AssetKey(asset)
        for day in days:
            newest = deployment.instance.fetch_materializations(dg.AssetRecordsFilter(key, asset_partitions=[day]), limit=1)
            metadata = newest.records[0].asset_materialization.metadata if newest.records else {}
            if not metadata or metadata["content_hash"].value != deployment.footer(asset, day)["content_hash"]:
                return False
    return set(days) <= deployment.recorded(REPORT)


def not_stored(day):
    """The sentence about a day whose raw assets have a record and no file."""
    assets = "ticket_events, ticket_metric_events"
    return f"Green in the UI, but not stored: {assets} of {day}. Backfill these days, not only missing ones."


def remove(deployment, asset, day):
    shutil.rmtree(deployment.root / asset / f"date={day}")


def test_a_lost_dagster_home_is_filled_again_from_the_files(world):
    with running(world, home="another home") as deployment:
        truth = figures(deployment)
        requested, messages, in_the_end = heal(deployment)
        assert requested == []
        assert messages == [f"{ALL_MADE} 60 files {MISSING} were recorded in it.", ALL_MADE]
        assert in_the_end == ALL_MADE
        assert is_recorded(deployment)
        assert figures(deployment) == truth


def delete_runs(instance):
    for run in instance.get_runs():
        instance.delete_run(run.run_id)


ACCIDENTS_OF_THE_LOG = {
    "runs deleted or pruned": (delete_runs, 60),
    "dagster run wipe": (lambda instance: instance.wipe(), 60),
    "the summary wiped in the UI": (lambda instance: instance.wipe_assets([dg.AssetKey(SUMMARY)]), 5),
}


@pytest.mark.parametrize("accident", ACCIDENTS_OF_THE_LOG)
@pytest.mark.parametrize("remembers", [True, False], ids=["the same code server", "a new code server"])
def test_records_lost_from_the_log_are_written_again_and_nothing_is_made_again(deployment, accident, remembers):
    harm, lost = ACCIDENTS_OF_THE_LOG[accident]
    if remembers:
        deployment.tick()
        assert deployment.message == ALL_MADE
    truth = figures(deployment)
    harm(deployment.instance)
    assert not is_recorded(deployment)
    requested, messages, in_the_end = heal(deployment)
    assert requested == []
    assert messages == [f"{ALL_MADE} {lost} files {MISSING} were recorded in it.", ALL_MADE]
    assert in_the_end == ALL_MADE
    assert is_recorded(deployment)
    assert figures(deployment) == truth


def test_after_a_lost_dagster_home_a_fetched_day_costs_one_run(world):
    """Also while the days before it are not recorded yet: the files decide, not Dagster's log."""
    day = "2026-03-07"
    with running(world, home="another home") as deployment:
        deployment.fetch(DAYS[-1], day)
        deployment.clock.now += 60
        assert deployment.settle() == [(day, day)]
        assert deployment.message.startswith(ALL_MADE)
        deployment.fetch(day)
        assert deployment.settle() == []
        assert deployment.message == ALL_MADE


def test_days_that_a_killed_command_line_left_unrecorded_are_summarised_and_recorded(world):
    """Its files are stored, but its DAGSTER_HOME has no record of them; a full disk leaves the same."""
    day = "2026-03-07"
    with running(world, home="of the killed one") as killed:
        killed.fetch(day)
    with running(world) as deployment:
        requested, messages, in_the_end = heal(deployment)
        assert requested == [(day, day)]
        assert messages[0] == (
            f"{day}: sla_clocks has not been made. A run is requested. 3 files {MISSING} were recorded in it."
        )
        assert in_the_end == ALL_MADE
        assert is_recorded(deployment, [*DAYS, day])


def test_raw_days_reported_by_hand_have_not_landed(deployment):
    """Neither a day without a file, nor a key that is no date; and a stored day is recorded again from its file."""
    for asset in ASSETS:
        for partition in ("2026-03-09", "not a date", "2026-02-30", "", DAYS[1]):
            deployment.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition))
    requested, messages, in_the_end = heal(deployment)
    assert requested == []
    green = f"{ALL_MADE} {not_stored('2026-03-09')}"
    assert messages == [f"{green} 11 files {MISSING} were recorded in it.", green]
    assert in_the_end == green
    assert is_recorded(deployment)


def test_when_all_folders_of_a_day_are_deleted_the_ranges_on_both_sides_are_made(deployment):
    for asset in (*ASSETS, REPORT):
        remove(deployment, asset, DAYS[2])
    remove(deployment, SUMMARY, DAYS[0])
    requested, messages, in_the_end = heal(deployment)
    assert requested == [(DAYS[0], DAYS[1]), (DAYS[3], DAYS[4])]
    assert messages[0] == (
        f"{DAYS[0]} to {DAYS[1]}: daily_sla_breach_summary has not been made. "
        f"{DAYS[3]} to {DAYS[4]}: sla_clocks was made from another file of sla_clocks of the day before than is stored now. "
        f"A run is requested. {not_stored(DAYS[2])}"
    )
    assert in_the_end == f"{ALL_MADE} {not_stored(DAYS[2])}"
    left = [*DAYS[:2], *DAYS[3:]]
    assert is_recorded(deployment, left)
    assert sum(deployment.table(SUMMARY, DAYS[-1])["active_eod"].to_pylist()) == 4


def test_sla_files_that_are_deleted_by_hand_are_made_again_however_often(deployment):
    truth = figures(deployment)
    for _ in range(3):
        for asset in SLA:
            remove(deployment, asset, DAYS[1])
        requested, _, in_the_end = heal(deployment)
        assert requested == [(DAYS[1], DAYS[-1])]
        assert in_the_end == ALL_MADE
        assert figures(deployment) == truth


def test_an_old_backup_of_one_asset_is_made_again(deployment):
    """Whichever it is; its modification times are those of the backup."""
    backup = shutil.copytree(deployment.root, deployment.root.parent / "backup")
    second, last = Day.parse(DAYS[1]), Day.parse(DAYS[-1])
    put_raw_day(deployment.root, Clock(9, first_id=900).apply(33, 60).events, second)
    make_sla_days(deployment.root, second, last)
    truth = figures(deployment)
    for asset in SLA:
        shutil.rmtree(deployment.root / asset)
        shutil.copytree(backup / asset, deployment.root / asset)
        requested, _, in_the_end = heal(deployment)
        assert requested == [(DAYS[1], DAYS[-1])]
        assert in_the_end == ALL_MADE
        assert figures(deployment) == truth
        assert is_recorded(deployment)


def test_a_damaged_raw_file_is_named_and_blocks_no_other_day(deployment):
    path = deployment.root / "ticket_metric_events" / f"date={DAYS[2]}" / "ticket_metric_events.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    for day in (DAYS[1], DAYS[4]):
        remove(deployment, SUMMARY, day)
    requested, messages, in_the_end = heal(deployment)
    assert requested == [(DAYS[1], DAYS[1]), (DAYS[3], DAYS[4])] or requested == [(DAYS[1], DAYS[1]), (DAYS[4], DAYS[4])]
    for text in (messages[0], in_the_end):
        assert f"{DAYS[2]}: {path} " in text
        assert f"Materialize ticket_metric_events of {DAYS[2]} again to replace it." in text
    assert in_the_end.endswith("No run is requested over a day that can't be made.")
    deployment.fetch(DAYS[2])
    deployment.settle()
    assert deployment.message == ALL_MADE


def test_damaged_rows_are_named_and_block_no_day_before(deployment):
    """The footer is intact, so the sensor can't see the damage; the run that reads the rows fails at that day."""
    truth = figures(deployment, DAYS[:2])
    path = deployment.root / "ticket_metric_events" / f"date={DAYS[2]}" / "ticket_metric_events.parquet"
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    for asset in SLA:
        for day in DAYS:
            remove(deployment, asset, day)
    assert deployment.settle() == [(DAYS[0], DAYS[-1]), (DAYS[0], DAYS[1]), *[(DAYS[2], DAYS[-1])] * 3]
    assert f"{DAYS[2]} to {DAYS[-1]}: sla_clocks has not been made. 3 runs have failed on it" in deployment.message
    assert figures(deployment, DAYS[:2]) == truth
    deployment.clock.now += 60
    deployment.fetch(DAYS[2])
    deployment.settle()
    assert deployment.message.startswith(ALL_MADE)


def test_days_after_a_gap_are_made_again_when_the_days_before_the_gap_change(deployment):
    """They were made from a replay of stored events: no file of the day before says what it was made from."""
    for asset in (*ASSETS, REPORT):
        remove(deployment, asset, DAYS[2])
    deployment.settle()
    put_raw_day(deployment.root, Clock(9, first_id=900).apply(33, 60).events, Day.parse(DAYS[1]))
    requested, messages, in_the_end = heal(deployment)
    assert requested == [(DAYS[1], DAYS[1]), (DAYS[3], DAYS[4])]
    assert f"{DAYS[3]} to {DAYS[4]}: sla_clocks was made from" in messages[0]
    assert in_the_end == f"{ALL_MADE} {not_stored(DAYS[2])}"
    healed = figures(deployment, DAYS[3:])
    make_sla_days(deployment.root, Day.parse(DAYS[3]), Day.parse(DAYS[4]))
    assert figures(deployment, DAYS[3:]) == healed


def test_a_damaged_sla_file_is_made_again(deployment):
    truth = figures(deployment)
    path = deployment.root / "sla_targets" / f"date={DAYS[2]}" / "sla_targets.parquet"
    path.write_bytes(b"PAR1")
    requested, messages, in_the_end = heal(deployment)
    assert requested == [(DAYS[2], DAYS[-1])]
    assert str(path) in messages[0]
    assert in_the_end == ALL_MADE
    assert figures(deployment) == truth


def test_runs_with_another_root_fail_and_are_requested_three_times(deployment, world):
    remove(deployment, SUMMARY, DAYS[-1])
    elsewhere = shutil.copytree(world / "root", world / "elsewhere")
    requested = []
    for _ in range(5):
        for request in deployment.tick().run_requests:
            os.environ["TICKET_EVENTS_ROOT"] = str(elsewhere)
            requested.append(deployment.run("summarize_sla_breaches", DAYS[-1], **request.tags).success)
            os.environ["TICKET_EVENTS_ROOT"] = str(deployment.root)
    assert requested == [False] * 3
    assert deployment.message.startswith(
        f"{DAYS[-1]}: {SUMMARY} has not been made. 3 runs have failed on it: see their errors."
    )
    assert not (elsewhere / SUMMARY / f"date={DAYS[-1]}").exists()
    # Another state of the same day starts with no attempts.
    remove(deployment, "sla_targets", DAYS[-1])
    assert deployment.settle() == [(DAYS[-1], DAYS[-1])]
    assert deployment.message.startswith(ALL_MADE)


def test_files_that_are_deleted_before_the_sensor_has_read_them_are_made_once_more(deployment):
    remove(deployment, SUMMARY, DAYS[-1])
    (request,) = deployment.tick().run_requests
    assert deployment.run("summarize_sla_breaches", DAYS[-1], **request.tags).success
    remove(deployment, SUMMARY, DAYS[-1])
    requested, _, in_the_end = heal(deployment)
    assert requested == [(DAYS[-1], DAYS[-1])]
    assert in_the_end == ALL_MADE


def test_days_of_a_run_in_progress_are_neither_requested_nor_recorded(deployment):
    remove(deployment, SUMMARY, DAYS[-1])
    deployment.instance.wipe_assets([dg.AssetKey("sla_targets")])
    job = deployment.job("fetch_ticket_events")
    tags = {"dagster/asset_partition_range_start": DAYS[1], "dagster/asset_partition_range_end": DAYS[-1]}
    run = deployment.instance.create_run_for_job(job_def=job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert deployment.tick().run_requests == []
    assert deployment.message == (
        f"{DAYS[-1]}: {SUMMARY} has not been made. run {run.run_id} is not over yet. These days wait for it. "
        f"1 file {MISSING} was recorded in it."
    )
    deployment.instance.delete_run(run.run_id)
    assert deployment.settle() == [(DAYS[-1], DAYS[-1])]
    assert is_recorded(deployment)
