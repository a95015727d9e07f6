"""`ticket-events doctor`: checks whether a run will work here, one line a check, with what to fix."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from ticket_events_pipeline.cli.dagster_yaml import old_dagster_yaml
from ticket_events_pipeline.cli.old_files import old_files
from ticket_events_pipeline.credentials import BearerToken
from ticket_events_pipeline.day import wall_clock
from ticket_events_pipeline.errors import SettingsError, TicketEventsError
from ticket_events_pipeline.ingest.ownership import refuse_foreign_files
from ticket_events_pipeline.pipeline import Pipeline, pipeline_of
from ticket_events_pipeline.tables.streams import STREAMS
from ticket_events_pipeline.zendesk.token_end import TokenEnd


def run_doctor(*, adopts_home: bool = False) -> bool:
    """Check the variables, then the root and DAGSTER_HOME, then the credentials with one request; whether all is well.

    With `adopts_home`, the DAGSTER_HOME is kept for the root that is set now, after its files were moved there.
    """
    pipeline = pipeline_of(os.environ, log=click.echo)
    try:
        settings = pipeline.settings
    except SettingsError as error:
        for problem in error.problems:
            _failed(problem)
        return False
    _ok(f"variables: account {settings.account}, days of {settings.timezone}")
    for warning in settings.warnings:
        _note(warning)
    for sentence in _old_dagster_yaml():
        _note(sentence)
    root_works = _checked(lambda: _check_root(pipeline))
    home_works = _check_home(adopts=adopts_home)
    return _checked(lambda: _check_credentials(pipeline)) and root_works and home_works


def _old_dagster_yaml() -> list[str]:
    home = os.environ.get("DAGSTER_HOME", "").strip()
    return old_dagster_yaml(Path(home) / "dagster.yaml") if home else []


def _check_root(pipeline: Pipeline) -> str:
    store = pipeline.store
    store.check()
    for stream in STREAMS.values():
        if stream.takes_choices:  # the newest file of every stream, as the first fetch will: it must not be the one to find out
            refuse_foreign_files(store, stream.name, [], pipeline.ownership(stream), _note)
    for sentence in old_files(store, pipeline.settings.timezone):
        _note(sentence)
    return f"root: {store.location} can be written"


def _check_home(*, adopts: bool) -> bool:
    """Whether the DAGSTER_HOME, if one is set, shows the days of this account and root."""
    if not os.environ.get("DAGSTER_HOME") and not adopts:
        return True
    # Dagster, which no other check needs.
    from ticket_events_pipeline.defs.dagster_home import adopt_dagster_home, dagster_home_problem

    try:
        problem = None
        if adopts:
            _ok(adopt_dagster_home(os.environ))
        else:
            problem = dagster_home_problem(os.environ)
    except TicketEventsError as error:
        problem = str(error)
    if problem:
        _failed(problem)
    return problem is None


def _check_credentials(pipeline: Pipeline) -> str:
    settings = pipeline.reachable_settings
    with pipeline.client(click.echo) as client:
        client.check()
        if isinstance(settings.credentials, BearerToken) and not settings.is_sandbox:
            _show_token_end(client.token_end(), now=wall_clock())
    return f"credentials: {settings.base_url} accepts them"


def _show_token_end(end: TokenEnd, *, now: float) -> None:
    is_far = end.expires_at is not None and not end.is_soon(now)
    (_ok if is_far else _note)(end.sentence(now))


def _checked(check: Callable[[], str]) -> bool:
    try:
        _ok(check())
    except TicketEventsError as error:
        _failed(str(error))
        return False
    return True


def _ok(text: str) -> None:
    click.secho(f"ok    {text}", fg="green")


def _note(text: str) -> None:
    click.secho(f"note  {text}", fg="yellow")


def _failed(text: str) -> None:
    click.secho(f"FAIL  {text}", fg="red")
