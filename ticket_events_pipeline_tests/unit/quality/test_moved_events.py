"""An event whose time changed after its day was read: it stands on two days, or on none, until both days are read again.

`verify` and the check name it until then, and after the command that they name every event stands exactly once again.
"""

import re
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from shutil import copytree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.quality.footer_checks import Owner
from ticket_events_pipeline.quality.moved_events import NEARBY_DAYS
from ticket_events_pipeline.quality.raw_day import verify_days
from ticket_events_pipeline.sandbox.rows import RecordedAccount
from ticket_events_pipeline.sandbox.server import SandboxServer
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline.storage.raw_footer import MOST_MISSED_IDS, read_raw_footer
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.damages import rewrite
from ticket_events_pipeline_tests.support.faulty_account import ROW_OF, audit, metric_event
from ticket_events_pipeline_tests.support.fetches import Moment, fetching, stored_ids
from ticket_events_pipeline_tests.support.quality_cases import EXAMPLES, named, verified

EVENTS, METRIC = "ticket_events", "ticket_metric_events"
ZONES = ["UTC", "America/New_York"]
HOUR = 3600
EVENTS_A_DAY = 4
account, clock = RecordedAccount(), Moment(0)
COMMAND = re.compile(r"--select (\S+) --partition-range ([\d-]+)\.\.\.([\d-]+)`")


@dataclass
class Lake:
    """An account of some events a day, what is stored of it, and a clock that is an hour later at each reading."""

    root: Path
    server: SandboxServer
    account: RecordedAccount
    clock: Moment
    stream: str
    days: list[Day]
    times: dict[int, int] = field(default_factory=dict)

    def put(self, number, day, *, seconds=12 * HOUR):
        """Give the event `number` a time on `day`, whatever it had before."""
        self.times[number] = day.start + seconds
        self.account.deliver(self.stream, [ROW_OF[self.stream](number, self.times[number])])

    def withdraw(self, number):
        del self.times[number]
        self.account.clear(self.stream)
        self.account.deliver(self.stream, [ROW_OF[self.stream](found, time) for found, time in self.times.items()])

    def read(self, first, last=None):
        self.clock.now += HOUR
        days = days_between(first, last or first)
        return list(fetching(self.server, self.root, self.stream, days, clock=self.clock))

    def red(self, *days):
        return named(self.root, self.stream, list(days) or self.days, now=self.clock.now)

    def notes(self, day):
        (verdict,) = verified(self.root, self.stream, [day], now=self.clock.now)
        assert verdict.is_whole, verdict.findings
        return verdict.notes

    def obey(self, told):
        """Run the command that was told, as Dagster would."""
        ((asset, first, last),) = set(COMMAND.findall(told))
        assert asset == self.stream
        return self.read(*(Day.parse(day, self.days[0].timezone) for day in (first, last)))

    def stored(self):
        """On which days each event stands."""
        places = {}
        for day in self.days:
            if (self.root / partition_path(self.stream, day)).exists():
                for number in stored_ids(self.root, self.stream, day):
                    places.setdefault(number, []).append(day)
        return places

    def is_exact(self):
        zone = self.days[0].timezone
        return self.stored() == {number: [Day.containing(time, zone)] for number, time in self.times.items()}


@pytest.fixture(scope="module")
def server():
    """One for all tests: each begins with an account of its own."""
    with SandboxServer(account, clock=clock, page_limit=7) as server:
        yield server


def week(zone, first="2026-02-26"):
    """Days over the end of a month; in New York, up to the one of 23 hours."""
    start = Day.parse(first, zone)
    return days_between(start, start.plus(10))


def lake_in(folder, server, stream, days):
    """An account with some events a day, of which nothing is stored yet."""
    account.clear(stream)
    clock.now = days[-1].end + 6 * HOUR
    lake = Lake(Path(folder), server, account, clock, stream, days)
    for number, day in enumerate(days, 1):
        for nth in range(EVENTS_A_DAY):
            lake.put(10 * number + nth, day, seconds=(3 + 5 * nth) * HOUR)
    return lake


@pytest.fixture(scope="module", params=[(METRIC, "UTC"), (EVENTS, "America/New_York")], ids="-".join)
def first_reading(request, server, tmp_path_factory):
    """What the first reading of all days stores."""
    stream, zone = request.param
    lake = lake_in(tmp_path_factory.mktemp("first"), server, stream, week(zone))
    lake.read(lake.days[0], lake.days[-1])
    assert lake.red() == {}
    return lake


@pytest.fixture
def lake(first_reading, server, tmp_path):
    lake = lake_in(tmp_path / "root", server, first_reading.stream, first_reading.days)
    copytree(first_reading.root, lake.root)
    lake.clock.now += HOUR
    return lake


MOVES = [(2, 3), (3, 2), (4, 8), (8, 4)]
"""By the number of the day: over the end of February in both directions, and by four days."""


@pytest.mark.parametrize(("old", "new"), MOVES)
def test_an_event_whose_new_day_alone_is_read_again_stands_on_two_days_and_both_are_named(lake, old, new):
    old, new = lake.days[old], lake.days[new]
    number = stored_ids(lake.root, lake.stream, old)[1]
    lake.put(number, new, seconds=60)
    lake.read(new)
    assert lake.stored()[number] == sorted([old, new])
    for asked, other in ((new, old), (old, new)):
        told = lake.red(asked)
        assert list(told) == [asked]
        assert f"1 events (id {number}) are stored on {other} as well." in told[asked]
    assert list(lake.red()) == sorted([old, new])
    first, last = sorted([old, new])
    assert (
        f"materialize -m ticket_events_pipeline.definitions --select {lake.stream} --partition-range {first}...{last}`"
        in (told[old])
    )
    lake.obey(told[old])
    assert lake.red() == {}
    assert lake.is_exact()


@pytest.mark.parametrize(("old", "new"), MOVES)
def test_an_event_whose_old_day_alone_is_read_again_stands_on_no_day_and_that_is_named(lake, old, new):
    old, new = lake.days[old], lake.days[new]
    number = stored_ids(lake.root, lake.stream, old)[1]
    lake.put(number, new, seconds=60)
    lake.read(old)
    assert number not in lake.stored()
    told = lake.red()
    assert list(told) == [old] == list(lake.red(old))
    assert f"1 events (id {number}) that it held before were missing when it was read again" in told[old]
    lake.read(old)
    assert list(lake.red()) == [old], "another reading of the same day doesn't find it either"
    lake.obey(told[old])
    assert lake.red() == {}
    assert lake.is_exact()


def test_an_event_that_was_lost_is_found_by_a_reading_of_its_new_day_alone(lake):
    old, new = lake.days[4], lake.days[5]
    lake.put(51, new)
    lake.read(old)
    assert list(lake.red()) == [old]
    lake.read(new)
    assert lake.red() == {}
    assert lake.is_exact()


def test_an_event_that_moved_back_is_green_once_its_day_is_read(lake):
    old, new = lake.days[4], lake.days[5]
    lake.put(51, new)
    lake.read(old)
    lake.put(51, old)
    lake.read(old)
    assert lake.red() == {}
    assert read_raw_footer(FolderStore(lake.root), lake.stream, old).missed.count == 0
    assert lake.is_exact()


def test_an_event_that_moved_there_and_back_leaves_its_new_day_green(lake):
    old, new = lake.days[4], lake.days[5]
    lake.put(51, new)
    lake.read(new)
    lake.put(51, old)
    assert list(lake.red()) == [old, new]
    lake.read(new)
    assert lake.red() == {}
    assert lake.is_exact()


def test_events_that_move_within_a_range_that_is_read_whole_are_no_news(lake):
    lake.put(51, lake.days[5])
    lake.put(61, lake.days[3])
    lake.read(lake.days[3], lake.days[5])
    assert lake.red() == {}
    assert lake.notes(lake.days[4]) == ()
    assert lake.is_exact()


def test_an_event_that_zendesk_withdrew_is_red_until_the_days_around_were_read_and_a_note_from_then_on(lake):
    day = lake.days[8]
    lake.withdraw(91)
    lake.read(day)
    told = lake.red()
    assert list(told) == [day]
    assert "are stored on no day within 7 days" in told[day]
    lake.obey(told[day])
    assert lake.red() == {}
    (note,) = lake.notes(day)
    assert note.startswith("1 events (id 91) that it held before are gone at Zendesk, or lie more than 7 days away")
    lake.read(lake.days[7], lake.days[9])
    assert lake.red() == {}, "later readings don't accuse again"
    assert lake.is_exact()


def test_a_reading_of_all_days_proves_at_once_that_a_withdrawn_event_is_gone(lake):
    lake.withdraw(51)
    lake.read(lake.days[0], lake.days[-1])
    assert lake.red() == {}
    assert "(id 51)" in lake.notes(lake.days[4])[0]


def test_more_than_a_week_away_nothing_is_compared_and_nothing_claimed(lake):
    old, new = lake.days[0], lake.days[NEARBY_DAYS + 1]
    lake.put(11, new)
    lake.read(new)
    assert lake.red(new) == {}
    assert list(lake.red()) == [old, new], "a range that holds both days compares them"


def test_an_account_of_several_is_read_by_a_command_of_its_own_project(lake):
    day = lake.days[5]
    lake.put(51, day)
    lake.read(day)
    verdicts = verify_days(
        FolderStore(lake.root),
        stream=STREAMS[lake.stream],
        days=[day],
        owner=Owner("recorded", day.timezone, sideload=False),
        now=lake.clock.now,
        asset=f"acme/{lake.stream}",
    )
    ((finding,),) = [verdict.findings for verdict in verdicts]
    command = f"`dg launch --assets acme/{lake.stream} --partition-range {lake.days[4]}...{day}`"
    assert finding.remedy.endswith(f"Read both in one run: {command}.")


def test_events_are_counted_and_the_first_are_named(lake):
    old, new = lake.days[4], lake.days[5]
    for number in (50, 51, 53):
        lake.put(number, new, seconds=number)
    lake.read(old)
    assert "3 events (ids 50, 51, 53) that it held before" in lake.red()[old]


def test_an_audit_and_a_metric_event_of_one_number_move_for_themselves(tmp_path, server):
    days = week("UTC")
    lake = lake_in(tmp_path, server, EVENTS, days)
    lake.account.deliver(EVENTS, [metric_event(51, days[4].start + 60)])
    lake.read(days[0], days[-1])
    lake.account.deliver(EVENTS, [metric_event(51, days[5].start + 60)])
    lake.read(days[4])
    assert list(lake.red()) == [days[4]]
    assert read_raw_footer(FolderStore(tmp_path), EVENTS, days[4]).missed.metric_ids == (51,)
    lake.account.deliver(EVENTS, [audit(51, days[5].start + 90)])
    lake.read(days[5])
    told = lake.red()
    assert list(told) == [days[4], days[5]]
    assert "1 events (id 51)" in told[days[5]]
    lake.obey(told[days[5]])
    assert lake.red() == {}
    assert [stored_ids(tmp_path, EVENTS, day).count(51) for day in days[4:6]] == [0, 2]


def test_a_day_that_was_replaced_by_an_older_version_lacks_the_new_keys_and_is_whole(lake):
    day = lake.days[4]

    def older(metadata):
        return {name: text for name, text in metadata.items() if name not in ("begun_at", "missed")}

    for stored in lake.days:
        rewrite(lake.root, lake.stream, stored, footer=older)
    assert lake.red() == {}
    lake.put(51, lake.days[5])
    lake.read(day)
    assert list(lake.red()) == [day]
    lake.obey(lake.red()[day])
    assert lake.red() == {}


@pytest.mark.slow
def test_of_a_flood_of_missed_events_a_footer_lists_some_and_counts_all(tmp_path, server):
    days = week("UTC")[:3]
    lake = lake_in(tmp_path, server, METRIC, days)
    many = MOST_MISSED_IDS + 5
    lake.account.deliver(METRIC, [metric_event(1000 + nth, days[1].start + nth) for nth in range(many)])
    lake.read(days[0], days[-1])
    lake.account.deliver(METRIC, [metric_event(1000 + nth, days[2].start + nth) for nth in range(many)])
    lake.read(days[1])
    missed = read_raw_footer(FolderStore(tmp_path), METRIC, days[1]).missed
    assert (missed.count, len(missed.ids), missed.unlisted) == (many, MOST_MISSED_IDS, 5)
    told = lake.red()[days[1]]
    assert f"{many} events (ids 1000, 1001, 1002, 1003, 1004, …)" in told
    lake.obey(told)
    assert lake.red() == {}


def test_an_event_dated_ahead_may_move_or_go_while_its_day_is_open(tmp_path, server):
    """A breach that is due later today is put off, or never comes: that is no loss."""
    days = week("UTC")[:3]
    today = days[-1]
    lake = lake_in(tmp_path, server, METRIC, days)
    lake.clock.now = today.start + 6 * HOUR
    lake.read(days[0], today)
    assert 33 in stored_ids(tmp_path, METRIC, today)
    lake.withdraw(33)
    lake.put(41, today.plus(1), seconds=60)
    lake.clock.now = today.end + HOUR
    lake.read(today)
    assert 33 not in stored_ids(tmp_path, METRIC, today)
    assert lake.red() == {}


def test_an_event_that_moves_to_an_open_day_behind_its_reading_is_red_until_that_day_is_read_anew(tmp_path, server):
    """The hourly fetch resumes the open day and completes it, without reading what it had read already."""
    days = week("UTC")[:3]
    yesterday, today = days[1:]
    lake = lake_in(tmp_path, server, METRIC, days)
    lake.clock.now = today.start + 10 * HOUR
    lake.read(days[0], today)
    lake.put(21, today, seconds=2 * HOUR)
    lake.read(yesterday)
    assert list(lake.red()) == [yesterday]
    lake.clock.now = today.end + HOUR
    lake.read(today)
    told = lake.red()
    assert list(told) == [yesterday]
    assert f"not read since (2 days from {days[0]} to {today})" in told[yesterday]
    lake.read(today)
    assert lake.red() == {}
    assert lake.is_exact()


places = st.integers(0, 7)


@given(
    st.sampled_from(list(STREAMS)),
    st.sampled_from(ZONES),
    st.dictionaries(
        st.sampled_from([10 * day + nth for day in range(1, 9) for nth in range(4)]), st.none() | places, max_size=6
    ),
    st.tuples(places, places).map(sorted),
    st.lists(places, max_size=2),
)
@settings(max_examples=EXAMPLES // 3)
def test_red_is_exactly_an_event_that_stands_twice_or_nowhere_and_the_command_mends_it(server, stream, zone, moves, span, cuts):
    """Random moves and withdrawals between a reading of all days, in one or more passes, and one of some.

    Where all days are read, what stands nowhere is gone.
    """
    days = week(zone)[:8]
    with tempfile.TemporaryDirectory() as folder:
        lake = lake_in(folder, server, stream, days)
        edges = sorted({0, *cuts, 8})
        for first, behind in pairwise(edges):
            lake.read(days[first], days[behind - 1])
        for number, place in moves.items():
            if place is None:
                lake.withdraw(number)
            else:
                lake.put(number, days[place], seconds=number * 60)
        before = set(lake.stored())
        lake.read(days[span[0]], days[span[1]])
        stored = lake.stored()
        twice = {day for found in stored.values() if len(found) > 1 for day in found}
        is_lost = bool(before - stored.keys()) and span != [0, 7]
        red = lake.red()
        assert twice <= set(red)
        assert bool(red) == (bool(twice) or is_lost)
        for _ in days:
            if not lake.red():
                break
            day, told = next(iter(lake.red().items()))
            first_command = COMMAND.search(told)
            assert first_command, told
            lake.obey(first_command[0])
            assert told not in lake.red().get(day, "")
        assert lake.red() == {}
        assert all(len(found) == 1 for found in lake.stored().values())
        assert lake.times.keys() <= lake.stored().keys()
