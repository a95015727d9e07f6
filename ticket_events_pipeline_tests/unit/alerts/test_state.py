"""Each fact is posted once, in at most one message per tick, for any webhook response; the state stays small."""

import json
import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.alerts.cursor import AlertState
from ticket_events_pipeline.alerts.destinations import Destination, Kind
from ticket_events_pipeline.alerts.rules import level_of
from ticket_events_pipeline.alerts.state import MOST_REMEMBERED, DestinationState
from ticket_events_pipeline.alerts.webhook import Answer
from ticket_events_pipeline.text import zoned_text
from ticket_events_pipeline_tests.support.alert_desk import (
    ACCEPTED,
    DAY,
    DOWN,
    HOUR,
    NOON,
    REVOKED,
    SETTINGS,
    WEBHOOK,
    Desk,
    bold,
    day,
    run,
    started_desk,
)


@pytest.fixture
def desk():
    return started_desk()


def test_retries_of_an_unreachable_webhook_back_off(desk):
    desk.answer = DOWN
    attempts = [minute for minute in range(24 * 60) if desk.tick(NOON + minute * 60, day(10 + minute % 2))]
    assert attempts[:8] == [0, 1, 3, 7, 15, 31, 63, 123]
    assert attempts[8:] == [183 + 60 * hours for hours in range(21)]
    assert "Nothing was accepted since 2026-03-02 12:00 UTC (attempts: 29); the last answer: 503." in desk.summary
    assert desk.summary.startswith("destination 1 (webhook): 1 alert is pending.")
    desk.answer = ACCEPTED
    lines = desk.tick(NOON + 24 * HOUR + 3 * 60, day(30, 990), failed=[run(1, NOON + 60)])
    assert bold(lines) == ["A run of `fetch_ticket_events` failed", "2026-03-02 First reply time: 30 breaches"]
    assert lines[-1:] == ["Late: nothing was accepted here since 2026-03-02 12:00 UTC."]
    assert desk.tick(NOON + 25 * HOUR, day(30, 990)) == []
    # The back-off of the next outage starts anew.
    desk.answer = DOWN
    assert [minute for minute in range(9) if desk.tick(NOON + (26 * 60 + minute) * 60, failed=[run(2)])] == [0, 1, 3, 7]


def test_facts_that_are_over_when_the_webhook_is_back_are_counted(desk):
    desk.answer = DOWN
    desk.tick(NOON, day(12, 9), read_at={"ticket_events": NOON - 4 * HOUR}, failed=[run(1)])
    desk.answer = ACCEPTED
    lines = desk.tick(NOON + HOUR, day(8, 99), read_at={"ticket_events": NOON + HOUR}, failed=[run(1)])
    assert bold(lines) == ["A run of `fetch_ticket_events` failed"]
    assert lines[-1:] == ["3 more alerts can't be listed any more: see the failed runs and reports since then."]
    assert desk.tick(NOON + 2 * HOUR, day(8, 99), read_at={"ticket_events": NOON + 2 * HOUR}, failed=[run(1)]) == []


def test_a_message_is_due_where_all_pending_facts_are_over(desk):
    desk.answer = DOWN
    desk.tick(NOON, failed=[run(1)])
    desk.tick(NOON + 25 * HOUR)
    assert "Nothing was accepted since" in desk.summary
    desk.answer = ACCEPTED
    lines = desk.tick(NOON + 27 * HOUR)
    assert lines == [
        "Late: nothing was accepted here since 2026-03-02 12:00 UTC.",
        "1 more alert can't be listed any more: see the failed runs and reports since then.",
    ]
    assert desk.tick(NOON + 28 * HOUR) == []


def test_a_revoked_webhook_is_tried_once_an_hour_and_named(desk):
    desk.answer = REVOKED
    attempts = [minute for minute in range(6 * 60) if desk.tick(NOON + minute * 60, day(10))]
    assert attempts == [0, 60, 120, 180, 240, 300]
    assert "404 no_service" in desk.summary
    assert "check TICKET_EVENTS_ALERT_WEBHOOK, or make a new webhook (this one may have been revoked)" in desk.summary
    assert "The next attempt is at 2026-03-02 18:00 UTC." in desk.summary


def test_another_webhook_is_tried_at_once(desk):
    desk.answer = REVOKED
    assert desk.tick(NOON, day(10))
    desk.settings = replace(SETTINGS, destinations=(Destination(Kind.WEBHOOK, "https://hooks.example/new"),))
    desk.answer = ACCEPTED
    assert desk.tick(NOON + 60, day(10))


@pytest.mark.parametrize(
    ("asked", "seconds"), [(None, 60), (0, 60), (30, 60), (600, 600), (90_000, 6 * HOUR), (1e300, 6 * HOUR), (61.4, 61)]
)
def test_the_wait_that_the_webhook_requests_is_limited(desk, asked, seconds):
    desk.answer = Answer(is_accepted=False, reason="429", wait_seconds=asked)
    assert desk.tick(NOON, day(10))
    assert desk.tick(NOON + seconds - 1, day(10)) == []
    assert desk.tick(NOON + seconds, day(10))


def test_a_clock_that_was_put_back_does_not_silence_the_alerts(desk):
    desk.answer = DOWN
    desk.tick(NOON + 365 * 24 * HOUR, day(10))
    assert desk.tick(NOON, day(10))


def test_a_process_that_dies_before_its_cursor_is_stored_posts_once_more(desk):
    """HTTP can guarantee no more than at least once."""
    assert desk.tick(NOON, day(10), keep=False)
    assert desk.tick(NOON + 60, day(10))
    assert desk.tick(NOON + 120, day(10)) == []


def test_the_state_is_bounded(desk):
    for hour in range(40):
        now = NOON + hour * HOUR
        desk.answer = DOWN if hour % 3 else ACCEPTED
        desk.tick(now, failed=[run(hour * 100 + number, now) for number in range(100)])
    assert len(desk.state().by_mark[WEBHOOK.mark].posted) == MOST_REMEMBERED
    assert len(desk.cursor) < 100_000


def test_a_posted_fact_is_dropped_once_it_cannot_recur(desk):
    desk.tick(NOON, day(10), failed=[run(1)])
    desk.tick(NOON + 2 * 24 * HOUR)
    assert len(json.loads(desk.cursor)["destinations"][WEBHOOK.mark]["posted"]) == 2
    desk.tick(NOON + 4 * 24 * HOUR)
    assert json.loads(desk.cursor)["destinations"][WEBHOOK.mark]["posted"] == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
PLAIN = AlertState({WEBHOOK.mark: DestinationState()}).to_cursor()
PLAIN_2 = '{"version":2,"posted":{},"outage":null,"waiting":[],"missed":0}'
VALUES = (
    JSON
    | st.builds(lambda level, at: {"stall ticket_events 9": [level, at], "a": [1, NOON]}, JSON, JSON)
    | st.builds(lambda at: {"since": at, "failures": 1, "next_at": NOON, "reason": ""}, JSON)
    | st.builds(lambda at: {"since": at, "failures": 1, "next_at": NOON, "reason": "", "webhook_mark": ""}, JSON)
)


@given(
    st.sampled_from(["posted", "told", "outage", "waiting", "missed", "version", "destinations", WEBHOOK.mark]),
    VALUES,
    st.sampled_from([PLAIN, PLAIN_2]),
    st.booleans(),
)
def test_any_cursor_content_is_tolerated(name, value, plain, is_inside):
    """It may have been edited; with an unreadable one the sensor starts anew."""
    cursor = json.loads(plain)
    inside = cursor.get("destinations", {}).get(WEBHOOK.mark, cursor) if is_inside else cursor
    inside[name] = value
    desk = Desk(cursor=json.dumps(cursor), answer=DOWN)
    for hours in range(3):
        desk.tick(NOON + hours * HOUR, day(10), read_at={"ticket_events": NOON})
        assert desk.state().to_cursor() == desk.cursor


def test_a_metric_of_any_name_takes_few_characters_of_the_cursor(desk):
    names = ["x" * 9000, "\ud800", "breaches 2026-03-02 a", "stall ticket_events 5"]
    for name in names:
        assert desk.tick(NOON, day(10, metric=name)), name
        assert desk.tick(NOON, day(10, metric=name)) == [], name
    assert len(desk.cursor) < 400


RELEASED_CURSOR = (
    '{"version":1,"told":{"breaches 2026-03-02 first_reply_time":[1,1772449200],'
    '"stall ticket_events 1772434800":[1,1772449200],"run 00000001":[1,1772449200]},'
    '"waiting":[{"subject":"run 00000002","level":1,"text":"*A run failed*","at":1772449200}],"counted":3,"given_up":1,'
    '"outage":{"since":1772445600,"failures":2,"next_at":1772452830,"reason":"503","webhook_mark":"MARK"}}'
)
"""A cursor of the version that kept pending facts in it."""


def test_a_cursor_of_the_previous_version_posts_nothing_twice_and_backs_off():
    desk = Desk(cursor=RELEASED_CURSOR.replace("MARK", WEBHOOK.mark))
    seen = {"read_at": {"ticket_events": 1772434800}, "failed": [run(1), run(2)]}
    assert desk.tick(NOON, day(12), **seen) == []
    assert desk.summary.startswith("destination 1 (webhook): 5 alerts are pending.")
    lines = desk.tick(NOON + 30, day(12), **seen)
    assert re.findall(r"run `(.*?)`", lines[0]) == ["00000002-0000"]
    assert lines[-2:] == [
        "Late: nothing was accepted here since 2026-03-02 10:00 UTC.",
        "4 more alerts can't be listed any more: see the failed runs and reports since then.",
    ]
    assert bold(desk.tick(NOON + 60, day(20, 99), read_at={"ticket_events": NOON + 60}, failed=seen["failed"])) == [
        "`ticket_events` is read again",
        "2026-03-02 First reply time: 20 breaches",
    ]


def parts(lines):
    """The facts in a message's lines, each as (subject, level)."""
    key = ("First reply time", "2026-03-02")
    patterns = {
        r"\*First reply time: [^*]*?(\d+) breach(?:es)?[^*]*\*": lambda m: (("breaches", *key), level_of(int(m[1]), 10)),
        r"\*First reply time: [^*]*% met\*": lambda m: (("rate", *key), 1),
        r"`(\w+)` has not been read for .* since (.*? UTC)": lambda m: (("stall", m[1], m[2]), 1),
        r"`(\w+)` is read again\*: .*since (.*? UTC)": lambda m: (("reading", m[1], m[2]), 1),
        r"run `(\w+)-": lambda m: (("run", m[1]), 1),
    }
    bullets = [line for line in lines if line.startswith("•")]
    found = [[made(match) for text, made in patterns.items() if (match := re.search(text, line))] for line in bullets]
    assert all(found)
    return [fact for of_line in found for fact in of_line]


STEPS = st.lists(
    st.tuples(
        st.sampled_from([60, 300, 1200, HOUR, 2 * HOUR]),  # until the next tick
        st.sampled_from([ACCEPTED, ACCEPTED, DOWN, REVOKED, Answer(is_accepted=False, reason="429", wait_seconds=900)]),
        st.integers(0, 25),  # more breaches, or as many withdrawn
        st.booleans(),
        st.integers(0, 12),  # more targets met
        st.booleans(),  # whether the stream is read
        st.integers(0, 2),  # more runs that fail
    ),
    min_size=1,
    max_size=14,
)


def true_facts(breaches, achieved, read_at, now, failed):
    """The true facts by a simple model, except repeated ones, which depend on earlier posts."""
    key = ("First reply time", "2026-03-02")
    facts = {("run", failure.run_id[:8]): 1 for failure in failed}
    facts["breaches", *key] = level_of(breaches, 10)
    if breaches + achieved >= 20 and achieved / (breaches + achieved) < 0.8:
        facts["rate", *key] = 1
    if now - read_at >= 3 * HOUR:
        facts["stall", "ticket_events", zoned_text(read_at, "UTC")] = 1
    return {subject: level for subject, level in facts.items() if level}


@given(STEPS, st.booleans())
def test_each_true_fact_is_posted_exactly_once_when_the_webhook_is_back(steps, is_new):
    """For any events of about a day; nothing is posted that was never true."""
    desk, now, breaches, achieved, read_at, failed = Desk(), NOON, 0, 0, NOON, []
    ever: dict[tuple[str, ...], int] = {}
    if not is_new:
        desk.tick(now - 60)
    for seconds, answer, more, is_less, met, is_read, failures in [*steps, (7 * HOUR, ACCEPTED, 0, False, 0, False, 0)]:
        now, achieved, desk.answer = now + seconds, achieved + met, answer
        breaches = max(0, breaches - more if is_less else breaches + more)
        failed += [run(len(failed) + number + 1, now) for number in range(failures)]
        read_at = now if is_read else read_at
        desk.tick(now, day(breaches, achieved), read_at={"ticket_events": read_at}, failed=failed)
        true = true_facts(breaches, achieved, read_at, now, failed)
        ever |= {subject: max(level, ever.get(subject, 0)) for subject, level in true.items()}
    assert desk.state().by_mark[WEBHOOK.mark].outage is None
    posted = [fact for text in desk.accepted for fact in parts(text.split("\n"))]
    assert max(Counter(posted).values(), default=1) == 1, "a fact was posted twice"
    highest = {subject: max(level for other, level in posted if other == subject) for subject, _ in posted}
    over = {subject for subject in highest if subject[0] == "reading"}
    assert {("stall", *subject[1:]) for subject in over} <= set(highest)
    assert all(level <= ever[subject] for subject, level in highest.items() if subject not in over)
    is_cut = any("… and " in text for text in desk.accepted)
    assert is_cut or all(highest.get(subject, 0) >= level for subject, level in true.items())


SLACK = Destination(Kind.SLACK, "https://hooks.slack.com/services/T/B/x", 2, "TICKET_EVENTS_NOTIFY_URLS")
MAIL = Destination(Kind.OTHER, "mailtos://me:hush@mail.example", 3, "TICKET_EVENTS_NOTIFY_URLS", "mailtos")
BOTH = replace(SETTINGS, destinations=(WEBHOOK, SLACK))


def test_a_destination_that_is_down_makes_no_other_get_anything_twice_and_gets_one_message_when_it_is_back():
    desk = Desk(BOTH, answers={SLACK.mark: DOWN})
    desk.tick(NOON - HOUR)
    for minute in range(60):
        desk.tick(NOON + 60 * minute, day(10 + minute, 990), failed=[run(1, NOON)])
    first, *later = [bold(text.split("\n")) for text in desk.got[WEBHOOK.mark]]
    assert first == ["A run of `fetch_ticket_events` failed", "2026-03-02 First reply time: 10 breaches"]
    assert later == [[f"2026-03-02 First reply time: {breaches} breaches"] for breaches in (20, 40)]
    assert SLACK.mark not in desk.got
    assert desk.summary.startswith("destination 1 (webhook): Nothing new to post.\ndestination 2 (Slack): 2 alerts are")
    desk.answers = {}
    assert bold(desk.tick(NOON + 2 * HOUR, day(69, 990), failed=[run(1, NOON)])) == [
        "A run of `fetch_ticket_events` failed",
        "2026-03-02 First reply time: 69 breaches",
    ]
    assert len(desk.got[SLACK.mark]) == 1
    assert "Late: nothing was accepted here since 2026-03-02 12:00 UTC." in desk.got[SLACK.mark][0]
    assert len(desk.got[WEBHOOK.mark]) == 3
    assert desk.tick(NOON + 3 * HOUR, day(69, 990), failed=[run(1, NOON)]) == []
    assert desk.summary == "Nothing new to post."


@given(STEPS, st.lists(st.sampled_from([ACCEPTED, DOWN, REVOKED]), min_size=14, max_size=14))
def test_each_destination_gets_what_it_would_get_alone(steps, others):
    """For any events and any answers of the other one."""

    def got(settings, mark):
        desk, now, breaches, read_at, failed = Desk(settings), NOON, 0, NOON, []
        for (seconds, answer, more, _, _, is_read, failures), other in zip(steps, others, strict=False):
            now, breaches = now + seconds, breaches + more
            failed += [run(len(failed) + number + 1, now) for number in range(failures)]
            read_at = now if is_read else read_at
            desk.answers = {WEBHOOK.mark: answer, SLACK.mark: other}
            desk.tick(now, day(breaches), read_at={"ticket_events": read_at}, failed=failed)
        return desk.got.get(mark, [])

    assert got(BOTH, WEBHOOK.mark) == got(SETTINGS, WEBHOOK.mark)
    assert got(BOTH, SLACK.mark) == got(replace(SETTINGS, destinations=(SLACK,)), SLACK.mark)


def test_a_destination_added_later_gets_no_past_facts(desk):
    past = {"failed": [run(1, NOON, is_over=True)]}
    assert desk.tick(NOON, day(10), day(30, of=DAY.plus(-1), complete=True), **past)
    desk.settings = BOTH
    assert bold(desk.tick(NOON + 60, day(10), day(30, of=DAY.plus(-1), complete=True), **past)) == [
        "2026-03-02 First reply time: 10 breaches"
    ]
    assert list(desk.got[SLACK.mark]) == desk.posted[-1:]


def test_a_url_that_replaces_another_gets_what_waited_and_nothing_twice(desk):
    assert desk.tick(NOON, day(10))
    desk.answer = REVOKED
    assert desk.tick(NOON + 60, day(10), failed=[run(1, NOON + 60)])
    desk.settings, desk.answer = replace(SETTINGS, destinations=(SLACK,)), ACCEPTED
    lines = desk.tick(NOON + 120, day(10), failed=[run(1, NOON + 60, is_over=True)])
    assert bold(lines) == ["A run of `fetch_ticket_events` failed"]
    assert lines[-1] == "Late: nothing was accepted here since 2026-03-02 12:01 UTC."


def test_after_an_upgrade_nothing_is_posted_again_and_a_second_destination_is_new():
    cursor = (
        '{"version":2,"posted":{"breaches 2026-03-02 first_reply_time":[1,1772449200]},"outage":null,"waiting":[],"missed":0}'
    )
    for settings in (SETTINGS, BOTH):
        desk = Desk(settings, cursor=cursor)
        desk.tick(NOON, day(10))
        assert WEBHOOK.mark not in desk.got
        assert (SLACK.mark in desk.got) == (settings is BOTH)
        assert json.loads(desk.cursor)["version"] == 3
    # A webhook that was down before the upgrade is in its back-off still, wherever it stands now.
    outage = f'{{"since":{NOON - 600},"failures":4,"next_at":{NOON + 300},"reason":"503","webhook_mark":"{WEBHOOK.mark}"}}'
    desk = Desk(replace(SETTINGS, destinations=(MAIL, WEBHOOK)), cursor=cursor.replace("null", outage))
    desk.tick(NOON, day(20))
    assert list(desk.got) == [MAIL.mark]
    desk.tick(NOON + 300, day(20))
    assert list(desk.got) == [MAIL.mark, WEBHOOK.mark]


def test_no_url_is_in_the_cursor_or_the_summary():
    desk = Desk(replace(SETTINGS, destinations=(WEBHOOK, SLACK, MAIL)), answers={SLACK.mark: REVOKED, MAIL.mark: DOWN})
    desk.tick(NOON, day(10))
    assert re.findall(r"^destination \d \(.*?\)", desk.summary, re.MULTILINE) == [
        "destination 1 (webhook)",
        "destination 2 (Slack)",
        "destination 3 (mailtos)",
    ]
    assert "check TICKET_EVENTS_NOTIFY_URLS, or make a new webhook" in desk.summary
    for secret in ("hush", "hooks", "services", "example"):
        assert secret not in f"{desk.cursor}{desk.summary}{desk.settings!r}"
