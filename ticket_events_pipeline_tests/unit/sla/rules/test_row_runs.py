"""Fast sorting and lookup give the same results as plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.sla.rules.row_runs import RowRuns, among, between, once, order_of, places_of, ranges, union

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3) | st.integers(0, 2**40)


def ints(values):
    return np.array(values, np.int64)


def sorted_by_key(rows):
    return sorted(rows, key=lambda row: row[0])


@st.composite
def keys(draw):
    size, kinds = (
        draw(st.integers(0, 25)),
        draw(st.lists(st.sampled_from([NUMBERS, st.integers(0, 2)]), min_size=1, max_size=5)),
    )
    return [ints(draw(st.lists(kind, min_size=size, max_size=size))) for kind in kinds]


@given(keys())
def test_the_order_is_stable_and_the_first_key_is_the_primary_one(columns):
    rows = range(len(columns[0]))
    assert order_of(*columns).tolist() == sorted(rows, key=lambda row: [int(column[row]) for column in columns])


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans())).map(sorted_by_key))
def test_latest_is_the_last_marked_row_of_the_run_so_far(rows):
    keys, marks = [key for key, _ in rows], [mark for _, mark in rows]
    latest = [max((n for n in range(row + 1) if keys[n] == keys[row] and marks[n]), default=-1) for row in range(len(rows))]
    assert RowRuns.of(ints(keys)).latest(np.array(marks, bool)).tolist() == latest


@given(st.lists(NUMBERS), st.lists(NUMBERS))
def test_among_marks_the_values_in_the_other_list(values, others):
    assert among(ints(values), union(ints(others))).tolist() == [value in others for value in values]


@given(st.lists(NUMBERS), st.lists(NUMBERS))
def test_places_are_those_of_every_wanted_value(values, wanted):
    found = [place for place, value in enumerate(values) if value in wanted]
    assert places_of(ints(wanted), within=ints(values)).tolist() == found


def test_a_value_with_the_last_bits_of_a_wanted_one_is_not_found():
    assert places_of(ints([5, -1]), within=ints([5 + 2**16, 5, -1, 2**16 - 1, 5])).tolist() == [1, 2, 4]


@given(st.lists(NUMBERS), st.lists(NUMBERS))
def test_union_holds_every_value_once_in_order(values, others):
    assert union(ints(values), ints(others)).tolist() == sorted({*values, *others})
    assert once(np.sort(ints(values))).tolist() == sorted(set(values))


@given(st.lists(NUMBERS), NUMBERS, NUMBERS)
def test_between_holds_both_ends(values, one, other):
    least, greatest = sorted([one, other])
    assert between(np.sort(ints(values)), least, greatest).tolist() == sorted(v for v in values if least <= v <= greatest)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5))))
def test_ranges_come_one_after_the_other(spans):
    starts, lengths = ints([start for start, _ in spans]), ints([length for _, length in spans])
    assert ranges(starts, starts + lengths).tolist() == [n for start, length in spans for n in range(start, start + length)]
