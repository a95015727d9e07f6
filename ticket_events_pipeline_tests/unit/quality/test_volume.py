"""What is told of a day's traffic against the same weekday's: far fewer or more rows, and none that applies an SLA."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.quality.sla_feed import FEWEST_EXPECTED, Traffic, expected_applies, slas_are_applied
from ticket_events_pipeline.quality.volume import FEWEST_ROWS_APART, FEWEST_WEEKS, WEEKS, is_far, volume_is_usual
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.damages import rewrite, truncated
from ticket_events_pipeline_tests.support.sla_roots import METRIC, put_raw_day

EVENTS = "ticket_events"
TUESDAY = Day.parse("2026-03-10")


def put_rows(root, day, rows, *, stream=METRIC, complete=True):
    """A file whose footer tells of so many rows; it holds none."""
    put_raw_day(root, [], day, stream=stream, more_footer={"rows": str(rows), "complete": str(complete).lower()})


def weeks_of(root, rows, *, day=TUESDAY, stream=METRIC):
    """The weekdays before `day`, the latest first."""
    for week, count in enumerate(rows, 1):
        put_rows(root, day.plus(-7 * week), count, stream=stream)


def asked(look, root, *days, stream=METRIC):
    (*answers,) = look(FolderStore(root), stream, list(days) or [TUESDAY])
    return answers


def said(look, root, *days, stream=METRIC):
    """What is wrong, or why nothing is said in brackets, or nothing; of a day, or of several in a list."""
    texts = [
        " ".join(map(str, answer.findings)) or (f"({answer.silence})" if answer.silence else "")
        for answer in asked(look, root, *days, stream=stream)
    ]
    return texts if len(days) > 1 else texts[0]


USUAL = [1000, 1040, 960, 1010]


@pytest.mark.parametrize("rows", [1000, 503, 2010])
def test_a_day_within_half_and_double_is_usual(tmp_path, rows):
    weeks_of(tmp_path, USUAL)
    put_rows(tmp_path, TUESDAY, rows)
    (answer,) = asked(volume_is_usual, tmp_path)
    assert (answer.findings, answer.silence) == ((), None)
    assert answer.figures == {"rows": rows, "usual_rows": 1005}


@pytest.mark.parametrize("rows", [0, 502, 2011])
@pytest.mark.parametrize("stream", [METRIC, EVENTS])
def test_a_day_far_from_its_weekday_is_told_with_what_is_usual_and_what_to_do(tmp_path, rows, stream):
    weeks_of(tmp_path, USUAL, stream=stream)
    put_rows(tmp_path, TUESDAY, rows, stream=stream)
    assert said(volume_is_usual, tmp_path, stream=stream) == (
        f"It holds {rows} rows, but 1005 are usual on a Tuesday: the median of 4 weeks with 960 to 1040. "
        f"If neither a holiday nor anything that you did explains it, see what `ticket-events verify {TUESDAY} {TUESDAY} "
        f"--against-api` says, or materialise {stream} of {TUESDAY} again."
    )


def test_other_weekdays_are_no_measure(tmp_path):
    """Every Sunday is quiet; so this Sunday may be."""
    weeks_of(tmp_path, [1000] * 8)
    sunday = TUESDAY.plus(-2)
    weeks_of(tmp_path, [10] * 8, day=sunday)
    put_rows(tmp_path, sunday, 12)
    put_rows(tmp_path, TUESDAY, 12)
    assert said(volume_is_usual, tmp_path, sunday) == ""
    assert said(volume_is_usual, tmp_path, TUESDAY) != ""


def test_one_holiday_among_the_weeks_before_changes_nothing(tmp_path):
    weeks_of(tmp_path, [5, *USUAL])
    put_rows(tmp_path, TUESDAY, 1000)
    assert said(volume_is_usual, tmp_path) == ""
    put_rows(tmp_path, TUESDAY, 5)
    assert "but 1000 are usual" in said(volume_is_usual, tmp_path)


def test_an_open_day_is_never_judged_and_is_no_measure(tmp_path):
    weeks_of(tmp_path, USUAL)
    put_rows(tmp_path, TUESDAY, 3, complete=False)
    assert said(volume_is_usual, tmp_path) == "(it is still open, or can't be read)"
    put_rows(tmp_path, TUESDAY, 3)
    put_rows(tmp_path, TUESDAY.plus(-7), 1000, complete=False)
    assert said(volume_is_usual, tmp_path) == f"(of its weekday, fewer than {FEWEST_WEEKS} of {WEEKS} weeks are stored)"


def test_fewer_weeks_than_needed_say_nothing_and_weeks_long_ago_count_no_more(tmp_path):
    put_rows(tmp_path, TUESDAY, 3)
    weeks_of(tmp_path, [1000] * (FEWEST_WEEKS - 1))
    silence = f"(of its weekday, fewer than {FEWEST_WEEKS} of {WEEKS} weeks are stored)"
    assert said(volume_is_usual, tmp_path) == silence
    put_rows(tmp_path, TUESDAY.plus(-7 * (WEEKS + 1)), 1000)
    assert said(volume_is_usual, tmp_path) == silence
    put_rows(tmp_path, TUESDAY.plus(-7 * WEEKS), 1000)
    assert said(volume_is_usual, tmp_path) != silence


def test_files_that_cannot_be_read_are_left_to_others(tmp_path):
    weeks_of(tmp_path, [*USUAL, 1000])
    put_rows(tmp_path, TUESDAY, 3)
    truncated(tmp_path, METRIC, TUESDAY.plus(-7))
    assert "the median of 4 weeks" in said(volume_is_usual, tmp_path)
    truncated(tmp_path, METRIC, TUESDAY)
    assert said(volume_is_usual, tmp_path) == "(it is still open, or can't be read)"


@pytest.mark.parametrize(
    ("rows", "before", "expected"),
    [
        (1, [60] * 8, False),  # a small account
        (200, [101] * 8, False),
        (FEWEST_ROWS_APART * 3, [FEWEST_ROWS_APART] * 8, True),
        (400, [1000, 300, 1800, 900, 1500, 500], False),  # varies anyway
        (400, [1000, 990, 1010, 1005], True),
        (500, [1000] * 8, False),
        (499, [1000] * 8, True),
        (0, [0] * 8, False),
        (0, [250] * 8, True),
        (500, [0] * 8, True),
    ],
)
def test_far_needs_another_size_beyond_the_usual_spread_and_enough_rows(rows, before, expected):
    assert is_far(rows, before) is expected


@given(st.lists(st.integers(0, 10_000), min_size=4, max_size=8))
def test_what_every_week_held_is_never_far_where_most_weeks_are_alike(before):
    assert not is_far(sorted(before)[len(before) // 2], before)


# slas_are_applied


def events_of(day, *, applies=0, others=0):
    """Metric events of the day, spread over it, the applies first."""
    kinds = ["apply_sla"] * (applies - applies // 2) + ["apply_group_sla"] * (applies // 2) + ["activate"] * others
    start = {"metric": "reply_time", "instance_id": 1, "deleted": False}
    return [{"id": n, "ticket_id": n, "type": kind, "time": day.start + n, **start} for n, kind in enumerate(kinds, 1)]


def put_traffic(root, day, *, applies, others, stream=METRIC, now=None):
    put_raw_day(root, events_of(day, applies=applies, others=others), day, stream=stream, now=now)


def usual_traffic(root, *, day=TUESDAY, applies=60, others=540, weeks=4, stream=METRIC):
    for week in range(1, weeks + 1):
        put_traffic(root, day.plus(-7 * week), applies=applies, others=others, stream=stream)


@pytest.mark.parametrize("stream", [METRIC, EVENTS])
def test_a_day_with_traffic_and_without_an_apply_is_a_broken_feed(tmp_path, stream):
    usual_traffic(tmp_path, stream=stream)
    put_traffic(tmp_path, TUESDAY, applies=0, others=540, stream=stream)
    (answer,) = asked(slas_are_applied, tmp_path, stream=stream)
    assert answer.figures == {"metric_events": 540, "applies": 0}
    found = said(slas_are_applied, tmp_path, stream=stream)
    assert found.startswith("Of 540 metric events none applies an SLA; by the days before, about 54 should.")
    assert f"Materialise {stream} of {TUESDAY} again." in found


@pytest.mark.parametrize("applies", [1, 2])
def test_a_single_apply_of_either_kind_is_enough(tmp_path, applies):
    usual_traffic(tmp_path)
    put_traffic(tmp_path, TUESDAY, applies=applies, others=540)
    assert said(slas_are_applied, tmp_path) == ""
    rewrite(tmp_path, METRIC, TUESDAY, rows=lambda table: table.slice(applies - 1))
    assert said(slas_are_applied, tmp_path) == ""
    rewrite(tmp_path, METRIC, TUESDAY, rows=lambda table: table.slice(1))
    assert said(slas_are_applied, tmp_path) != ""


def test_a_quiet_day_is_none_of_it(tmp_path):
    """A holiday on which only automations go on: less than half of the usual traffic."""
    usual_traffic(tmp_path, applies=200, others=800)
    put_traffic(tmp_path, TUESDAY, applies=0, others=499)
    assert said(slas_are_applied, tmp_path) == ""
    put_traffic(tmp_path, TUESDAY, applies=0, others=500)
    assert said(slas_are_applied, tmp_path) != ""


def test_a_quiet_account_is_none_of_it(tmp_path):
    """Too few applies are due for their absence to mean anything."""
    usual_traffic(tmp_path, applies=39, others=351)
    put_traffic(tmp_path, TUESDAY, applies=0, others=390)
    assert said(slas_are_applied, tmp_path) == ""
    put_traffic(tmp_path, TUESDAY, applies=0, others=400)
    assert said(slas_are_applied, tmp_path) != ""


def test_an_account_without_slas_is_none_of_it(tmp_path):
    usual_traffic(tmp_path, applies=0, others=5000)
    put_traffic(tmp_path, TUESDAY, applies=0, others=5000)
    assert said(slas_are_applied, tmp_path) == ""


def test_a_weekend_without_new_tickets_is_none_of_it_where_weekends_have_none(tmp_path):
    """Though every other day of the week has some."""
    sunday = TUESDAY.plus(-2)
    usual_traffic(tmp_path, day=sunday, applies=0, others=600)
    for day in days_between(sunday.plus(-6), sunday.plus(-1)):
        put_traffic(tmp_path, day, applies=60, others=540)
    put_traffic(tmp_path, sunday, applies=0, others=600)
    assert said(slas_are_applied, tmp_path, sunday) == ""


def test_in_the_first_weeks_the_last_days_are_the_measure_and_before_them_nothing_is_said(tmp_path):
    put_traffic(tmp_path, TUESDAY, applies=0, others=600)
    for offset in (1, 2):
        put_traffic(tmp_path, TUESDAY.plus(-offset), applies=60, others=540)
    assert said(slas_are_applied, tmp_path) == "(fewer than 3 days before are stored)"
    put_traffic(tmp_path, TUESDAY.plus(-7), applies=60, others=540)
    assert "about 60 should" in said(slas_are_applied, tmp_path)


def test_a_feed_that_stays_broken_stays_red_for_weeks_and_then_is_the_account_s_own_way(tmp_path):
    usual_traffic(tmp_path)
    days = [TUESDAY.plus(7 * week) for week in range(6)]
    for day in days:
        put_traffic(tmp_path, day, applies=0, others=600)
    assert [text != "" for text in said(slas_are_applied, tmp_path, *days)] == [True, True, False, False, False, False]


def test_an_open_day_is_never_accused_and_no_measure(tmp_path):
    usual_traffic(tmp_path, weeks=2)
    put_traffic(tmp_path, TUESDAY.plus(-1), applies=60, others=540, now=TUESDAY.start - 60)
    put_traffic(tmp_path, TUESDAY, applies=0, others=600, now=TUESDAY.end - 60)
    assert said(slas_are_applied, tmp_path) == "(it is still open, or can't be read)"
    put_traffic(tmp_path, TUESDAY, applies=0, others=600)
    assert said(slas_are_applied, tmp_path) == "(fewer than 3 days before are stored)"


DAMAGES = {
    "truncated": truncated,
    "no footer": lambda root, stream, day: rewrite(root, stream, day, footer=lambda _: {}),
    "column removed": lambda root, stream, day: rewrite(root, stream, day, rows=lambda table: table.drop_columns(["type"])),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_day_is_left_to_the_check_of_whole_days(tmp_path, name):
    usual_traffic(tmp_path)
    put_traffic(tmp_path, TUESDAY, applies=0, others=600)
    DAMAGES[name](tmp_path, METRIC, TUESDAY.plus(-7))
    assert "about 60 should" in said(slas_are_applied, tmp_path)
    DAMAGES[name](tmp_path, METRIC, TUESDAY)
    assert said(slas_are_applied, tmp_path) == "(it is still open, or can't be read)"


def test_audits_are_no_traffic(tmp_path):
    nothing = dict.fromkeys(("metric", "instance_id", "type"))
    put_raw_day(tmp_path, [{**event, **nothing} for event in events_of(TUESDAY, others=500)], TUESDAY, stream=EVENTS)
    (answer,) = asked(slas_are_applied, tmp_path, stream=EVENTS)
    assert answer.figures == {"metric_events": 0, "applies": 0}
    assert not answer.findings


def test_days_before_without_any_event_have_no_share():
    assert expected_applies(600, [Traffic(0, 0), Traffic(0, 0), Traffic(600, 60)]) == 0
    assert expected_applies(600, [Traffic(600, 60)] * 3) == 60 > FEWEST_EXPECTED
