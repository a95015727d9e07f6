"""Traffic is compared with the same weekday of the weeks before: far fewer or more rows, and no SLA applied at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.quality.traffic import (
    MIN_EXPECTED_APPLIES,
    MIN_ROWS_APART,
    MIN_VOLUME_WEEKS,
    VOLUME_WEEKS,
    Traffic,
    expected_applies,
    is_far,
    slas_are_applied,
    volume_is_usual,
)
from ticket_events_pipeline.storage.folder_store import FolderStore
from ticket_events_pipeline_tests.support.damages import rewrite, truncated
from ticket_events_pipeline_tests.support.quality_cases import check_texts
from ticket_events_pipeline_tests.support.sla_roots import METRIC, put_raw_day

EVENTS = "ticket_events"
TUESDAY = Day.parse("2026-03-10")


def put_rows(root, day, rows, *, stream=METRIC, complete=True):
    """Store a file whose footer counts so many rows; it holds none."""
    put_raw_day(root, [], day, stream=stream, more_footer={"rows": str(rows), "complete": str(complete).lower()})


def weeks_of(root, rows, *, day=TUESDAY, stream=METRIC):
    """Store the same weekday of the weeks before `day`, the latest first."""
    for week, count in enumerate(rows, 1):
        put_rows(root, day.plus(-7 * week), count, stream=stream)


def checked(check_days, root, *days, stream=METRIC):
    """The checked days, Tuesday by default."""
    return list(check_days(FolderStore(root), stream, list(days) or [TUESDAY]))


def text(check_days, root, *days, stream=METRIC):
    """Findings, or the reason in brackets why the check was skipped, or an empty text; of several days, in a list."""
    texts = list(check_texts(checked(check_days, root, *days, stream=stream)).values())
    return texts if len(days) > 1 else texts[0]


USUAL = [1000, 1040, 960, 1010]
TOO_FEW_WEEKS = f"(of its weekday, fewer than {MIN_VOLUME_WEEKS} of {VOLUME_WEEKS} weeks are stored)"


@pytest.mark.parametrize("rows", [1000, 503, 2010])
def test_a_day_between_half_and_double_of_its_baseline_has_no_finding(tmp_path, rows):
    weeks_of(tmp_path, USUAL)
    put_rows(tmp_path, TUESDAY, rows)
    (day,) = checked(volume_is_usual, tmp_path)
    assert (day.findings, day.skipped_reason) == ((), None)
    assert day.figures == {"rows": rows, "usual_rows": 1005}


@pytest.mark.parametrize("rows", [0, 502, 2011])
@pytest.mark.parametrize("stream", [METRIC, EVENTS])
def test_a_day_far_from_its_weekday_is_reported_with_the_usual_rows_and_a_remedy(tmp_path, rows, stream):
    weeks_of(tmp_path, USUAL, stream=stream)
    put_rows(tmp_path, TUESDAY, rows, stream=stream)
    assert text(volume_is_usual, tmp_path, stream=stream) == (
        f"It holds {rows:,} rows, but 1,005 are usual on a Tuesday: the median of 4 weeks with 960 to 1040. "
        f"If neither a holiday nor a change of yours explains it, run `ticket-events verify {TUESDAY} {TUESDAY} "
        f"--against-api`, or materialize {stream} of {TUESDAY} again."
    )


def test_other_weekdays_are_no_baseline(tmp_path):
    """Every Sunday is quiet, so this Sunday may be quiet too."""
    weeks_of(tmp_path, [1000] * 8)
    sunday = TUESDAY.plus(-2)
    weeks_of(tmp_path, [10] * 8, day=sunday)
    put_rows(tmp_path, sunday, 12)
    put_rows(tmp_path, TUESDAY, 12)
    assert text(volume_is_usual, tmp_path, sunday) == ""
    assert text(volume_is_usual, tmp_path, TUESDAY) != ""


def test_one_holiday_among_the_weeks_before_changes_nothing(tmp_path):
    weeks_of(tmp_path, [5, *USUAL])
    put_rows(tmp_path, TUESDAY, 1000)
    assert text(volume_is_usual, tmp_path) == ""
    put_rows(tmp_path, TUESDAY, 5)
    assert "but 1000 are usual" in text(volume_is_usual, tmp_path)


def test_an_open_day_is_never_checked_and_is_no_baseline(tmp_path):
    weeks_of(tmp_path, USUAL)
    put_rows(tmp_path, TUESDAY, 3, complete=False)
    assert text(volume_is_usual, tmp_path) == "(it is still open, or can't be read)"
    put_rows(tmp_path, TUESDAY, 3)
    put_rows(tmp_path, TUESDAY.plus(-7), 1000, complete=False)
    assert (
        text(volume_is_usual, tmp_path) == f"(of its weekday, fewer than {MIN_VOLUME_WEEKS} of {VOLUME_WEEKS} weeks are stored)"
    )


def test_a_short_baseline_skips_the_day_and_weeks_long_ago_do_not_count(tmp_path):
    put_rows(tmp_path, TUESDAY, 3)
    weeks_of(tmp_path, [1000] * (MIN_VOLUME_WEEKS - 1))
    assert text(volume_is_usual, tmp_path) == TOO_FEW_WEEKS
    put_rows(tmp_path, TUESDAY.plus(-7 * (VOLUME_WEEKS + 1)), 1000)
    assert text(volume_is_usual, tmp_path) == TOO_FEW_WEEKS
    put_rows(tmp_path, TUESDAY.plus(-7 * VOLUME_WEEKS), 1000)
    assert text(volume_is_usual, tmp_path) != TOO_FEW_WEEKS


def test_volume_leaves_unreadable_files_to_the_check_of_whole_days(tmp_path):
    weeks_of(tmp_path, [*USUAL, 1000])
    put_rows(tmp_path, TUESDAY, 3)
    truncated(tmp_path, METRIC, TUESDAY.plus(-7))
    assert "the median of 4 weeks" in text(volume_is_usual, tmp_path)
    truncated(tmp_path, METRIC, TUESDAY)
    assert text(volume_is_usual, tmp_path) == "(it is still open, or can't be read)"


@pytest.mark.parametrize(
    ("rows", "before", "expected"),
    [
        (1, [60] * 8, False),  # a small account
        (200, [101] * 8, False),
        (MIN_ROWS_APART * 3, [MIN_ROWS_APART] * 8, True),
        (400, [1000, 300, 1800, 900, 1500, 500], False),  # varies much
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
def test_the_median_of_the_baseline_is_never_far(before):
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
    (day,) = checked(slas_are_applied, tmp_path, stream=stream)
    assert day.figures == {"metric_events": 540, "applies": 0}
    found = text(slas_are_applied, tmp_path, stream=stream)
    assert found.startswith("None of 540 metric events applies an SLA; by the days before, about 54 should.")
    assert f"Materialize {stream} of {TUESDAY} again." in found


@pytest.mark.parametrize("applies", [1, 2])
def test_a_single_apply_of_either_kind_is_enough(tmp_path, applies):
    usual_traffic(tmp_path)
    put_traffic(tmp_path, TUESDAY, applies=applies, others=540)
    assert text(slas_are_applied, tmp_path) == ""
    rewrite(tmp_path, METRIC, TUESDAY, rows=lambda table: table.slice(applies - 1))
    assert text(slas_are_applied, tmp_path) == ""
    rewrite(tmp_path, METRIC, TUESDAY, rows=lambda table: table.slice(1))
    assert text(slas_are_applied, tmp_path) != ""


def test_a_quiet_day_is_no_broken_feed(tmp_path):
    """A holiday on which only automations run: less than half of the usual traffic."""
    usual_traffic(tmp_path, applies=200, others=800)
    put_traffic(tmp_path, TUESDAY, applies=0, others=499)
    assert text(slas_are_applied, tmp_path) == ""
    put_traffic(tmp_path, TUESDAY, applies=0, others=500)
    assert text(slas_are_applied, tmp_path) != ""


def test_a_quiet_account_is_no_broken_feed(tmp_path):
    """Too few applies are expected for their absence to mean anything."""
    usual_traffic(tmp_path, applies=39, others=351)
    put_traffic(tmp_path, TUESDAY, applies=0, others=390)
    assert text(slas_are_applied, tmp_path) == ""
    put_traffic(tmp_path, TUESDAY, applies=0, others=400)
    assert text(slas_are_applied, tmp_path) != ""


def test_an_account_without_slas_is_no_broken_feed(tmp_path):
    usual_traffic(tmp_path, applies=0, others=5000)
    put_traffic(tmp_path, TUESDAY, applies=0, others=5000)
    assert text(slas_are_applied, tmp_path) == ""


def test_a_weekend_without_new_tickets_is_green_if_weekends_never_have_any(tmp_path):
    """Every other day of the week has new tickets."""
    sunday = TUESDAY.plus(-2)
    usual_traffic(tmp_path, day=sunday, applies=0, others=600)
    for day in days_between(sunday.plus(-6), sunday.plus(-1)):
        put_traffic(tmp_path, day, applies=60, others=540)
    put_traffic(tmp_path, sunday, applies=0, others=600)
    assert text(slas_are_applied, tmp_path, sunday) == ""


def test_in_the_first_weeks_the_last_days_are_the_baseline(tmp_path):
    put_traffic(tmp_path, TUESDAY, applies=0, others=600)
    for offset in (1, 2):
        put_traffic(tmp_path, TUESDAY.plus(-offset), applies=60, others=540)
    assert text(slas_are_applied, tmp_path) == "(fewer than 3 days before are stored)"
    put_traffic(tmp_path, TUESDAY.plus(-7), applies=60, others=540)
    assert "about 60 should" in text(slas_are_applied, tmp_path)


def test_a_feed_that_stays_broken_is_red_for_weeks_and_then_usual(tmp_path):
    usual_traffic(tmp_path)
    days = [TUESDAY.plus(7 * week) for week in range(6)]
    for day in days:
        put_traffic(tmp_path, day, applies=0, others=600)
    assert [found != "" for found in text(slas_are_applied, tmp_path, *days)] == [True, True, False, False, False, False]


def test_an_open_day_is_no_broken_feed_and_no_baseline(tmp_path):
    usual_traffic(tmp_path, weeks=2)
    put_traffic(tmp_path, TUESDAY.plus(-1), applies=60, others=540, now=TUESDAY.start - 60)
    put_traffic(tmp_path, TUESDAY, applies=0, others=600, now=TUESDAY.end - 60)
    assert text(slas_are_applied, tmp_path) == "(it is still open, or can't be read)"
    put_traffic(tmp_path, TUESDAY, applies=0, others=600)
    assert text(slas_are_applied, tmp_path) == "(fewer than 3 days before are stored)"


DAMAGES = {
    "truncated": truncated,
    "no footer": lambda root, stream, day: rewrite(root, stream, day, footer=lambda _: {}),
    "column removed": lambda root, stream, day: rewrite(root, stream, day, rows=lambda table: table.drop_columns(["type"])),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_feed_check_leaves_damaged_files_to_the_check_of_whole_days(tmp_path, name):
    usual_traffic(tmp_path)
    put_traffic(tmp_path, TUESDAY, applies=0, others=600)
    DAMAGES[name](tmp_path, METRIC, TUESDAY.plus(-7))
    assert "about 60 should" in text(slas_are_applied, tmp_path)
    DAMAGES[name](tmp_path, METRIC, TUESDAY)
    assert text(slas_are_applied, tmp_path) == "(it is still open, or can't be read)"


def test_audits_are_no_traffic(tmp_path):
    nothing = dict.fromkeys(("metric", "instance_id", "type"))
    put_raw_day(tmp_path, [{**event, **nothing} for event in events_of(TUESDAY, others=500)], TUESDAY, stream=EVENTS)
    (day,) = checked(slas_are_applied, tmp_path, stream=EVENTS)
    assert day.figures == {"metric_events": 0, "applies": 0}
    assert not day.findings


def test_days_of_the_baseline_without_events_expect_no_applies():
    assert expected_applies(600, [Traffic(0, 0), Traffic(0, 0), Traffic(600, 60)]) == 0
    assert expected_applies(600, [Traffic(600, 60)] * 3) == 60 > MIN_EXPECTED_APPLIES
