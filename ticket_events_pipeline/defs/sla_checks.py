"""The asset checks of the SLA tables: they say the same, follow from the days before, and know their policies.

They run with the asset, in runs of one day and of a range alike, and never stop what comes after it.
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.defs.day_check import DayCheck, checks_of_asset
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.quality.contradictions import outcomes_agree_with_durations
from ticket_events_pipeline.quality.policies import policies_are_known
from ticket_events_pipeline.quality.sla_counts import counts_match_targets
from ticket_events_pipeline.quality.sla_flow import open_targets_add_up
from ticket_events_pipeline.sla.build import SUMMARY, TARGETS

REMEMBERED_DAYS = 7
"""Fetched again or not: after a week, newer days tell whether it goes on."""

SLA_DAY_CHECKS = {
    TARGETS: [
        DayCheck(
            "policies_are_known",
            "Of the day's targets, hardly any breached without an apply that is known.",
            dg.AssetCheckSeverity.WARN,
            lambda pipeline, days: policies_are_known(pipeline.store, days),
            green="the policies of nearly all targets are known.",
            remembered_days=REMEMBERED_DAYS,
        ),
        DayCheck(
            "outcomes_agree_with_durations",
            "No target of the day has an outcome that its measured duration contradicts.",
            dg.AssetCheckSeverity.WARN,
            lambda pipeline, days: outcomes_agree_with_durations(pipeline.store, days),
            green="every outcome agrees with the measured duration.",
            remembered_days=REMEMBERED_DAYS,
        ),
    ],
    SUMMARY: [
        DayCheck(
            "counts_match_targets",
            "Every figure of the day's summary is what its targets say, counted again in another way, and both are unchanged.",
            dg.AssetCheckSeverity.ERROR,
            lambda pipeline, days: counts_match_targets(pipeline.store, days),
            green="every figure is right.",
        ),
        DayCheck(
            "open_targets_add_up",
            "Per metric: open at the day's end = open at the end of the day before + started + discovered + re-opened "
            "- achieved - completed breached - cancelled - deleted.",
            dg.AssetCheckSeverity.ERROR,
            lambda pipeline, days: open_targets_add_up(pipeline.store, days),
            green="all add up.",
        ),
    ],
}
"""By asset."""


def sla_checks(scope: AccountScope) -> list[dg.AssetChecksDefinition]:
    """The checks of the SLA tables of the account."""
    return [_checks_of(scope, asset, day_checks) for asset, day_checks in SLA_DAY_CHECKS.items()]


def _checks_of(scope: AccountScope, asset: str, day_checks: list[DayCheck]) -> dg.AssetChecksDefinition:
    key = scope.key(asset)

    def evaluate(
        instance: dg.DagsterInstance, pipeline: Pipeline, days: list[Day], selected: set[str]
    ) -> Iterator[dg.AssetCheckResult]:
        yield from (check.evaluate(instance, scope, key, pipeline, days) for check in day_checks if check.name in selected)

    return checks_of_asset(scope, asset, [check.spec(key) for check in day_checks], evaluate)
