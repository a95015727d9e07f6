"""The asset checks of both raw assets: every day of the run is whole, and Zendesk sent nothing that the schema does not know.

They run with the asset, in runs of one day and of a range alike, and never stop what comes after it. A check of the UI has one
state, its newest: so it is about all days of its run (a partitioned one misreports ranges), and `days_are_whole` looks again at
the days that it named last time. Else the next hour's green would paint over a red that nobody has mended.
"""

# No deferred annotations here: Dagster reads those of a check's function as they stand.

from collections.abc import Iterator
from typing import cast

import dagster as dg

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.defs.account_scope import AccountScope
from ticket_events_pipeline.defs.recording import expected_failures
from ticket_events_pipeline.defs.resources import PIPELINE, pipeline_of
from ticket_events_pipeline.lake.partition_file import stored_days
from ticket_events_pipeline.lake.store import Store
from ticket_events_pipeline.verify.days import owner_of, verify_days
from ticket_events_pipeline.verify.drift import TYPE_CHANGED, UNKNOWN, Oddity, find_oddities
from ticket_events_pipeline.verify.set_aside import rows_set_aside, set_aside_url
from ticket_events_pipeline.verify.verdict import Finding
from ticket_events_pipeline.zendesk.page import STREAMS

WHOLE, PLACED, TYPES, KNOWN = "days_are_whole", "rows_are_placed", "field_types_are_kept", "nothing_is_unknown"

DESCRIPTIONS = {
    WHOLE: "Every day's file can be read, is this day's, holds the rows that were stored, and its page ledger has no gap.",
    PLACED: "No row was set aside because it has no id or no readable time.",
    TYPES: "No field has another type than its column; such values are kept in `extra`.",
    KNOWN: "No field, metric or type is unknown; they are kept in `extra`, or in their column as they came.",
}

MOST_TOLD = 20
"""Lines that a description holds; the rest is counted."""

NAMED_DAYS = "days"
"""Metadata of `days_are_whole`: the days that are not."""

RECORDS_PER_READ = 500
"""Of the history of a check: a run over a range leaves one a day as planned, and then its one evaluation."""

ODDITIES = {
    TYPES: (TYPE_CHANGED, "These fields have another type than their column, which is NULL there; the values lie in `extra`."),
    KNOWN: (UNKNOWN, "Zendesk sends what this version doesn't know; it is kept, and counts in no SLA table."),
}


def raw_checks(scope: AccountScope) -> list[dg.AssetChecksDefinition]:
    """The checks of both raw assets of the account."""
    return [_checks_of(scope, stream) for stream in STREAMS]


def _checks_of(scope: AccountScope, stream: str) -> dg.AssetChecksDefinition:
    key = scope.key(stream)
    specs = [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in DESCRIPTIONS.items()]

    @dg.multi_asset_check(
        name=scope.named(f"{stream}_checks"),
        specs=specs,
        can_subset=True,
        required_resource_keys={scope.named(PIPELINE)},
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        selected = {check.name for check in context.selected_asset_check_keys}
        with expected_failures():
            store = pipeline_of(context, scope).store()
            days = _days_of_run(context, scope, store, stream)
            if WHOLE in selected:
                named = _named_before(context.instance, scope, key)
                yield _whole(scope, store, stream, sorted({*days, *named}))
            if PLACED in selected:
                yield _placed(store, stream, days)
            if selected & {TYPES, KNOWN}:
                oddities = find_oddities(store, stream, days)
                yield from (_odd(name, oddities) for name in (TYPES, KNOWN) if name in selected)

    return checks


def _days_of_run(context: dg.AssetCheckExecutionContext, scope: AccountScope, store: Store, stream: str) -> list[Day]:
    """The run's days; every stored one where the checks are run by themselves, without any."""
    if context.has_partition_key or context.has_partition_key_range:
        return scope.days(list(context.partition_keys))
    return stored_days(store, stream, scope.timezone)


def _named_before(instance: dg.DagsterInstance, scope: AccountScope, key: dg.AssetKey) -> list[Day]:
    """The days that were not whole when they were last verified."""
    last = next(_evaluations(instance, dg.AssetCheckKey(key, WHOLE)), None)
    if last is None or NAMED_DAYS not in last.metadata:
        return []
    named = scope.days([str(day) for day in cast(list[str], last.metadata[NAMED_DAYS].value)])
    return [day for day in named if scope.is_partition(day)]


def _evaluations(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> Iterator[dg.AssetCheckEvaluation]:
    """Those of the check, newest first; records of what is only planned (this run's, or of one whose asset failed) are none."""
    cursor, has_more = None, True
    while has_more:
        records = instance.event_log_storage.get_asset_check_execution_history(key, RECORDS_PER_READ, cursor=cursor)
        found = (record.event.asset_check_evaluation for record in records if record.event is not None)
        yield from (evaluation for evaluation in found if evaluation is not None)
        has_more = len(records) == RECORDS_PER_READ
        cursor = records[-1].id if records else None


def _whole(scope: AccountScope, store: Store, stream: str, days: list[Day]) -> dg.AssetCheckResult:
    settings = scope.lake_settings()
    owner = owner_of(store, stream, days, account=settings.account, timezone=scope.timezone) if days else None
    broken: dict[Day, list[Finding]] = {}
    if owner is not None:
        for verdict in verify_days(store, stream=STREAMS[stream], days=days, owner=owner, now=wall_clock()):
            if not verdict.is_whole:
                broken[verdict.day] = list(verdict.findings)
    lines = [f"{day}: {finding}" for day, findings in broken.items() for finding in findings]
    return dg.AssetCheckResult(
        check_name=WHOLE,
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_told(lines) if lines else f"{len(days)} verified, all whole as far as they can be by now.",
        metadata={NAMED_DAYS: [str(day) for day in broken], "verified_days": len(days)},
    )


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
    return dg.AssetCheckResult(
        check_name=check_name,
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{advice}\n{_told([str(oddity) for oddity in found])}" if found else "Nothing of the kind.",
        metadata={"rows": sum(oddity.count for oddity in found), "names": [oddity.name for oddity in found]},
    )


def _told(lines: list[str]) -> str:
    further = [f"… and {len(lines) - MOST_TOLD} more"] if len(lines) > MOST_TOLD else []
    return "\n".join([*lines[:MOST_TOLD], *further])
