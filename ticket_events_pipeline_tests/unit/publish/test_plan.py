"""Which days a publish makes, from what is stored and what is published."""

import datetime as dt

from ticket_events_pipeline.publish.plan import Change, Why, changes, fingerprint

FIRST, SECOND, THIRD = (dt.date(2026, 3, day) for day in (2, 3, 4))
ONE, OTHER = "a" * 64, "b" * 64


def test_only_days_that_differ_are_published_the_oldest_first():
    stored = {THIRD: ONE, SECOND: OTHER, FIRST: ONE}
    assert changes(stored, {FIRST: fingerprint(ONE), SECOND: fingerprint(ONE)}) == [
        Change(SECOND, Why.CHANGED),
        Change(THIRD, Why.NEW),
    ]


def test_a_day_with_rows_of_unknown_origin_is_published_again():
    assert changes({FIRST: ONE}, {FIRST: ""}) == [Change(FIRST, Why.CHANGED)]


def test_a_day_that_is_no_longer_stored_is_removed_unless_it_is_only_unreadable_or_kept():
    published = {FIRST: fingerprint(ONE), SECOND: fingerprint(ONE)}
    assert changes({FIRST: ONE}, published) == [Change(SECOND, Why.REMOVED)]
    assert changes({FIRST: ONE}, published, unreadable=[SECOND]) == []
    assert changes({FIRST: ONE}, published, keeps_removed=True) == []
