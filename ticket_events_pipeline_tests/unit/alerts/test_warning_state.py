"""A warning of each due time is sent once to each destination, for any outage of it or of the daemon; the state stays small."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.alerts.warning_rules import BREACHED_SECONDS, OVERDUE_SECONDS, outlook
from ticket_events_pipeline.alerts.warning_settings import WarningSettings
from ticket_events_pipeline.alerts.warning_state import MOST_REMEMBERED, STALE_AGAIN_SECONDS, Recipient, WarningState
from ticket_events_pipeline.alerts.webhook import Answer
from ticket_events_pipeline_tests.support.warning_desk import (
    ACCEPTED,
    DAY,
    DOWN,
    HOUR,
    INTERVAL,
    MINUTE,
    NOON,
    Desk,
    due,
    found,
    late,
    ticking_desk,
)


@pytest.fixture
def desk():
    return ticking_desk()


def test_a_target_is_told_an_hour_before_it_is_due_and_once(desk):
    at = NOON + HOUR
    assert desk.told(NOON - 1, due(1, at)) == []
    assert desk.told(NOON, due(1, at)) == [1]
    assert desk.summary == "Sent: 1 target due soon. The data is as of 2026-03-02 12:00 UTC, 0 s old."
    for later in range(1, 100):
        assert desk.told(NOON + later * MINUTE, due(1, at)) == []


def test_one_message_has_all_of_a_tick_the_most_urgent_first(desk):
    assert desk.told(NOON, due(3, NOON + 50), due(1, NOON + 90), due(2, NOON + 20), due(4, NOON + HOUR + 1)) == [2, 3, 1]
    assert len(desk.sent) == 1
    assert desk.told(NOON + 30, due(4, NOON + HOUR + 1), due(1, NOON + 90)) == [4]


def test_a_metric_is_told_by_its_own_minutes():
    desk = ticking_desk(settings=WarningSettings(HOUR, {"first_reply_time": 15 * MINUTE, "agent_work_time": 2 * HOUR}))
    rows = [due(1, NOON + 30 * MINUTE), due(2, NOON + 90 * MINUTE, sla_metric="agent_work_time")]
    assert desk.told(NOON, *rows, due(3, NOON + 30 * MINUTE, sla_metric=None)) == [3, 2]
    assert desk.told(NOON + 15 * MINUTE, *rows) == [1]


def test_clocks_of_one_ticket_are_told_apart(desk):
    at = NOON + MINUTE
    rows = [due(1, at), due(1, at, instance_id=2), due(1, at, metric="agent_work_time"), due(1, at, metric="x" * 999)]
    assert desk.told(NOON, *rows[:1]) == [1]
    assert desk.told(NOON + 30, *rows) == [1, 1, 1]


def test_a_due_time_that_moved_is_told_when_it_is_near_again(desk):
    assert desk.told(NOON, due(1, NOON + 30 * MINUTE)) == [1]
    assert desk.told(NOON + MINUTE) == []
    moved = NOON + 3 * HOUR
    assert desk.told(NOON + 2 * MINUTE, due(1, moved)) == []
    assert desk.told(moved - HOUR, due(1, moved), as_of=moved - HOUR) == [1]
    # Corrected to what it was: told already.
    assert desk.told(moved - HOUR + 60, due(1, NOON + 30 * MINUTE)) == []


def test_a_target_that_was_met_before_it_could_be_told_is_not_told(desk):
    desk.answers = {"chat": DOWN}
    assert desk.told(NOON, due(1, NOON + 9), due(2, NOON + 50 * MINUTE)) == []
    desk.answers = {"chat": ACCEPTED}
    assert desk.told(NOON + 20 * MINUTE, due(2, NOON + 50 * MINUTE)) == [2]


def test_after_an_outage_one_message_tells_what_is_still_true(desk):
    desk.answers = {"chat": DOWN}
    for minute in range(60):
        rows = [due(1, NOON + 30 * MINUTE)] if minute < 30 else [late(1, NOON + 30 * MINUTE)]
        met = [due(2, NOON + 40 * MINUTE)] if minute < 40 else []
        assert desk.told(NOON + minute * MINUTE, *rows, *met, due(3, NOON + 100 * MINUTE)) == []
    tried = len(desk.sent)
    assert tried == 9  # after 0, 1, 3, 7, 15, 25, 35, 45 and 55 minutes
    desk.answers = {"chat": ACCEPTED}
    rows = [late(1, NOON + 30 * MINUTE), due(3, NOON + 100 * MINUTE)]
    assert [desk.told(NOON + minute * MINUTE, *rows) for minute in (60, 64)] == [[], []]
    assert desk.told(NOON + 65 * MINUTE, *rows) == [3, -1]
    assert desk.sent[-1][1].undelivered_since == NOON
    assert [desk.told(NOON + minute * MINUTE, *rows) for minute in range(66, 200)] == [[]] * 134


def test_a_breach_during_a_short_outage_is_told_if_no_warning_got_through(desk):
    desk.answers = {"chat": DOWN}
    assert desk.told(NOON, due(1, NOON + 5 * MINUTE)) == []
    desk.answers = {"chat": ACCEPTED}
    assert desk.told(NOON + 8 * MINUTE, late(1, NOON + 5 * MINUTE)) == [-1]


def test_a_destination_that_is_down_does_not_hold_up_the_other():
    desk = ticking_desk(answers={"a": ACCEPTED, "b": DOWN})
    first = found(due(1, NOON + HOUR), as_of=NOON)
    assert list(desk.tick(NOON, first)) == ["a"]
    second = found(due(1, NOON + HOUR), due(2, NOON + 65 * MINUTE), as_of=NOON + 5 * MINUTE)
    told = desk.tick(NOON + 5 * MINUTE, second)
    assert [target.ticket_id for target in told["a"].due] == [2]
    desk.answers["b"] = ACCEPTED
    told = desk.tick(NOON + 10 * MINUTE, second)
    assert list(told) == ["b"]
    assert [target.ticket_id for target in told["b"].due] == [1, 2]
    assert desk.tick(NOON + 11 * MINUTE, second) == {}


def test_a_further_destination_is_told_what_is_due_now_and_no_past():
    desk = ticking_desk(answers={"a": ACCEPTED})
    tables = found(due(1, NOON + HOUR), late(2, NOON - HOUR), as_of=NOON)
    assert list(desk.tick(NOON, tables)) == ["a"]
    desk.answers = {"a": ACCEPTED, "b": ACCEPTED}
    told = desk.tick(NOON + MINUTE, tables)
    assert list(told) == ["b"]
    assert ([target.ticket_id for target in told["b"].due], told["b"].breached) == ([1], ())


def test_a_new_url_in_the_place_of_a_revoked_one_is_told_what_waited_and_nothing_twice():
    desk = ticking_desk(answers={"a": ACCEPTED})
    tables = found(due(1, NOON + HOUR), as_of=NOON)
    desk.tick(NOON, tables)
    desk.answers = {"a": Answer(is_accepted=False, is_final=True, reason="404 no_service")}
    waiting = found(due(1, NOON + HOUR), due(2, NOON + HOUR), as_of=NOON)
    assert desk.tick(NOON + MINUTE, waiting) == {}
    assert desk.tick(NOON + 2 * MINUTE, waiting) == {}
    assert "404 no_service; check TICKET_EVENTS_ALERT_WEBHOOK, or make a new webhook" in desk.summary
    assert "it is tried again once an hour in case it is repaired. The next attempt is at" in desk.summary
    desk.answers = {"b": ACCEPTED}
    told = desk.tick(NOON + 3 * MINUTE, waiting)
    assert [target.ticket_id for target in told["b"].due] == [2]


def test_the_first_tick_tells_what_is_due_now_and_no_past_breach():
    desk = Desk()
    assert desk.told(NOON, due(1, NOON + MINUTE), late(2, NOON - MINUTE)) == [1]


def test_after_a_pause_of_the_daemon_nothing_is_told_before_the_first_fetch(desk):
    """The tables are from before the pause: they know nothing of what was met during it."""
    before = [due(1, NOON + 30 * MINUTE), due(2, NOON + 80 * MINUTE), due(3, NOON + 50 * MINUTE)]
    assert desk.told(NOON, before[2]) == [3]
    back = NOON + HOUR
    assert [desk.told(back + seconds, *before, as_of=NOON) for seconds in (0, 30, 240)] == [[], [], []]
    assert desk.summary.startswith("No warning is sent before the first fetch after a pause. The data is as of 2026-03-02 ")
    assert desk.told(back + 300, late(1, NOON + 30 * MINUTE), due(2, NOON + 80 * MINUTE), as_of=back + 290) == [2, -1]
    assert len(desk.sent) == 2


def test_if_no_fetch_comes_after_a_pause_stale_data_is_told_with_what_it_says(desk):
    back = NOON + HOUR
    waits = 2 * INTERVAL
    rows = [due(1, back + 30 * MINUTE)]
    assert desk.told(back, *rows, as_of=NOON) == []
    for seconds in range(30, waits, 30):
        assert desk.told(back + seconds, *rows, as_of=NOON) == []
    assert desk.told(back + waits, *rows, as_of=NOON) == [1]
    assert desk.sent[-1][1].is_stale


def test_ticks_that_are_always_far_apart_tell_stale_data_all_the_same(desk):
    """A daemon with much to do, or one that is started again and again."""
    assert desk.told(NOON, as_of=NOON) == []
    messages = [desk.tick(NOON + number * 6 * MINUTE, found(as_of=NOON)) for number in range(1, 12)]
    assert [number for number, news in enumerate(messages, 1) if news and news["chat"].is_stale] == [6]


def test_a_due_time_that_has_passed_without_a_breach_is_told_for_a_while(desk):
    assert desk.told(NOON, due(1, NOON - MINUTE), due(2, NOON - OVERDUE_SECONDS)) == [1]


def test_a_breach_in_normal_operation_is_no_warning(desk):
    """It was foretold, or it was not foreseeable: the alert sensor tells of breaches."""
    assert desk.told(NOON, due(1, NOON + 10 * MINUTE)) == [1]
    assert desk.told(NOON + 10 * MINUTE) == []
    rows = [late(1, NOON + 10 * MINUTE), late(2, NOON + 12 * MINUTE)]
    assert desk.told(NOON + 20 * MINUTE, *rows) == []


def test_a_breach_that_was_foretold_is_not_told_after_an_outage(desk):
    assert desk.told(NOON, due(1, NOON + 30 * MINUTE), due(2, NOON + 31 * MINUTE)) == [1, 2]
    desk.answers = {"chat": DOWN}
    assert desk.told(NOON + MINUTE, due(3, NOON + HOUR)) == []
    desk.answers = {"chat": ACCEPTED}
    # The second one was moved by a pause, and breached later than it was told.
    rows = [late(1, NOON + 33 * MINUTE), late(2, NOON + 55 * MINUTE)]
    assert desk.told(NOON + HOUR, *rows, due(3, NOON + HOUR)) == [3, -2]


def test_breaches_in_business_hours_are_told_after_an_outage_only_where_they_can_be_foreseen(desk):
    at = NOON + 30 * MINUTE
    rows = [late(1, at, business_hours=True), late(2, at), late(3, at, business_hours=None)]
    before = desk.cursor
    assert desk.told(NOON + HOUR, *rows) == [-2]
    desk.cursor = before
    assert desk.told(NOON + HOUR, *rows, schedules_fetched_at=NOON) == [-1, -2, -3]


def test_after_a_weekend_without_the_daemon_breaches_of_the_last_day_are_told(desk):
    back = NOON + 3 * 24 * HOUR
    rows = [late(1, back - BREACHED_SECONDS - 1), late(2, back - BREACHED_SECONDS), late(3, back - HOUR)]
    assert desk.told(back, *rows) == [-3, -2]


def test_stale_data_is_told_once_and_so_is_fresh_data_after_it(desk):
    for minute in range(21):
        assert desk.tick(NOON + minute * MINUTE, found(as_of=NOON)) == {}
    (news,) = desk.tick(NOON + 2 * INTERVAL + 1, found(as_of=NOON)).values()
    assert (news.is_stale, news.due) == (True, ())
    assert desk.summary.startswith("Sent: stale data. ")
    for minute in range(22, 60):
        assert desk.tick(NOON + minute * MINUTE, found(as_of=NOON)) == {}
    (news,) = desk.tick(NOON + HOUR, found(as_of=NOON + HOUR)).values()
    assert (news.is_stale, news.is_fresh_again, news.number) == (False, True, 1)
    assert desk.summary.startswith("Sent: fresh data again. ")
    assert desk.tick(NOON + HOUR, found(as_of=NOON + HOUR)) == {}
    (news,) = desk.tick(NOON + HOUR, found(due(2, NOON + 2 * HOUR), as_of=NOON + HOUR)).values()
    assert not news.is_fresh_again


def test_only_a_destination_that_was_told_of_stale_data_is_told_that_it_is_fresh():
    desk = ticking_desk(answers={"a": ACCEPTED, "b": DOWN})
    assert list(desk.tick(NOON, found(as_of=NOON - HOUR))) == ["a"]
    desk.answers["b"] = ACCEPTED
    assert list(desk.tick(NOON + MINUTE, found(as_of=NOON))) == ["a"]


def test_the_end_of_a_stale_time_reaches_a_destination_that_was_down_then(desk):
    assert desk.tick(NOON, found(as_of=NOON - HOUR))
    desk.answers = {"chat": DOWN}
    assert desk.tick(NOON + MINUTE, found(as_of=NOON)) == {}
    desk.answers = {"chat": ACCEPTED}
    (news,) = desk.tick(NOON + 2 * MINUTE, found(as_of=NOON)).values()
    assert news.is_fresh_again


def test_with_a_fetch_an_hour_stale_data_is_not_told_every_hour(desk):
    told = []
    for minute in range(0, 24 * 60, 5):
        now = NOON + minute * MINUTE
        if desk.tick(now, found(as_of=now - minute % 60 * MINUTE)):
            told.append((minute, desk.sent[-1][1].is_stale))
    hours = (0, 6, 12, 18)
    assert told == [one for hour in hours for one in ((hour * 60 + 25, True), (hour * 60 + 60, False))]


def test_data_that_stays_stale_is_told_though_it_was_told_of_an_earlier_time_a_moment_ago(desk):
    fresh = NOON + HOUR
    minutes = range(STALE_AGAIN_SECONDS // MINUTE + 30)
    ages = [(NOON + minute * MINUTE, fresh if NOON + minute * MINUTE >= fresh else NOON) for minute in minutes]
    told = [minute for minute in minutes if desk.tick(ages[minute][0], found(as_of=ages[minute][1]))]
    assert told == [21, 60, 21 + 6 * 60]
    assert [news.is_stale for _, news, _ in desk.sent] == [True, False, True]


def test_no_data_at_all_is_stale():
    desk = Desk()
    (news,) = desk.tick(NOON, None).values()
    assert news.is_stale
    assert desk.summary == "Sent: stale data. There is no SLA table of today or yesterday."
    assert desk.tick(NOON + MINUTE, None) == {}


def test_a_process_that_dies_before_its_cursor_is_stored_tells_once_more(desk):
    """HTTP can guarantee no more than at least once."""
    tables = found(due(1, NOON + HOUR), as_of=NOON)
    assert desk.tick(NOON, tables, keep=False)
    assert desk.tick(NOON + 30, tables)
    assert desk.tick(NOON + 60, tables) == {}


def test_a_destination_that_asks_for_a_wait_gets_it(desk):
    desk.answers = {"chat": Answer(is_accepted=False, reason="429", wait_seconds=1800)}
    assert desk.told(NOON, due(1, NOON + HOUR)) == []
    desk.answers = {"chat": ACCEPTED}
    assert desk.told(NOON + 29 * MINUTE, due(1, NOON + HOUR)) == []
    assert "(attempts: 1); the last answer: 429. The next attempt is at 2026-03-02 12:30 UTC." in desk.summary
    assert desk.told(NOON + 30 * MINUTE, due(1, NOON + HOUR)) == [1]


def test_a_clock_that_was_put_back_silences_nothing(desk):
    assert desk.told(NOON + 365 * 24 * HOUR, due(1, NOON + 365 * 24 * HOUR)) == [1]
    assert desk.told(NOON, due(2, NOON + MINUTE)) == [2]
    assert desk.told(NOON + 30, due(3, NOON + MINUTE)) == [3]


def test_the_state_is_bounded_and_tells_nothing_twice(desk):
    ever = []
    for step in range(4):
        rows = [due(step * 1000 + number, NOON + step * 60 + number) for number in range(1000)]
        ever += desk.told(NOON + step, *(ever and [due(one, NOON + one // 1000 * 60 + one % 1000) for one in ever]), *rows)
    assert len(ever) == len(set(ever)) > 3000
    assert len(desk.recipient().sent) == MOST_REMEMBERED
    assert len(desk.cursor) < 80_000


def test_a_due_time_is_forgotten_once_it_cannot_come_up_again(desk):
    desk.told(NOON, due(1, NOON + HOUR))
    later = NOON + HOUR + OVERDUE_SECONDS
    desk.told(later - MINUTE, as_of=later - MINUTE)
    assert len(desk.recipient().sent) == 1
    desk.told(later, as_of=later)
    assert desk.recipient().sent == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
PLAIN = json.loads(WarningState({"chat": Recipient()}, NOON, 0).to_cursor())


@given(st.sampled_from([*PLAIN, "more", "recipient"]), st.sampled_from([*PLAIN["recipients"]["chat"], "more"]), JSON)
def test_any_cursor_content_is_tolerated(name, part, value):
    """It may have been edited; with an unreadable one the sensor starts anew."""
    changed = {**PLAIN, name: value}
    if name == "recipient":
        changed = {**PLAIN, "recipients": {"chat": {**PLAIN["recipients"]["chat"], part: value}}}
    desk = Desk(cursor=json.dumps(changed))
    desk.told(NOON, due(1, NOON + HOUR))
    assert desk.state.ticked_at == NOON


def test_a_cursor_of_another_sensor_or_version_starts_anew():
    for cursor in (None, "", "{}", "[]", "9", json.dumps({**PLAIN, "version": 99})):
        assert WarningState.parse(cursor, []) == WarningState()


def test_paused_late_and_estimated_targets_are_not_among_those_without_an_estimate():
    rows = [due(1, None, due_by=None), due(2, None, is_paused=True), late(3, NOON - HOUR), due(4, NOON + HOUR), due(5, None)]
    seen = outlook(found(*rows, as_of=NOON), WarningSettings(), now=NOON, today=DAY, interval_seconds=INTERVAL)
    assert seen.without_estimate == 2
