"""The words of `ticket-events ticket` for who held a ticket."""

from ticket_events_pipeline.cli.holders import held_lines
from ticket_events_pipeline.tickets.names import Names
from ticket_events_pipeline.tickets.story import Held, Stretch


def held(*stretches, known_by):
    return Held(
        at_kind="breach",
        group_id=1,
        assignee_id=None,
        known_by=known_by,
        group_id_eod=2,
        assignee_id_eod=None,
        stretches=stretches,
    )


def stretch(group_id, business_seconds):
    return Stretch("breach", group_id, 7, True, 0, 7200, calendar_seconds=7200, business_seconds=business_seconds)


def test_an_agent_who_is_unknown_at_the_end_is_not_nobody():
    assert list(held_lines(held(known_by={}), Names(), business_hours=False))[1] == "at the end with 2, nobody"
    unknown = held(known_by={"assignee_id": None, "assignee_id_eod": None})
    assert list(held_lines(unknown, Names(), business_hours=False)) == [
        "at the breach with 1, unknown agent",
        "at the end with 2, unknown agent",
    ]


def test_calendar_hours_of_a_target_in_business_hours_are_named():
    lines = [
        list(held_lines(held(stretch(1, seconds), stretch(2, 3600), known_by={}), Names(), business_hours=True))[-1]
        for seconds in (3600, None)
    ]
    assert lines == [
        "time used: 1, 7 1 h (50%), 2, 7 1 h (50%)",
        "time used: 1, 7 2 h (50%), 2, 7 2 h (50%), in calendar hours: its business hours aren't known",
    ]
