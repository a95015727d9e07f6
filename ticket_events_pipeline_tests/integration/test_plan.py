"""What a backfill would take: from stored days without a request, else by a few probes; and the command that prints it."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ticket_events_pipeline.cli.dates import parse_days
from ticket_events_pipeline.cli.main import commands
from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.ingest.plan import (
    RowsEstimate,
    StreamPlan,
    estimate_by_probes,
    estimate_from_rows,
    estimate_from_stored,
    nearest,
    plan_stream,
    probe_places,
    requests_for,
)
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline.storage.pruned_days import PrunedDays, write_pruned_days
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.commands import new_place
from ticket_events_pipeline_tests.support.fetches import Moment, client_at, fetch

METRIC = "ticket_metric_events"
TODAY = Day.parse("2026-03-31")
NOW = TODAY.start + 12 * 3600


def march(first: int, last: int) -> list[Day]:
    return days_between(Day.parse(f"2026-03-{first:02d}"), Day.parse(f"2026-03-{last:02d}"))


def rows_on(day: Day, count: int) -> list[dict]:
    """So many metric events, evenly over the day."""
    event = {"ticket_id": 1, "metric": "reply_time", "instance_id": 1, "type": "activate"}
    return [{**event, "id": day.start * 10 + number, "time": day.start + number * 86_400 // count} for number in range(count)]


def account(days: list[Day], count: int) -> RecordedAccount:
    return RecordedAccount({METRIC: [row for day in days for row in rows_on(day, count)]})


def no_source() -> None:
    raise AssertionError("no request is to be sent")


def planned(root: Path, days: list[Day], source=no_source) -> StreamPlan:
    return plan_stream(FolderStore(root), STREAMS[METRIC], days, now=NOW, source=source)


def test_stored_days_are_exact_and_other_days_are_estimated_from_their_neighbours(tmp_path: Path) -> None:
    """Without a request; days that would be read again are named."""
    with SandboxServer(account(march(1, 31), 700), clock=Moment(NOW)) as server:
        fetch(server, tmp_path, METRIC, "2026-03-05", "2026-03-10", clock=Moment(NOW))
    path = tmp_path / partition_path(METRIC, march(10, 10)[0])
    path.write_bytes(b"damaged")
    plan = planned(tmp_path, march(1, 20))
    assert list(plan.stored.complete) == march(5, 9)
    assert plan.stored.damaged == march(10, 10)
    assert plan.rows == RowsEstimate(
        14_000, "as stored on 5 of the days; the rest as on 5 stored days, 2026-03-05 to 2026-03-09"
    )
    assert plan.requests == 16
    size = sum((tmp_path / partition_path(METRIC, day)).stat().st_size for day in march(5, 9))
    assert plan.size_bytes == round(14_000 * size / 3500)
    assert plan.size_basis.endswith("bytes a row, as stored on 5 days")


def test_a_range_that_is_stored_whole_has_an_exact_number_of_rows(tmp_path: Path) -> None:
    """An open day has none."""
    with SandboxServer(account(march(30, 31), 10), clock=Moment(NOW)) as server:
        fetch(server, tmp_path, METRIC, "2026-03-30", "2026-03-31", clock=Moment(NOW))
        assert planned(tmp_path, march(30, 30)).rows == RowsEstimate(10, "as stored")
        with client_at(server.base_url, clock=Moment(NOW)) as client:
            both = planned(tmp_path, march(30, 31), source=lambda: client)
    assert both.stored.open == march(31, 31)
    assert both.size_basis.startswith("a typical figure")


@pytest.mark.parametrize(("count", "probes"), [(3, 1), (500, 2), (8_000, 4)])
def test_without_stored_days_a_few_probe_requests_give_the_estimate(tmp_path: Path, count: int, probes: int) -> None:
    """At most four probes; fewer where one page covers the next place too. For an even stream the estimate is right."""
    days = march(1, 4)
    with SandboxServer(account(days, count), clock=Moment(days[-1].end)) as server:
        with client_at(server.base_url, clock=Moment(days[-1].end)) as client:
            plan = plan_stream(FolderStore(tmp_path), STREAMS[METRIC], days, now=days[-1].end, source=lambda: client)
        sent = len(server.requests)
    assert sent == probes
    assert plan.rows.rows == pytest.approx(4 * count, rel=0.1)
    assert plan.rows.basis == f"by {sent} probe request{'' if sent == 1 else 's'}"
    assert plan.size_bytes == plan.rows.rows * 10


def test_an_account_without_new_events_takes_one_probe() -> None:
    """The end of the stream shows that nothing follows."""
    days = march(1, 4)
    silent, clock = account(days[:1], 300), Moment(days[-1].end)
    with SandboxServer(silent, clock=clock) as server, client_at(server.base_url, clock=clock) as client:
        estimate = estimate_by_probes(client, STREAMS[METRIC], days, now=days[-1].end)
        assert len(server.requests) == 1
    assert estimate == RowsEstimate(270, "by 1 probe request")


@pytest.mark.slow
def test_probes_of_a_lifelike_account_come_near() -> None:
    """Nights, weekends and bursts included: within a third, for four requests."""
    simulated = SimulatedAccount()
    days = days_between(Day.parse("2026-01-05"), Day.parse("2026-03-29"))
    truth = sum(1 for row in simulated.rows(METRIC, days[0].start, now=days[-1].end) if row.time < days[-1].end)
    with SandboxServer(simulated, clock=Moment(NOW)) as server, client_at(server.base_url, clock=Moment(NOW)) as client:
        estimate = estimate_by_probes(client, STREAMS[METRIC], days, now=NOW)
        assert len(server.requests) == 4
    assert estimate.rows == pytest.approx(truth, rel=0.33)


def test_weekdays_are_taken_by_weekday() -> None:
    """After a month of quiet Sundays the next one is estimated as quiet; half a day counts as half."""
    known = {day: 100 if day.date.weekday() == 6 else 1000 for day in march(2, 22)}
    estimate = estimate_from_rows(known, march(28, 31), now=NOW)
    assert estimate == RowsEstimate(1000 + 100 + 1000 + 500, "as on 21 stored days, 2026-03-02 to 2026-03-22")


def test_few_or_distant_days_give_no_forecast() -> None:
    """Then the account is probed."""
    known = dict.fromkeys(march(1, 3), 100)
    assert estimate_from_rows({}, march(4, 5), now=NOW) is None
    assert estimate_from_rows(dict.fromkeys(march(1, 2), 100), march(4, 5), now=NOW) is None
    assert estimate_from_rows(known, march(4, 31), now=NOW) is not None
    assert estimate_from_rows(known, [*march(4, 31), TODAY.plus(1)], now=NOW) is None


def test_a_forecast_reads_no_more_than_four_weeks_of_footers(tmp_path: Path) -> None:
    """Those in the range, evenly spread, and then the nearest."""
    stored = days_between(Day.parse("2025-01-01"), Day.parse("2026-03-20"))
    assert nearest(stored, march(25, 31)) == stored[-28:]
    assert nearest(stored, stored[100:200]) == [stored[100 + number * 100 // 28] for number in range(28)]
    assert nearest(stored, march(19, 31)) == stored[-28:]
    assert estimate_from_stored(FolderStore(tmp_path), METRIC, march(1, 2), now=NOW) is None


def test_probes_lie_at_different_hours_and_one_on_a_weekend() -> None:
    """And none where the server has nothing yet."""
    days = days_between(Day.parse("2026-01-01"), Day.parse("2026-03-30"))
    moments = [dt.datetime.fromtimestamp(place, dt.UTC) for place in probe_places(days, now=NOW)]
    assert [moment.hour for moment in moments] == [3, 9, 15, 21]
    assert [moment.weekday() >= 5 for moment in moments] == [False, True, False, False]
    assert moments == sorted(moments)
    assert probe_places([TODAY], now=TODAY.start + 5) == [TODAY.start + 5 - 600]
    assert probe_places([TODAY], now=NOW) == [TODAY.start + 3 * 3600, TODAY.start + 9 * 3600]


def test_requests_are_estimated_by_the_thousand_rows() -> None:
    """And a handful."""
    assert [requests_for(rows) for rows in (0, 1, 1000, 1001)] == [2, 3, 3, 4]


def plan(*words: str) -> CliRunner:
    return CliRunner().invoke(commands, ["plan", *words])


def test_the_command_prints_what_a_backfill_takes_and_how_to_start_it(tmp_path: Path) -> None:
    """At the quota of the server's header. The days of the command that it prints are those of the plan."""
    days = march(1, 4)
    with SandboxServer(account(days, 500), requests_per_minute=30) as server:
        place = new_place(tmp_path, server, ZENDESK_REQUESTS_PER_MINUTE="10")
        ended = place.ticket_events("plan", "2026-03-01", "2026-03-04")
        assert ended.code == 0, ended.output
        assert len(server.requests) <= 8
        assert re.search(r"ticket_metric_events +[\d,]+ rows +\d requests +\d+ kB", ended.output)
        assert "30 requests a minute" in ended.output
        started = re.search(r"^  ticket-events backfill (\S+)$", ended.output, re.MULTILINE)
        assert started is not None
        assert parse_days([started[1]], TODAY) == days


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of an account that can't be reached."""
    variables = {
        "ZENDESK_BASE_URL": "http://127.0.0.1:1",
        "ZENDESK_OAUTH_TOKEN": "sandbox",
        "TICKET_EVENTS_ROOT": str(tmp_path),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def store_march(root: Path, *spans: tuple[int, int]) -> None:
    """Complete days of both streams, from these first through these last ones."""
    with SandboxServer(account(march(1, 31), 700), clock=Moment(NOW)) as server:
        for first, last in spans:
            for stream in STREAMS:
                fetch(server, root, stream, str(march(first, last)[0]), str(march(first, last)[-1]), clock=Moment(NOW))


def test_nothing_is_to_be_started_where_nothing_is_missing(at_home: Path) -> None:
    store_march(at_home, (1, 4))
    ended = plan("2026-03-01..2026-03-04")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.splitlines()[-1] == "Nothing is missing."
    assert "backfill" not in ended.stdout
    assert "(4 days), timezone UTC" in ended.stdout
    alone = plan("2026-03-02").stdout
    assert not re.search(r"\b1 (days|requests|rows)\b", alone)
    assert "1 day stored and complete" in alone


def test_each_missing_range_has_its_own_command(at_home: Path) -> None:
    """The days between them would be fetched again for nothing."""
    store_march(at_home, (3, 5), (8, 9))
    lines = plan("2026-03-02..2026-03-10").stdout.splitlines()
    assert [line for line in lines if " backfill 2026" in line] == [
        f"  {program()} backfill 2026-03-02",
        f"  {program()} backfill 2026-03-06..2026-03-07",
        f"  {program()} backfill 2026-03-10",
    ]


def test_json_is_one_document_with_the_same_figures(at_home: Path) -> None:
    store_march(at_home, (1, 5))
    ended = plan("2026-03-01..2026-03-07", "--json")
    document = json.loads(ended.stdout)
    assert (document["first_day"], document["last_day"], document["days"]) == ("2026-03-01", "2026-03-07", 7)
    metric = next(stream for stream in document["streams"] if stream["stream"] == METRIC)
    assert metric["rows"] == 7 * 700
    assert metric["complete_days"] == [str(day) for day in march(1, 5)]
    assert (metric["open_days"], metric["damaged_days"]) == ([], [])
    assert document["requests"] == sum(stream["requests"] for stream in document["streams"])
    assert document["missing_days"] == ["2026-03-06", "2026-03-07"]
    assert document["commands"] == [f"{program()} backfill 2026-03-06..2026-03-07"]
    assert document["requests"] > document["backfill"]["requests"] == requests_for(2 * 700) + requests_for(0)


def test_the_estimate_beside_the_commands_is_of_what_they_fetch(at_home: Path) -> None:
    """Not of the days that are stored."""
    store_march(at_home, (3, 5), (8, 9))
    ended = plan("2026-03-02..2026-03-10")
    document = json.loads(plan("2026-03-02..2026-03-10", "--json").stdout)
    requests = requests_for(4 * 700, fetches=3) + requests_for(0, fetches=3)  # the account has no audits
    assert document["backfill"]["requests"] == requests
    assert document["backfill"]["size_bytes"] == pytest.approx(document["size_bytes"] * 4 / 9, rel=0.01)
    assert f"The backfill of the missing days takes about {requests} requests and " in ended.stdout
    assert "An estimate of all these days, those that are stored, too:" in ended.stdout


def test_closed_days_are_named_once_and_only_the_others_are_planned(at_home: Path) -> None:
    """Although days of both are missing."""
    store_march(at_home, (3, 5), (8, 9))
    write_pruned_days(FolderStore(at_home), PrunedDays({METRIC: march(3, 3)[0].date}, march(4, 4)[0].date))
    ended = plan("2026-03-01..2026-03-10")
    assert ended.exit_code == 0, ended.output
    assert f"{METRIC}: 4 days stored and complete, fetched again if requested: 2026-03-04 to " in ended.stdout
    assert "since earlier days were pruned: 2026-03-01 to 2026-03-03.\nAn estimate of the other days, " in ended.stdout
    document = json.loads(plan("2026-03-01..2026-03-10", "--json").stdout)
    metric = next(stream for stream in document["streams"] if stream["stream"] == METRIC)
    assert (metric["rows"], len(metric["complete_days"])) == (7 * 700, 4)
    assert document["closed_days"] == [str(day) for day in march(1, 3)]
    assert document["missing_days"] == [str(day) for day in [*march(6, 7), *march(10, 10)]]
    assert document["backfill"]["requests"] == requests_for(3 * 700, fetches=2) + requests_for(0, fetches=2)


def test_of_closed_days_alone_nothing_is_planned(at_home: Path) -> None:
    write_pruned_days(FolderStore(at_home), PrunedDays({METRIC: march(3, 3)[0].date}, march(4, 4)[0].date))
    ended = plan("2026-03-01..2026-03-03")
    assert ended.exit_code == 0, ended.output
    assert "backfill" not in ended.stdout
    assert json.loads(plan("2026-03-01..2026-03-03", "--json").stdout)["streams"] == []


def test_without_days_the_plan_ends_with_yesterday(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the backfill that `init` prints; on the first day, there is today alone."""
    store_march(at_home, (1, 4))
    today = Day.containing(wall_clock(), "UTC")
    monkeypatch.setenv("TICKET_EVENTS_START_DATE", "2026-03-01")
    with SandboxServer(account(march(1, 4), 700)) as server:
        monkeypatch.setenv("ZENDESK_BASE_URL", server.base_url)
        assert json.loads(plan("--json").stdout)["last_day"] == str(today.plus(-1))
        monkeypatch.setenv("TICKET_EVENTS_START_DATE", str(today))
        assert json.loads(plan("--json").stdout)["last_day"] == str(today)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["2026-03-04", "2026-03-01"], "2026-03-01 is before 2026-03-04"),
        (["2026-3-4", "2026-03-05"], "'2026-3-4' is not a date of the form YYYY-MM-DD"),
        (["2020-03-04", "2026-03-01"], "Set TICKET_EVENTS_START_DATE, now 2025-01-01, to 2020-03-04 or earlier."),
        (["2199-03-04", "2199-03-05"], "In the future: 2199-03-04 to 2199-03-05. Today is "),
        (["next-week"], "'next-week' is not a date of the form YYYY-MM-DD. DAYS: "),
    ],
)
def test_days_that_cant_be_fetched_are_wrong_usage(at_home: Path, words: list[str], complaint: str) -> None:
    """And no request is sent."""
    ended = plan(*words)
    assert ended.exit_code == 2
    assert complaint in ended.output
