"""The sensor: every landed or changed day gets its summary, nothing else requests a run, and no failure is lost."""

import shutil

import dagster as dg
import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.definitions import SCOPE, defs
from ticket_events_pipeline.defs.runs import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG, range_tags
from ticket_events_pipeline.errors import TransientError
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.deployment import deployed
from ticket_events_pipeline_tests.support.events import event
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.sla_roots import put_raw_day, sla_root

DAYS = ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06"]
LATER = Day.parse("2026-03-20").start


@pytest.fixture
def deployment(tmp_path):
    """Without ticket tables: `test_ticket_tables` is about them."""
    with deployed(tmp_path, now=LATER, ticket_tables=False) as running:
        deliver(running)
        yield running


@pytest.fixture
def with_tickets(tmp_path):
    with deployed(tmp_path, now=LATER) as running:
        deliver(running)
        yield running


def deliver(deployment):
    applied = [event(number, f"{day}T09:00:00Z") for number, day in enumerate(DAYS, start=1)]
    deployment.account.deliver("ticket_metric_events", applied)


def breaches(deployment):
    return [sum(deployment.table("daily_sla_breach_summary", day)["breaches"].to_pylist()) for day in DAYS]


def test_five_days_that_land_between_two_ticks_all_get_a_summary_in_one_run(with_tickets):
    assert with_tickets.settle() == []
    for day in reversed(DAYS):
        with_tickets.fetch(day)
    assert with_tickets.settle() == [(DAYS[0], DAYS[-1])]
    assert breaches(with_tickets) == [0, 0, 0, 0, 0]
    assert with_tickets.settle() == []


def test_an_unchanged_day_read_again_requests_no_run(with_tickets):
    with_tickets.fetch(DAYS[0], DAYS[-1])
    with_tickets.settle()
    with_tickets.clock.now += 3600
    with_tickets.fetch(DAYS[0], DAYS[-1])
    assert with_tickets.settle() == []


def test_a_changed_day_restates_every_later_day(deployment):
    deployment.fetch(DAYS[0], DAYS[-1])
    deployment.settle()
    deployment.account.deliver("ticket_metric_events", [event(101, f"{DAYS[1]}T10:00:00Z", "breach", ticket_id=2)])
    deployment.fetch(DAYS[1])
    assert deployment.settle() == [(DAYS[1], DAYS[-1])]
    assert breaches(deployment) == [0, 1, 0, 0, 0]
    open_late = [sum(deployment.table("daily_sla_breach_summary", day)["breached_open_eod"].to_pylist()) for day in DAYS]
    assert open_late == [0, 1, 1, 1, 1]


def test_a_summary_that_failed_is_made_again_but_not_more_than_three_times(deployment):
    deployment.fetch(DAYS[0], DAYS[-1])
    # A file is in the place of a folder.
    (deployment.root / "sla_targets").write_text("in the way")
    requested = []
    for _ in range(5):
        for request in deployment.tick().run_requests or []:
            requested.append(request.run_key)
            assert not deployment.run("summarize_sla_breaches", DAYS[0], DAYS[-1], **request.tags).success
    assert [key.split(":")[1] for key in requested] == ["1", "2", "3"]
    assert len({key.split(":")[0] for key in requested}) == 1
    # A change of what is stored makes it worth another try.
    (deployment.root / "sla_targets").unlink()
    deployment.account.deliver("ticket_metric_events", [event(102, f"{DAYS[-1]}T11:00:00Z", "breach", ticket_id=5)])
    deployment.fetch(DAYS[-1])
    assert deployment.settle() == [(DAYS[0], DAYS[-1])]
    assert breaches(deployment) == [0, 0, 0, 0, 1]


def test_a_day_that_went_from_open_to_complete_is_summarised_again(deployment):
    day = DAYS[-1]
    deployment.clock.now = Day.parse(day).start + 12 * 3600
    deployment.fetch(day)
    assert deployment.settle() == [(day, day)]
    assert deployment.footer("daily_sla_breach_summary", day)["complete"] == "false"
    assert deployment.footer("daily_sla_breach_summary", day)["as_of"] == str(int(deployment.clock.now))
    deployment.clock.now = LATER
    deployment.fetch(day)
    assert deployment.settle() == [(day, day)]
    assert deployment.footer("daily_sla_breach_summary", day)["complete"] == "true"
    assert deployment.footer("daily_sla_breach_summary", day)["as_of"] == str(Day.parse(day).end)


def test_losing_the_cursor_loses_nothing_and_requests_no_run(deployment):
    deployment.fetch(DAYS[0], DAYS[1])
    deployment.settle()
    deployment.cursor = "not a cursor"
    assert deployment.settle() == []
    deployment.fetch(DAYS[2])
    deployment.cursor = None
    assert deployment.settle() == [(DAYS[2], DAYS[2])]


@pytest.mark.slow
def test_days_apart_are_summarised_in_a_run_each(deployment):
    deployment.fetch(DAYS[0])
    deployment.fetch(DAYS[2], DAYS[3])
    assert sorted(deployment.settle()) == [(DAYS[0], DAYS[0]), (DAYS[2], DAYS[3])]
    # The gap closes: the later days were made without its events.
    deployment.fetch(DAYS[1])
    assert deployment.settle() == [(DAYS[1], DAYS[3])]


@pytest.mark.slow
def test_days_fetched_and_summarised_one_by_one_end_like_those_of_one_range(deployment, tmp_path):
    for day in (DAYS[3], DAYS[0], DAYS[4], DAYS[1], DAYS[2]):
        deployment.fetch(day)
        deployment.settle()
    apart = {day: deployment.table("sla_targets", day) for day in DAYS}
    hashes = {day: deployment.footer("sla_clocks", day)["content_hash"] for day in DAYS}
    summaries = {day: deployment.table("daily_sla_breach_summary", day) for day in DAYS}
    assert deployment.run("summarize_sla_breaches", DAYS[0], DAYS[-1]).success
    assert {day: deployment.footer("sla_clocks", day)["content_hash"] for day in DAYS} == hashes
    assert {day: deployment.table("sla_targets", day) for day in DAYS} == apart
    assert {day: deployment.table("daily_sla_breach_summary", day) for day in DAYS} == summaries
    assert deployment.settle() == []


def test_a_run_of_one_day_sets_the_data_version_to_the_hash_of_its_rows(deployment):
    deployment.fetch(DAYS[0])
    key = dg.AssetKey("ticket_metric_events")
    record = deployment.instance.get_latest_materialization_event(key)
    assert (
        record.asset_materialization.tags["dagster/data_version"]
        == deployment.footer(key.to_user_string(), DAYS[0])["content_hash"]
    )


@pytest.mark.parametrize("job", ["fetch_ticket_events", "summarize_sla_breaches"])
def test_no_run_is_requested_while_a_run_over_those_days_is_in_progress(deployment, job):
    deployment.fetch(DAYS[0], DAYS[1])
    running = deployment.instance.create_run_for_job(
        job_def=defs.resolve_job_def(job),
        tags=range_tags(Day.parse(DAYS[1]), Day.parse(DAYS[2])),
        status=dg.DagsterRunStatus.STARTING,
    )
    assert not deployment.tick().run_requests
    deployment.instance.delete_run(running.run_id)
    assert deployment.settle() == [(DAYS[0], DAYS[1])]


@pytest.mark.slow
def test_a_run_over_other_days_does_not_matter(deployment):
    deployment.fetch(DAYS[0], DAYS[1])
    deployment.instance.create_run_for_job(
        job_def=defs.resolve_job_def("fetch_ticket_events"),
        tags=range_tags(Day.parse("2025-01-01"), Day.parse("2025-12-31")),
        status=dg.DagsterRunStatus.STARTED,
    )
    assert deployment.settle() == [(DAYS[0], DAYS[1])]


def test_audits_alone_are_no_landed_day_but_metric_events_in_their_stream_are(deployment):
    audit = {"id": 9, "ticket_id": 1, "timestamp": Day.parse(DAYS[0]).start + 60, "event_type": "Audit", "child_events": []}
    deployment.account.deliver("ticket_events", [audit, event(201, f"{DAYS[1]}T10:00:00Z")])
    assert deployment.materialize("ticket_events", DAYS[0], DAYS[1]).success
    assert deployment.settle() == [(DAYS[1], DAYS[1])]
    assert deployment.table("daily_sla_breach_summary", DAYS[1])["targets_started"].to_pylist() == [1]
    failed = deployment.run("summarize_sla_breaches", DAYS[0])
    (step,) = [event for event in failed.all_events if event.is_step_failure]
    reason = step.step_failure_data.user_failure_data.description
    assert f"{DAYS[0]} can't be summarised: ticket_metric_events of that day has not landed" in reason
    assert f"Materialize ticket_metric_events of {DAYS[0]} first" in reason


@pytest.mark.slow
def test_a_state_that_comes_back_again_and_again_is_summarised_each_time(deployment):
    deployment.fetch(DAYS[0])
    deployment.settle()
    breach = event(101, f"{DAYS[0]}T10:00:00Z", "breach", ticket_id=1)
    for flip in range(6):
        deployment.account.deliver("ticket_metric_events", [{**breach, "deleted": flip % 2 == 1}])
        deployment.fetch(DAYS[0])
        assert deployment.settle() == [(DAYS[0], DAYS[0])]
        assert deployment.table("daily_sla_breach_summary", DAYS[0])["breaches"].to_pylist() == [(flip + 1) % 2]


def test_a_day_summarised_by_hand_restates_the_later_days(deployment):
    """Their raw files are unchanged, but the sla_clocks that they were made from are not."""
    deployment.fetch(DAYS[0], DAYS[-1])
    deployment.settle()
    deployment.account.deliver("ticket_metric_events", [event(101, f"{DAYS[1]}T10:00:00Z", "breach", ticket_id=2)])
    deployment.fetch(DAYS[1])
    assert deployment.run("summarize_sla_breaches", DAYS[1]).success
    assert deployment.settle() == [(DAYS[2], DAYS[-1])]
    assert deployment.table("daily_sla_breach_summary", DAYS[-1])["breached_open_eod"].to_pylist() == [1]


@pytest.mark.parametrize("withdrawn_in", [0, 1])
@pytest.mark.parametrize("fetched_last", [0, 1])
def test_an_event_in_both_streams_is_one_and_the_later_fetch_wins(deployment, withdrawn_in, fetched_last):
    """A breach that one of the streams delivers as withdrawn counts exactly if the other was fetched later."""
    streams = ["ticket_events", "ticket_metric_events"]
    breach = event(1, f"{DAYS[0]}T10:00:00Z", "breach")
    for number, stream in enumerate(streams):
        deployment.account.clear(stream)
        deployment.account.deliver(stream, [{**breach, "deleted": number == withdrawn_in}])
    for stream in (streams[1 - fetched_last], streams[fetched_last]):
        assert deployment.materialize(stream, DAYS[0]).success
        deployment.clock.now += 60
    deployment.settle()
    counted = sum(deployment.table("daily_sla_breach_summary", DAYS[0])["breaches"].to_pylist())
    assert counted == (0 if fetched_last == withdrawn_in else 1)


def test_wrong_credentials_cost_one_request_for_both_streams(deployment, monkeypatch):
    monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", "wrong")
    failed = deployment.run("fetch_ticket_events", DAYS[0], DAYS[1])
    assert [step.step_key for step in failed.all_events if step.is_step_failure] == ["ticket_events", "ticket_metric_events"]
    assert [seen.status for seen in deployment.server.requests] == [401]
    monkeypatch.setenv("ZENDESK_OAUTH_TOKEN", "sandbox")
    deployment.fetch(DAYS[0], DAYS[1])


def test_audits_that_land_after_the_summary_make_it_again_with_their_deletions(deployment):
    """Until then the day counts no deletion, and its footer says so."""
    children = [{"id": 1, "event_type": "Change", "status": "deleted", "previous_value": "open"}]
    audit = {"id": 901, "ticket_id": 2, "timestamp": Day.parse(DAYS[1]).start + 43_200, "child_events": children}
    deployment.account.deliver("ticket_events", [audit])
    assert deployment.materialize("ticket_metric_events", DAYS[0], DAYS[2]).success
    assert deployment.settle() == [(DAYS[0], DAYS[2])]
    assert deployment.footer("daily_sla_breach_summary", DAYS[1])["deletions_through"] == ""
    assert deployment.materialize("ticket_events", DAYS[0], DAYS[2]).success
    assert deployment.settle() == [(DAYS[0], DAYS[2])]
    deleted = [sum(deployment.table("daily_sla_breach_summary", day)["targets_deleted"].to_pylist()) for day in DAYS[:3]]
    still_open = [sum(deployment.table("daily_sla_breach_summary", day)["active_eod"].to_pylist()) for day in DAYS[:3]]
    assert (deleted, still_open) == ([0, 1, 0], [1, 1, 2])
    assert deployment.footer("daily_sla_breach_summary", DAYS[2])["deletions_from"] == DAYS[0]


@pytest.fixture(scope="module")
def made_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    sla_root(root, Clock(1).apply(9, 60).events, Day.parse(DAYS[0]), Day.parse(DAYS[-1]))
    return root


@pytest.fixture
def made(made_root, tmp_path):
    """A deployment whose days were made without Dagster: its log has none of them."""
    with deployed(shutil.copytree(made_root, tmp_path / "root"), now=LATER) as running:
        yield running


def test_days_missing_in_the_log_are_recorded_from_their_files_and_not_made_again(made):
    """The records are those of a run, as far as the footers say."""
    assert made.tick().run_requests == []
    assert made.message == (
        "Every landed day's summary was made from what is stored now. 20 files missing in Dagster's log were recorded in it."
    )
    for asset in ("ticket_metric_events", "sla_clocks", "sla_targets", "daily_sla_breach_summary"):
        assert made.recorded(asset) == set(DAYS)
        record = made.instance.get_latest_materialization_event(dg.AssetKey(asset)).asset_materialization
        assert record.metadata["content_hash"].value == made.footer(asset, record.partition)["content_hash"]
        assert record.metadata["dagster/row_count"].value == made.table(asset, record.partition).num_rows
        assert record.metadata["dagster/uri"].value.startswith(str(made.root))
        assert record.metadata["complete"].value is True
    assert record.metadata["breaches"].value == 0
    assert made.tick().asset_events == []
    assert made.message == "Every landed day's summary was made from what is stored now."


def test_a_limited_number_of_files_is_recorded_per_tick(made, monkeypatch):
    monkeypatch.setattr("ticket_events_pipeline.defs.sensors.new_event_partitions.MAX_RECORDED_PER_TICK", 8)
    counts = []
    for _ in range(4):
        made.tick()
        counts.append(made.message.partition(" were")[0].rpartition(".")[2].strip().partition(" ")[0])
    assert counts[:3] == ["8", "8", "4"]
    assert made.recorded("sla_clocks") == set(DAYS)


def test_a_run_whose_tags_are_no_dates_holds_no_day(made):
    for tags in (
        {PARTITION_TAG: "not a date"},
        range_tags(Day.parse(DAYS[0]), Day.parse(DAYS[1])) | {RANGE_END_TAG: "2026-02-30"},
    ):
        run = made.instance.create_run_for_job(job_def=made.job("fetch_ticket_events"), status=dg.DagsterRunStatus.STARTED)
        made.instance.add_run_tags(run.run_id, tags)
    remove(made, "daily_sla_breach_summary", DAYS[-1])
    assert requested(made.tick()) == [(DAYS[-1], DAYS[-1])]
    assert made.message.startswith(f"{DAYS[-1]}: daily_sla_breach_summary has not been made. A run is requested.")


def test_a_root_that_is_set_wrong_is_the_reason_to_skip(made, monkeypatch):
    monkeypatch.setenv("TICKET_EVENTS_ROOT", "ftp://nowhere")
    assert made.tick().run_requests == []
    assert made.message.startswith("Nothing was compared. ")
    assert "TICKET_EVENTS_ROOT" in made.message
    monkeypatch.setenv("TICKET_EVENTS_ROOT", str(made.root / "empty"))
    assert made.tick().run_requests == []
    assert made.message == f"No day has landed below {made.root / 'empty'}."


def test_the_sensor_needs_no_credentials(made, monkeypatch):
    monkeypatch.delenv("ZENDESK_OAUTH_TOKEN")
    remove(made, "daily_sla_breach_summary", DAYS[-1])
    assert requested(made.tick()) == [(DAYS[-1], DAYS[-1])]


class Refusing(FolderStore):
    """A root with one file that can't be reached."""

    def reader(self, path):
        if path == f"sla_clocks/date={DAYS[1]}/sla_clocks.parquet":
            raise TransientError("503")
        return super().reader(path)


def test_an_unreachable_file_is_named_and_blocks_only_the_days_that_need_it(made, monkeypatch):
    for day in (DAYS[0], DAYS[-1]):
        remove(made, "daily_sla_breach_summary", day)
    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "store", property(lambda _: Refusing(made.root)))
        for _ in range(2):
            assert requested(made.tick()) == [(DAYS[0], DAYS[0])]
        path = made.root / "sla_clocks" / f"date={DAYS[1]}" / "sla_clocks.parquet"
        assert f"{DAYS[1]} to {DAYS[2]}: {path} can't be read now: 503" in made.message
    assert requested(made.tick()) == [(DAYS[0], DAYS[-1])]


def test_no_run_is_requested_before_all_files_were_read(made, monkeypatch):
    remove(made, "daily_sla_breach_summary", DAYS[-1])
    with monkeypatch.context() as patched:
        patched.setattr("ticket_events_pipeline.sla.footer_cache.in_time", lambda *_, **__: [])
        assert made.tick().run_requests == []
    assert made.message.startswith(
        f"0 of 19 files below {made.root} have been compared; the next tick continues, and no run is requested until all are."
    )
    assert requested(made.tick()) == [(DAYS[-1], DAYS[-1])]


def test_raw_files_that_cannot_be_summarised_are_the_reason_to_skip(deployment):
    assert deployment.materialize("ticket_events", DAYS[0]).success
    deployment.tick()
    assert deployment.message.startswith(
        f"No day below {deployment.root} can be summarised yet: of {DAYS[0]}, only ticket_events"
    )


def test_no_day_before_the_first_partition_is_requested(tmp_path):
    """A range with a day that was stored before TICKET_EVENTS_START_DATE moved would fail."""
    first = SCOPE.first_day
    for day in (first.plus(-1), first):
        put_raw_day(tmp_path, [], day)
    with deployed(tmp_path, now=LATER) as deployment:
        (request,) = deployment.tick().run_requests
        assert request.tags[RANGE_START_TAG] == str(first)


def remove(deployment, asset, day):
    shutil.rmtree(deployment.root / asset / f"date={day}")


def requested(result):
    spans = ((request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]) for request in result.run_requests)
    return sorted(spans)
