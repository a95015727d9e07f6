"""The report of a tick is true for any findings."""

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.defs.tick_report import (
    ReportedDays,
    TickReport,
    given_up_reason,
    grouped_by_reason,
    settled_reason,
    unusable_reason,
)

DAY = Day.parse("2026-03-02")
MISSING = "sla_clocks has not been made."


def reported(number=1, reason=MISSING):
    return [ReportedDays([DAY.plus(2 * offset)], reason) for offset in range(number)]


def test_the_report_if_all_days_are_made():
    assert str(TickReport("/data", 25, landed=5)) == "Every landed day's summary was made from what is stored now."


def test_the_report_if_no_day_has_landed():
    assert str(TickReport("/data", 0)) == "No day has landed below /data."


def test_an_unfinished_comparison_makes_no_claim():
    report = TickReport("s3://lake/x", 9000, 2500, landed=700, recorded=200, unrecorded=41)
    assert str(report) == (
        "6,500 of 9,000 files below s3://lake/x have been compared; the next tick continues, and no run is requested until all "
        "are. 200 files missing in Dagster's log were recorded in it. 41 more files will be with the next ticks."
    )


def test_requested_waiting_and_blocked_days_are_reported_separately():
    report = TickReport(
        "/data",
        25,
        landed=5,
        requested=[ReportedDays([DAY, DAY.plus(1)], MISSING)],
        waiting=reported(reason=f"{MISSING} run abc is not over yet."),
        blocked=reported(reason="/data/x can't be read. Materialize it again."),
        recorded=1,
    )
    assert str(report) == (
        "2026-03-02 to 2026-03-03: sla_clocks has not been made. A run is requested. "
        "2026-03-02: sla_clocks has not been made. run abc is not over yet. These days wait for it. "
        "2026-03-02: /data/x can't be read. Materialize it again. No run is requested over a day that can't be made. "
        "1 file missing in Dagster's log was recorded in it."
    )
    assert report.needs_attention


def test_the_first_of_many_ranges_are_named_and_the_rest_is_counted():
    assert str(TickReport("/data", 25, landed=5, requested=reported(10))).endswith(
        "2026-03-06: sla_clocks has not been made. The same holds for 7 more ranges. A run is requested."
    )


def test_abandoned_and_settled_days_state_what_to_check():
    given_up = TickReport("/data", 25, landed=5, given_up=reported(reason=given_up_reason(MISSING, 3)))
    assert "3 runs have failed on it: see their errors." in str(given_up)
    settled = settled_reason(MISSING, read="/a/x.parquet")
    assert "removes or replaces /a/x.parquet" in settled
    assert TickReport("/data", 25, settled=reported(reason=settled)).needs_attention


def test_raw_files_that_cannot_be_summarised_are_mentioned():
    days, bounds = [DAY, DAY.plus(2)], {"first": DAY, "last": DAY.plus(9)}
    assert str(TickReport("/data", 2, unusable=unusable_reason(days, **bounds))) == (
        "No day below /data can be summarised yet: of 2 days from 2026-03-02 to 2026-03-04, only ticket_events has landed, "
        "without metric events. Materialize ticket_metric_events of those days."
    )
    assert str(TickReport("/data", 2, unusable=unusable_reason([DAY.plus(-1)], **bounds))) == (
        "No day below /data can be summarised yet: its raw files are of 2026-03-01, and the days of this pipeline are "
        "2026-03-02 to 2026-03-11. Check the start date."
    )
    assert unusable_reason([], **bounds) == ""


def test_consecutive_days_with_the_same_reason_are_one_entry():
    reasons = {DAY: "x.", DAY.plus(1): "x.", DAY.plus(2): "y.", DAY.plus(4): "y."}
    days = [[DAY, DAY.plus(1)], [DAY.plus(2)], [DAY.plus(4)]]
    assert grouped_by_reason(reasons) == [ReportedDays(*one) for one in zip(days, ["x.", "y.", "y."], strict=True)]


def test_days_that_are_recorded_and_not_stored_are_named_and_need_attention():
    month = days_between(DAY, DAY.plus(29))
    scattered = [DAY.plus(2 * offset) for offset in range(5)]
    report = TickReport("/data", 0, unstored={"ticket_events": month, "ticket_metric_events": month})
    assert str(report) == (
        "No day has landed below /data. Green in the UI, but not stored: ticket_events, ticket_metric_events of 2026-03-02 to "
        "2026-03-31. Backfill these days, not only missing ones."
    )
    assert report.needs_attention
    assert "ticket_events of 2026-03-02, 2026-03-04, 2026-03-06 and 2 more ranges. Backfill" in str(
        TickReport("/data", 4, landed=1, unstored={"ticket_events": scattered})
    )
