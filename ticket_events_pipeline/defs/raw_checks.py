"""The asset checks of both raw assets: the days of the run are whole, hold what is usual, and nothing that nobody knows.

They run with the asset, in runs of one day and of a range alike, and never stop what comes after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dagster as dg

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.defs.day_check import DayCheck, checks_of_asset, told
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.quality.findings import CheckedDay
from ticket_events_pipeline.quality.moved_events import NEARBY_DAYS
from ticket_events_pipeline.quality.quoted import quoted
from ticket_events_pipeline.quality.raw_day import owner_of, verify_days
from ticket_events_pipeline.quality.rejected import rows_set_aside, set_aside_url
from ticket_events_pipeline.quality.schema_drift import DELETED, TYPE_CHANGED, UNKNOWN, Oddity, find_oddities
from ticket_events_pipeline.quality.sla_feed import slas_are_applied
from ticket_events_pipeline.quality.volume import volume_is_usual
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import STREAMS

WHOLE, APPLIED, USUAL = "days_are_whole", "slas_are_applied", "volume_is_usual"
PLACED, TYPES, KNOWN = "rows_are_placed", "field_types_are_kept", "nothing_is_unknown"

DESCRIPTIONS = {
    PLACED: "No row was set aside because it has no id or no readable time.",
    TYPES: "No field has another type than its column; such values are kept in `extra`.",
    KNOWN: "No field, metric or type is unknown; they are kept in `extra`, or in their column as they came.",
}

REMEMBERED_DAYS = 7
"""What the account itself may have caused is named for a week, by when the same weekday has come again."""

ODDITIES = {
    TYPES: (TYPE_CHANGED, "These fields have another type than their column, which is NULL there; the values lie in `extra`."),
    KNOWN: (UNKNOWN, "Zendesk sends what this version doesn't know; it is kept, and counts in no SLA table."),
}

UNREADABLE_DELETED = (
    "An event whose `deleted` can't be read takes no part in the SLA tables: its target may lack a breach or a fulfilment. "
    "Ask Zendesk what the value means."
)


def raw_checks(scope: AccountScope) -> list[dg.AssetChecksDefinition]:
    """The checks of both raw assets of the account."""
    return [_checks_of(scope, stream) for stream in STREAMS]


def raw_day_checks(scope: AccountScope, stream: str) -> list[DayCheck]:
    """Those of a raw asset's checks that are about days."""
    return [
        DayCheck(
            WHOLE,
            "Every day's file can be read, is this day's, holds the rows that were stored, and its page ledger has no gap. "
            f"None of its events stands twice, in it or on a stored day up to {NEARBY_DAYS} days away. An event that an "
            "earlier reading of the day had and the newest has not stands on one of those days, or they were all read since.",
            dg.AssetCheckSeverity.ERROR,
            lambda pipeline, days: _whole(scope, pipeline, stream, days),
            green=f"all whole as far as they can be by now; compared with the stored days up to {NEARBY_DAYS} days away.",
        ),
        DayCheck(
            APPLIED,
            "No complete day has traffic but no `apply_sla`, if the account's days before have some.",
            dg.AssetCheckSeverity.ERROR,
            lambda pipeline, days: slas_are_applied(pipeline.store, stream, days),
            green="SLAs are applied wherever they are due.",
            remembered_days=REMEMBERED_DAYS,
        ),
        DayCheck(
            USUAL,
            "Every complete day holds about as many rows as the same weekday does in the weeks before.",
            dg.AssetCheckSeverity.WARN,
            lambda pipeline, days: volume_is_usual(pipeline.store, stream, days),
            green="as many rows as usual.",
            remembered_days=REMEMBERED_DAYS,
        ),
    ]


def _checks_of(scope: AccountScope, stream: str) -> dg.AssetChecksDefinition:
    key = scope.key(stream)
    day_checks = raw_day_checks(scope, stream)
    specs = [check.spec(key) for check in day_checks]
    specs += [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in DESCRIPTIONS.items()]

    def evaluate(
        instance: dg.DagsterInstance, pipeline: Pipeline, days: list[Day], selected: set[str]
    ) -> Iterator[dg.AssetCheckResult]:
        yield from (check.evaluate(instance, scope, key, pipeline, days) for check in day_checks if check.name in selected)
        if PLACED in selected:
            yield _placed(pipeline.store, stream, days)
        if selected & {TYPES, KNOWN}:
            oddities = find_oddities(pipeline.store, stream, days)
            yield from (_odd(name, oddities) for name in (TYPES, KNOWN) if name in selected)

    return checks_of_asset(scope, stream, specs, evaluate)


def _whole(scope: AccountScope, pipeline: Pipeline, stream: str, days: list[Day]) -> Iterable[CheckedDay]:
    if not days:
        return
    store, settings, asset = pipeline.store, pipeline.lake_settings, scope.key(stream).to_user_string()
    owner = owner_of(store, stream, days, account=settings.account, former=settings.former_accounts, timezone=scope.timezone)
    for verdict in verify_days(store, stream=STREAMS[stream], days=days, owner=owner, now=wall_clock(), asset=asset):
        yield CheckedDay(verdict.day, verdict.findings, notes=verdict.notes)


def _placed(store: Store, stream: str, days: list[Day]) -> dg.AssetCheckResult:
    count = rows_set_aside(store, stream, days)
    url = set_aside_url(store, stream)
    return dg.AssetCheckResult(
        check_name=PLACED,
        passed=not count,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{count} rows have no id or no readable time. Look at them, and at the reasons, below {url}."
        if count
        else "Every row was placed.",
        metadata={"rejected": count, "folder": dg.MetadataValue.path(url)},
    )


def _odd(check_name: str, oddities: list[Oddity]) -> dg.AssetCheckResult:
    kind, advice = ODDITIES[check_name]
    found = [oddity for oddity in oddities if oddity.kind == kind]
    if check_name == TYPES and any(oddity.name == DELETED for oddity in found):
        advice = f"{advice} {UNREADABLE_DELETED}"
    # The names are the account's, and may hold markup.
    lines = [
        f"{quoted(oddity.name)}: {oddity.count} rows, for example id {oddity.example_id} of {oddity.day}" for oddity in found
    ]
    return dg.AssetCheckResult(
        check_name=check_name,
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{advice}\n\n{told(lines)}" if found else "Nothing of the kind.",
        metadata={"rows": sum(oddity.count for oddity in found), "names": [oddity.name for oddity in found]},
    )
