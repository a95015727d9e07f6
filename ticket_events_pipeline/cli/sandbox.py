"""`ticket-events sandbox`: serves the simulated account to other programs, in the foreground."""

from __future__ import annotations

import ipaddress
import os

import click

from ticket_events_pipeline.credentials import SANDBOX_TOKEN, SANDBOX_URL, is_loopback
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.sandbox.account import SimulatedAccount
from ticket_events_pipeline.sandbox.credentials import DEMO_CREDENTIALS, Credentials, only_token
from ticket_events_pipeline.sandbox.lookups import LookupWorld
from ticket_events_pipeline.sandbox.server import SandboxServer

ACCOUNT_REQUESTS_PER_MINUTE = 400
"""What Zendesk grants on a usual plan for everything but the exports."""


def serve(*, listen: str, port: int, requests_per_minute: int, seed: int, tickets_per_day: int) -> None:
    """Serve until interrupted.

    Raises:
        UsageError: the address or the port can't be used, or other machines would reach it without a secret.
    """
    credentials = _credentials(listen)
    server = SandboxServer(
        SimulatedAccount(seed=seed, tickets_per_day=tickets_per_day),
        host=listen,
        port=port,
        requests_per_minute=requests_per_minute,
        credentials=credentials,
        lookup_world=LookupWorld(requests_per_minute=ACCOUNT_REQUESTS_PER_MINUTE),
    )
    announce = _announce if credentials is DEMO_CREDENTIALS else _announce_service
    try:
        server.run(announce=announce)
    except OSError as error:
        where = f"--port {port}" if is_loopback(listen) else f"--listen {listen} --port {port}"
        raise UsageError(f"{where} can't be used: {error.strerror}. Try another; 0 takes any free port.") from error


def _credentials(listen: str) -> Credentials:
    """The demo's, or the only token that is accepted, from the environment: arguments stand in the list of processes."""
    if not _is_ipv4(listen):
        raise UsageError(f"--listen {listen} is not an IPv4 address. Give one of this machine, or 0.0.0.0 for all of them.")
    token = os.environ.get(SANDBOX_TOKEN, "").strip()
    if token:
        try:
            return only_token(token)
        except ValueError as error:
            raise UsageError(f"{SANDBOX_TOKEN} {error}") from None
    if not is_loopback(listen):
        raise UsageError(
            f"--listen {listen} lets other machines reach the sandbox, and the demo's credentials are public: set "
            f"{SANDBOX_TOKEN} to a secret, which will be the only one accepted. openssl rand -hex 16 makes one."
        )
    return DEMO_CREDENTIALS


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _announce(base_url: str) -> None:
    click.echo(f"The simulated account answers on {base_url} (Ctrl-C stops it). To use it, set")
    click.echo(f"  ZENDESK_BASE_URL={base_url} ZENDESK_OAUTH_CLIENT_ID=sandbox ZENDESK_OAUTH_CLIENT_SECRET=sandbox")


def _announce_service(base_url: str) -> None:
    click.echo(f"The simulated account answers on {base_url} (Ctrl-C stops it). To use it, set the same {SANDBOX_TOKEN}, and")
    click.echo(f"  ZENDESK_SANDBOX=1 {SANDBOX_URL}={base_url.replace('//0.0.0.0:', '//HOST:')}")
