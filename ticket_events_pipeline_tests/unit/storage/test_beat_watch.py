"""How long a beat stood still is counted so that no sleeping machine, late tick or clock ends a living run."""

import pytest

from ticket_events_pipeline.storage.beat_watch import DEAD_AFTER_SECONDS, LOOK_SECONDS, BeatWatch, Moment, moment_here


def counted(*looks):
    """The seconds after looks of `(boot, seconds, beat)`."""
    watch = BeatWatch()
    for boot, seconds, beat in looks:
        watch = BeatWatch.parse(str(watch.after({"a-run": beat}, Moment(boot, seconds))))
    return watch.seconds_still("a-run")


def test_time_counts_from_the_first_look_that_found_the_beat():
    assert counted(("b", 1000, "t-1")) == 0
    assert counted(("b", 1000, "t-1"), ("b", 1020, "t-1"), ("b", 1041, "t-1")) == 41
    assert counted(("b", 1000, "t-1"), ("b", 1020, "t-1"), ("b", 1041, "t-2")) == 0


def test_a_run_without_a_beat_is_counted_too_and_its_first_beat_ends_that():
    assert counted(("b", 0, None), ("b", 20, None), ("b", 40, None)) == 40
    assert counted(("b", 0, None), ("b", 20, None), ("b", 40, "t-1")) == 0


def test_one_pause_counts_twice_the_usual_one_at_most_however_long_it_was():
    assert counted(("b", 0, "t-1"), ("b", 86_400, "t-1")) == 2 * LOOK_SECONDS < DEAD_AFTER_SECONDS


def test_a_clock_that_goes_back_counts_nothing():
    assert counted(("b", 1000, "t-1"), ("b", 10, "t-1"), ("b", 30, "t-1")) == 20


def test_looks_from_another_machine_count_as_usual_ones_whatever_its_clock_says():
    assert counted(("b", 1000, "t-1"), ("c", 9, "t-1"), ("b", 1040, "t-1")) == 2 * LOOK_SECONDS


def test_the_usual_looks_end_a_dead_run_within_two_minutes_of_its_death():
    """Whatever the pause between two ticks is, up to half as long again as asked for."""
    for pause in range(int(LOOK_SECONDS), int(1.5 * LOOK_SECONDS) + 1):
        looks = 1
        while counted(*[("b", pause * number, "t-1") for number in range(looks)]) < DEAD_AFTER_SECONDS:
            looks += 1
        assert looks * pause <= 120


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", '{"still": 7}', '{"boot": "b", "at": "x", "still": {}}', "12345", "null"]
)
def test_a_lost_or_foreign_cursor_costs_only_time(text):
    assert BeatWatch.parse(text) == BeatWatch()


def test_only_watched_runs_are_remembered():
    watch = BeatWatch().after({"a-run": "t-1", "another": None}, Moment("b", 0)).after({"another": None}, Moment("b", 20))
    assert set(watch.still) == {"another"}
    assert (watch.has_still_beats, watch.seconds_still("a-run")) == (True, 0)


def test_here_time_passes():
    before = moment_here()
    assert (moment_here().boot, moment_here().seconds >= before.seconds) == (before.boot, True)
