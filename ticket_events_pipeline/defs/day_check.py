"""What all checks about days have in common: which days one is about, and what its result says of them.

A check of the UI has one state, its newest: so it is about all days of its run (a partitioned one misreports ranges), and looks
again at the days that it named last time. Else the next hour's green would paint over a red that nobody has mended.
"""

# No deferred annotations here: Dagster reads those of a check's function as they stand.

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import dagster as dg

from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.defs.recording import expected_failures
from ticket_events_pipeline.defs.resources import PIPELINE, pipeline_of_run
from ticket_events_pipeline.defs.scope import AccountScope
from ticket_events_pipeline.pipeline import Pipeline
from ticket_events_pipeline.quality.findings import CheckedDay
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline.storage.store import Store

MOST_TOLD = 20
"""Lines that a description holds; the rest is counted."""

NAMED_DAYS = "days"
"""Metadata of a check about days: those with which something is wrong."""

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class DayCheck:
    """A check about days.

    Attributes:
        name: how the UI calls it, a sentence that is true while the check is green.
        description: what is true then, at more length.
        severity: ERROR means act; WARN means look.
        look: the answers about days in order, from what is stored.
        green: what follows `3 verified` where nothing is wrong.
        remembered_days: how old a day may become that is named from run to run though nobody mends it: what can't be mended
            (a holiday was quiet) would be named for ever else. None: what is wrong stays wrong until it is mended.
    """

    name: str
    description: str
    severity: dg.AssetCheckSeverity
    look: Callable[[Pipeline, list[Day]], Iterable[CheckedDay]]
    green: str
    remembered_days: int | None = None

    def spec(self, asset: dg.AssetKey) -> dg.AssetCheckSpec:
        """The check of that asset, as Dagster knows it."""
        return dg.AssetCheckSpec(self.name, asset=asset, description=self.description)

    def evaluate(
        self, instance: dg.DagsterInstance, scope: AccountScope, asset: dg.AssetKey, pipeline: Pipeline, days: list[Day]
    ) -> dg.AssetCheckResult:
        """The check's result for `days` of a run, and for those that it named before."""
        named = _named_before(instance, scope, dg.AssetCheckKey(asset, self.name))
        if self.remembered_days is not None:
            oldest = wall_clock() - self.remembered_days * DAY_SECONDS
            named = [day for day in named if day.end >= oldest]
        return self._result(list(self.look(pipeline, sorted({*days, *named}))))

    def _result(self, answers: list[CheckedDay]) -> dg.AssetCheckResult:
        broken = [answer for answer in answers if answer.findings]
        figures = next((answer.figures for answer in reversed(answers) if answer.figures), {})
        notes = [f"{answer.day}: {note}" for answer in answers for note in answer.notes]
        verified = sum(answer.silence is None for answer in answers)
        return dg.AssetCheckResult(
            check_name=self.name,
            passed=not broken,
            severity=self.severity,
            description=_told_broken(broken) if broken else _told_green(answers, f"{verified} verified, {self.green}"),
            metadata={
                NAMED_DAYS: [str(answer.day) for answer in broken],
                "verified_days": verified,
                **figures,
                **({"notes": dg.MetadataValue.md(told(notes))} if notes else {}),
            },
        )


def checks_of_asset(
    scope: AccountScope,
    asset: str,
    specs: Sequence[dg.AssetCheckSpec],
    evaluate: Callable[[dg.DagsterInstance, Pipeline, list[Day], set[str]], Iterable[dg.AssetCheckResult]],
) -> dg.AssetChecksDefinition:
    """The checks of an asset of the account in one step, which runs with the asset and never stops what comes after it.

    Args:
        scope: the account.
        asset: the asset's name.
        specs: of the checks.
        evaluate: from the instance, the pipeline, the run's days and the names of the checks that are asked for.
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
    """The run's days; every stored one where the checks are run by themselves, without any."""
    if context.has_partition_key or context.has_partition_key_range:
        return scope.days(list(context.partition_keys))
    return stored_days(store, asset, scope.timezone)


def told(lines: list[str]) -> str:
    """The lines as the UI shows them, which reads a description as Markdown: a list, or a few of it and how many more."""
    further = [f"… and {len(lines) - MOST_TOLD} more"] if len(lines) > MOST_TOLD else []
    return "\n".join(f"- {line}" for line in [*lines[:MOST_TOLD], *further])


def _told_broken(broken: list[CheckedDay]) -> str:
    return told([f"{answer.day}: {finding}" for answer in broken for finding in answer.findings])


def _told_green(answers: list[CheckedDay], verified: str) -> str:
    silences = Counter(answer.silence for answer in answers if answer.silence is not None)
    if not silences:
        return verified
    return f"{verified}\n\nNothing can be said of:\n\n" + told(
        [f"{count} days: {why}" for why, count in silences.most_common()]
    )


def _named_before(instance: dg.DagsterInstance, scope: AccountScope, check: dg.AssetCheckKey) -> list[Day]:
    """The days that the check's last evaluation named."""
    last = _last_evaluation(instance, check)
    if last is None or NAMED_DAYS not in last.metadata:
        return []
    named = scope.days([str(day) for day in cast(list[str], last.metadata[NAMED_DAYS].value)])
    return [day for day in named if scope.is_partition(day)]


def _last_evaluation(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
    """The check's newest; records of what is only planned are none: this run's, one a day, or of a run whose asset failed."""
    history = instance.event_log_storage.get_asset_check_execution_history
    newest = history(check, 1)
    if not newest:
        return None
    # Left to the database: a year's run has planned a year of records. Dagster gives the statuses no public name.
    evaluated = {status for status in type(newest[0].status) if status.value != "PLANNED"}
    found = [record.event for record in history(check, 1, status=evaluated) if record.event is not None]
    return found[0].asset_check_evaluation if found else None
