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


PUBLISHED_TABLES = "published_tables"

_TEXTS = {
    PUBLISHED_TABLES: _Text(
        "The stored tables as Delta or Iceberg tables in a lakehouse, with the day as a column `date`.",
        "one table per asset; a row is the asset's own.",
        "copies, never the stored files: a run makes one commit for each day that changed, and removes days that are no longer "
        "stored. Old states keep what they held: see the documentation before you delete personal data.",
        "docs/how-to/publish.md",
    ),
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
FROM read_parquet('data/sla_targets/date=*/*.parquet', hive_partitioning = true)
WHERE outcome = 'breached_open'
  AND date = (SELECT max(date) FROM read_parquet('data/sla_targets/date=*/*.parquet', hive_partitioning = true))
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
FROM read_parquet('data/daily_sla_breach_summary/date=*/*.parquet', hive_partitioning = true)
GROUP BY ALL ORDER BY week DESC, sla_metric;
""",
    ),
    "ticket_field_changes": _Text(
        "What changed in tickets on the day: group, agent, status, tags, custom fields and all others.",
        "one row per field that an audit sets.",
        "values are text; a NULL `value` is empty. It names who made each change (`updater_id`).",
        "docs/reference/tables.md#ticket_field_changes",
        """
-- The tickets that changed their group most often
SELECT ticket_id, count(*) AS groups, list(value ORDER BY changed_at) AS group_ids
FROM read_parquet('data/ticket_field_changes/date=*/*.parquet', hive_partitioning = true)
WHERE field = 'group_id' AND NOT is_create
GROUP BY ticket_id ORDER BY groups DESC LIMIT 20;
""",
    ),
    "ticket_states": _Text(
        "Internal: what is known of each ticket that may still matter, so that a day can be made without all days before it.",
        "one row per remembered change of a tracked field.",
        "don't query it: its columns may change with any version. Use `sla_target_dimensions` and `ticket_field_changes`.",
        "docs/reference/tables.md",
    ),
    "sla_target_dimensions": _Text(
        "Who held the ticket of each SLA target, and how it was classified, when the target breached or was met.",
        "one row per row of `sla_targets` (`ticket_id`, `metric`, `instance_id`) and day.",
        "NULL is none or unknown: `known_by` says which. Filter by `date` before you count.",
        "docs/reference/tables.md#sla_target_dimensions",
        """
-- Breaches by the group that held the ticket then
SELECT date, group_id, count(*) AS breaches
FROM read_parquet('data/sla_target_dimensions/date=*/*.parquet', hive_partitioning = true)
WHERE at_kind = 'breach' AND "at"::DATE = date
GROUP BY ALL ORDER BY date DESC, breaches DESC;
""",
    ),
    "daily_sla_breaches_by_dimension": _Text(
        "The day's SLA figures by group, agent, priority, type, brand, form, organization, channel and tag.",
        "one row per dimension, value, SLA metric and kind of hours, and day.",
        "sum over the values of one dimension at a time; a target counts once under each of its tags. NULL is none where "
        "`is_known`, else unknown.",
        "docs/reference/tables.md#daily_sla_breaches_by_dimension",
        """
-- Share of targets met by group, of one metric
SELECT value AS group_id, is_known, sum(breaches) AS breaches,
       round(100 * sum(achieved) / nullif(sum(achieved) + sum(breaches), 0), 1) AS achievement_percent
FROM read_parquet('data/daily_sla_breaches_by_dimension/date=*/*.parquet', hive_partitioning = true)
WHERE dimension = 'group' AND sla_metric = 'first_reply_time'
GROUP BY ALL ORDER BY breaches DESC;
""",
    ),
    "sla_target_holders": _Text(
        "Who used up the time of each SLA target: the groups and agents that held its ticket while its clock ran.",
        "one row per stretch in which one group and agent held the ticket of a target that breached or was met on the day.",
        "the calendar seconds of a target add up to its running time.",
        "docs/reference/tables.md#sla_target_holders",
        """
-- Hours used up, by group, in targets that breached
SELECT group_id, is_known, round(sum(calendar_seconds) / 3600, 1) AS hours
FROM read_parquet('data/sla_target_holders/date=*/*.parquet', hive_partitioning = true)
WHERE ended_by = 'breach'
GROUP BY ALL ORDER BY hours DESC;
""",
    ),
    "daily_ticket_durations": _Text(
        "How long clocks ran that were fulfilled on the day, with an SLA or without.",
        "one row per SLA metric and group at the fulfilment, and day.",
        "medians and percentiles can't be added up over rows or days.",
        "docs/reference/tables.md#daily_ticket_durations",
        """
-- The median first reply time in business hours, by day
SELECT date, group_id, clocks, business_p50_minutes
FROM read_parquet('data/daily_ticket_durations/date=*/*.parquet', hive_partitioning = true)
WHERE sla_metric = 'first_reply_time'
ORDER BY date DESC, clocks DESC;
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
