"""For any targets and outages: every due time is warned of once, in time, or had passed; nothing untrue is sent."""

from collections import Counter

import pytest
from hypothesis import given, settings

from ticket_events_pipeline.alerts.warning_state import LATE_EVENTS_SECONDS, PAUSE_SECONDS, SAME_BREACH_SECONDS
from ticket_events_pipeline.alerts.warning_tick import LONGEST_RETRY_SECONDS
from ticket_events_pipeline_tests.support.warning_desk import HOUR
from ticket_events_pipeline_tests.support.warning_world import END, START, TICK, World, worlds

WARN = HOUR


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(worlds())
def test_every_due_time_is_told_once_in_time_or_had_passed_and_nothing_untrue_is_told(world):
    world.run()
    assert {told: number for told, number in Counter((t.to, t.ticket, t.at) for t in world.told).items() if number > 1} == {}
    by_ticket = {life.ticket: life for life in world.lives}
    for told in world.told:
        life = by_ticket[told.ticket]
        if told.is_breached:
            assert (life.breached_at, life.is_over(told.as_of)) == (told.at, False)
        else:
            assert life.due_at(told.as_of) == told.at
            assert told.at_tick >= told.at - WARN
        assert not knows_only_the_time_before_a_pause(world, told)
    for to in world.down:
        for life in world.lives:
            assert untold_in_time(world, to, life) == []
            assert not is_lost(world, to, life)


def knows_only_the_time_before_a_pause(world: World, told) -> bool:
    """A fetch comes within an interval after a pause of the daemon: nothing that was known before is sent."""
    pauses = [end for start, end in world.daemon_down if end - start > PAUSE_SECONDS + TICK and end <= told.at_tick]
    return any(told.as_of < end - world.interval and told.at_tick < end + world.interval for end in pauses)


def untold_in_time(world: World, to: str, life) -> list[int]:
    """Due times that the data showed for longer than any back-off, while everything worked, and that were not told by then."""
    since: dict[int, int] = {}
    missing = []
    for now, as_of in world.shown:
        at = life.due_at(as_of)
        since = {} if at is None or now < at - WARN else {at: since.get(at, now)}
        for seen_at, begun in since.items():
            has_waited = now - begun >= LONGEST_RETRY_SECONDS + world.interval + TICK
            if has_waited and world.works(to, begun - world.interval, now + TICK):
                told = any((t.to, t.ticket, t.at) == (to, life.ticket, seen_at) and t.at_tick <= now for t in world.told)
                missing += [] if told else [seen_at]
    return missing


def is_lost(world: World, to: str, life) -> bool:
    """Whether a breach that a tick could have foretold is told neither before nor after, though it is late at the end."""
    at = life.breached_at
    if at is None or life.is_over(END) or not START + LATE_EVENTS_SECONDS <= at < END - world.interval - LONGEST_RETRY_SECONDS:
        return False
    was_due = any(life.due_at(as_of) == at and now >= at - WARN for now, as_of in world.shown)
    told = [t.at for t in world.told if (t.to, t.ticket) == (to, life.ticket)]
    return was_due and not any(abs(told_at - at) <= SAME_BREACH_SECONDS for told_at in told)
