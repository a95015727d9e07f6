"""Freshness policies: an asset is stale if it was not materialized for too long.

Today's raw day is read every hour and recorded even if nothing has happened, and its tables are made again with each reading.
So a quiet night stays fresh, and a stalled pipeline does not.
"""

from __future__ import annotations

import datetime as dt

import dagster as dg

RAW_FRESHNESS = dg.FreshnessPolicy.time_window(
    warn_window=dt.timedelta(hours=2),  # an hourly fetch was missed
    fail_window=dt.timedelta(hours=4),
)

SLA_FRESHNESS = dg.FreshnessPolicy.time_window(
    warn_window=dt.timedelta(hours=3),  # the sensor follows within a minute, its run within a few
    fail_window=dt.timedelta(hours=5),
)
