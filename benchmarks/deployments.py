"""Deployments to run commands in: this pipeline's, and an empty one of as many assets and checks, which do nothing.

Each has a DAGSTER_HOME of its own with the shipped dagster.yaml. The first run in a home makes its databases: `warmed` does it
before anything is measured.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from measuring import Measured, measured

CHECKOUT = Path(__file__).parent.parent
DAGSTER_YAML = CHECKOUT / "ticket_events_pipeline" / "cli" / "templates" / "dagster.yaml"
DAY = "2026-03-02"
EVERYTHING = "everything"
FETCHED = {"ticket_events": 6, "ticket_metric_events": 6, "ticket_field_changes": 1}
SUMMARISED = {
    "sla_clocks": 0,
    "sla_targets": 2,
    "daily_sla_breach_summary": 2,
    "ticket_states": 0,
    "sla_target_dimensions": 3,
    "daily_sla_breaches_by_dimension": 1,
    "sla_target_holders": 0,
    "daily_ticket_durations": 0,
    "sla_breach_report": 0,
}
"""The assets of the two jobs, and how many checks each has."""

IMPORTS = "import pyarrow.compute, pyarrow.parquet, requests"
"""What every fetch into Parquet has to load."""

NO_TAGS: Mapping[str, str] = MappingProxyType({})

_PROJECT = """
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "empty_project"
code_location_target_module = "empty_project.definitions"
defs_module = "empty_project"
"""

_DEFINITIONS = """
import warnings

import dagster as dg

warnings.simplefilter("ignore", dg.BetaWarning)
DAYS = dg.DailyPartitionsDefinition(start_date="2025-01-01", timezone="UTC", end_offset=1)


def asset_of(name):
    @dg.asset(name=name, partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def nothing() -> None:
        {body}

    return nothing


def checks_of(asset, count):
    names = [f"check_{{number}}" for number in range(count)]

    @dg.multi_asset_check(name=f"{{asset}}_checks", specs=[dg.AssetCheckSpec(name, asset=asset) for name in names])
    def green():
        yield from (dg.AssetCheckResult(check_name=name, passed=True) for name in names)

    return green


ASSETS = [asset_of(name) for name in {checks}]
JOB = dg.define_asset_job("{job}", dg.AssetSelection.assets(*ASSETS), executor_def=dg.in_process_executor)
defs = dg.Definitions(
    assets=ASSETS,
    asset_checks=[checks_of(asset, count) for asset, count in {checks}.items() if count],
    jobs=[JOB],
    executor=dg.in_process_executor,
)
"""


@dataclass(frozen=True)
class Deployment:
    """A module of definitions, where it is run, and what in.

    Attributes:
        module: of the definitions.
        folder: the working folder; DAGSTER_HOME is `home` in it.
        variables: that are set in addition.
    """

    module: str
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def materialize(self, asset: str, days: str) -> Measured:
        """Materialize days of an asset: `A`, or `A...B`."""
        option = "--partition-range" if "..." in days else "--partition"
        return self.dagster("asset", "materialize", "-m", self.module, "--select", asset, option, days)

    def execute(self, job: str, day: str, tags: Mapping[str, str] = NO_TAGS, *, last: str = "") -> Measured:
        """Execute a job over a day, or from it to the last, as the schedules and the sensor request it, with further tags."""
        days = {"dagster/asset_partition_range_start": day, "dagster/asset_partition_range_end": last or day}
        return self.dagster("job", "execute", "-m", self.module, "-j", job, "--tags", json.dumps({**days, **tags}))

    def dagster(self, *words: str) -> Measured:
        """Run a command of Dagster's."""
        return self.run([sys.executable, "-m", "dagster", *words])

    def run(self, command: Sequence[str]) -> Measured:
        """Run any command, below its folder and with its variables."""
        env = {"DAGSTER_HOME": str(self.folder / "home"), **self.variables}
        return measured(command, env=env, cwd=str(self.folder))


def pipeline(folder: Path, url: str) -> Deployment:
    """The pipeline, for the account at that URL."""
    variables = {"ZENDESK_BASE_URL": url, "ZENDESK_OAUTH_TOKEN": "sandbox", "ZENDESK_REQUESTS_PER_MINUTE": "999999"}
    make_home(folder)
    return Deployment("ticket_events_pipeline.definitions", folder, variables)


def empty_project(folder: Path, checks: Mapping[str, int], *, body: str = "pass") -> Deployment:
    """Assets that do nothing but `body`, each with so many checks that do nothing; the job is called EVERYTHING."""
    make_home(folder)
    package = folder / "empty_project"
    package.mkdir()
    (folder / "pyproject.toml").write_text(_PROJECT)
    (package / "__init__.py").touch()
    (package / "definitions.py").write_text(_DEFINITIONS.format(checks=dict(checks), job=EVERYTHING, body=body))
    return Deployment("empty_project.definitions", folder)


def make_home(folder: Path) -> None:
    """Make the deployment's folder, with a DAGSTER_HOME."""
    (folder / "home").mkdir(parents=True)
    shutil.copy(DAGSTER_YAML, folder / "home")
