"""What to type after `ticket-events init`: each line can be typed as it stands, from the folder where init was called."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from ticket_events_pipeline.cli.systemd import DAEMON, WEBSERVER
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.variables import VariableReader


def is_sandbox(values: Mapping[str, str]) -> bool:
    """Whether the variables choose the simulated account."""
    return VariableReader(values).flag("ZENDESK_SANDBOX")


def dev_command(home: Path, folder: Path) -> str:
    """How Dagster is started in a folder that `init` wrote.

    `.env` has DAGSTER_HOME as well, but `dg` reads Dagster's telemetry setting before it reads that.
    """
    return f"DAGSTER_HOME={shlex.quote(str(home))} {program('dg', folder=folder)} dev -w workspace.yaml"


def print_next_steps(folder: Path, home: Path, values: Mapping[str, str]) -> None:
    """Print what to do in the folder, in order."""
    ticket_events = program(folder=folder)
    simulated = is_sandbox(values)
    steps = [] if folder == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]
    steps.append(f"{ticket_events} {'demo' if simulated else 'doctor'}")
    steps.append(dev_command(home, folder))
    click.echo("\nNext:")
    for step in steps:
        click.echo(f"  {step}")
    click.echo(
        "Then open http://127.0.0.1:3000, and turn on hourly_fetch, daily_restatement and refresh_names under Automation."
    )
    if not simulated and (first := values.get("TICKET_EVENTS_START_DATE")):
        click.echo("Fetch the days until yesterday, in a second terminal in that folder (`plan` says first what it takes):")
        click.echo(f"  {ticket_events} backfill {first}..yesterday")
    click.echo("From then on, every morning; and at any time:")
    click.echo(f"  {ticket_events} report --open\n  {ticket_events} status")
    if sys.platform == "linux" and not simulated:
        _print_units()


def _print_units() -> None:
    is_root = os.geteuid() == 0
    sudo = "" if is_root else "sudo "
    click.echo("On a server, run it with systemd instead of dg dev:")
    if is_root:
        click.echo("  # as root, first: make a user of its own, give it this folder, and set User= in both units")
    click.echo(f"  {sudo}cp systemd/*.service /etc/systemd/system/")
    click.echo(f"  {sudo}systemctl daemon-reload && {sudo}systemctl enable --now {WEBSERVER} {DAEMON}")
