"""The worked example, run by run."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from ticket_events_pipeline.day import Day
from ticket_events_pipeline_tests.support import sla_oracle
from ticket_events_pipeline_tests.support.checkout import SAMPLES
from ticket_events_pipeline_tests.support.sla_cases import clocks_by_day, tables_of

EXAMPLE = json.loads((SAMPLES / "sla_worked_example.json").read_text())


def epoch(text):
    return int(dt.datetime.fromisoformat(text).timestamp())


def latest(runs):
    """One row per id after the deliveries of those runs, times as epoch seconds."""
    by_id = {row["id"]: {**row, "time": epoch(row["time"])} for row in EXAMPLE["deliveries"] if row["run"] in runs}
    return list(by_id.values())


def expected_targets(rows):
    moments = ("entered_at", "breached_at", "fulfilled_at")
    return [{name: epoch(value) if name in moments and value else value for name, value in row.items()} for row in rows]


@pytest.mark.parametrize("runs", EXAMPLE["expected_after"])
def test_targets_and_summary_rows_are_the_expected_ones_after_each_run(runs):
    by_date = EXAMPLE["expected_after"][runs]
    days = [Day.parse(text) for text in sorted(by_date)]
    for day, clocks in clocks_by_day(latest(runs.split("+")), days[0], days[-1]).items():
        targets, summary = tables_of(clocks, day)
        expected = by_date[str(day)]
        assert [{name: row[name] for name in expected["sla_targets"][0]} for row in targets] == expected_targets(
            expected["sla_targets"]
        )
        columns = expected["daily_sla_breach_summary"][0]
        assert [{name: row[name] for name in columns} for row in summary] == expected["daily_sla_breach_summary"]


def test_breaches_fall_on_other_days_in_new_york():
    expected = EXAMPLE["breaches_by_day_in_New_York"]
    days = [Day.parse(text, "America/New_York") for text in sorted(expected)]
    breaches = {
        str(day): sum(row["breaches"] for row in tables_of(clocks, day)[1])
        for day, clocks in clocks_by_day(latest(["R1", "R2", "R3"]), days[0], days[-1]).items()
    }
    assert breaches == expected


@pytest.mark.parametrize("runs", EXAMPLE["expected_after"])
def test_the_oracle_agrees_with_the_example(runs):
    for text, expected in EXAMPLE["expected_after"][runs].items():
        date = dt.date.fromisoformat(text)
        _, as_of = sla_oracle.window(date, "UTC")
        rows = sla_oracle.targets(latest(runs.split("+")), date=date, timezone="UTC", as_of=as_of)
        assert [{name: row[name] for name in expected["sla_targets"][0]} for row in rows] == expected_targets(
            expected["sla_targets"]
        )
