"""What the catalog says about each asset, as Markdown: what it is, what a row is, a query to start with, and where to read on.

The first sentence stands alone in lists. The queries are DuckDB's, run in the folder that holds `data` (TICKET_EVENTS_ROOT).
"""

from __future__ import annotations

from dataclasses import dataclass

from ticket_events_pipeline.report.files import REPORT
from ticket_events_pipeline.tables.streams import STREAMS, Stream


@dataclass(frozen=True)
class _Text:
    """The parts of a description.

    Attributes:
        summary: one sentence: what the asset is.
        grain: what one row is.
        note: what its owner and its readers should know.
        docs: the page to read on, and its section.
        query: of DuckDB; empty if there is nothing to query.
    """

    summary: str
    grain: str
    note: str
    docs: str
    query: str = ""


_TEXTS = {
    "zendesk_names": _Text(
        "What the ids in the tables are called: groups, agents, brands, forms, organizations, policies and schedules.",
        "one file per kind, and a row per thing and name: one that was renamed has a row for each name; one that no longer "
        "exists keeps its rows, with `is_deleted`.",
        "agents' names are personal data: `ZENDESK_NAMES` limits the kinds, `none` turns it off. Fetched nightly by the "
        "schedule `refresh_names`, outside the export quota.",
        "docs/reference/tables.md#zendesk_names",
        """
-- The newest name of every group
SELECT id, max_by(name, seen_to) AS name
FROM read_parquet('data/zendesk_names/groups.parquet')
GROUP BY id;
""",
    ),
    "sla_clocks": _Text(
        "Internal: what each day hands to the next, so that a day can be made without all days before it.",
        "one row per event of a clock of a ticket that changed on the day or has an open target; older events that may still "
        "matter are in the files of the 30 days before.",
        "don't query it: its columns may change with any version. Use `sla_targets`.",
        "docs/reference/tables.md",
    ),
    "sla_targets": _Text(
        "Every SLA target that was open at some time of the day: when it is due, and whether it was met.",
        "one row per ticket, metric and clock (`ticket_id`, `metric`, `instance_id`) and day, as of the end of the day or "
        "of its last fetch.",
        "an open target is on every day until it closes. Filter by `date` before you count.",
        "docs/reference/tables.md#sla_targets",
        """
-- The tickets that are late and still open, the most overdue first
SELECT ticket_id, sla_metric, policy_title, breached_at, overdue_seconds
FROM read_parquet('data/sla_targets/*/*.parquet', hive_partitioning = true)
WHERE outcome = 'breached_open'
  AND date = (SELECT max(date) FROM read_parquet('data/sla_targets/*/*.parquet', hive_partitioning = true))
ORDER BY overdue_seconds DESC;
""",
    ),
    "daily_sla_breach_summary": _Text(
        "The day's SLA figures: breaches, achieved and open targets.",
        "one row per SLA metric, policy and kind of hours, and day.",
        "never average `achievement_rate` over rows: sum `achieved` and `breaches` first, of one metric at a time. "
        "`breached_tickets` can't be added up.",
        "docs/explanation/numbers.md",
        """
-- Share of targets met, in percent, by week and metric
SELECT date_trunc('week', date)::DATE AS week, sla_metric, sum(breaches) AS breaches,
       round(100 * sum(achieved) / nullif(sum(achieved) + sum(breaches), 0), 1) AS achievement_percent
FROM read_parquet('data/daily_sla_breach_summary/*/*.parquet', hive_partitioning = true)
GROUP BY ALL ORDER BY week DESC, sla_metric;
""",
    ),
    REPORT: _Text(
        "The page for the support team: what breached, what is late and still open, and what will breach next.",
        "one HTML page per day; `latest.html` shows the newest day.",
        "open it from a day's metadata (`report`), or with `ticket-events report --open`. It holds tickets' subjects: "
        "restrict who can read it. It also reads the thirty days before.",
        "docs/how-to/query-the-files.md#the-report",
    ),
}


def description(asset: str) -> str:
    """The asset's description."""
    text = _stream_text(STREAMS[asset]) if asset in STREAMS else _TEXTS[asset]
    query = f"```sql\n{text.query.strip()}\n```\n\n" if text.query else ""
    return f"{text.summary}\n\n**Grain:** {text.grain}\n\n{query}**Note:** {text.note}\n\n**Documentation:** `{text.docs}`"


def _stream_text(stream: Stream) -> _Text:
    return _Text(f"{stream.doc}.", stream.grain, stream.note, f"docs/reference/tables.md#{stream.name}", stream.query)
