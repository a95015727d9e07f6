"""The short table by metric, for the summary's materialisation."""

import pyarrow as pa

from ticket_events_pipeline.report.metric_table import MetricDay, metric_days, metric_table

COLUMNS = ["sla_metric", "breaches", "achieved", "breached_open_eod"]


def summary(*rows):
    return pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in rows])


def test_the_policies_of_a_metric_are_added_up_and_the_first_reply_comes_first():
    table = summary(("first_reply_time", 1, 8, 2), ("agent_work_time", 0, 0, 0), ("first_reply_time", 2, 1, 3))
    assert metric_days(table) == [MetricDay("first_reply_time", 3, 9, 5), MetricDay("agent_work_time", 0, 0, 0)]


def test_a_metric_without_a_decided_target_has_no_rate():
    assert metric_table([MetricDay("agent_work_time", 0, 0, 1), MetricDay("first_reply_time", 1, 3, 0)]).splitlines() == [
        "| Metric | Breaches | Achieved | Rate | Late and open |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| Agent work time | 0 | 0 | - | 1 |",
        "| First reply time | 1 | 3 | 75.0% | 0 |",
    ]


def test_a_day_without_targets_says_so():
    assert metric_table(metric_days(summary(("x", 1, 1, 1)).slice(0, 0))) == "No target was open on this day."


def test_a_metric_of_any_name_is_one_cell_of_text():
    (line,) = metric_table([MetricDay("a|b <b>*c*", 1, 1, 1)]).splitlines()[2:]
    assert line.replace("\\|", "").count("|") == 6
    assert "<b>" not in line


def test_eight_metrics_fit_into_what_the_ui_shows_in_place():
    longest = [MetricDay("x" * 30, 10_000, 10_000, 10_000)] * 8
    assert len(metric_table(longest)) < 1000
