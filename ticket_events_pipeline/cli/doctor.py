"""`ticket-events doctor`: will a run work here? One line a check, each with what to mend."""

from __future__ import annotations

import os
from collections.abc import Callable

import click

from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.defs.resources import TicketEventsPipeline, ownership
from ticket_events_pipeline.defs.scope import account_scope
from ticket_events_pipeline.errors import SettingsError, TicketEventsError
from ticket_events_pipeline.ingest.ownership import refuse_foreign_files
from ticket_events_pipeline.settings import Settings, load_settings
from ticket_events_pipeline.storage.open_store import open_store
from ticket_events_pipeline.zendesk.page import TICKET_EVENTS
from ticket_events_pipeline.zendesk.token_end import TokenEnd


def run_doctor() -> bool:
    """Check the variables, then the root, then the credentials with one request; whether all is well."""
    try:
        settings = load_settings(os.environ)
    except SettingsError as error:
        for problem in error.problems:
            _bad(problem)
        return False
    _good(f"variables: account {settings.account}, days of {settings.timezone}")
    for warning in settings.warnings:
        _note(warning)
    root_works = _checked(lambda: _check_root(settings))
    return _checked(_check_credentials) and root_works


def _check_root(settings: Settings) -> str:
    store = open_store(settings.root)
    store.check()
    # The newest file of either stream, as a pass over no day yet would: the first run shall not be the one that finds out.
    refuse_foreign_files(store, TICKET_EVENTS.name, [], ownership(settings, TICKET_EVENTS), _note)
    return f"root: {store.location} can be written"


def _check_credentials() -> str:
    pipeline = TicketEventsPipeline(account_scope())
    settings = pipeline.settings()
    with pipeline.client(settings, click.echo) as client:
        client.check()
        if isinstance(settings.credentials, BearerToken) and not settings.is_sandbox:
            _tell_token_end(client.token_end(), now=wall_clock())
    return f"credentials: {settings.base_url} takes them"


def _tell_token_end(end: TokenEnd, *, now: float) -> None:
    is_far = end.expires_at is not None and not end.is_soon(now)
    (_good if is_far else _note)(end.sentence(now))


def _checked(check: Callable[[], str]) -> bool:
    try:
        _good(check())
    except TicketEventsError as error:
        _bad(str(error))
        return False
    return True


def _good(text: str) -> None:
    click.secho(f"ok    {text}", fg="green")


def _note(text: str) -> None:
    click.secho(f"note  {text}", fg="yellow")


def _bad(text: str) -> None:
    click.secho(f"mend  {text}", fg="red")
