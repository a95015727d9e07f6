"""An event whose time changed after its day was read: two days hold it, or none, until both are read again.

`verify` and the check report it until then; after the command that they name, every event is stored exactly once again.
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
COMMAND = re.compile(r"backfill ([\d-]+)\.\.([\d-]+) --asset (\w+)`")


@dataclass
class Case:
    """An account with some events a day, its stored files, and a clock that moves an hour at each reading."""

    root: Path
    server: SandboxServer
    account: RecordedAccount
    clock: Moment
    stream: str
    days: list[Day]
    times: dict[int, int] = field(default_factory=dict)

    def put(self, number, day, *, seconds=12 * HOUR):
        """Give the event `number` a new time on `day`."""
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
        (verified_day,) = verified(self.root, self.stream, [day], now=self.clock.now)
        assert verified_day.is_whole, verified_day.findings
        return verified_day.notes

    def obey(self, finding):
        """Run the command of the finding, as Dagster would."""
        ((first, last, asset),) = set(COMMAND.findall(finding))
        assert asset == self.stream
        return self.read(*(Day.parse(day, self.days[0].timezone) for day in (first, last)))

    def stored(self):
        """The days that hold each event."""
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


def case_in(folder, server, stream, days):
    """An account with some events a day, of which nothing is stored yet."""
    account.clear(stream)
    clock.now = days[-1].end + 6 * HOUR
    case = Case(Path(folder), server, account, clock, stream, days)
    for number, day in enumerate(days, 1):
        for nth in range(EVENTS_A_DAY):
            case.put(10 * number + nth, day, seconds=(3 + 5 * nth) * HOUR)
    return case


@pytest.fixture(scope="module", params=[(METRIC, "UTC"), (EVENTS, "America/New_York")], ids="-".join)
def first_reading(request, server, tmp_path_factory):
    """The root after the first reading of all days."""
    stream, zone = request.param
    case = case_in(tmp_path_factory.mktemp("first"), server, stream, week(zone))
    case.read(case.days[0], case.days[-1])
    assert case.red() == {}
    return case


@pytest.fixture
def case(first_reading, server, tmp_path):
    case = case_in(tmp_path / "root", server, first_reading.stream, first_reading.days)
    copytree(first_reading.root, case.root)
    case.clock.now += HOUR
    return case


MOVES = [(2, 3), (3, 2), (4, 8), (8, 4)]
"""By the number of the day: over the end of February in both directions, and by four days."""


@pytest.mark.parametrize(("old", "new"), MOVES)
def test_reading_only_the_new_day_leaves_the_event_on_two_days_and_both_are_red(case, old, new):
    old, new = case.days[old], case.days[new]
    number = stored_ids(case.root, case.stream, old)[1]
    case.put(number, new, seconds=60)
    case.read(new)
    assert case.stored()[number] == sorted([old, new])
    for asked, other in ((new, old), (old, new)):
        findings = case.red(asked)
        assert list(findings) == [asked]
        assert f"1 event (id {number}) is stored on {other} as well." in findings[asked]
    assert list(case.red()) == sorted([old, new])
    first, last = sorted([old, new])
    assert f"`ticket-events backfill {first}..{last} --asset {case.stream}`" in findings[old]
    case.obey(findings[old])
    assert case.red() == {}
    assert case.is_exact()


@pytest.mark.parametrize(("old", "new"), MOVES)
def test_reading_only_the_old_day_leaves_the_event_on_no_day_and_that_is_red(case, old, new):
    old, new = case.days[old], case.days[new]
    number = stored_ids(case.root, case.stream, old)[1]
    case.put(number, new, seconds=60)
    case.read(old)
    assert number not in case.stored()
    findings = case.red()
    assert list(findings) == [old] == list(case.red(old))
    assert f"1 event (id {number}) that it held before was missing when it was read again" in findings[old]
    case.read(old)
    assert list(case.red()) == [old], "another reading of the same day doesn't find it either"
    case.obey(findings[old])
    assert case.red() == {}
    assert case.is_exact()


def test_reading_the_new_day_alone_brings_a_lost_event_back(case):
    old, new = case.days[4], case.days[5]
    case.put(51, new)
    case.read(old)
    assert list(case.red()) == [old]
    case.read(new)
    assert case.red() == {}
    assert case.is_exact()


def test_an_event_that_moved_back_is_green_once_its_day_is_read(case):
    old, new = case.days[4], case.days[5]
    case.put(51, new)
    case.read(old)
    case.put(51, old)
    case.read(old)
    assert case.red() == {}
    assert read_raw_footer(FolderStore(case.root), case.stream, old).missed.count == 0
    assert case.is_exact()


def test_an_event_that_moved_there_and_back_leaves_its_new_day_green(case):
    old, new = case.days[4], case.days[5]
    case.put(51, new)
    case.read(new)
    case.put(51, old)
    assert list(case.red()) == [old, new]
    case.read(new)
    assert case.red() == {}
    assert case.is_exact()


def test_events_that_move_within_a_range_that_is_read_whole_are_green(case):
    case.put(51, case.days[5])
    case.put(61, case.days[3])
    case.read(case.days[3], case.days[5])
    assert case.red() == {}
    assert case.notes(case.days[4]) == ()
    assert case.is_exact()


def test_a_withdrawn_event_is_red_until_the_days_around_were_read_and_then_a_note(case):
    day = case.days[8]
    case.withdraw(91)
    case.read(day)
    findings = case.red()
    assert list(findings) == [day]
    assert "is stored on no day within 7 days" in findings[day]
    case.obey(findings[day])
    assert case.red() == {}
    (note,) = case.notes(day)
    assert note.startswith("1 event (id 91) that it held before is gone at Zendesk, or more than 7 days away")
    case.read(case.days[7], case.days[9])
    assert case.red() == {}, "later readings don't report it again"
    assert case.is_exact()


def test_reading_all_days_proves_at_once_that_a_withdrawn_event_is_gone(case):
    case.withdraw(51)
    case.read(case.days[0], case.days[-1])
    assert case.red() == {}
    assert "(id 51)" in case.notes(case.days[4])[0]


def test_days_more_than_a_week_apart_are_compared_only_if_both_are_verified(case):
    old, new = case.days[0], case.days[NEARBY_DAYS + 1]
    case.put(11, new)
    case.read(new)
    assert case.red(new) == {}
    assert list(case.red()) == [old, new], "a range that holds both days compares them"


def test_an_account_of_several_gets_a_command_of_its_own_project(case):
    day = case.days[5]
    case.put(51, day)
    case.read(day)
    verified_days = verify_days(
        FolderStore(case.root),
        stream=STREAMS[case.stream],
        days=[day],
        owner=Owner("recorded", day.timezone, sideload=False),
        now=case.clock.now,
        asset=f"acme/{case.stream}",
    )
    ((finding,),) = [found.findings for found in verified_days]
    command = f"`dg launch --assets acme/{case.stream} --partition-range {case.days[4]}...{day}`"
    assert finding.remedy.endswith(f"Read both in one run: {command}.")


def test_moved_events_are_counted_and_the_first_are_named(case):
    old, new = case.days[4], case.days[5]
    for number in (50, 51, 53):
        case.put(number, new, seconds=number)
    case.read(old)
    assert "3 events (ids 50, 51, 53) that it held before" in case.red()[old]


def test_an_audit_and_a_metric_event_of_one_id_move_independently(tmp_path, server):
    days = week("UTC")
    case = case_in(tmp_path, server, EVENTS, days)
    case.account.deliver(EVENTS, [metric_event(51, days[4].start + 60)])
    case.read(days[0], days[-1])
    case.account.deliver(EVENTS, [metric_event(51, days[5].start + 60)])
    case.read(days[4])
    assert list(case.red()) == [days[4]]
    assert read_raw_footer(FolderStore(tmp_path), EVENTS, days[4]).missed.metric_ids == (51,)
    case.account.deliver(EVENTS, [audit(51, days[5].start + 90)])
    case.read(days[5])
    findings = case.red()
    assert list(findings) == [days[4], days[5]]
    assert "1 event (id 51)" in findings[days[5]]
    case.obey(findings[days[5]])
    assert case.red() == {}
    assert [stored_ids(tmp_path, EVENTS, day).count(51) for day in days[4:6]] == [0, 2]


def test_a_file_of_an_older_version_lacks_the_new_footer_keys_and_is_whole(case):
    day = case.days[4]

    def older(metadata):
        return {name: text for name, text in metadata.items() if name not in ("begun_at", "missed")}

    for stored in case.days:
        rewrite(case.root, case.stream, stored, footer=older)
    assert case.red() == {}
    case.put(51, case.days[5])
    case.read(day)
    assert list(case.red()) == [day]
    case.obey(case.red()[day])
    assert case.red() == {}


@pytest.mark.slow
def test_a_footer_lists_some_of_very_many_missed_events_and_counts_all(tmp_path, server):
    days = week("UTC")[:3]
    case = case_in(tmp_path, server, METRIC, days)
    many = MOST_MISSED_IDS + 5
    case.account.deliver(METRIC, [metric_event(1000 + nth, days[1].start + nth) for nth in range(many)])
    case.read(days[0], days[-1])
    case.account.deliver(METRIC, [metric_event(1000 + nth, days[2].start + nth) for nth in range(many)])
    case.read(days[1])
    missed = read_raw_footer(FolderStore(tmp_path), METRIC, days[1]).missed
    assert (missed.count, len(missed.ids), missed.unlisted) == (many, MOST_MISSED_IDS, 5)
    finding = case.red()[days[1]]
    assert f"{many:,} events (ids 1000, 1001, 1002, 1003, 1004, …)" in finding
    case.obey(finding)
    assert case.red() == {}


def test_an_event_dated_ahead_may_move_or_go_while_its_day_is_open(tmp_path, server):
    """A breach that is due later today may be postponed or cancelled: that is no loss."""
    days = week("UTC")[:3]
    today = days[-1]
    case = case_in(tmp_path, server, METRIC, days)
    case.clock.now = today.start + 6 * HOUR
    case.read(days[0], today)
    assert 33 in stored_ids(tmp_path, METRIC, today)
    case.withdraw(33)
    case.put(41, today.plus(1), seconds=60)
    case.clock.now = today.end + HOUR
    case.read(today)
    assert 33 not in stored_ids(tmp_path, METRIC, today)
    assert case.red() == {}


def test_an_event_moved_behind_the_watermark_of_an_open_day_is_red_until_reread(tmp_path, server):
    """The hourly fetch resumes the open day and completes it, without reading what it had read already."""
    days = week("UTC")[:3]
    yesterday, today = days[1:]
    case = case_in(tmp_path, server, METRIC, days)
    case.clock.now = today.start + 10 * HOUR
    case.read(days[0], today)
    case.put(21, today, seconds=2 * HOUR)
    case.read(yesterday)
    assert list(case.red()) == [yesterday]
    case.clock.now = today.end + HOUR
    case.read(today)
    findings = case.red()
    assert list(findings) == [yesterday]
    assert f"not read since (2 days from {days[0]} to {today})" in findings[yesterday]
    case.read(today)
    assert case.red() == {}
    assert case.is_exact()


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
def test_exactly_the_days_with_misplaced_events_are_red_until_they_are_fetched(server, stream, zone, moves, span, cuts):
    """Random moves and withdrawals between a reading of all days, in one or more fetches, and a reading of some.

    If all days are read, what no day holds is gone.
    """
    days = week(zone)[:8]
    with tempfile.TemporaryDirectory() as folder:
        case = case_in(folder, server, stream, days)
        edges = sorted({0, *cuts, 8})
        for first, behind in pairwise(edges):
            case.read(days[first], days[behind - 1])
        for number, place in moves.items():
            if place is None:
                case.withdraw(number)
            else:
                case.put(number, days[place], seconds=number * 60)
        before = set(case.stored())
        case.read(days[span[0]], days[span[1]])
        stored = case.stored()
        twice = {day for found in stored.values() if len(found) > 1 for day in found}
        is_lost = bool(before - stored.keys()) and span != [0, 7]
        red = case.red()
        assert twice <= set(red)
        assert bool(red) == (bool(twice) or is_lost)
        for _ in days:
            if not case.red():
                break
            day, finding = next(iter(case.red().items()))
            first_command = COMMAND.search(finding)
            assert first_command, finding
            case.obey(first_command[0])
            assert finding not in case.red().get(day, "")
        assert case.red() == {}
        assert all(len(found) == 1 for found in case.stored().values())
        assert case.times.keys() <= case.stored().keys()
