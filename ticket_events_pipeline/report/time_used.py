"""Who used the time up of the targets that breached on a day: the groups and agents that held their tickets until then.

Every breached target counts the same, whatever time it allowed: its time is shared out among those who held its ticket while
its clock ran, in business hours where its policy counts those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ticket_events_pipeline.report.holders import TARGET_KEY

HOLDER_TIME_COLUMNS = [*TARGET_KEY, "ended_by", "group_id", "assignee_id", "is_known", "calendar_seconds", "business_seconds"]

MOST = 0.5
"""More than this share of a target's time is most of it."""

ValueKey = tuple[str | None, bool]
"""An id as text and whether it is known: of None, none (nobody) or unknown."""


@dataclass(frozen=True)
class TimeUsed:
    """The time of breached targets, as shares from 0 to 1 that add up to 1.

    Attributes:
        targets: breached ones whose time is known.
        unmeasured: breached ones whose time isn't: in business hours of an unknown schedule, or without any time that ran.
        groups, agents: the share of each.
        by_others: targets of which another group than the one at the breach used up most.
    """

    targets: int
    unmeasured: int
    groups: Mapping[ValueKey, float]
    agents: Mapping[ValueKey, float]
    by_others: int


def time_used(holders: pa.Table, breached: pa.Table) -> TimeUsed:
    """The time used up by each group and agent.

    Args:
        holders: rows of `sla_target_holders`, with `HOLDER_TIME_COLUMNS`.
        breached: the targets that breached on the day: `TARGET_KEY`, `business_hours`, and `group_id`, `knows_group_id` at the
            breach.
    """
    stretches = shared_out(holders, breached)
    measured = stretches.filter(pc.is_valid(stretches["share"]))
    targets = pc.count_distinct(measured["place"]).as_py()
    return TimeUsed(
        targets=targets,
        unmeasured=breached.num_rows - targets,
        groups=_shares(measured, "group_id", targets),
        agents=_shares(measured, "assignee_id", targets),
        by_others=_by_others(measured),
    )


def shared_out(holders: pa.Table, breached: pa.Table) -> pa.Table:
    """The stretches of the breached targets: who held the ticket, the group at the breach, and the share of the target's time.

    The columns: `place` (of the target in `breached`), `group_id, assignee_id, is_known, breach_group_id, knows_breach_group,
    share` (NULL where the target's time isn't known).
    """
    keyed = breached.select([*TARGET_KEY, "business_hours"])
    keyed = keyed.append_column("breach_group_id", breached["group_id"])
    keyed = keyed.append_column("knows_breach_group", breached["knows_group_id"])
    keyed = keyed.append_column("place", pa.array(range(breached.num_rows), pa.int64()))
    until_breach = holders.filter(pc.equal(holders["ended_by"], "breach"))
    found = until_breach.join(keyed, TARGET_KEY, join_type="inner", use_threads=False)
    in_business_hours = pc.fill_null(found["business_hours"], False)
    seconds = pc.if_else(in_business_hours, found["business_seconds"], found["calendar_seconds"])
    found = found.append_column("seconds", seconds)
    whole = found.group_by("place", use_threads=False).aggregate(
        [("seconds", "sum", pc.ScalarAggregateOptions(skip_nulls=False))]
    )
    found = found.join(whole, "place", use_threads=False)
    ran = pc.if_else(pc.greater(found["seconds_sum"], 0), found["seconds_sum"], None)
    return found.append_column("share", pc.divide(found["seconds"].cast(pa.float64()), ran.cast(pa.float64())))


def _shares(measured: pa.Table, field: str, targets: int) -> dict[ValueKey, float]:
    """The mean share of each value; the largest first."""
    per_value = measured.group_by([field, "is_known"], use_threads=False).aggregate([("share", "sum")]).to_pylist()
    shares: dict[ValueKey, float] = {}
    for row in per_value:
        key = _key(row[field], is_known=row["is_known"])
        shares[key] = shares.get(key, 0.0) + row["share_sum"] / targets
    return dict(sorted(shares.items(), key=lambda found: (-found[1], found[0][0] or "", found[0][1])))


def _key(number: int | None, *, is_known: bool) -> ValueKey:
    """An id that is there is known, even if the other one of its stretch isn't."""
    return (None, is_known) if number is None else (str(number), True)


def _by_others(measured: pa.Table) -> int:
    """The targets of which a known group that is not the one at the breach held the ticket for most of the time."""
    per_group = measured.group_by(["place", "group_id", "breach_group_id", "knows_breach_group"], use_threads=False).aggregate(
        [("share", "sum")]
    )
    return sum(_is_other(row) for row in per_group.to_pylist())


def _is_other(row: dict[str, Any]) -> bool:
    is_most = row["share_sum"] > MOST and row["group_id"] is not None
    return bool(is_most and row["knows_breach_group"] and row["group_id"] != row["breach_group_id"])
