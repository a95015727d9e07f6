"""Text of an account is shown literally everywhere, and rounding never hides a difference."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.text import (
    LONGEST_NAME,
    clock_text,
    count_text,
    counted,
    days_text,
    due_text,
    duration_text,
    elapsed_name,
    estimated_duration_text,
    hours_text,
    markdown_code,
    metric_name,
    moment_text,
    one_line,
    percent_text,
    plural,
    policy_name,
    printable_lines,
    ranges_text,
    rate_text,
    size_text,
    slack_code,
    terminal_text,
    zoned_text,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bürozeiten 標準", "Bürozeiten 標準"),
        ("👩\u200d💻 \u00a0ok", "👩\u200d💻 \u00a0ok"),
        ("\x1b[31m\x9b31m\x7f", r"\x1b[31m\x9b31m\x7f"),
        ("a\nb\tc\u2028d", r"a\nb\tc\u2028d"),
        ("\u202eabc\u2066\ufeff", r"\u202eabc\u2066\ufeff"),
    ],
)
def test_terminal_control_characters_are_escaped(text, shown):
    assert terminal_text(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "`plain`"),
        ("", "`  `"),
        ("a`b", "`` a`b ``"),
        ("``", "``` `` ```"),
        ("two\nlines\t", r"`two\nlines\t`"),
        ("\ud800\u202eé", "`\\ud800\\u202eé`"),
        ("x" * 200, "`" + "x" * LONGEST_NAME + "…`"),
        (None, "none"),
    ],
)
def test_backticks_in_a_name_do_not_end_its_code_marks_in_markdown(text, shown):
    assert markdown_code(text) == shown


@given(st.text(max_size=400))
def test_any_text_becomes_one_harmless_line_of_code_in_slack(text):
    shown = slack_code(text)
    assert re.fullmatch(r"`[^`@<>\n]+`", shown)
    assert shown.isprintable()
    assert len(shown.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")) <= 82
    assert not re.search("&(?!amp;|lt;|gt;)", shown)


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("a\nb\t\x1b[31m  c", None, "a b [31m c"),
        ("\u202ex\ud800", None, "x"),
        ("abcdef", 4, "abc…"),
        ("abcd", 4, "abcd"),
        ("", 9, ""),
    ],
)
def test_a_log_line_holds_no_control_character_and_ends_at_its_limit(text, limit, shown):
    assert one_line(text, limit=limit) == shown


def test_lines_of_a_message_stay_lines():
    assert printable_lines("one\n  - two\x1b[0m\r\n") == "one\n  - two [0m \n"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(42 * 60 + 59, "in 42 min"), (1, "in 1 s"), (0, "now"), (-185, "3 min ago"), (3 * 86_400, "in 3 d")],
)
def test_a_due_time_is_ahead_or_ago(seconds, shown):
    assert due_text(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (86_400, "24 h"),
        (172_799, "47 h 59 min"),
        (172_800, "2 d"),
        (183_600, "2 d 3 h"),
        (365 * 86_400, "365 d"),
    ],
)
def test_a_duration_shows_its_two_largest_units(seconds, shown):
    assert duration_text(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 min"), (90, "1 min 30 s"), (102_600, "28 h 30 min"), (3_600_000, "1,000 h"), (900, "15 min")]
)
def test_a_target_shows_in_hours_and_never_in_days(seconds, shown):
    assert hours_text(seconds) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0 s"), (59.5, "59 s"), (754, "12 min"), (3_600_059, "1,000 h")])
def test_a_time_on_a_clock_shows_in_hours_and_minutes_and_never_in_days(seconds, shown):
    assert clock_text(seconds) == shown


def test_a_goal_shows_no_decimal_that_it_does_not_have():
    assert [percent_text(percent) for percent in (95.0, 97.5, 100)] == ["95%", "97.5%", "100%"]


def test_a_plural_has_the_ending_of_its_noun():
    assert [plural(1, "day"), plural(1234, "day"), plural(2, "breach")] == ["1 day", "1,234 days", "2 breaches"]


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "0%"), (0.0001, "<0.1%"), (0.5, "50.0%"), (0.91667, "91.7%"), (0.99951, ">99.9%"), (0.9994, "99.9%"), (1, "100%")],
)
def test_a_rate_is_100_or_0_percent_only_if_it_is_exactly_that(share, shown):
    assert rate_text(share) == shown


@pytest.mark.parametrize(("number", "shown"), [(0, "0"), (5.142857, "5.1"), (4.96, "5"), (1234, "1,234"), (1234.56, "1,234.6")])
def test_a_mean_has_one_decimal_and_a_count_none(number, shown):
    assert count_text(number) == shown


@pytest.mark.parametrize(
    ("timezone", "epoch_seconds", "shown"),
    [
        ("UTC", 1_795_478_400, "Tue 24 Nov, 00:00"),
        ("Asia/Kolkata", 1_795_478_400, "Tue 24 Nov, 05:30"),
        ("America/New_York", 1_795_478_400, "Mon 23 Nov, 19:00"),
        ("UTC", 1_767_225_599, "Wed 31 Dec 2025, 23:59"),
        ("Pacific/Kiritimati", 253_402_300_799, "Fri 31 Dec 9999, 23:59"),
    ],
)
def test_a_moment_is_local_and_shows_a_year_other_than_the_days(timezone, epoch_seconds, shown):
    assert moment_text(epoch_seconds, Day.parse("2026-11-23", timezone)) == shown


def test_days_show_as_ranges_and_only_the_last_ones_of_many():
    day = Day.parse("2026-11-01")
    assert days_text([]) == ""
    assert days_text([day]) == "1 Nov"
    assert days_text([day.plus(-1), day, day.plus(3)]) == "31 Oct to 1 Nov, 4 Nov"
    assert days_text([day.plus(offset) for offset in range(5)]) == "1 to 5 Nov"
    scattered = [day.plus(2 * offset) for offset in range(10)]
    assert days_text(scattered) == "earlier ones, 5 Nov, 7 Nov, 9 Nov, 11 Nov, 13 Nov, 15 Nov, 17 Nov, 19 Nov"


def test_names_show_in_words():
    assert metric_name("first_reply_time") == "First reply time"
    assert metric_name("") == ""
    assert [elapsed_name(name) for name in ("next_reply_time", "total_resolution_time", "agent_work_time")] == [
        "Reply time",
        "Resolution time",
        "Time taken",
    ]
    assert policy_name("11", "Standard") == "Standard"
    assert policy_name("11", None) == "policy 11"
    assert policy_name(None, None) == "no known policy"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (5930, "1 h 39 min"),
        (7290, "2 h 2 min"),
        (86_380, "24 h"),
        (172_769, "47 h 59 min"),
        (172_770, "2 d"),
        (190_000, "2 d 5 h"),
    ],
)
def test_an_estimate_is_rounded_to_the_smallest_unit_that_is_shown(seconds, shown):
    assert estimated_duration_text(seconds) == shown


@pytest.mark.parametrize(
    ("size_bytes", "shown"), [(0, "0 B"), (999, "999 B"), (1500, "2 kB"), (2.5e9, "2 GB"), (1.25e15, "1,250.0 TB")]
)
def test_a_size_has_decimal_units(size_bytes, shown):
    assert size_text(size_bytes) == shown


def test_a_time_with_its_zone_is_exact_to_the_minute():
    assert zoned_text(1_795_478_459, "UTC") == "2026-11-24 00:00 UTC"
    assert zoned_text(1_795_478_400, "Europe/Berlin") == "2026-11-24 01:00 CET"


def test_ranges_show_as_iso_dates():
    day = Day.parse("2026-03-01")
    assert ranges_text([]) == ""
    assert ranges_text([(day, day.plus(2)), (day.plus(4), day.plus(4))]) == "2026-03-01 to 2026-03-03, 2026-03-05"


def test_a_count_has_the_form_of_its_number():
    assert [counted(number, "row is", "rows are") for number in (0, 1, 2, 1234)] == [
        "0 rows are",
        "1 row is",
        "2 rows are",
        "1,234 rows are",
    ]


@pytest.mark.parametrize(
    ("share", "shown"), [(0.9497, "94.9%"), (0.95, "95.0%"), (0.9499999, "94.9%"), (14 / 23, "60.9%"), (0.57, "57.0%")]
)
def test_a_rate_is_never_rounded_up_to_a_whole_percent(share, shown):
    """94.97% is below a goal of 95%, and must look so."""
    assert rate_text(share) == shown
