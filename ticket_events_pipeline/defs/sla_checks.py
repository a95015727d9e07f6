"""The asset checks of the SLA tables: they say the same, follow from the days before, and know their policies.

They run with the asset, in runs of one day and of a range alike, and never stop what comes after it.
"""

# No deferred annotations here: Dagster reads those of a check's function as they stand.

from collections.abc import Iterator

import dagster as dg

from ticket_events_pipeline.defs.account_scope import AccountScope
from ticket_events_pipeline.defs.day_checks import DayCheck, days_of_run
from ticket_events_pipeline.defs.recording import expected_failures
from ticket_events_pipeline.defs.resources import PIPELINE, pipeline_of
from ticket_events_pipeline.summarize.sla_days import SUMMARY, TARGETS
from ticket_events_pipeline.verify.policies import policies_are_known
from ticket_events_pipeline.verify.sla_counts import counts_match_targets
from ticket_events_pipeline.verify.sla_flow import open_targets_add_up

SLA_DAY_CHECKS = {
    TARGETS: [
        DayCheck(
            "policies_are_known",
            "Of the day's targets, hardly any breached without an apply that is known.",
            dg.AssetCheckSeverity.WARN,
            policies_are_known,
            green="the policies of nearly all targets are known.",
            remembered_days=7,  # fetched again or not: after a week, newer days tell whether it goes on
        ),
    ],
    SUMMARY: [
        DayCheck(
            "counts_match_targets",
            "Every figure of the day's summary is what its targets say, counted again in another way, and both are unchanged.",
            dg.AssetCheckSeverity.ERROR,
            counts_match_targets,
            green="every figure is right.",
        ),
        DayCheck(
            "open_targets_add_up",
            "Per metric: open at the day's end = open at the end of the day before + started + discovered + re-opened "
            "- achieved - completed breached - cancelled.",
            dg.AssetCheckSeverity.ERROR,
            open_targets_add_up,
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

    @dg.multi_asset_check(
        name=scope.named(f"{asset}_checks"),
        specs=[check.spec(key) for check in day_checks],
        can_subset=True,
        required_resource_keys={scope.named(PIPELINE)},
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        selected = {check.name for check in context.selected_asset_check_keys}
        with expected_failures():
            store = pipeline_of(context, scope).store()
            days = days_of_run(context, scope, store, asset)
            for check in day_checks:
                if check.name in selected:
                    yield check.evaluate(context.instance, scope, key, store, days)

    return checks
