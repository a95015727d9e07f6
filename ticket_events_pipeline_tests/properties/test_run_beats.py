"""A run that beats at least once in any 40 s is never ended, however the looks fall; one that stopped is ended in time."""

from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.storage.beat_watch import DEAD_AFTER_SECONDS, LOOK_SECONDS, BeatWatch, Moment
from ticket_events_pipeline_tests.support.beat_watch_oracle import seconds_still

PAUSES = st.floats(LOOK_SECONDS, 300)
"""The daemon leaves at least the usual pause between two ticks, and may be late."""

LOOKS = st.lists(st.tuples(st.sampled_from("bc"), st.floats(0, 400), st.sampled_from(["t-1", "t-2", None])), max_size=20)


def seconds_after(looks):
    """The count after each look of `(boot, seconds, beat)`; the watch goes through its text in between, as a cursor does."""
    watch = BeatWatch()
    for boot, seconds, beat in looks:
        watch = BeatWatch.parse(str(watch.after({"a-run": beat}, Moment(boot, seconds))))
        yield watch.seconds_still("a-run")


def beat_at(beats, seconds):
    """The last beat before that time."""
    passed = [number for number, at in enumerate(beats) if at <= seconds]
    return f"t-{passed[-1]}" if passed else None


def moments(pauses):
    return [sum(pauses[: number + 1]) for number in range(len(pauses))]


@given(LOOKS)
def test_the_count_is_that_of_the_plain_sum(looks):
    for number, counted in enumerate(seconds_after(looks), 1):
        assert abs(counted - seconds_still(looks[:number])) < 0.1  # a cursor has milliseconds


@given(st.lists(st.floats(0, 40), min_size=1, max_size=60), st.lists(PAUSES, max_size=30), st.booleans())
def test_a_run_that_beats_in_any_40_seconds_is_never_ended(between_beats, pauses, is_clock_set):
    """Also where the looking machine's clock jumps by a day at one of the looks."""
    beats = moments([0, *between_beats])
    looks = [at for at in moments(pauses) if at <= beats[-1]]
    jump = looks[len(looks) // 2] if looks and is_clock_set else float("inf")
    seen = [("b", at + 86_400 * (at >= jump), beat_at(beats, at)) for at in looks]
    assert all(counted < DEAD_AFTER_SECONDS for counted in seconds_after(seen))


@given(st.lists(st.floats(0, 20), max_size=10), st.lists(st.floats(LOOK_SECONDS, 25), min_size=30, max_size=30))
def test_a_run_that_stopped_is_ended_within_two_minutes_where_ticks_are_five_seconds_late(between_beats, pauses):
    beats = moments([0, *between_beats])
    looks = moments(pauses)
    counts = list(seconds_after([("b", at, beat_at(beats, at)) for at in looks]))
    ended_at = next(at for at, counted in zip(looks, counts, strict=True) if at > beats[-1] and counted >= DEAD_AFTER_SECONDS)
    assert ended_at - beats[-1] <= 120
