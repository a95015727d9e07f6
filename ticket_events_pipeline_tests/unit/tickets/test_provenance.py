"""What the footers of ticket tables say of the audits behind them."""

from __future__ import annotations

import datetime as dt

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.sla.inputs import NOT_LANDED, DayInputs
from ticket_events_pipeline.sla.provenance import AuditsKnown, Provenance
from ticket_events_pipeline.tickets.provenance import TicketProvenance

DAY = Day(dt.date(2026, 3, 2))
NOON = DAY.start + 43_200


def provenance(audits: str, through: int) -> TicketProvenance:
    inputs = DayInputs((audits, "b" * 64 + " complete"), complete=True, as_of=DAY.end, previous_clocks=NOT_LANDED)
    targets = Provenance(inputs, events_through=None, history_from=DAY.date, deletions=AuditsKnown(DAY.date, through))
    return TicketProvenance(targets, "c" * 64, NOT_LANDED, ("status", "group_id"))


@pytest.mark.parametrize(
    ("audits", "through", "known_through"),
    [
        ("a" * 64 + " complete", DAY.end, DAY.end),
        ("a" * 64 + " open", NOON, NOON - 120),  # Zendesk withholds the newest audits: those may still come
        (NOT_LANDED, DAY.start, DAY.start),
    ],
)
def test_the_newest_minutes_of_an_open_day_are_not_known(audits, through, known_through):
    assert provenance(audits, through).known_audits == AuditsKnown(DAY.date, known_through)


def test_a_footer_is_read_as_it_was_written():
    written = provenance("a" * 64 + " open", NOON)
    assert TicketProvenance.from_metadata(written.to_metadata()) == written
    assert written.to_metadata()["audits"] == "open"
