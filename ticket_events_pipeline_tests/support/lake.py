"""A root as DuckDB sees it, and its reports as the package makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.report.builder import read_day_report
from ticket_events_pipeline.report.model import DayReport
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.storage.folder_store import FolderStore

STREAMS = ("ticket_events", "ticket_metric_events")


def report_of(root: Path, day: Day) -> DayReport:
    """The day's report."""
    return read_day_report(FolderStore(root), day, account="acme", tickets_url=None)


class Lake:
    """The files as DuckDB sees them."""

    def __init__(self, root: Path) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        for asset in (SUMMARY, TARGETS, *STREAMS):
            files = f"{root}/{asset}/date=*/*.parquet"
            self.connection.execute(
                f"CREATE VIEW {asset} AS SELECT * FROM "  # noqa: S608
                f"read_parquet('{files}', hive_partitioning=true, hive_types={{'date': DATE}})"
            )
            self.connection.execute(
                f"CREATE VIEW {asset}_files AS SELECT regexp_extract(file, 'date=([0-9-]+)', 1)::DATE AS date "  # noqa: S608
                f"FROM glob('{files}')"
            )

    def rows(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """All rows of a query, `$name` being a parameter."""
        return self.connection.execute(query, parameters).fetchall()

    def value(self, query: str, **parameters: Any) -> Any:
        """The first value of its first row."""
        return self.rows(query, **parameters)[0][0]
