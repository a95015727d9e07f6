"""Whatever happened, a run that precomputes SLA tables stores the files that one step after the other would."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS, make_clocks, make_summaries, make_targets
from ticket_events_pipeline.sla.precomputed import PrecomputedDays
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline.storage.partition_file import partition_path
from ticket_events_pipeline_tests.support.drawn_histories import DAYS, FIRST, audits, histories
from ticket_events_pipeline_tests.support.sla_roots import put_audits, put_raw_day

EXAMPLES = int(os.environ.get("SLA_EXAMPLES", "20"))


def make(root, days, precomputed):
    store = FolderStore(root)
    for make_table in (make_clocks, make_targets, make_summaries):
        list(make_table(store, days, precomputed=precomputed))
    return [(root / partition_path(table, day)).read_bytes() for table in (TARGETS, SUMMARY) for day in days]


@pytest.mark.parametrize("timezone", ["UTC", pytest.param("America/New_York", marks=pytest.mark.slow)])
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data(), share=st.floats(0.01, 1))
def test_every_file_is_the_same_also_when_it_restates_another(timezone, data, share):
    """First some of the events with the last day open, then all: by one object that outlives both runs."""
    history, deletions = data.draw(histories(timezone)), data.draw(audits(timezone))
    days = days_between(Day(FIRST, timezone), Day(FIRST, timezone).plus(DAYS - 1))
    part = data.draw(st.integers(0, len(history)))
    now = days[-1].start + round(share * (days[-1].end - days[-1].start))
    precomputed = PrecomputedDays(limit_bytes=data.draw(st.sampled_from([0, 15_000, 10**9])))
    with tempfile.TemporaryDirectory() as folder:
        roots = Path(folder, "at_once"), Path(folder, "alone")
        for events, read_to in ((history[:part], now), (history, None)):
            made = []
            for root, waiting in zip(roots, (precomputed, None), strict=True):
                for day in days:
                    until = read_to if day == days[-1] else None
                    put_raw_day(root, events, day, now=until)
                    put_audits(root, deletions, day, now=until)
                made.append(make(root, days, waiting))
            assert made[0] == made[1]
