"""Pages that contradict themselves, and clocks that differ: every row is stored in its day, or the run fails and says why."""

import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.errors import DataError
from ticket_events_pipeline.ingest.fetch import fetch_days
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.raw_footer import read_raw_footer
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.contradicting_account import CHANGES, END_TIMES, HOUR, YEAR_2100, ContradictingAccount
from ticket_events_pipeline_tests.support.drawn_streams import DAYS as COUNT
from ticket_events_pipeline_tests.support.drawn_streams import FIRST, streams, truth
from ticket_events_pipeline_tests.support.faulty_account import ROW_OF
from ticket_events_pipeline_tests.support.fetches import Moment, client_at, ownership_of, stored_ids
from ticket_events_pipeline_tests.support.quality_cases import named, verified

LAG = {name: stream.lag_seconds for name, stream in STREAMS.items()}
EXAMPLES = int(os.environ.get("CONTRADICTION_EXAMPLES", "12"))
"""By hand, some thousands."""

both_streams = pytest.mark.parametrize("stream", list(STREAMS))
both_zones = pytest.mark.parametrize("zone", ["UTC", pytest.param("America/New_York", marks=pytest.mark.slow)])


def read(account, root, stream, days, *, log=None, clock=None):
    """The days of a fetch, and how many requests it sent. The fetch has the account's clock unless another one is given."""
    clock, log = clock or account.clock, [] if log is None else log
    with account.serving() as server, client_at(server.url, clock=clock, log=log.append) as client:
        committed = fetch_days(
            client,
            FolderStore(root),
            stream=STREAMS[stream],
            days=days,
            ownership=ownership_of(days[0]),
            clock=clock,
            log=log.append,
        )
        return list(committed), len(server.requests)


def days_of(zone="UTC", *, first="2026-03-07", count=3):
    return days_between(Day.parse(first, zone), Day.parse(first, zone).plus(count - 1))


def spread(stream, days, *, rows=150):
    """Rows over the days and half a day beyond, the first a second after midnight."""
    step = (days[-1].end + 43_200 - days[0].start) // rows
    return {stream: [ROW_OF[stream](n + 1, days[0].start + 1 + n * step) for n in range(rows)]}


def later_than(days):
    return Moment(days[-1].end + 50_000)


def expected_ids(account, stream, day):
    return truth(account.rows[stream], day.timezone)[day]


def assert_exact(account, root, stream, days):
    assert {day: stored_ids(root, stream, day) for day in days} == {day: expected_ids(account, stream, day) for day in days}
    assert named(root, stream, days) == {}


# Where a page leads.


def spread_account(stream, zone, end):
    days = days_of(zone)
    return ContradictingAccount(spread(stream, days), later_than(days), page_limit=20, end_of_stream=end)


@pytest.fixture(scope="module")
def requests_undisturbed(tmp_path_factory):
    """How many requests a fetch of a `spread_account` sends."""

    @cache
    def requests(stream, zone, end):
        return read(spread_account(stream, zone, end), tmp_path_factory.mktemp("undisturbed"), stream, days_of(zone))[1]

    return requests


@both_streams
@both_zones
@pytest.mark.parametrize("end", ["present", "absent"])
@pytest.mark.parametrize("change", END_TIMES)
def test_no_end_time_loses_a_row_or_costs_more_than_one_request(tmp_path, requests_undisturbed, stream, zone, end, change):
    days, account = days_of(zone), spread_account(stream, zone, end)
    undisturbed = requests_undisturbed(stream, zone, end)
    for changes, always in (({2: END_TIMES[change]}, None), ({}, END_TIMES[change])):
        account.changes, account.always, account.answered = changes, always, 0
        root = tmp_path / ("always" if always else "once")
        done, requests = read(account, root, stream, days)
        assert requests <= undisturbed + 1
        assert [one.footer.complete for one in done] == [True] * 3
        assert_exact(account, root, stream, days)


@both_streams
def test_an_end_time_three_hours_ahead_costs_one_request_and_no_row(tmp_path, stream):
    """Also where a page is one second, which the server enlarges: then only the next second can be claimed."""
    days = days_of(count=1)
    noon = days[0].start + 12 * HOUR
    crowded = [ROW_OF[stream](1000 + n, noon) for n in range(50)]
    rows = {stream: sorted(spread(stream, days)[stream] + crowded, key=lambda row: row.get("timestamp") or row["time"])}
    account = ContradictingAccount(rows, later_than(days), page_limit=20)
    _, undisturbed = read(account, tmp_path / "undisturbed", stream, days)
    for number in range(undisturbed):
        account.changes, account.answered = {number: END_TIMES["three hours ahead"]}, 0
        _, requests = read(account, tmp_path / str(number), stream, days)
        assert requests <= undisturbed + 1
        assert_exact(account, tmp_path / str(number), stream, days)


@both_streams
def test_a_page_across_midnight_belongs_to_both_days_wherever_it_says_that_it_ends(tmp_path, stream):
    for change in ("null", "in milliseconds", "as text"):
        days = days_of("America/New_York", count=2)
        account = ContradictingAccount(spread(stream, days, rows=40), later_than(days), always=END_TIMES[change])
        read(account, tmp_path / change, stream, days)
        ledgers = [read_raw_footer(FolderStore(tmp_path / change), stream, day).pages for day in days]
        assert [ledger[0].count for ledger in ledgers] == [40, 40]
        assert_exact(account, tmp_path / change, stream, days)


@both_streams
def test_rows_dated_ahead_carry_no_start_past_them(tmp_path, stream):
    """A day that holds a breach that is planned for the evening is read in the morning, and has the rest at night."""
    days = days_of(count=1)
    evening, noon = days[0].start + 20 * HOUR, days[0].start + 12 * HOUR
    rows = [ROW_OF[stream](n, days[0].start + n * 600) for n in range(1, 72)]
    planned = [ROW_OF[stream](500 + n, evening + n) for n in range(3)]
    for limit in (7, 20, 1000):
        clock, root = Moment(noon), tmp_path / str(limit)
        account = ContradictingAccount({stream: rows + planned}, clock, page_limit=limit)
        ((done,), _) = read(account, root, stream, days)
        assert not done.footer.complete
        assert done.footer.next_start_time <= noon
        later = [ROW_OF[stream](100 + n, noon + n * 600) for n in range(40)]
        account = ContradictingAccount({stream: rows + later + planned}, later_than(days), page_limit=limit)
        read(account, root, stream, days)
        assert_exact(account, root, stream, days)


@both_streams
def test_86400_empty_advancing_pages_end_after_ten_and_say_why(tmp_path, stream):
    days = days_of()
    account = ContradictingAccount(
        spread(stream, days), later_than(days), always=lambda answered: answered.empty(answered.start_time + 1)
    )
    with account.serving() as server, client_at(server.url, clock=account.clock) as client:
        with pytest.raises(DataError, match=r"10 pages in a row without rows.*start_time=1772841600, .*more follows"):
            list(client.pages(STREAMS[stream], days[0].start))
        assert len(server.requests) == 10


@both_streams
@pytest.mark.parametrize("end_time", [None, 0, YEAR_2100])
def test_an_empty_page_that_says_more_follows_is_requested_once_more_and_then_fails(tmp_path, stream, end_time):
    days = days_of()
    account = ContradictingAccount(spread(stream, days), later_than(days), changes={0: lambda a: a.empty(end_time)})
    read(account, tmp_path, stream, days)
    assert_exact(account, tmp_path, stream, days)
    account.always = account.changes[0]
    with account.serving() as server, client_at(server.url, clock=account.clock) as client:
        with pytest.raises(DataError, match=r"the server says there is more .* answered 2 times with no rows"):
            list(client.pages(STREAMS[stream], days[0].start))
        assert len(server.requests) == 2
    with pytest.raises(DataError):
        read(account, tmp_path, stream, days)
    assert_exact(account, tmp_path, stream, days)


@both_streams
def test_an_empty_page_that_comes_near_now_is_the_end(tmp_path, stream):
    """A quiet account may never say that its stream has ended."""
    days = days_of(count=1)
    account = ContradictingAccount({stream: []}, later_than(days), always=lambda a: a.empty(int(a.now) - 60))
    ((done,), requests) = read(account, tmp_path, stream, days)
    assert (done.footer.complete, requests) == (True, 2)
    assert named(tmp_path, stream, days) == {}


# Counts.


@both_streams
def test_a_count_that_differs_from_the_rows_is_logged_and_verify_names_the_page(tmp_path, stream):
    days = days_of(count=1)
    rows = spread(stream, days, rows=60)
    account = ContradictingAccount(rows, later_than(days), page_limit=25, changes={1: CHANGES["a count that is too large"]})
    log = []
    ((done,), _) = read(account, tmp_path, stream, days, log=log)
    start_time = done.footer.pages[1].start_time
    assert [(page.server_count, page.count) for page in done.footer.pages][:2] == [(25, 25), (32, 25)]
    lines = [line for line in log if "count" in line]
    assert len(lines) == 1
    assert f"{stream}: the page from " in lines[0]
    assert f"(start_time={start_time}) says count 32, but 25 rows came" in lines[0]
    assert f"(start_time={start_time}) said count 32, but 25 rows came" in named(tmp_path, stream, days)[days[0]]
    account.behave()
    read(account, tmp_path, stream, days)
    assert named(tmp_path, stream, days) == {}


@both_streams
def test_more_rows_than_the_count_are_a_note_of_verify_and_no_finding(tmp_path, stream):
    days = days_of(count=1)
    account = ContradictingAccount(spread(stream, days, rows=60), later_than(days), always=CHANGES["a count that is too small"])
    read(account, tmp_path, stream, days)
    (finding,) = verified(tmp_path, stream, days)
    assert finding.is_whole
    assert "said count 59, but 60 rows came" in " ".join(finding.notes)


# Clocks.


@both_streams
@both_zones
def test_one_date_three_hours_ahead_leaves_the_day_open_until_the_next_run(tmp_path, stream, zone):
    days = days_of(zone, count=1)
    evening = days[0].end - 2 * HOUR
    rows = [ROW_OF[stream](n, days[0].start + n * 600) for n in range(1, 144)]
    seen = {stream: [row for row in rows if days[0].start + row["id"] * 600 <= evening]}
    log = []
    account = ContradictingAccount(seen, Moment(evening), changes={0: CHANGES["a Date three hours ahead"]})
    ((done,), _) = read(account, tmp_path, stream, days, log=log)
    assert (done.footer.complete, done.footer.fetched_at) == (False, evening)
    assert [line for line in log if "clocks differ" in line] == [line for line in log if "10,800 seconds" in line]
    account = ContradictingAccount({stream: rows}, Moment(days[0].end + 1000))
    ((done,), _) = read(account, tmp_path, stream, days)
    assert done.footer.complete
    assert_exact(account, tmp_path, stream, days)


@both_streams
@both_zones
def test_a_day_is_complete_only_when_it_is_over_by_both_clocks(tmp_path, stream, zone):
    days = days_of(zone, count=1)
    due = days[0].end + LAG[stream] + 60
    cases = [(due, due, True), (due - 1, due, False), (due, due - 1, False), (due + 9000, due - 1, False)]
    for number, (theirs, ours, expected) in enumerate(cases):
        account = ContradictingAccount(spread(stream, days), Moment(theirs))
        ((done,), _) = read(account, tmp_path / str(number), stream, days, clock=Moment(ours))
        assert (done.footer.complete, done.footer.fetched_at) == (expected, min(theirs, ours))


@both_streams
def test_clocks_that_differ_by_more_than_five_minutes_are_logged_once_with_both_times(tmp_path, stream):
    days = days_of()
    for apart, expected in ((299, 0), (301, 1), (-301, 1)):
        log = []
        account = ContradictingAccount(spread(stream, days), later_than(days), page_limit=20)
        clock = Moment(account.clock.now - apart)
        read(account, tmp_path / str(apart), stream, days, clock=clock, log=log)
        lines = [line for line in log if "clocks differ" in line]
        assert len(lines) == expected
        for line in lines:
            assert "127.0.0.1 says 2026-03-10T13:53:20Z in the Date header" in line
            assert "this machine says 2026-03-10T13:" in line


@both_streams
@both_zones
def test_without_a_date_a_day_read_to_the_streams_end_is_complete_24_hours_later(tmp_path, stream, zone):
    """The case `no-date-header`, at the edge: an event at eight on the second of three days."""
    days = days_of(zone, first="2026-03-01")
    rows = {"ticket_events": [], "ticket_metric_events": [ROW_OF["ticket_metric_events"](1, days[1].start + 8 * HOUR)]}
    edge = days[1].end + 86_400
    for clock, expected in ((Moment(edge - 1), [True, False, False]), (Moment(edge), [True, True, False])):
        log = []
        root = tmp_path / str(clock.now)
        account = ContradictingAccount(rows, clock, always=CHANGES["no Date"])
        done, _ = read(account, root, stream, days, log=log)
        assert [one.footer.complete for one in done] == expected
        lines = [line for line in log if "Date" in line]
        assert len(lines) == 1
        assert "Answers of 127.0.0.1 carry no readable Date header" in lines[0]
        assert "proxy" in lines[0]
        assert named(root, stream, days[:1], now=clock.now) == {}
    clock.now = days[-1].end + 86_400
    done, _ = read(account, root, stream, days, log=log)
    assert [one.footer.complete for one in done] == [True, True, True]
    assert_exact(account, root, stream, days)


def test_without_a_date_and_without_an_end_of_stream_a_day_stays_open(tmp_path):
    """Nothing proves that the account has sent everything."""
    stream, days = "ticket_metric_events", days_of(count=1)
    account = ContradictingAccount(
        {stream: []}, Moment(days[0].end + 30 * 86_400), always=CHANGES["no Date"], end_of_stream="absent"
    )
    ((done,), _) = read(account, tmp_path, stream, days)
    assert not done.footer.complete
    assert "the run's log names the clock that is wrong" in named(tmp_path, stream, days)[days[0]]


# All of it together.


@given(streams(), st.sampled_from(sorted(STREAMS)), st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_stored_days_equal_the_account_or_the_run_fails_and_changes_nothing(drawn, stream, data):
    """Any answers contradict themselves; some days are stored already. A run without contradictions then makes all exact."""
    zone, rows = drawn
    days = days_between(Day.parse(FIRST, zone), Day.parse(FIRST, zone).plus(COUNT - 1))
    clock = Moment(days[-1].end + data.draw(st.integers(LAG[stream] + 60, 90_000)))
    numbered = st.dictionaries(st.integers(0, 12), st.sampled_from(sorted(CHANGES)), max_size=5)
    account = ContradictingAccount(
        {stream: rows},
        clock,
        page_limit=data.draw(st.sampled_from([2, 7, 1000])),
        end_of_stream=data.draw(st.sampled_from(["present", "absent"])),
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        is_stored = data.draw(st.booleans())
        if is_stored:
            read(account, root, stream, days)
        account.answered, account.changes = 0, {n: CHANGES[name] for n, name in data.draw(numbered).items()}
        always = data.draw(st.none() | st.sampled_from(sorted(CHANGES)))
        account.always = None if always is None else CHANGES[always]
        with suppress(DataError):
            read(account, root, stream, days)
        for day in days:
            footer = read_raw_footer(FolderStore(root), stream, day)
            if is_stored or (footer is not None and footer.complete):
                assert stored_ids(root, stream, day) == expected_ids(account, stream, day)
        account.behave()
        read(account, root, stream, days)
        # An open day keeps the pages of its first reading, wrong counts included; a day that is read again doesn't.
        done, _ = read(account, root, stream, days)
        assert all(one.footer.complete for one in done)
        assert_exact(account, root, stream, days)
