"""The words for targets without a due time: a paused clock can't breach, the others may at any time."""

from __future__ import annotations

import pytest

from ticket_events_pipeline.report.open_tickets import Unforecast
from ticket_events_pipeline.report.statements import without_estimate


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (Unforecast(paused=1), "open target is paused and has no due time until it goes on."),
        (Unforecast(paused=1200), "open targets are paused and have no due time until they go on."),
        (Unforecast(unknown_length=1), "open target has no estimate and may breach at any time: 1 of unknown length."),
        (
            Unforecast(unknown_length=2, begun_before=1),
            "open targets have no estimate and may breach at any time: 2 of unknown length; 1 begun before the stored history.",
        ),
        (
            Unforecast(paused=55, begun_before=11),
            "open targets have no estimate. 11 may breach at any time: 11 begun before the stored history. "
            "55 are paused and have no due time until they go on.",
        ),
        (
            Unforecast(paused=1, begun_before=1),
            "open targets have no estimate. 1 may breach at any time: 1 begun before the stored history. "
            "1 is paused and has no due time until it goes on.",
        ),
    ],
)
def test_only_targets_whose_clock_runs_are_said_to_breach_at_any_time(targets, said):
    assert without_estimate(targets) == said
