"""`ticket-events digest`: shows the digest of a day as text, and sends it on request."""

from __future__ import annotations

import os

import click

from ticket_events_pipeline.alerts.plain_text import plain_text
from ticket_events_pipeline.alerts.settings import alert_settings, dagster_url
from ticket_events_pipeline.cli.dates import parse_day
from ticket_events_pipeline.day import Day, wall_clock
from ticket_events_pipeline.pipeline import pipeline_of
from ticket_events_pipeline.report.digest import DigestLinks, digest_message
from ticket_events_pipeline.sla.build import SUMMARY


def run_digest(word: str, *, sends: bool) -> bool:
    """Show the digest of a day, and send it on request; whether every destination accepted it.

    Args:
        word: the day.
        sends: whether to send it to the destinations of the alerts.

    Raises:
        click.UsageError: `word` is no day.
        SettingsError: it is to be sent and there is no destination, or a variable is malformed.
        UsageError: the root can't be read.
    """
    settings = alert_settings(os.environ) if sends else None
    pipeline = pipeline_of(os.environ)
    root = pipeline.root_settings
    day = parse_day(word, Day.containing(wall_clock(), root.timezone))
    message = digest_message(pipeline.store, root, day, DigestLinks(dagster_url(os.environ), SUMMARY))
    click.echo(plain_text(message))
    if settings is None:
        return True
    from ticket_events_pipeline.alerts.delivery import deliver_patiently  # an HTTP client, which showing it needs not
    from ticket_events_pipeline.cli.alerts import told

    return told(deliver_patiently(settings.destinations, message), "the digest")
