"""`ticket-events verify`: checks that every day is whole, one line a day and stream, with what to do where one isn't.

Only the comparison with the API needs credentials.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import click

from ticket_events_pipeline.cli.dates import outside_note, parse_days
from ticket_events_pipeline.day import Day, days_between, wall_clock
from ticket_events_pipeline.errors import UsageError
from ticket_events_pipeline.installation import program
from ticket_events_pipeline.pipeline import Pipeline, pipeline_of
from ticket_events_pipeline.quality.against_api import Comparison, compare_with_api, draw_sample
from ticket_events_pipeline.quality.findings import PRUNED, VerifiedDay, of_closed_day
from ticket_events_pipeline.quality.footer_checks import Owner
from ticket_events_pipeline.quality.moved_events import NEARBY_DAYS
from ticket_events_pipeline.quality.raw_day import owners_of, verify_days
from ticket_events_pipeline.settings import partition_settings
from ticket_events_pipeline.storage.partition_file import stored_days
from ticket_events_pipeline.storage.pruned_days import read_pruned_days
from ticket_events_pipeline.storage.store import Store
from ticket_events_pipeline.tables.streams import STREAMS, Stream
from ticket_events_pipeline.text import plural, utc_text

_Say = Callable[[str], None]


@dataclass(frozen=True)
class _Compared:
    """A stream's sample, compared with the API: its pages, and how many there are in all."""

    stream: str
    pages: list[Comparison]
    of_pages: int
    seed: int


def run_verify(words: Sequence[str], *, streams: Sequence[str], sample: int | None, seed: int | None, is_json: bool) -> bool:
    """Verify the days (none: all stored ones), and against the API where a `sample` is requested; whether all are whole.

    Raises:
        click.UsageError: the words name no days.
        UsageError: the root can't be read, or holds no day.
        AccountError, TransientError: the API can't be read.
    """
    pipeline = pipeline_of(os.environ, log=partial(click.echo, err=is_json))
    settings, store = pipeline.root_settings, pipeline.store
    today = Day.containing(wall_clock(), settings.timezone)
    days = parse_days(words, today) or _stored_days(store, streams, settings.timezone)
    if note := outside_note(days, partition_settings(os.environ).start_date, today):
        click.echo(note, err=True)
    say: _Say = _be_silent if is_json else click.echo
    say(f"{store.location}: {days[0]} to {days[-1]}, timezone {settings.timezone}")
    owners = owners_of(
        store, streams, days, account=settings.account, former=settings.former_accounts, timezone=settings.timezone
    )
    verified = [found for name in streams for found in _verify(store, STREAMS[name], days, owners[name], say)]
    compared: list[_Compared] = []
    if sample is not None:
        drawn = int(wall_clock() // 86_400) if seed is None else seed  # other pages every day, the same ones on one day
        compared = _compare(pipeline, verified, sample=sample, seed=drawn, say=say)
    broken = {(found.day, found.stream) for found in verified if not found.is_whole}
    broken |= {(day, part.stream) for part in compared for page in part.pages for day, _ in page.findings}
    if is_json:
        click.echo(json.dumps(_document(store, days, verified, compared if sample is not None else None, broken), indent=1))
    else:
        _conclude(sum(found.state != PRUNED for found in verified), broken)
    return not broken


def _be_silent(_: str) -> None:
    """Of a document, no line is printed before it is whole."""


def _stored_days(store: Store, streams: Sequence[str], timezone: str) -> list[Day]:
    """From the first stored day through the newest: a gap between them is a finding."""
    stored = [day for name in streams for day in stored_days(store, name, timezone)]
    if not stored:
        how = f"To fetch a week: {program()} backfill last-7-days"
        raise UsageError(f"No day of {' or '.join(streams)} is stored below {store.location}. {how}")
    return days_between(min(stored), max(stored))


def _verify(store: Store, stream: Stream, days: list[Day], owner: Owner, say: _Say) -> Iterator[VerifiedDay]:
    pruned = read_pruned_days(store)
    for found in verify_days(store, stream=stream, days=days, owner=owner, now=wall_clock()):
        verified = replace(found, findings=of_closed_day(found.findings, found.day, pruned))
        _print(verified, say)
        yield verified


def _print(verified: VerifiedDay, say: _Say) -> None:
    mark = _styled("ok", "green") if verified.is_whole else _styled("BAD", "red")
    notes = "".join(f"; {note}" for note in verified.notes)
    rows, pages = ("", "") if verified.state == PRUNED else (plural(verified.rows, "row"), plural(verified.pages, "page"))
    counts = f"{rows:>14} {pages:>11}"
    say(f"{mark} {verified.day} {verified.stream:<20} {counts}  {verified.state}{notes}")
    for finding in verified.findings:
        say(f"      {finding}")


def _styled(mark: str, colour: str) -> str:
    return click.style(f"{mark:<4}", fg=colour)


def _compare(pipeline: Pipeline, verified: Sequence[VerifiedDay], *, sample: int, seed: int, say: _Say) -> list[_Compared]:
    compared = []
    with pipeline.client(partial(click.echo, err=say is _be_silent)) as client:
        for name in dict.fromkeys(found.stream for found in verified):
            days = [found.day for found in verified if found.stream == name and found.is_whole]
            drawn = draw_sample(pipeline.store, STREAMS[name], days, size=sample, seed=seed)
            pages = len(drawn.windows)
            say(f"{name} against the API: {pages} of {plural(drawn.pages, 'page')} of whole days, drawn with --seed {seed}")
            part = _Compared(name, [], drawn.pages, seed)
            compared.append(part)
            for page in compare_with_api(client, pipeline.store, stream=STREAMS[name], days=days, sample=drawn):
                part.pages.append(page)
                _print_page(page, name, say)
    return compared


def _print_page(page: Comparison, stream: str, say: _Say) -> None:
    mark = _styled("BAD", "red") if page.findings else _styled("ok", "green")
    window = f"{utc_text(page.window.start)} to {utc_text(page.window.stop)}"
    say(f"{mark} {window} {stream:<20} {plural(page.rows, 'row'):>14}")
    for day, finding in page.findings:
        say(f"      {day}: {finding}")


def _conclude(verified: int, broken: set[tuple[Day, str]]) -> None:
    if not broken:
        files = "The day file is" if verified == 1 else f"All {verified} day files are"
        compared = f"compared with each other and with the stored days up to {NEARBY_DAYS} days away"
        click.secho(f"{files} complete and consistent so far; {compared}.", fg="green")
        return
    click.secho(f"{len(broken)} of {plural(verified, 'day file')} {'is' if len(broken) == 1 else 'are'} not whole:", fg="red")
    for day, stream in sorted(broken):
        click.secho(f"      {day} {stream}", fg="red")


def _document(
    store: Store,
    days: Sequence[Day],
    verified: Sequence[VerifiedDay],
    compared: Sequence[_Compared] | None,
    broken: set[tuple[Day, str]],
) -> dict[str, Any]:
    """The result for scripts. A contract: keys may be added, and none changes."""
    return {
        "root": store.location,
        "timezone": days[0].timezone,
        "first_day": str(days[0]),
        "last_day": str(days[-1]),
        "is_whole": not broken,
        "day_files": [_day_document(found) for found in verified],
        "against_api": None if compared is None else [_compared_document(part) for part in compared],
    }


def _day_document(found: VerifiedDay) -> dict[str, Any]:
    return {
        "stream": found.stream,
        "day": str(found.day),
        "is_whole": found.is_whole,
        "state": found.state,
        "rows": found.rows,
        "pages": found.pages,
        "findings": [{"problem": finding.problem, "remedy": finding.remedy} for finding in found.findings],
        "notes": list(found.notes),
    }


def _compared_document(part: _Compared) -> dict[str, Any]:
    pages = [
        {
            "from": utc_text(page.window.start),
            "to": utc_text(page.window.stop),
            "rows": page.rows,
            "findings": [
                {"day": str(day), "problem": finding.problem, "remedy": finding.remedy} for day, finding in page.findings
            ],
        }
        for page in part.pages
    ]
    return {"stream": part.stream, "seed": part.seed, "pages_in_all": part.of_pages, "pages": pages}
