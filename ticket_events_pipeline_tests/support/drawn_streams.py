"""Random streams of three days across a change of clocks, and the ids that each day's file must hold."""

import datetime as dt
from collections import defaultdict

from hypothesis import strategies as st

from ticket_events_pipeline.day import Day
from ticket_events_pipeline_tests.support.events import audit, metric_event

LAG = {"ticket_events": 120, "ticket_metric_events": 300}
ZONES = ["UTC", "America/New_York", "Asia/Kolkata"]
FIRST = "2026-03-07"  # New York's clock changes on the 8th
DAYS = 3


@st.composite
def streams(draw):
    """A time zone, and rows around its three days: spread, in bursts of one second, and at the midnights."""
    timezone = draw(st.sampled_from(ZONES))
    first = Day.parse(FIRST, timezone)
    start, end = first.plus(-1).start, first.plus(DAYS + 1).end
    midnights = [first.plus(offset).start for offset in range(DAYS + 1)]
    bursts = draw(st.lists(st.integers(start, end), min_size=1, max_size=3))
    around = st.sampled_from(midnights).flatmap(lambda midnight: st.integers(midnight - 400, midnight + 400))
    times = draw(st.lists(st.integers(start, end) | st.sampled_from(bursts) | st.sampled_from(midnights) | around, max_size=40))
    ids = draw(st.permutations(range(1, len(times) + 1)))
    shapes = draw(st.lists(st.booleans(), min_size=len(times), max_size=len(times)))
    rows = [(metric_event if shape else audit)(*pair) for pair, shape in zip(zip(ids, times, strict=True), shapes, strict=True)]
    return timezone, rows


def row_time(row):
    return row.get("timestamp") or int(dt.datetime.fromisoformat(row["time"]).timestamp())


def truth(rows, timezone):
    """The ids by local date, in the order (time, id)."""
    days = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row_time(row), row["id"])):
        days[Day.containing(row_time(row), timezone)].append(row["id"])
    return days
