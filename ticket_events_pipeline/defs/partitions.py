"""The one partitions definition that all five assets share.

One object, not five equal ones: Dagster splits a range backfill over assets whose definitions differ.
"""

from __future__ import annotations

import os

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.settings import partition_settings

START_DATE, TIMEZONE = partition_settings(os.environ)

# end_offset=1: today is a partition while it lasts, so that its open file can be fetched and summarised every hour.
DAILY = dg.DailyPartitionsDefinition(start_date=START_DATE.isoformat(), timezone=TIMEZONE, end_offset=1)


def days_of(partition_keys: list[str]) -> list[Day]:
    """The days of a run's partition keys, in order."""
    return sorted(Day.parse(key, TIMEZONE) for key in partition_keys)
