"""`ticket-events sandbox`: serves the simulated account to other programs, in the foreground."""

from __future__ import annotations

import click

from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.lookups import LookupWorld
from ticket_events_pipeline.sandbox.server import SandboxServer

ACCOUNT_REQUESTS_PER_MINUTE = 400
"""What Zendesk grants on a usual plan for everything but the exports."""


def serve(*, port: int, requests_per_minute: int, seed: int, tickets_per_day: int) -> None:
    """Serve until interrupted.

    Raises:
        UsageError: the port is taken.
    """
    account = SimulatedAccount(seed=seed, tickets_per_day=tickets_per_day)
    world = LookupWorld(requests_per_minute=ACCOUNT_REQUESTS_PER_MINUTE)
    server = SandboxServer(account, port=port, requests_per_minute=requests_per_minute, lookup_world=world)
    try:
        server.run(announce=_announce)
    except OSError as error:
        raise UsageError(f"--port {port} can't be used: {error.strerror}. Try another; 0 takes any free one.") from error


def _announce(base_url: str) -> None:
    click.echo(f"The simulated account answers on {base_url} (Ctrl-C stops it). To use it, set")
    click.echo(f"  ZENDESK_BASE_URL={base_url} ZENDESK_OAUTH_CLIENT_ID=sandbox ZENDESK_OAUTH_CLIENT_SECRET=sandbox")
