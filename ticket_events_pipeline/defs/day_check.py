"""An asset check that reports by day: which days it evaluates, and what its result says about them.

A check has one state in the UI, its newest. So it covers all days of its run (a partitioned check misreports ranges), and
evaluates again the days that it reported last time: otherwise the next hour's green would hide a problem that still exists.
"""

# No deferred annotations here: Dagster reads those of a check's function as they stand.

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import dagster as dg

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.defs.recording import expected_failures
from ticket_events_pipeline.defs.resources import PIPELINE, pipeline_of_run
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.quality.findings import CheckedDay, of_closed_day
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.text import plural

MAX_LINES = 20
"""Lines of a description; further ones are counted."""

NAMED_DAYS = "days"
"""Metadata key of the days with findings, which the next run evaluates again."""

DOCS_PAGE = "docs/reference/checks.md"
"""It has a section for each check, under its name."""

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class DayCheck:
    """A check that reports by day.

    Attributes:
        name: its name in the UI: the property that the data has while the check is green.
        description: what is true while it is green, in detail.
        severity: ERROR asks for an action, WARN for a judgement.
        check_days: checks stored days, in order.
        green: the text after `3 days checked, ` if all is well.
        remembered_days: how old a reported day may become before it is no longer evaluated again: what can't be repaired (a
            quiet holiday) would be reported for ever. None: a day is reported until it is repaired.
    """

    name: str
    description: str
    severity: dg.AssetCheckSeverity
    check_days: Callable[[Pipeline, list[Day]], Iterable[CheckedDay]]
    green: str
    remembered_days: int | None = None

    def spec(self, asset: dg.AssetKey) -> dg.AssetCheckSpec:
        """The check's specification for that asset."""
        return dg.AssetCheckSpec(self.name, asset=asset, description=with_docs(self.name, self.description))

    def evaluate(
        self, instance: dg.DagsterInstance, scope: AccountScope, asset: dg.AssetKey, pipeline: Pipeline, days: list[Day]
    ) -> dg.AssetCheckResult:
        """The check's result for the `days` of a run, and for those that it reported last time."""
        reported = _reported_last_time(instance, scope, dg.AssetCheckKey(asset, self.name))
        if self.remembered_days is not None:
            oldest = wall_clock() - self.remembered_days * DAY_SECONDS
            reported = [day for day in reported if day.end >= oldest]
        checked, pruned = self.check_days(pipeline, sorted({*days, *reported})), read_pruned_days(pipeline.store)
        return self._result([replace(one, findings=of_closed_day(one.findings, one.day, pruned)) for one in checked])

    def _result(self, checked: list[CheckedDay]) -> dg.AssetCheckResult:
        broken = [day for day in checked if day.findings]
        figures = next((day.figures for day in reversed(checked) if day.figures), {})
        notes = [f"{day.day}: {note}" for day in checked for note in day.notes]
        count = sum(day.skipped_reason is None for day in checked)
        return dg.AssetCheckResult(
            check_name=self.name,
            passed=not broken,
            severity=self.severity,
            description=_findings_text(broken, count) if broken else _green_text(checked, count, self.green),
            metadata={
                NAMED_DAYS: [str(day.day) for day in broken],
                "days_checked": str(count),  # as text: the UI plots every number
                **figures,
                **({"notes": dg.MetadataValue.md(markdown_list(notes))} if notes else {}),
            },
        )


def checks_of_asset(
    scope: AccountScope,
    asset: str,
    specs: Sequence[dg.AssetCheckSpec],
    evaluate: Callable[[dg.DagsterInstance, Pipeline, list[Day], set[str]], Iterable[dg.AssetCheckResult]],
) -> dg.AssetChecksDefinition:
    """The checks of an asset of the account in one step, which runs with the asset and never blocks downstream assets.

    Args:
        scope: the account.
        asset: the asset's name.
        specs: of the checks.
        evaluate: makes the results from the instance, the pipeline, the run's days and the names of the selected checks.
    """

    @dg.multi_asset_check(
        name=scope.named(f"{asset}_checks"),
        specs=specs,
        can_subset=True,
        required_resource_keys={scope.named(PIPELINE)},
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        selected = {check.name for check in context.selected_asset_check_keys}
        with expected_failures():
            pipeline = pipeline_of_run(context, scope)
            yield from evaluate(context.instance, pipeline, _days_of_run(context, scope, pipeline.store, asset), selected)

    return checks


def _days_of_run(context: dg.AssetCheckExecutionContext, scope: AccountScope, store: Store, asset: str) -> list[Day]:
    """The run's days; every stored day where the checks are run by themselves, without any."""
    if context.has_partition_key or context.has_partition_key_range:
        return scope.days(list(context.partition_keys))
    return stored_days(store, asset, scope.timezone)


def markdown_list(lines: list[str]) -> str:
    """The lines as a Markdown list, as the UI shows a description; of many lines, the first and how many more there are."""
    further = [f"… and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
    return "\n".join(f"- {line}" for line in [*lines[:MAX_LINES], *further])


def with_docs(name: str, description: str) -> str:
    """A check's description, and where the documentation says what to do when it fails."""
    return f"{description} If it fails: {DOCS_PAGE}#{name}"


def _findings_text(broken: list[CheckedDay], count: int) -> str:
    lines = [f"{day.day}: {finding}" for day in broken for finding in day.findings]
    return f"{len(broken)} of {plural(count, 'day')} failed.\n\n{markdown_list(lines)}"


def _green_text(checked: list[CheckedDay], count: int, green: str) -> str:
    verdict = f"{plural(count, 'day')} checked, {green}" if count else "No day could be checked."
    reasons = Counter(day.skipped_reason for day in checked if day.skipped_reason is not None)
    if not reasons:
        return verdict
    skipped = [f"{plural(number, 'day')}: {reason}" for reason, number in reasons.most_common()]
    return f"{verdict}\n\nNot checked:\n\n{markdown_list(skipped)}"


def _reported_last_time(instance: dg.DagsterInstance, scope: AccountScope, check: dg.AssetCheckKey) -> list[Day]:
    """The days with findings in the check's last evaluation."""
    last = _last_evaluation(instance, check)
    if last is None or NAMED_DAYS not in last.metadata:
        return []
    reported = scope.days([str(day) for day in cast(list[str], last.metadata[NAMED_DAYS].value)])
    return [day for day in reported if scope.is_partition(day)]


def _last_evaluation(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
    """The newest evaluation; planned ones don't count: one a day of this run, and those of a run whose asset failed."""
    history = instance.event_log_storage.get_asset_check_execution_history
    newest = history(check, 1)
    if not newest:
        return None
    # Left to the database: a year's run has planned a year of records. Dagster gives the statuses no public name.
    evaluated = {status for status in type(newest[0].status) if status.value != "PLANNED"}
    found = [record.event for record in history(check, 1, status=evaluated) if record.event is not None]
    return found[0].asset_check_evaluation if found else None
