"""For any files in the root, a scheduled fetch covers the days that are not whole, and no others."""

import re
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.ingest.catch_up import (
    ENOUGH_FAILURES,
    MOST_COMPLETE_DAYS,
    MOST_GAP_DAYS,
    Attempt,
    CatchUp,
    CompleteFiles,
    catch_up,
    is_stuck,
)
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline.storage.pruned_days import PRUNED
from ticket_events_pipeline.tables.registry import SCHEMA_VERSION
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline_tests.support.empty_days import DAMAGED, MISSING, OPEN, WHOLE, Shelf

TODAY = Day.parse("2026-03-10")
STREAM_NAMES = tuple(STREAMS)


def days_ago(count: int) -> Day:
    return TODAY.plus(-count)


@dataclass
class Root:
    """A store filled from a text: a letter per day for each stream, the last one for yesterday."""

    store: Shelf

    def put_day(self, states, streams=STREAM_NAMES):
        for stream in streams:
            for ago, state in enumerate(reversed(states), 1):
                if state != MISSING:
                    self.store.put_day(stream, days_ago(ago), state)

    def catch_up(self):
        return catch_up(self.store, TODAY, CompleteFiles())


@pytest.fixture
def root(tmp_path):
    return Root(Shelf(tmp_path))


def ago(*days):
    return tuple(days_ago(number) for number in days)


def test_without_a_whole_day_yesterday_and_today_are_fetched(root):
    assert root.catch_up() == CatchUp(ago(1, 0))
    root.put_day("OD")
    assert root.catch_up() == CatchUp(ago(1, 0), left_out=ago(2))


def test_older_days_of_one_stream_are_named_if_the_other_has_no_whole_day(root):
    root.put_day("WOWWW", STREAM_NAMES[:1])
    assert root.catch_up() == CatchUp(ago(4, 1, 0), gaps=ago(4), left_out=ago(5, 3, 2))


def test_the_days_after_the_newest_whole_day_are_fetched(root):
    root.put_day("WWWOM")
    assert root.catch_up() == CatchUp(ago(2, 1, 0))


@pytest.mark.parametrize("gap", ["MMM", "OOO", "DDD", "MOD"])
def test_a_gap_before_newer_whole_days_is_filled(root, gap):
    root.put_day(f"WW{gap}WW")
    assert root.catch_up() == CatchUp(ago(5, 4, 3, 0), gaps=ago(5, 4, 3))


def test_days_before_the_first_whole_day_are_no_gap(root):
    root.put_day("OMWW")
    assert root.catch_up() == CatchUp(ago(0), left_out=ago(4, 3))


def test_a_gap_in_one_stream_is_enough(root):
    root.put_day("WWMWWM", STREAM_NAMES[:1])
    root.put_day("WWWWWW", STREAM_NAMES[1:])
    assert root.catch_up() == CatchUp(ago(4, 1, 0), gaps=ago(4))


def test_days_that_only_one_stream_has_are_a_gap(root):
    """A backfill reads one stream after the other: if it is killed during the first, the second lacks the oldest days."""
    root.put_day("OWWMMWW", STREAM_NAMES[:1])
    root.put_day("MMMMMWW", STREAM_NAMES[1:])
    assert root.catch_up() == CatchUp(ago(6, 5, 4, 3, 0), gaps=ago(6, 5, 4, 3), left_out=ago(7))


def test_a_gap_of_a_month_is_filled_and_a_longer_gap_is_only_named(root):
    root.put_day("W" + MISSING * MOST_GAP_DAYS + "W")
    gap = tuple(days_between(days_ago(MOST_GAP_DAYS + 1), days_ago(2)))
    assert root.catch_up() == CatchUp((*gap, TODAY), gaps=gap)
    for stream in STREAM_NAMES:
        root.store.delete(partition_path(stream, days_ago(1)))
        root.store.put_day(stream, days_ago(0), WHOLE)
    longer = (*gap, days_ago(1))
    assert root.catch_up() == CatchUp(ago(0), left_out=longer)


def test_missing_days_before_a_month_of_whole_days_are_named_and_not_read(root):
    root.put_day("WWMMO" + WHOLE * MOST_COMPLETE_DAYS)
    assert root.catch_up() == CatchUp(ago(0), left_out=ago(MOST_COMPLETE_DAYS + 3, MOST_COMPLETE_DAYS + 2))
    assert len(root.store.read.keys() - {PRUNED}) == MOST_COMPLETE_DAYS * len(STREAM_NAMES)


def test_a_file_of_a_newer_version_is_not_fetched_again(root):
    root.put_day("WW")
    root.store.put_day(STREAM_NAMES[0], days_ago(1), OPEN, schema_version=SCHEMA_VERSION + 1)
    assert root.catch_up() == CatchUp(ago(0))


def test_the_next_check_reads_only_changed_files_again(root):
    files = CompleteFiles()
    root.put_day("WWWWO")
    first = catch_up(root.store, TODAY, files)
    root.store.read.clear()
    assert catch_up(root.store, TODAY, files) == first
    assert set(root.store.read) == {PRUNED, *(partition_path(stream, days_ago(1)) for stream in STREAM_NAMES)}
    root.store.put_day(STREAM_NAMES[0], days_ago(3), OPEN)
    assert catch_up(root.store, TODAY, files) == CatchUp(ago(3, 1, 0), gaps=ago(3))
    root.store.put_day(STREAM_NAMES[0], days_ago(3), WHOLE)
    assert catch_up(root.store, TODAY, files) == first


def oracle(states, other):
    """The expected ages of days to fetch and of gaps, from the texts of one stream and the other."""
    if WHOLE not in states:
        return {1, 0}, set()
    length = max(len(states), len(other))
    states, other = states.rjust(length, MISSING), other.rjust(length, MISSING)
    seen = [place for place, state in enumerate(states) if state == WHOLE][-MOST_COMPLETE_DAYS:]
    holes = [range(earlier + 1, later) for earlier, later in pairwise(seen)]
    if len(seen) < MOST_COMPLETE_DAYS:
        holes.insert(0, range(re.search(f"[^{MISSING}]", both := merged(states, other)).start(), seen[0]))
    gaps = []
    for hole in reversed(holes):
        if len(gaps) + len(hole) > MOST_GAP_DAYS:
            break
        is_last = hole is holes[0] and len(seen) < MOST_COMPLETE_DAYS
        gaps += [place for place in hole if not is_last or place >= both.index(WHOLE)]
    return {length - place for place in [*gaps, *range(seen[-1] + 1, length + 1)]}, {length - place for place in gaps}


def merged(one, other):
    """The better state of each day in either stream."""
    return "".join(min(pair, key=(WHOLE, OPEN, DAMAGED, MISSING).index) for pair in zip(one, other, strict=True))


class StatesOnly:
    """A store without files whose states are texts."""

    def __init__(self, texts):
        self.texts = texts

    def reader(self, path):
        raise FileNotFoundError(path)

    def versions(self, prefix):
        states = self.texts[prefix]
        ages = range(len(states), 0, -1)
        return {
            partition_path(prefix, days_ago(age)): state for age, state in zip(ages, states, strict=True) if state != MISSING
        }


class StatedFiles(CompleteFiles):
    """Reads a file's state from its version."""

    def is_complete(self, store, stream, day, version):
        return version == WHOLE


ranges_of_states = st.lists(
    st.tuples(st.sampled_from([WHOLE, WHOLE, OPEN, DAMAGED, MISSING]), st.integers(1, 40)), max_size=6
).map(lambda parts: "".join(state * length for state, length in parts))
any_states = st.one_of(ranges_of_states, st.text(alphabet=WHOLE + OPEN + DAMAGED + MISSING, max_size=90))


@given(any_states, any_states)
def test_the_days_equal_those_of_the_oracle_for_any_stored_files(one, other):
    found = catch_up(StatesOnly(dict.fromkeys(STREAM_NAMES, other) | {STREAM_NAMES[0]: one}), TODAY, StatedFiles())
    expected = [oracle(one, other), oracle(other, one)]
    expected_days, expected_gaps = ({age for ages in kind for age in ages} for kind in zip(*expected, strict=True))
    assert [(TODAY.date - day.date).days for day in found.days] == sorted(expected_days, reverse=True)
    assert {(TODAY.date - day.date).days for day in found.gaps} == expected_gaps
    assert not set(found.left_out) & set(found.days)
    # Every day missing since the first stored day is fetched or named.
    for states in (one, other):
        begun = len(max(one, other, key=lambda text: len(text.lstrip(MISSING))).lstrip(MISSING))
        newest = states[::-1].find(WHOLE) + 1
        missing = {age for age in range(max(newest, 1), begun + 1) if states.rjust(begun, MISSING)[-age] == MISSING}
        assert missing <= {(TODAY.date - day.date).days for day in found.days + found.left_out}


@given(any_states)
def test_after_hourly_fetches_of_the_requested_days_only_today_is_left(states):
    for _ in range(5):
        found = catch_up(StatesOnly(dict.fromkeys(STREAM_NAMES, states)), TODAY, StatedFiles())
        fetched = {(TODAY.date - day.date).days for day in found.days}
        ages = range(max(len(states), 1), 0, -1)
        states = "".join(WHOLE if age in fetched else state for age, state in zip(ages, states or MISSING, strict=True))
    assert found.days == (TODAY,)


def attempts(text):
    """`4-` is a fetch that began four days ago and failed, `4+` one that succeeded."""
    return [Attempt(days_ago(int(word[:-1])), word[-1] == "+") for word in text.split()]


@pytest.mark.parametrize(
    ("text", "stuck"),
    [
        ("", False),
        ("4- 4-", False),
        ("4- 4- 4-", True),
        # Every other fetch skips the day, as long as everything fails.
        ("4- 4- 4- 3-", False),
        ("4- 4- 4- 3- 4-", True),
        # Zendesk is back: the day is retried once.
        ("4- 4- 4- 3+", False),
        # Only this day fails.
        ("4- 4- 4- 3+ 4-", True),
        ("4- 4- 4- 3+ 4- 0+ 0+ 0-", True),
        # The day has succeeded since.
        ("4- 4- 4- 3+ 4+ 0-", False),
        ("3- 3- 3-", False),
    ],
)
def test_a_day_is_skipped_after_three_failed_fetches(text, stuck):
    assert ENOUGH_FAILURES == 3
    assert is_stuck(days_ago(4), attempts(text)) is stuck
