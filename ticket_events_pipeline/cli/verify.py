"""`ticket-events verify`: checks that every day is whole, one line a day and stream, with what to do where one isn't.

Only the comparison with the API needs credentials.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.pipeline import Pipeline, pipeline_of
from ticket_events_pipeline.quality.against_api import compare_with_api, draw_sample
from ticket_events_pipeline.quality.findings import Finding, VerifiedDay
from ticket_events_pipeline.quality.moved_events import NEARBY_DAYS
from ticket_events_pipeline.quality.raw_day import owner_of, verify_days
from ticket_events_pipeline.settings import RootSettings
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import STREAMS, Stream
from ticket_events_pipeline.text import plural, utc_text


def run_verify(first: str, last: str, *, streams: Sequence[str], sample: int | None, seed: int | None) -> bool:
    """Verify the days from `first` through `last`, and against the API where a `sample` is requested; whether all are whole.

    Raises:
        click.UsageError: the dates are none.
        UsageError: the root can't be read.
        AccountError, TransientError: the API can't be read.
    """
    pipeline = pipeline_of(os.environ, log=click.echo)
    settings = pipeline.root_settings
    days = _days(first, last, settings.timezone)
    store = pipeline.store
    click.echo(f"{store.location}: {days[0]} to {days[-1]}, days of {settings.timezone}")
    whole: dict[str, list[Day]] = {}
    broken: set[tuple[Day, str]] = set()
    for stream in (STREAMS[name] for name in streams):
        verified_days = _verify(store, stream, days, settings)
        whole[stream.name] = [verified.day for verified in verified_days if verified.is_whole]
        broken |= {(verified.day, stream.name) for verified in verified_days if not verified.is_whole}
    if sample is not None:
        drawn = int(wall_clock() // 86_400) if seed is None else seed  # other pages every day, the same ones on one day
        broken |= _compare(pipeline, whole, sample=sample, seed=drawn)
    _conclude(len(days) * len(streams), broken)
    return not broken


def _days(first: str, last: str, timezone: str) -> list[Day]:
    try:
        days = days_between(Day.parse(first, timezone), Day.parse(last, timezone))
    except ValueError as error:
        raise click.UsageError(f"START END: {error}.") from None
    if not days:
        raise click.UsageError(f"START END: {last} is before {first}.")
    return days


def _verify(store: Store, stream: Stream, days: list[Day], settings: RootSettings) -> list[VerifiedDay]:
    owner = owner_of(
        store, stream.name, days, account=settings.account, former=settings.former_accounts, timezone=settings.timezone
    )
    verified_days = []
    for verified in verify_days(store, stream=stream, days=days, owner=owner, now=wall_clock()):
        verified_days.append(verified)
        _print(verified)
    return verified_days


def _print(verified: VerifiedDay) -> None:
    mark = _styled("ok", "green") if verified.is_whole else _styled("BAD", "red")
    notes = "".join(f"; {note}" for note in verified.notes)
    counts = f"{verified.rows:>9,} rows {verified.pages:>5} pages"
    click.echo(f"{mark} {verified.day} {verified.stream:<20} {counts}  {verified.state}{notes}")
    for finding in verified.findings:
        _print_finding(finding)


def _print_finding(finding: Finding) -> None:
    click.echo(f"      {finding}")


def _styled(mark: str, colour: str) -> str:
    return click.style(f"{mark:<4}", fg=colour)


def _compare(pipeline: Pipeline, whole: dict[str, list[Day]], *, sample: int, seed: int) -> set[tuple[Day, str]]:
    broken = set()
    with pipeline.client(click.echo) as client:
        for name, days in whole.items():
            drawn = draw_sample(pipeline.store, STREAMS[name], days, size=sample, seed=seed)
            pages = len(drawn.windows)
            click.echo(
                f"{name} against the API: {pages} of {plural(drawn.pages, 'page')} of whole days, drawn with --seed {seed}"
            )
            for page in compare_with_api(client, pipeline.store, stream=STREAMS[name], days=days, sample=drawn):
                mark = _styled("BAD", "red") if page.findings else _styled("ok", "green")
                window = f"{utc_text(page.window.start)} to {utc_text(page.window.stop)}"
                click.echo(f"{mark} {window} {name:<20} {page.rows:>9,} rows")
                for day, finding in page.findings:
                    click.echo(f"      {day}: {finding}")
                    broken.add((day, name))
    return broken


def _conclude(verified: int, broken: set[tuple[Day, str]]) -> None:
    if not broken:
        compared = f"compared with each other and with the stored days up to {NEARBY_DAYS} days away"
        click.secho(f"All {verified} day files are whole, as far as they can be by now; {compared}.", fg="green")
        return
    click.secho(f"{len(broken)} of {verified} day files are not whole:", fg="red")
    for day, stream in sorted(broken):
        click.secho(f"      {day} {stream}", fg="red")
