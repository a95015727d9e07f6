"""The commands that a person types, as processes of their own against a server that plays the account."""

import datetime as dt
import math
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from zoneinfo import ZoneInfo

import pytest

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sandbox.answers import json_answer
from ticket_events_pipeline.sandbox.paging import cut_page
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import read_partition
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline_tests.support.checkout import CHECKOUT
from ticket_events_pipeline_tests.support.commands import BIN, DEFINITIONS, INVALID_TOKEN, new_place
from ticket_events_pipeline_tests.support.deployment import ASSETS, REPORT, deployed

STREAMS = ("ticket_events", "ticket_metric_events")
FIRST, LAST = "2026-03-01", "2026-03-21"
FORBIDDEN = json_answer(403, {"error": "Forbidden", "description": "You do not have access"})
SET_CREDENTIALS = "set ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET"


def iso(time):
    return dt.datetime.fromtimestamp(time, dt.UTC).isoformat().replace("+00:00", "Z")


def metric_event(number, time):
    sla = {"target": 60, "business_hours": False, "policy": {"id": 11, "title": "Standard"}}
    kind = ("activate", "apply_sla", "breach", "fulfill")[number % 4]
    base = {"id": number, "ticket_id": number % 97, "metric": "reply_time", "instance_id": 1, "type": kind, "time": iso(time)}
    return {**base, "sla": sla} if kind == "apply_sla" else base


def audit(number, time):
    base = {"id": number, "ticket_id": number % 97, "timestamp": time, "created_at": iso(time), "event_type": "Audit"}
    return {**base, "child_events": [{"id": -number, "event_type": "Change", "status": "open"}]}


def hard_stream(make, timezone):
    """Rows around 1 to 21 March with everything that makes paging hard, by id; ids say nothing about the order."""
    midnights = [int(dt.datetime(2026, 3, day, tzinfo=ZoneInfo(timezone)).timestamp()) for day in range(1, 23)]
    before, after = midnights[0] - 2 * 86_400, midnights[-1] + 2 * 86_400
    rng = random.Random(7)  # noqa: S311 - the same rows every time
    times = [rng.randrange(before, after) for _ in range(3500)]
    times += [time + delta for time in midnights for delta in (-1, 0, 0, 1, 0)]
    times += [midnights[4]] * 1300 + [midnights[9] + 40_000] * 2100  # bursts in a second, larger than a page
    times += [second for second in range(midnights[14] + 50_000, midnights[14] + 50_200) for _ in range(9)]  # edges repeat
    times += [4_000_000_000 + number for number in range(5)]  # dated far ahead, as planned breaches are
    ids = rng.sample(range(1, 10 * len(times)), len(times))
    return [make(number, time) for number, time in zip(ids, times, strict=True)]


def hard_account(timezone="UTC"):
    """The account, and the ids of every local day of each stream in the order (time, id)."""
    rows = {"ticket_events": hard_stream(audit, timezone), "ticket_metric_events": hard_stream(metric_event, timezone)}
    truth = {}
    for stream, given in rows.items():
        days = defaultdict(list)
        for moment, number in sorted((_moment(row), row["id"]) for row in given):
            days[str(dt.datetime.fromtimestamp(moment, ZoneInfo(timezone)).date())].append(number)
        truth[stream] = days
    return RecordedAccount(rows), truth


def _moment(row):
    return row.get("timestamp") or int(dt.datetime.fromisoformat(row["time"]).timestamp())


def requests_of(server, stream):
    return [seen for seen in server.requests if seen.path.endswith(f"/{stream}")]


def rows_sent(server, account, stream):
    """How many rows the server has put on its pages of `stream`, duplicates included."""
    starts = [int(seen.query["start_time"]) for seen in requests_of(server, stream)]
    # Ticket events are withheld for a minute; none of the rows is that young but those dated ahead.
    until = time.time() if stream == "ticket_events" else math.inf
    rows = ((start, (row for row in account.rows(stream, start, now=0) if row.time < until)) for start in starts)
    return sum(len(cut_page(ahead, start).rows) for start, ahead in rows)


def ids_of(place, stream, day):
    table = read_partition(FolderStore(place.root), stream, Day.parse(day), columns=["id"])
    return None if table is None else table["id"].to_pylist()


def march(first=1, last=21):
    return [f"2026-03-{day:02d}" for day in range(first, last + 1)]


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("timezone", "end_of_stream"),
    [
        ("UTC", "absent"),
        ("UTC", "present"),
        ("America/New_York", "absent"),  # its clock changes on 8 March
        ("Asia/Kolkata", "present"),
    ],
)
@slow
def test_a_range_of_everything_holds_each_event_once_in_its_own_day(tmp_path, timezone, end_of_stream):
    """At the cost of at most one request per thousand rows sent, plus four, for each stream."""
    account, truth = hard_account(timezone)
    with SandboxServer(account, end_of_stream=end_of_stream) as server:
        place = new_place(tmp_path, server, TICKET_EVENTS_TIMEZONE=timezone)
        ended = place.materialize("*", FIRST, LAST)
        assert ended.code == 0, ended.output[-3000:]
        for stream in STREAMS:
            assert {day: ids_of(place, stream, day) for day in march()} == {day: truth[stream][day] for day in march()}
            requests = len(requests_of(server, stream))
            assert requests <= math.ceil(rows_sent(server, account, stream) / 1000) + 4
            footers = [read_raw_footer(FolderStore(place.root), stream, Day.parse(day, timezone)) for day in march()]
            assert all(footer.complete for footer in footers)
            assert sum(footer.requests for footer in footers) == requests
    for asset in ASSETS:
        assert place.recorded_days(asset) == set(march())
        assert FolderStore(place.root).paths(asset) == [f"{asset}/date={day}/{asset}.parquet" for day in march()]


@pytest.mark.slow
def test_wrong_credentials_cost_one_request_and_change_nothing(tmp_path):
    """The error names the variable and what to do, and the token is in no output and no file."""
    with SandboxServer(RecordedAccount({"ticket_metric_events": [metric_event(1, 1_772_500_000)]})) as server:
        place = new_place(tmp_path, server)
        assert place.materialize("ticket_metric_events", "2026-03-02", "2026-03-03").code == 0
        files, already = place.files(), len(server.requests)
        ended = place.materialize("ticket_metric_events", "2026-03-02", "2026-03-04", ZENDESK_OAUTH_TOKEN=INVALID_TOKEN)
        assert [seen.status for seen in server.requests[already:]] == [401]
    assert ended.code == 1
    assert "answered 401 (Couldn't authenticate you). The credentials are wrong or expired" in ended.output
    assert "retrying cannot clear this. Check ZENDESK_OAUTH_TOKEN." in ended.output
    assert place.files() == files
    assert INVALID_TOKEN not in ended.output
    assert place.holds(INVALID_TOKEN) == []
    # Dagster prints the frames that led to the message; those below the asset would hide it.
    assert "zendesk/client.py" not in ended.output
    assert "above exception" not in ended.output


@slow
@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"ZENDESK_EMAIL": "a@example.com", "ZENDESK_API_TOKEN": INVALID_TOKEN}, "ZENDESK_EMAIL and ZENDESK_API_TOKEN"),
        ({"ZENDESK_EMAIL": "a@example.com", "ZENDESK_PASSWORD": INVALID_TOKEN}, "ZENDESK_EMAIL and ZENDESK_PASSWORD"),
        (
            {"ZENDESK_OAUTH_CLIENT_ID": "sandbox", "ZENDESK_OAUTH_CLIENT_SECRET": INVALID_TOKEN},
            "ZENDESK_OAUTH_CLIENT_ID and ZENDESK_OAUTH_CLIENT_SECRET",
        ),
    ],
)
def test_wrong_credentials_of_every_kind_are_named_and_never_shown(tmp_path, variables, named):
    """A run of both streams sends one request for both."""
    with SandboxServer(RecordedAccount()) as server:
        place = new_place(tmp_path, ZENDESK_BASE_URL=server.base_url, **variables)
        ended = place.materialize("*", "2026-03-02", "2026-03-04")
        assert len(server.requests) == 1
    assert ended.code == 1
    assert named in ended.output
    assert INVALID_TOKEN not in ended.output
    assert place.holds(INVALID_TOKEN) == []
    assert place.files() == {}


def test_without_any_variable_a_run_says_in_one_message_what_to_set(tmp_path):
    """Exit code 1, and no file."""
    place = new_place(tmp_path)
    place.variables.clear()
    ended = place.materialize("ticket_events", "2026-03-02")
    assert ended.code == 1
    assert "ZENDESK_SUBDOMAIN is not set" in ended.output
    assert SET_CREDENTIALS in ended.output
    assert "or ZENDESK_SANDBOX=1 to try it without an account" in ended.output
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["home"]


def test_without_any_variable_the_definitions_load(tmp_path):
    """Without them the UI would not open."""
    place = new_place(tmp_path)
    place.variables.clear()
    loaded = place.run(sys.executable, "-c", "import ticket_events_pipeline.definitions")
    assert (loaded.code, loaded.output) == (0, "")


@slow
def test_dg_finds_the_assets_from_a_clean_checkout(tmp_path):
    place = new_place(tmp_path)
    place.variables.clear()
    validated = place.run(sys.executable, "-m", "dagster", "definitions", "validate", "-m", DEFINITIONS)
    assert validated.code == 0, validated.output
    checked = place.run(str(BIN / "dg"), "check", "defs", cwd=CHECKOUT)
    assert checked.code == 0, checked.output
    listed = place.run(str(BIN / "dg"), "list", "defs", "--json", cwd=CHECKOUT)
    assert listed.code == 0, listed.output
    for name in (*ASSETS, REPORT, "fetch_ticket_events", "hourly_fetch", "daily_restatement", "new_event_partitions_sensor"):
        assert f'"{name}"' in listed.output


@slow
def test_a_day_in_the_middle_that_fails_leaves_the_finished_ones_recorded(tmp_path):
    """Their files stay, the later days have none; once the server answers again, a second run makes the rest."""
    times = {day: Day.parse(day).start for day in march(1, 6)}
    rows = [metric_event(10_000 * number + n, times[day] + 80 * n) for number, day in enumerate(times) for n in range(999)]
    with SandboxServer(RecordedAccount({"ticket_metric_events": rows})) as server:
        place = new_place(tmp_path, server)
        server.script(None, None, None, FORBIDDEN)
        failed = place.materialize("ticket_metric_events", "2026-03-01", "2026-03-06")
        assert failed.code == 1
        assert "answered 403" in failed.output
        done = place.recorded_days("ticket_metric_events")
        assert done == set(march(1, len(done)))
        assert 2 <= len(done) <= 3
        assert len(place.files()) == len(done)
        again = place.materialize("ticket_metric_events", max(done), "2026-03-06")
        assert again.code == 0
    assert place.recorded_days("ticket_metric_events") == set(march(1, 6))
    for day in march(1, 6):
        assert len(ids_of(place, "ticket_metric_events", day)) == 999


class Unhurried:
    """An account that answers slowly, so that there is time to end a run."""

    name = "recorded"

    def __init__(self, account):
        self.account = account

    def rows(self, *arguments, **options):
        time.sleep(0.5)
        return self.account.rows(*arguments, **options)


@slow
@pytest.mark.parametrize(("ended_by", "recorded"), [(signal.SIGTERM, True), (signal.SIGKILL, False)])
def test_a_run_that_is_ended_from_outside_leaves_whole_days(tmp_path, ended_by, recorded):
    """A terminated run records them, too; the next run makes everything."""
    account, truth = hard_account()
    stream = "ticket_metric_events"
    with SandboxServer(Unhurried(account)) as server:
        place = new_place(tmp_path, server)
        command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", DEFINITIONS, "--select", stream]
        command += ["--partition-range", f"{FIRST}...{LAST}"]
        with subprocess.Popen(command, cwd=tmp_path, env=place.env(), stderr=subprocess.DEVNULL) as run:
            while len(server.requests) < 5:
                time.sleep(0.05)
            run.send_signal(ended_by)
            assert run.wait(timeout=60) == (1 if recorded else -ended_by)
        whole = [day for day in march() if ids_of(place, stream, day) is not None]
        assert 0 < len(whole) < 21
        assert whole == march(1, len(whole))
        assert [ids_of(place, stream, day) for day in whole] == [truth[stream][day] for day in whole]
        recorded_days = place.recorded_days(stream)
        # The signal may fall between the naming of a file and its recording: that day is made again.
        assert recorded_days in (set(whole), set(whole[:-1])) if recorded else recorded_days == set()
        assert place.materialize(stream, FIRST, LAST).code == 0
    assert {day: ids_of(place, stream, day) for day in march()} == {day: truth[stream][day] for day in march()}


@slow
def test_an_overfull_second_is_an_error_and_keeps_the_days_before(tmp_path):
    account, truth = hard_account()
    with SandboxServer(account, pinned=True) as server:
        place = new_place(tmp_path, server)
        ended = place.materialize("ticket_metric_events", FIRST, LAST)
    assert ended.code == 1
    assert "the second 2026-03-05T00:00:00Z (start_time=1772668800) holds more events than the server puts on" in ended.output
    # The burst is at the midnight that ends the 4th: the stream is not past that day by its lag, and the day stays open.
    assert place.recorded_days("ticket_metric_events") == set(march(1, 4))
    stored = {day: ids_of(place, "ticket_metric_events", day) for day in march(1, 4)}
    assert stored == {day: truth["ticket_metric_events"][day] for day in march(1, 4)}
    footers = [read_raw_footer(FolderStore(place.root), "ticket_metric_events", Day.parse(day)) for day in march(1, 5)]
    assert [footer and footer.complete for footer in footers] == [True, True, True, False, None]


@slow
def test_one_day_today_a_range_and_all_days_can_be_materialised(tmp_path):
    today = Day.containing(time.time())
    latest = int(time.time()) - today.start - 61
    rows = [metric_event(n, today.start - 86_400 * (n % 40) + min(n, latest)) for n in range(1, 400)]
    with SandboxServer(RecordedAccount({"ticket_metric_events": rows})) as server:
        place = new_place(tmp_path, server, TICKET_EVENTS_START_DATE=str(today.plus(-40)))
        assert place.materialize("*", str(today.plus(-3))).code == 0
        assert place.materialize("*", str(today)).code == 0
        assert place.materialize("*", str(today.plus(-10)), str(today.plus(-5))).code == 0
        alone = {*days_between(today.plus(-10), today.plus(-5)), today.plus(-3), today}
        for asset in ASSETS:
            assert place.recorded_days(asset) == {str(day) for day in alone}
        everything = place.materialize("*", str(today.plus(-40)), str(today))
        assert everything.code == 0, everything.output[-3000:]
    store = FolderStore(place.root)
    for asset in ASSETS:
        assert place.recorded_days(asset) == {str(day) for day in days_between(today.plus(-40), today)}
    assert sorted(n for day in days_between(today.plus(-40), today) for n in ids_of(place, STREAMS[1], str(day))) == sorted(
        row["id"] for row in rows
    )
    assert not read_raw_footer(store, STREAMS[1], today).complete
    assert read_raw_footer(store, STREAMS[1], today.plus(-1)).complete or time.time() - today.start < 400


@slow
def test_a_root_of_another_account_is_refused_before_any_request(tmp_path):
    with SandboxServer(RecordedAccount()) as server:
        place = new_place(tmp_path, server, ZENDESK_SUBDOMAIN="acme")
        assert place.materialize("ticket_events", "2026-03-02").code == 0
        files, already = place.files(), len(server.requests)
        home = tmp_path / "another_home"  # the first one shows the days of the first account, and is refused for that
        home.mkdir()
        ended = place.materialize("ticket_events", "2026-03-05", ZENDESK_SUBDOMAIN="other", DAGSTER_HOME=str(home))
        assert len(server.requests) == already
    assert ended.code == 1
    assert "(ZENDESK_SUBDOMAIN: its files have acme, this fetch has other)" in ended.output
    assert "start a new root: set TICKET_EVENTS_ROOT to an empty folder and backfill it" in ended.output
    assert place.files() == files


@slow
@pytest.mark.parametrize(
    "other",
    [{"TICKET_EVENTS_TIMEZONE": "Asia/Kolkata"}, {"ZENDESK_INCLUDE_COMMENTS": "1"}, {"ZENDESK_SUPPORT_TYPE_SCOPE": "all"}],
)
def test_a_root_of_another_timezone_sideload_or_support_type_scope_is_refused(tmp_path, other):
    with SandboxServer(RecordedAccount()) as server:
        place = new_place(tmp_path, server)
        assert place.materialize("ticket_events", "2026-03-02").code == 0
        files, already = place.files(), len(server.requests)
        ended = place.materialize("ticket_events", "2026-03-02", "2026-03-03", **other)
        assert len(server.requests) == already
    assert ended.code == 1
    assert f"({next(iter(other))}: its files have" in ended.output
    assert place.files() == files


def test_help_lists_the_commands_and_wrong_usage_ends_with_2(tmp_path):
    place = new_place(tmp_path)
    helped = place.ticket_events("--help")
    assert helped.code == 0
    for words in ("ticket-events demo", "doctor", "sandbox", "Exit codes: 0 it worked, 1 it failed, 2 wrong usage."):
        assert words in helped.output
    assert place.ticket_events("fetch").code == 2
    assert place.ticket_events("sandbox", "--port", "66000").code == 2


def test_a_range_that_ends_before_it_begins_is_an_error(tmp_path):
    with deployed(tmp_path, now=Day.parse("2026-03-20").start) as deployment:
        failed = deployment.run("fetch_ticket_events", "2026-03-03", "2026-03-02")
        failures = [event.step_failure_data.user_failure_data for event in failed.all_events if event.is_step_failure]
        assert {failure.description for failure in failures} == {"The range has no day: its end is before its start."}
        assert deployment.server.requests == []
