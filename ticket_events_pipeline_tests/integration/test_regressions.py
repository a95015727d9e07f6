"""Faults that were found by trying to break the pipeline, each with what it does now instead."""

import resource

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.definitions import SCOPE
from ticket_events_pipeline.errors import ForeignRootError, UsageError
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.ingest.ownership import Ownership
from ticket_events_pipeline.sandbox.answers import json_answer
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.sla.build import make_clocks
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline.zendesk.client import WalkedPage
from ticket_events_pipeline.zendesk.page import EventPage
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.deployment import deployed
from ticket_events_pipeline_tests.support.events import event
from ticket_events_pipeline_tests.support.fetches import Moment, fetch, stored_ids
from ticket_events_pipeline_tests.support.sla_roots import put_raw_day
from ticket_events_pipeline_tests.support.streams import TICKET_METRIC_EVENTS

DAY, NEXT_DAY = "2026-03-02", "2026-03-03"
LATER = Day.parse("2026-03-20").start
OTHER = {"ticket_events": "ticket_metric_events", "ticket_metric_events": "ticket_events"}

clock = Moment(LATER)


@pytest.fixture
def server():
    with SandboxServer(RecordedAccount(), clock=clock) as running:
        yield running


@pytest.mark.parametrize("stream", list(OTHER))
def test_a_root_is_refused_for_what_the_other_stream_holds_too(tmp_path, server, stream):
    """Or the SLA tables would mix two accounts."""
    fetch(server, tmp_path, stream, DAY, DAY, clock=clock, account="acme")
    asked = len(server.requests)
    with pytest.raises(ForeignRootError, match="ZENDESK_SUBDOMAIN: its files have acme, this fetch has other"):
        fetch(server, tmp_path, OTHER[stream], NEXT_DAY, NEXT_DAY, clock=clock, account="other")
    with pytest.raises(ForeignRootError, match="TICKET_EVENTS_TIMEZONE: its files have UTC, this fetch has Asia/Kolkata"):
        fetch(server, tmp_path, OTHER[stream], NEXT_DAY, NEXT_DAY, clock=clock, account="acme", timezone="Asia/Kolkata")
    assert len(server.requests) == asked


def test_comments_in_one_stream_are_no_reason_to_refuse_the_other(tmp_path, server):
    fetch(server, tmp_path, "ticket_events", DAY, DAY, clock=clock, sideload=True)
    fetch(server, tmp_path, "ticket_metric_events", DAY, DAY, clock=clock)
    fetch(server, tmp_path, "ticket_events", DAY, NEXT_DAY, clock=clock, sideload=True)


def test_days_of_another_timezone_are_not_summarised(tmp_path, server):
    """Their events would be counted on the wrong days, and nothing would show it."""
    fetch(server, tmp_path, "ticket_metric_events", DAY, DAY, clock=clock)
    with pytest.raises(ForeignRootError, match="as a day of UTC, but TICKET_EVENTS_TIMEZONE is Asia/Kolkata"):
        list(make_clocks(FolderStore(tmp_path), [Day.parse(DAY, "Asia/Kolkata")]))


def test_a_folder_whose_name_is_no_date_is_nobodys_day(tmp_path, server):
    folder = tmp_path / "ticket_events" / "date=2026-02-30"
    folder.mkdir(parents=True)
    (folder / "ticket_events.parquet").write_bytes(b"not ours")
    fetch(server, tmp_path, "ticket_events", DAY, DAY, clock=clock)
    assert stored_days(FolderStore(tmp_path), "ticket_events", "UTC") == [Day.parse(DAY)]


def test_what_is_in_the_way_of_a_file_is_named_before_anything_is_fetched(tmp_path, server):
    (tmp_path / "ticket_events" / f"date={DAY}" / "ticket_events.parquet").mkdir(parents=True)
    (tmp_path / "ticket_metric_events").write_text("in the way")
    with pytest.raises(UsageError, match=r"TICKET_EVENTS_ROOT: can't read .*ticket_events\.parquet: Is a directory"):
        fetch(server, tmp_path, "ticket_events", DAY, DAY, clock=clock)
    with pytest.raises(UsageError, match=r"TICKET_EVENTS_ROOT: can't read .*: Not a directory"):
        fetch(server, tmp_path, "ticket_metric_events", DAY, DAY, clock=clock)
    assert server.requests == []


def test_a_full_disk_is_told_as_such_and_leaves_nothing_half_written(tmp_path):
    store = FolderStore(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(UsageError, match="TICKET_EVENTS_ROOT: can't write below"), store.writer("a/b") as file:
            file.write(bytes(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.paths("") == []


def test_an_event_dated_ahead_that_has_moved_does_not_stay_on_its_open_day(tmp_path):
    """The day is resumed before that event's time: what is read again replaces what was stored of it."""
    day = Day.parse(DAY)
    moment = Moment(day.start + 12 * 3600)
    planned = event(1, f"{DAY}T20:00:00Z", "breach")
    account = RecordedAccount({"ticket_metric_events": [planned, event(2, f"{DAY}T08:00:00Z")]})
    with SandboxServer(account, clock=moment) as server:
        fetch(server, tmp_path, "ticket_metric_events", DAY, DAY, clock=moment)
        assert stored_ids(tmp_path, "ticket_metric_events", day) == [2, 1]
        account.deliver("ticket_metric_events", [{**planned, "time": f"{NEXT_DAY}T09:00:00Z"}])
        moment.now = day.end + 86_400 + 3600
        fetch(server, tmp_path, "ticket_metric_events", DAY, NEXT_DAY, clock=moment)
    assert stored_ids(tmp_path, "ticket_metric_events", day) == [2]
    assert stored_ids(tmp_path, "ticket_metric_events", day.plus(1)) == [1]


def test_every_request_is_counted_where_the_server_tells_no_time(tmp_path):
    """The page that only tells that the day is over belongs to no ledger, but it was asked for."""
    day = Day.parse(DAY)

    class Timeless:
        def pages(self, stream, start_time):
            for end_time in (day.end + 400, day.end + 900):
                page = EventPage(stream, start_time, [], 0, end_time, False, None, None)
                yield WalkedPage(page, watermark=end_time, at_end=False, requests=1)
                start_time = end_time

    (done,) = fetch_days(
        Timeless(),
        FolderStore(tmp_path),
        stream=TICKET_METRIC_EVENTS,
        days=[day],
        ownership=Ownership("acme", "UTC", False),
        clock=clock,
        log=lambda _: None,
    )
    assert done.footer.complete
    assert done.footer.requests == 2


def test_a_range_that_ends_before_it_begins_is_named(tmp_path):
    with deployed(tmp_path, now=LATER) as deployment:
        failed = deployment.run("fetch_ticket_events", NEXT_DAY, DAY)
        told = [found.step_failure_data.user_failure_data.description for found in failed.all_events if found.is_step_failure]
        assert set(told) == {"The range has no day: its end is before its start."}
        assert deployment.server.requests == []


def test_the_sensor_asks_for_no_day_before_the_first_partition(tmp_path):
    """A day that landed before TICKET_EVENTS_START_DATE was moved would make every range with it fail."""
    first = SCOPE.first_day
    for day in (first.plus(-1), first):
        put_raw_day(tmp_path, [], day)
    with deployed(tmp_path, now=LATER) as deployment:
        (request,) = deployment.tick().run_requests
        assert request.tags["dagster/asset_partition_range_start"] == str(first)


def test_a_first_partition_that_leaves_nothing_to_show_is_named(tmp_path):
    ended = new_place(tmp_path).ticket_events("demo", TICKET_EVENTS_START_DATE="2199-01-01")
    assert (ended.code, ended.output.count("\n")) == (1, 1)
    assert "TICKET_EVENTS_START_DATE: 2199-01-01 leaves no closed day to show" in ended.output


def test_the_sandbox_says_which_port_is_taken_and_which_volume_is_too_large(tmp_path):
    place = new_place(tmp_path)
    with SandboxServer(RecordedAccount()) as other:
        port = other.base_url.rpartition(":")[2]
        ended = place.ticket_events("sandbox", "--port", port)
    assert (ended.code, ended.output.count("\n")) == (1, 1)
    assert f"--port {port} can't be used: Address already in use" in ended.output
    assert place.ticket_events("sandbox", "--port", "0", "--tickets-per-day", "40001").code == 2


def test_the_commands_heed_the_dotenv_file_that_a_run_would_get(tmp_path):
    """Dagster reads it in the working folder, and it overrides what is exported."""
    (tmp_path / ".env").write_text("ZENDESK_SANDBOX=1\nTICKET_EVENTS_TIMEZONE=Asia/Kolkata\n")
    ended = new_place(tmp_path).ticket_events("doctor", TICKET_EVENTS_TIMEZONE="Mars/Olympus")
    assert ended.code == 0, ended.output
    assert "account sandbox, days of Asia/Kolkata" in ended.output


def test_a_home_of_dagster_that_does_not_exist_is_named(tmp_path):
    ended = new_place(tmp_path).ticket_events("demo", DAGSTER_HOME=str(tmp_path / "nowhere"))
    assert ended.code == 1
    assert "Traceback" not in ended.output
    assert "Make that folder, or unset DAGSTER_HOME." in ended.output


def test_what_lies_behind_the_rows_read_again_stays_on_a_resumed_day(tmp_path):
    """A server that answers "too recent" has read nothing again: what is stored is all that is known."""
    day = Day.parse(DAY)
    moment = Moment(day.start + 12 * 3600)
    account = RecordedAccount({"ticket_metric_events": [event(1, f"{DAY}T08:00:00Z"), event(2, f"{DAY}T20:00:00Z", "breach")]})
    with SandboxServer(account, clock=moment) as server:
        fetch(server, tmp_path, "ticket_metric_events", DAY, DAY, clock=moment)
        too_recent = {"error": "InvalidValue", "description": "Too recent start_time. Use a start_time older than 15 minutes"}
        server.script(json_answer(422, too_recent))
        (done,) = fetch(server, tmp_path, "ticket_metric_events", DAY, DAY, clock=moment)
    assert not done.footer.complete
    assert stored_ids(tmp_path, "ticket_metric_events", day) == [1, 2]
