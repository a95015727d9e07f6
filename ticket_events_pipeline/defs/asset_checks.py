"""The asset checks of an account: of the raw assets, of SLA tables and of ticket tables.

They run with the asset, in runs of one day and of a range alike, and never block downstream assets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dagster as dg

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.defs.day_check import DAY_SECONDS, DayCheck, checks_of_asset, markdown_list, with_docs
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.quality.field_changes import audits_readable
from ticket_events_pipeline.quality.findings import CheckedDay
from ticket_events_pipeline.quality.moved_events import NEARBY_DAYS
from ticket_events_pipeline.quality.raw_day import owner_of, rejected_folder_url, rejected_row_count, verify_days
from ticket_events_pipeline.quality.schema_drift import DELETED, TYPE_CHANGED, UNKNOWN, Oddity, find_oddities
from ticket_events_pipeline.quality.sla_tables import (
    breaches_have_a_policy,
    counts_match_targets,
    open_targets_add_up,
    outcomes_match_durations,
)
from ticket_events_pipeline.quality.snapshots import snapshots_answered
from ticket_events_pipeline.quality.ticket_tables import (
    dimension_sums_match_summary,
    dimensions_are_known,
    dimensions_cover_every_target,
)
from ticket_events_pipeline.quality.traffic import row_count_in_usual_range, sla_policies_applied
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import SLA_STREAMS, STREAMS
from ticket_events_pipeline.text import markdown_code, plural
from ticket_events_pipeline.tickets.by_dimension import BY_DIMENSION
from ticket_events_pipeline.tickets.changes import CHANGES
from ticket_events_pipeline.tickets.dimensions import DIMENSIONS

WHOLE, APPLIED, USUAL = "no_missing_or_duplicate_events", "sla_policies_applied", "row_count_in_usual_range"
PLACED, TYPES, KNOWN = "no_rejected_rows", "field_types_match_schema", "no_unknown_fields_or_values"

DESCRIPTIONS = {
    PLACED: "Every row that Zendesk sent has an id and a readable time, so that it belongs to a day.",
    TYPES: "Every field has the type of its column. A value of another type is kept in `extra`.",
    KNOWN: "Every field, metric and type is one that this version knows. Others are kept as they came.",
}

REMEMBERED_DAYS = 7
"""What can't be repaired is reported for a week: by then, newer days, or the same weekday again, show whether it continues."""

DRIFT = {
    TYPES: (
        TYPE_CHANGED,
        "All field types match the schema.",
        "Of another type than the column: {}.",
        "The column is NULL there; the value is in `extra`.",
    ),
    KNOWN: (
        UNKNOWN,
        "No unknown field, metric or type.",
        "Unknown to this version: {}.",
        "All are stored, and count in no SLA table.",
    ),
}
"""By check: the kind of oddity that it is about, the verdict without any, and what is found otherwise."""

UNREADABLE_DELETED = (
    "An event whose `deleted` can't be read takes no part in the SLA tables: its target may lack a breach or a fulfilment. "
    "Ask Zendesk what the value means."
)

SLA_DAY_CHECKS = {
    TARGETS: [
        DayCheck(
            "breaches_have_a_policy",
            "At most 5 % of the day's targets breached without a known SLA policy, and so are missing in figures by policy.",
            dg.AssetCheckSeverity.WARN,
            lambda pipeline, days: breaches_have_a_policy(pipeline.store, days),
            green="nearly all breaches have a policy.",
            remembered_days=REMEMBERED_DAYS,
        ),
        DayCheck(
            "outcomes_match_durations",
            "The outcome of every fulfilled target (achieved or breached) matches the duration that Zendesk measured.",
            dg.AssetCheckSeverity.WARN,
            lambda pipeline, days: outcomes_match_durations(pipeline.store, days),
            green="every outcome matches its duration.",
            remembered_days=REMEMBERED_DAYS,
        ),
    ],
    SUMMARY: [
        DayCheck(
            "counts_match_targets",
            "Every figure of the day's summary was counted from the day's targets as they are stored now, and neither file has "
            "changed since it was written.",
            dg.AssetCheckSeverity.ERROR,
            lambda pipeline, days: counts_match_targets(pipeline.store, days),
            green="all made from the stored targets and unchanged.",
        ),
        DayCheck(
            "open_targets_add_up",
            "Per metric: open at the day's end = open at the end of the day before + started + discovered + re-opened "
            "- achieved - completed breached - cancelled - deleted.",
            dg.AssetCheckSeverity.ERROR,
            lambda pipeline, days: open_targets_add_up(pipeline.store, days),
            green="all open targets add up.",
        ),
    ],
}
"""By asset."""


TICKET_DAY_CHECKS = {
    CHANGES: [
        DayCheck(
            "audits_readable",
            "What every audit of the day changed could be read.",
            dg.AssetCheckSeverity.WARN,
            lambda pipeline, days: audits_readable(pipeline.store, days),
            green="all audits can be read.",
            remembered_days=REMEMBERED_DAYS,
        ),
    ],
    DIMENSIONS: [
        DayCheck(
            "dimensions_cover_every_target",
            "Every target of the day has a row of dimensions, and no row is of another target.",
            dg.AssetCheckSeverity.ERROR,
            lambda pipeline, days: dimensions_cover_every_target(pipeline.store, days),
            green="every target is covered.",
        ),
        DayCheck(
            "dimensions_are_known",
            "Of hardly any target the group, agent or another dimension is unknown.",
            dg.AssetCheckSeverity.WARN,
            lambda pipeline, days: dimensions_are_known(pipeline.store, days),
            green="nearly all values are known.",
            remembered_days=REMEMBERED_DAYS,
        ),
        DayCheck(
            "snapshots_answered",
            "When Zendesk was last asked for what no stored audit tells of tickets, it answered.",
            dg.AssetCheckSeverity.WARN,
            lambda pipeline, days: _answered_snapshots(pipeline, days),
            green="Zendesk answered.",
        ),
    ],
    BY_DIMENSION: [
        DayCheck(
            "dimension_sums_match_summary",
            "For every dimension but tags, the figures of all its values add up to those of the day's summary.",
            dg.AssetCheckSeverity.ERROR,
            lambda pipeline, days: dimension_sums_match_summary(pipeline.store, days),
            green="all sums match the summary.",
        ),
    ],
}
"""By asset; only where the ticket tables are made."""


def asset_checks(scope: AccountScope) -> list[dg.AssetChecksDefinition]:
    """All checks of the account's assets."""
    raw = [_raw_checks(scope, stream) for stream in STREAMS]
    by_day = SLA_DAY_CHECKS | (TICKET_DAY_CHECKS if scope.has_ticket_tables else {})
    return [*raw, *(_sla_checks(scope, asset, day_checks) for asset, day_checks in by_day.items())]


def raw_day_checks(scope: AccountScope, stream: str) -> list[DayCheck]:
    """The checks of a raw asset that report by day."""
    whole, applied, usual = (
        DayCheck(
            WHOLE,
            "Every day's file can be read, is this day's, holds the rows that were stored, and its page ledger has no gap. "
            f"None of its events is stored twice, in it or on a stored day up to {NEARBY_DAYS} days away. An event that an "
            "earlier reading of the day had and the newest has not is on one of those days, or they were all read since.",
            dg.AssetCheckSeverity.ERROR,
            lambda pipeline, days: _verified_days(scope, pipeline, stream, days),
            green=f"nothing missing, damaged or stored twice. Compared with the stored days up to {NEARBY_DAYS} days away.",
        ),
        DayCheck(
            APPLIED,
            "Every complete day with the usual traffic has `apply_sla` events, if the account's days before have some.",
            dg.AssetCheckSeverity.ERROR,
            lambda pipeline, days: sla_policies_applied(pipeline.store, stream, days),
            green="SLA policies are applied wherever they are expected.",
            remembered_days=REMEMBERED_DAYS,
        ),
        DayCheck(
            USUAL,
            "Every complete day holds about as many rows as the same weekday does in the weeks before.",
            dg.AssetCheckSeverity.WARN,
            lambda pipeline, days: row_count_in_usual_range(pipeline.store, stream, days),
            green="all have about as many rows as usual.",
            remembered_days=REMEMBERED_DAYS,
        ),
    )
    return [whole, applied, usual] if stream in SLA_STREAMS else [whole, usual]


def _raw_checks(scope: AccountScope, stream: str) -> dg.AssetChecksDefinition:
    key = scope.key(stream)
    day_checks = raw_day_checks(scope, stream)
    specs = [check.spec(key) for check in day_checks]
    specs += [dg.AssetCheckSpec(name, asset=key, description=with_docs(name, text)) for name, text in DESCRIPTIONS.items()]

    def evaluate(
        instance: dg.DagsterInstance, pipeline: Pipeline, days: list[Day], selected: set[str]
    ) -> Iterator[dg.AssetCheckResult]:
        yield from (check.evaluate(instance, scope, key, pipeline, days) for check in day_checks if check.name in selected)
        if PLACED in selected:
            yield _rejected_rows_result(pipeline.store, stream, days)
        if selected & {TYPES, KNOWN}:
            oddities = find_oddities(pipeline.store, stream, days)
            yield from (_drift_result(name, oddities) for name in (TYPES, KNOWN) if name in selected)

    return checks_of_asset(scope, stream, specs, evaluate)


def _sla_checks(scope: AccountScope, asset: str, day_checks: list[DayCheck]) -> dg.AssetChecksDefinition:
    key = scope.key(asset)

    def evaluate(
        instance: dg.DagsterInstance, pipeline: Pipeline, days: list[Day], selected: set[str]
    ) -> Iterator[dg.AssetCheckResult]:
        yield from (check.evaluate(instance, scope, key, pipeline, days) for check in day_checks if check.name in selected)

    return checks_of_asset(scope, asset, [check.spec(key) for check in day_checks], evaluate)


def _answered_snapshots(pipeline: Pipeline, days: list[Day]) -> Iterable[CheckedDay]:
    since = wall_clock() - REMEMBERED_DAYS * DAY_SECONDS
    return snapshots_answered(pipeline.store, days, is_asking=pipeline.asks_for_snapshots, since=since)


def _verified_days(scope: AccountScope, pipeline: Pipeline, stream: str, days: list[Day]) -> Iterable[CheckedDay]:
    if not days:
        return
    store, settings, asset = pipeline.store, pipeline.root_settings, scope.key(stream).to_user_string()
    owner = owner_of(store, stream, days, account=settings.account, former=settings.former_accounts, timezone=scope.timezone)
    for verified in verify_days(store, stream=STREAMS[stream], days=days, owner=owner, now=wall_clock(), asset=asset):
        yield CheckedDay(verified.day, verified.findings, notes=verified.notes)


def _rejected_rows_result(store: Store, stream: str, days: list[Day]) -> dg.AssetCheckResult:
    count = rejected_row_count(store, stream, days)
    url = rejected_folder_url(store, stream)
    return dg.AssetCheckResult(
        check_name=PLACED,
        passed=not count,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{plural(count, 'row')} rejected, without an id or a readable time. Kept with the reason below {url}."
        if count
        else "No row rejected.",
        metadata={"rejected": count, "folder": dg.MetadataValue.path(url)},
    )


def _drift_result(check_name: str, oddities: list[Oddity]) -> dg.AssetCheckResult:
    kind, good, bad, advice = DRIFT[check_name]
    found = [oddity for oddity in oddities if oddity.kind == kind]
    if check_name == TYPES and any(oddity.name == DELETED for oddity in found):
        advice = f"{advice} {UNREADABLE_DELETED}"
    # The names are the account's, and may hold markup.
    lines = [
        f"{markdown_code(oddity.name)}: {plural(oddity.count, 'row')}, for example id {oddity.example_id} of {oddity.day}"
        for oddity in found
    ]
    verdict = bad.format(plural(len(found), "field" if kind == TYPE_CHANGED else "name")) if found else good
    return dg.AssetCheckResult(
        check_name=check_name,
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{verdict} {advice}\n\n{markdown_list(lines)}" if found else verdict,
        metadata={"rows": sum(oddity.count for oddity in found), "names": [oddity.name for oddity in found]},
    )
