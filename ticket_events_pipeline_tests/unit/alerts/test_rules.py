"""The rules for alerts: thresholds, levels, stalls and failed runs."""

from dataclasses import replace

import pytest

from ticket_events_pipeline.alerts.observe import DayState, MetricState
from ticket_events_pipeline.alerts.rules import level_of
from ticket_events_pipeline_tests.support.alert_desk import DAY, HOUR, NOON, SETTINGS, Desk, bold, day, run, started_desk


@pytest.fixture
def desk():
    return started_desk()


def test_breaches_are_posted_at_the_threshold_and_at_each_doubling(desk):
    counts = [0, 5, 9, 10, 11, 19, 20, 25, 39, 40, 41, 39, 9, 45, 160, 300]
    posted = {count: bold(desk.tick(NOON + at * 60, day(count))) for at, count in enumerate(counts)}
    assert {count for count, lines in posted.items() if lines} == {10, 20, 40, 160}
    assert posted[160] == ["2026-03-02 First reply time: 160 breaches"]


@pytest.mark.parametrize(("count", "level"), [(0, 0), (2, 0), (3, 1), (5, 1), (6, 2), (11, 2), (12, 3), (23, 3), (24, 4)])
def test_a_level_is_reached_at_the_threshold_times_a_power_of_two(count, level):
    assert level_of(count, 3) == level


def test_each_metric_and_each_day_has_breaches_of_its_own(desk):
    both = DayState(DAY, NOON, False, (MetricState("a", 10, 0), MetricState("b", 9, 0)))
    assert bold(desk.tick(NOON, both)) == ["2026-03-02 A: 10 breaches"]
    both = DayState(DAY, NOON, False, (MetricState("a", 11, 0), MetricState("b", 10, 0)))
    assert bold(desk.tick(NOON, both)) == ["2026-03-02 B: 10 breaches"]
    assert bold(desk.tick(NOON, both, day(10, of=DAY.plus(1), metric="a"))) == ["2026-03-03 A: 10 breaches"]


def test_a_completed_day_is_not_posted_again_but_its_last_breaches_are(desk):
    desk.tick(NOON, day(12, 10), day(2, of=DAY.plus(-1)))
    assert desk.tick(DAY.end + HOUR, day(12, 10, complete=True)) == []
    assert bold(desk.tick(DAY.end + HOUR, day(20, 10, complete=True))) == ["2026-03-02 First reply time: 20 breaches"]


@pytest.mark.parametrize(
    ("breaches", "achieved", "is_posted"),
    [
        (9, 10, False),
        (4, 16, False),
        (5, 15, True),
        (5, 16, True),
        (5, 19, True),
        (5, 20, False),
        (0, 20, False),
        (9, 0, False),
    ],
)
def test_a_rate_below_the_threshold_is_posted_with_enough_decided_targets(desk, breaches, achieved, is_posted):
    """20 targets at 80 % are exactly at both limits."""
    assert bool(desk.tick(NOON, day(breaches, achieved))) == is_posted


def test_a_rate_that_rounds_to_the_threshold_shows_that_it_is_below(desk):
    lines = desk.tick(NOON, DayState(DAY, NOON, False, (MetricState("a", 2001, 7999),)))
    assert bold(lines) == ["2026-03-02 A: 2,001 breaches, 79.9% met"]


def test_a_rate_that_goes_up_and_down_is_posted_once_a_day(desk):
    rates = [(9, 11), (9, 90), (9, 11), (9, 200), (9, 1)]
    lines = [line for at, rate in enumerate(rates) for line in desk.tick(NOON + at, day(*rate), day(9, 11, of=DAY.plus(1)))]
    assert bold(lines) == [f"{of} First reply time: 55.0% met" for of in (DAY, DAY.plus(1))]


def test_a_stall_is_posted_once_and_its_end_once(desk):
    read = NOON - 3 * HOUR
    stalled = {"ticket_events": read, "ticket_metric_events": NOON}
    assert desk.tick(NOON - 1, read_at=stalled) == []
    assert bold(desk.tick(NOON, read_at=stalled)) == ["`ticket_events` has not been read for 3 h"]
    # For any duration, even after a whole week.
    for hours in range(1, 24 * 7):
        fresh = {"ticket_metric_events": NOON + hours * HOUR}
        assert desk.tick(NOON + hours * HOUR, read_at=stalled | fresh) == []
    back = NOON + 24 * 7 * HOUR
    fresh = {"ticket_events": back, "ticket_metric_events": back}
    assert desk.tick(back, read_at=fresh) == [
        "• *`ticket_events` is read again*: at 2026-03-09 12:00 UTC, for the first time since 2026-03-02 09:00 UTC"
    ]
    assert [desk.tick(back + minutes * 60, read_at=fresh) for minutes in range(100)] == [[]] * 100
    assert bold(desk.tick(back + 3 * HOUR, read_at=fresh)) == [
        "`ticket_events` has not been read for 3 h",
        "`ticket_metric_events` has not been read for 3 h",
    ]


def test_a_stall_that_another_threshold_ends_is_not_posted_as_over(desk):
    read = {"ticket_events": NOON - 4 * HOUR}
    assert desk.tick(NOON, read_at=read) != []
    desk.settings = replace(SETTINGS, stale_hours=26)
    assert desk.tick(NOON + 60, read_at=read) == []


def test_a_failed_run_is_posted_once_and_several_make_one_message(desk):
    assert len(bold(desk.tick(NOON, failed=[run(1), run(2)]))) == 2
    assert len(bold(desk.tick(NOON, failed=[run(1), run(2), run(3)]))) == 1
    assert len(desk.posted) == 2


def test_a_new_sensor_posts_the_current_state_in_one_message():
    """A lost or unreadable cursor does not flood the channel."""
    sight = {
        "read_at": {"ticket_events": NOON - 5 * HOUR, "ticket_metric_events": NOON},
        "failed": [run(1, is_over=True), run(2)],
    }
    days = [day(99, of=DAY.plus(-1), complete=True), day(11)]
    for cursor in (
        None,
        "",
        "not a cursor",
        "[]",
        "{}",
        '{"version": 0}',
        '{"version": 1, "told": {"stall x": 3}}',
        '{"version": 9, "posted": {}, "outage": null}',
        "[" * 9999,
    ):
        desk = Desk(cursor=cursor)
        assert bold(desk.tick(NOON, *days, **sight)) == [
            "`ticket_events` has not been read for 5 h",
            "A run of `fetch_ticket_events` failed",
            "2026-03-02 First reply time: 11 breaches",
        ]
        assert desk.tick(NOON + 60, *days, **sight) == []


def test_a_new_sensor_posts_yesterday_while_it_is_open():
    assert bold(Desk().tick(NOON, day(11, of=DAY.plus(-1)))) == ["2026-03-01 First reply time: 11 breaches"]
