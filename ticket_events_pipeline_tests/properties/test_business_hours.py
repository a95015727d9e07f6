"""For any schedule, business seconds equal those of an oracle that looks at every second."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.tickets.rules.business_hours import Schedule, business_seconds
from ticket_events_pipeline_tests.support import business_hours_oracle

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
# The clocks change within a few days of each, in one of the zones.
NEAR = [dt.date(2026, 3, 8), dt.date(2026, 3, 29), dt.date(2026, 4, 5), dt.date(2026, 10, 4), dt.date(2026, 10, 25)]
QUARTERS = st.integers(0, 7 * 96 - 1).map(lambda quarter: quarter * 15)


@st.composite
def spans(draw):
    near = dt.datetime.combine(draw(st.sampled_from(NEAR)), dt.time(), dt.UTC)
    start = int(near.timestamp()) + draw(st.integers(-2 * 86_400, 2 * 86_400))
    return start, start + draw(st.sampled_from([0, 1, 3599, 3600, 40_000, 86_400, 200_000]))


@st.composite
def schedules(draw):
    starts = draw(st.lists(QUARTERS, max_size=6))
    nights = draw(st.lists(st.integers(0, 12).map(lambda quarter: quarter * 15), max_size=3))  # about the change of the clocks
    lengths = [draw(st.sampled_from([0, 15, 30, 60, 90, 480, 1440])) for _ in range(len(starts) + len(nights))]
    intervals = [(start, start + length) for start, length in zip([*starts, *nights], lengths, strict=True)]
    holidays = draw(st.lists(st.tuples(st.sampled_from(NEAR), st.integers(-1, 2), st.integers(0, 2)), max_size=2))
    days = [(near + dt.timedelta(days=by), near + dt.timedelta(days=by + more)) for near, by, more in holidays]
    return Schedule(1, "", draw(st.sampled_from(ZONES)), tuple(intervals), tuple(days))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(schedule=schedules(), drawn=st.lists(spans(), min_size=1, max_size=3))
def test_business_seconds_equal_those_counted_second_by_second(schedule, drawn):
    starts, ends = (np.array([span[side] for span in drawn]) for side in (0, 1))
    expected = [business_hours_oracle.business_seconds(schedule, schedule.time_zone, *span) for span in drawn]
    assert business_seconds(schedule, starts, ends).tolist() == expected
