"""The worked example of the SLA rules through the real pipeline: three deliveries, the sensor, and every expected row."""

import datetime as dt
import json

import pytest

from ticket_events_pipeline_tests.support.checkout import SAMPLES
from ticket_events_pipeline_tests.support.deployment import deployed

EXAMPLE = json.loads((SAMPLES / "sla_worked_example.json").read_text())
RUNS = {
    # run: the days that it fetches, and when
    "R1": ("2026-03-02", "2026-03-02", "2026-03-03T02:00:00Z"),
    "R2": ("2026-03-02", "2026-03-03", "2026-03-04T02:00:00Z"),
    "R3": ("2026-03-02", "2026-03-04", "2026-03-05T02:00:00Z"),
}


def moment(text):
    return dt.datetime.fromisoformat(text).timestamp()


def shown(value):
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, dt.datetime) else value


def rows_like(table, expected):
    """The table's rows, with the columns that the expected rows have."""
    return [{name: shown(row[name]) for name in expected[0]} for row in table.to_pylist()]


def by_key(rows, *key):
    return sorted(rows, key=lambda row: tuple(str(row[name]) for name in key))


@pytest.mark.parametrize("stream", ["ticket_metric_events", "ticket_events"])
def test_every_expected_row_is_stored_after_each_delivery(tmp_path, stream):
    """Also for an account that serves only `ticket_events`, in the documented metric-event shape."""
    with deployed(tmp_path, now=0) as deployment:
        delivered = ""
        for run, (first, last, now) in RUNS.items():
            delivered = f"{delivered}+{run}".lstrip("+")
            deployment.clock.now = moment(now)
            rows = [{k: v for k, v in row.items() if k != "run"} for row in EXAMPLE["deliveries"] if row["run"] == run]
            deployment.account.deliver(stream, rows)
            deployment.fetch(first, last)
            deployment.settle()
            for day, tables in EXAMPLE["expected_after"][delivered].items():
                targets = tables["sla_targets"]
                key = ("ticket_id", "metric", "instance_id")
                assert by_key(rows_like(deployment.table("sla_targets", day), targets), *key) == by_key(targets, *key)
                summary = tables["daily_sla_breach_summary"]
                key = ("sla_metric", "policy_id", "business_hours")
                made = rows_like(deployment.table("daily_sla_breach_summary", day), summary)
                assert by_key(made, *key) == by_key(summary, *key)
