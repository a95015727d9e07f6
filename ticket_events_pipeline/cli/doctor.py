"""`ticket-events doctor`: checks whether a run will work here, one line a check, with what to fix."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

import click

from ticket_events_pipeline.cli.account_checks import ACCOUNT_CHECKS
from ticket_events_pipeline.cli.doctor_checks import CHECKS, WEBHOOK_CHECK, Check, Deployment, Finding, Status
from ticket_events_pipeline.cli.fleet_checks import FLEET_ACCOUNT_CHECKS, FLEET_CHECKS
from ticket_events_pipeline.cli.publish_checks import PUBLISH_CHECKS

_COLOURS = {Status.OK: "green", Status.NOTE: "yellow", Status.FAILED: "red"}


def run_doctor(
    *, posts_to_webhook: bool = False, adopts_home: bool = False, is_fleet: bool = False, is_json: bool = False
) -> bool:
    """Check everything and print the findings; whether a run will work, and with `is_fleet`, one on any host.

    With `adopts_home`, the DAGSTER_HOME is kept for the root that is set now, after its files were moved there.
    """
    deployment = Deployment(os.environ, log=lambda line: click.echo(line, err=True), adopts_home=adopts_home)
    checks = _checks(posts_to_webhook=posts_to_webhook, is_fleet=is_fleet)
    found = _distinct(finding for check in checks for finding in check(deployment))
    seen: list[Finding] = []
    for finding in found:
        seen.append(finding)
        if not is_json:
            _print(finding)
    if is_json:
        click.echo(json.dumps([finding.as_json() for finding in seen], indent=1))
    return all(finding.status != Status.FAILED for finding in seen)


def _checks(*, posts_to_webhook: bool, is_fleet: bool) -> list[Check]:
    """Those that ask Zendesk come last: while others use up the quota, they wait for their share of it."""
    checks = [*CHECKS, *PUBLISH_CHECKS, *(FLEET_CHECKS if is_fleet else ()), *((WEBHOOK_CHECK,) if posts_to_webhook else ())]
    return [*checks, *ACCOUNT_CHECKS, *(FLEET_ACCOUNT_CHECKS if is_fleet else ())]


def _distinct(findings: Iterable[Finding]) -> Iterable[Finding]:
    """No line twice: two checks may meet the same problem."""
    seen = set()
    for finding in findings:
        if (finding.text, finding.fix) not in seen:
            seen.add((finding.text, finding.fix))
            yield finding


def _print(finding: Finding) -> None:
    click.secho(f"{finding.status:<6}{finding.text}", fg=_COLOURS[finding.status])
    if finding.fix:
        click.secho(f"      fix: {finding.fix}", fg=_COLOURS[finding.status])
